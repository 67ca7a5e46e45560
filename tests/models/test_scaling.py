import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from neocog.errors import ModelError
from neocog.models import ScaledNetwork, Scaling


def every_pixel(channels: int = 1) -> torch.Tensor:
    return torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).repeat(2, channels, 1, 1)


def test_plain_scaling_is_exactly_a_division_by_255() -> None:
    pixels = every_pixel()
    scaled = Scaling([0.0], [1.0])(pixels)
    assert scaled.dtype == torch.float32
    assert torch.equal(scaled, (pixels.double() / 255).float())


@given(st.sampled_from([1, 3]), st.data())
def test_mean_and_std_follow_the_definition(channels: int, data: st.DataObject) -> None:
    numbers = st.lists(st.floats(0.125, 1, width=32), min_size=channels, max_size=channels)
    mean, std = data.draw(numbers), data.draw(numbers)
    pixels = every_pixel(channels)
    expected = pixels.double() / 255
    expected = (expected - torch.tensor(mean).double().view(1, -1, 1, 1)) / torch.tensor(std).double().view(1, -1, 1, 1)
    assert torch.allclose(Scaling(mean, std)(pixels).double(), expected, atol=2e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.int64])
def test_other_dtypes_give_the_same_and_are_left_alone(dtype: torch.dtype) -> None:
    pixels = every_pixel().to(dtype)
    before = pixels.clone()
    scaled = Scaling([0.5], [0.5])(pixels)
    assert torch.equal(scaled, Scaling([0.5], [0.5])(every_pixel()))
    assert torch.equal(pixels, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_reach_the_pixels(dtype: torch.dtype) -> None:
    pixels = every_pixel().to(dtype).requires_grad_()
    Scaling([0.1307], [0.3081])(pixels).sum().backward()
    assert pixels.grad is not None
    assert torch.allclose(pixels.grad, torch.full_like(pixels, 1 / 255 / 0.3081))


def test_one_value_serves_any_number_of_channels() -> None:
    scaling = Scaling([0.5], [0.5])
    assert scaling(every_pixel(3)).shape == (2, 3, 16, 16)
    assert torch.equal(scaling(every_pixel(3))[:, :1], scaling(every_pixel(1)))
    assert Scaling([0.5], [0.2, 0.3, 0.4])(every_pixel(3)).shape == (2, 3, 16, 16)


def test_channels_last_stays_channels_last() -> None:
    pixels = every_pixel(3).contiguous(memory_format=torch.channels_last)
    assert Scaling()(pixels).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("mean", "std", "words"),
    [
        ([0.0], [0.0], "above 0"),
        ([0.0], [-1.0], "above 0"),
        ([float("nan")], [1.0], "finite"),
        ([0.0, 0.0], [1.0, 1.0, 1.0], "2 means and 3 standard deviations"),
        ([], [1.0], "0 means"),
    ],
)
def test_impossible_values_are_refused(mean: list[float], std: list[float], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        Scaling(mean, std)


def test_images_of_another_form_are_refused() -> None:
    scaling = Scaling([0.1, 0.2, 0.3], [1.0])
    with pytest.raises(ModelError, match="expected 3 channels"):
        scaling(every_pixel(1))
    with pytest.raises(ModelError, match=r"image\[None\]"):
        scaling(every_pixel(3)[0])


def test_a_scaled_network_keeps_the_plain_names() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(256, 2))
    scaled = ScaledNetwork(Scaling([0.5], [0.5]), network)
    assert list(scaled.network.state_dict()) == ["1.weight", "1.bias"]
    assert set(scaled.state_dict()) == {"network.1.weight", "network.1.bias"}
    expected = network((every_pixel().float() / 255 - 0.5) / 0.5)
    assert torch.allclose(scaled(every_pixel()), expected, atol=1e-6)
    assert repr(scaled.scaling) == "Scaling(mean=(0.5), std=(0.5))"
