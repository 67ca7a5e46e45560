import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from neocog.errors import WeightsError
from neocog.models import adapt_first_conv, build, load_into, read_weights


class Trap:
    """Pickled code: whoever unpickles it writes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.marker,)  # type: ignore[return-value]


def small(classes: int = 3, channels: int = 1, size: int = 6) -> nn.Module:
    return build(
        "conv 2 3x3 same | batchnorm | relu | flatten | linear classes", (channels, size, size), classes, seed=classes
    )


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_safetensors_come_back_with_their_metadata(tmp_path: Path) -> None:
    state = small().state_dict()
    save_file(state, tmp_path / "가중치.bin", metadata={"neocog": "{}"})
    tensors, metadata = read_weights(tmp_path / "가중치.bin")
    assert equal(tensors, state)
    assert metadata == {"neocog": "{}"}


@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.1}},
        lambda state: {"model": {"state_dict": state}},
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {"model": {f"_orig_mod.module.{name}": tensor for name, tensor in state.items()}},
    ],
)
def test_pytorch_files_are_unwrapped(tmp_path: Path, wrap, new_format: bool) -> None:  # type: ignore[no-untyped-def]
    state = small().state_dict()
    torch.save(wrap(state), tmp_path / "w.pth", _use_new_zipfile_serialization=new_format)
    tensors, metadata = read_weights(tmp_path / "w.pth")
    assert equal(tensors, dict(state))
    assert metadata == {}


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("new_format", [True, False])
def test_code_in_a_file_is_never_run(tmp_path: Path, new_format: bool) -> None:
    marker = tmp_path / "ran"
    torch.save(
        {"a": torch.zeros(2), "trap": Trap(marker)}, tmp_path / "w.pth", _use_new_zipfile_serialization=new_format
    )
    with pytest.raises(WeightsError, match="runs no code from a file"):
        read_weights(tmp_path / "w.pth")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Trap(marker)))
    with pytest.raises(WeightsError):
        read_weights(tmp_path / "plain.pt")
    assert not marker.exists()


def test_a_whole_pickled_module_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"torch\.save\(model\.state_dict\(\)"):
        read_weights(tmp_path / "w.pth")


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
def test_a_file_cut_anywhere_is_a_clear_error(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "w"
    if kind == "safetensors":
        save_file(small().state_dict(), path)
    else:
        torch.save(small().state_dict(), path, _use_new_zipfile_serialization=kind == "zip")
    content = path.read_bytes()
    for part in range(20):
        path.write_bytes(content[: len(content) * part // 20])
        with pytest.raises(WeightsError, match=r"w (is|holds)|cannot read"):
            read_weights(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"\x89HDF\r\n\x1a\n0000", "HDF5"),
        (b"\x89PNG\r\n\x1a\n0000", "no known format"),
        (b"PK\x03\x04 not really", "truncated or is no PyTorch"),
    ],
)
def test_files_that_hold_no_weights_say_what_they_are(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=words):
        read_weights(path)


def test_missing_files_folders_and_other_archives_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="there is no weights file"):
        read_weights(tmp_path / "none.pth")
    with pytest.raises(WeightsError, match="is a folder"):
        read_weights(tmp_path)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(WeightsError, match="is no PyTorch weights file"):
        read_weights(tmp_path / "other.zip")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (torch.zeros(3), "a single tensor, not a state dict"),
        ([torch.zeros(3)], "a list, not a state dict"),
        ({}, "nothing, not a state dict"),
        ({"a": torch.zeros(1), "epoch": 3}, "not tensors: epoch"),
        ({"model": "resnet18"}, "not tensors: model"),
    ],
)
def test_content_that_is_no_state_dict_is_refused(tmp_path: Path, content: object, words: str) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=words):
        read_weights(tmp_path / "w.pth")


def test_loading_copies_every_tensor() -> None:
    source, target = small(), small()
    nn.init.constant_(source.get_parameter("conv1.weight"), 0.5)
    load_into(
        target, {k: v.double() if v.is_floating_point() else v for k, v in source.state_dict().items()}, source="w"
    )
    assert equal(dict(target.state_dict()), dict(source.state_dict()))
    assert target.get_parameter("conv1.weight").dtype == torch.float32
    assert target.get_parameter("conv1.weight").requires_grad


def test_older_files_lack_the_counters_of_batch_normalisation() -> None:
    state = small().state_dict()
    del state["batchnorm1.num_batches_tracked"]
    load_into(small(), state, source="w")


@pytest.mark.parametrize(
    ("network", "tensors", "words"),
    [
        (small(3), small(5).state_dict(), "made for 5 classes, the network for 3. Build it with num_classes=5"),
        (small(), small(channels=3).state_dict(), "images of 3 channels, the network for 1"),
        (small(), small(size=8).state_dict(), "images of another size"),
        (small(), {"fc.weight": torch.zeros(2)}, "No name is in both"),
        (small(), {"conv1.weight": torch.zeros(2, 1, 3, 3)}, "1 of the file's 1 names"),
        (small(), {f"net.{k}": v for k, v in small().state_dict().items()}, "'net.' before each in the file"),
        (nn.Sequential(small()), small().state_dict(), "'0.' before each in the network"),
        (small(), {**small().state_dict(), "batchnorm1.num_batches_tracked": torch.tensor(1.0)}, "other sizes"),
        (nn.Linear(2, 3), nn.Linear(4, 5).state_dict(), "other sizes"),
    ],
)
def test_a_misfit_names_the_likely_reason_and_changes_nothing(
    network: nn.Module, tensors: dict[str, Tensor], words: str
) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        load_into(network, tensors, source="some.pth")
    assert str(caught.value).startswith("some.pth does not fit the network:")
    assert words in str(caught.value)
    assert equal(dict(network.state_dict()), before)


def test_a_long_list_of_misfits_is_cut_with_its_count() -> None:
    with pytest.raises(WeightsError) as caught:
        load_into(build("lenet5", (1, 28, 28), 10), {"x.weight": torch.zeros(1)}, source="w")
    text = str(caught.value)
    assert "missing in the file (10):" in text
    assert "and 5 more" in text
    assert "not in the network (1):\n    x.weight" in text


def test_a_network_without_memory_is_refused() -> None:
    with torch.device("meta"):
        network = build("lenet5", (1, 28, 28), 10)
    with pytest.raises(WeightsError, match="to_empty"):
        load_into(network, build("lenet5", (1, 28, 28), 10).state_dict(), source="w")


def test_a_first_convolution_adapts_so_that_gray_images_give_the_same() -> None:
    colour = nn.Conv2d(3, 4, 3)
    gray = nn.Conv2d(1, 4, 3)
    gray.load_state_dict(adapt_first_conv(colour.state_dict(), "weight", 1))
    image = torch.rand(2, 1, 8, 8)
    assert torch.allclose(gray(image), colour(image.expand(-1, 3, -1, -1)), atol=1e-5)
    colour.load_state_dict(adapt_first_conv(gray.state_dict(), "weight", 3))
    assert torch.allclose(gray(image), colour(image.expand(-1, 3, -1, -1)), atol=1e-5)
    assert adapt_first_conv(gray.state_dict(), "weight", 1)["weight"].shape == (4, 1, 3, 3)


def test_other_adaptations_are_refused() -> None:
    state = nn.Conv2d(3, 4, 3).state_dict()
    with pytest.raises(WeightsError, match="only 1 and 3 channels"):
        adapt_first_conv(state, "weight", 4)
    with pytest.raises(WeightsError, match=r"no tensor is called 'conv1\.weight'"):
        adapt_first_conv(state, "conv1.weight", 1)
    with pytest.raises(WeightsError, match=r"\(out, in, kh, kw\); got 4"):
        adapt_first_conv(state, "bias", 1)
