"""Features of a frozen network: what they are, and when they are computed again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from neocog.features import features
from neocog.training.hardware import Hardware

PLACE = Hardware(torch.device("cpu"), False, False, 1)


class Counting(nn.Module):
    """A convolution that counts the images that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.seen = 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        result: Tensor = self.norm(self.conv(x.float() / 255)).mean((2, 3))
        return result


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEOCOG_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


def images(count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, 12, 12), dtype=torch.uint8, generator=generator)


def test_features_are_what_the_network_gives_in_evaluation() -> None:
    front, batch = Counting(), images(7)
    found = features(front, batch, PLACE)
    with torch.no_grad():
        assert torch.equal(found, front.eval()(batch))
    assert found.dtype == torch.float32


def test_a_network_in_training_mode_stays_there_and_its_statistics_are_not_moved() -> None:
    front = Counting().train()
    before = front.norm.running_mean.clone()  # type: ignore[union-attr]
    features(front, images(5), PLACE, cached=False)
    assert front.training and torch.equal(front.norm.running_mean, before)  # type: ignore[arg-type]


def test_the_second_time_nothing_is_computed() -> None:
    front, batch = Counting(), images(6)
    first = features(front, batch, PLACE)
    assert torch.equal(features(front, batch, PLACE), first) and front.seen == 6


def test_only_images_that_are_new_are_computed_in_any_order_and_number() -> None:
    front, batch = Counting(), images(9)
    first = features(front, batch[:6], PLACE)
    mixed = features(front, batch[[8, 0, 7, 5, 8]], PLACE)
    assert front.seen == 8
    assert torch.equal(mixed[1], first[0]) and torch.equal(mixed[3], first[5]) and torch.equal(mixed[0], mixed[4])
    with torch.no_grad():
        assert torch.allclose(mixed, front.eval()(batch[[8, 0, 7, 5, 8]]), atol=1e-6)


def test_equal_images_within_a_call_are_computed_once() -> None:
    front, batch = Counting(), images(3)
    features(front, batch[[0, 1, 0, 2, 2]], PLACE)
    assert front.seen == 3


@pytest.mark.parametrize("change", ["weight", "statistics", "size"])
def test_other_weights_statistics_or_sizes_are_other_features(change: str) -> None:
    front, batch = Counting(), images(4)
    features(front, batch, PLACE)
    with torch.no_grad():
        if change == "weight":
            front.conv.weight[0, 0, 0, 0] += 1
        elif change == "statistics":
            front.norm.running_mean += 1  # type: ignore[operator]
        else:
            batch = batch.view(4, 3, 9, 16)
    features(front, batch, PLACE)
    assert front.seen == 8


def test_a_damaged_cache_is_computed_anew(own_cache: Path) -> None:
    front, batch = Counting(), images(4)
    first = features(front, batch, PLACE)
    (file,) = (own_cache / "features").glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:100])
    assert torch.equal(features(front, batch, PLACE), first) and front.seen == 8
    assert torch.equal(features(front, batch, PLACE), first) and front.seen == 8


def test_the_cache_forgets_the_least_recently_used_first(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neocog.features._MOST", 1)
    fronts = [Counting() for _ in range(3)]
    for front in fronts:
        features(front, images(4), PLACE)
    assert len(list((own_cache / "features").glob("*.safetensors"))) == 1
    features(fronts[2], images(4), PLACE)
    assert fronts[2].seen == 4


def test_progress_is_told_up_to_the_end() -> None:
    heard: list[tuple[int, int]] = []
    features(Counting(), images(4), PLACE, progress=lambda what, done, total: heard.append((done, total)))
    assert heard[-1] == (4, 4)
