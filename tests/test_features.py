"""Features of a frozen network: what they are, and when they are computed again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from neocog.feature_store import FeatureStore
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
    monkeypatch.setattr("neocog.feature_store._MOST", 1)
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


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("NEOCOG_DATA", str(tmp_path / "file"))
    front, batch = Counting(), images(5)
    first = features(front, batch, PLACE)
    assert torch.equal(features(front, batch, PLACE), first) and front.seen == 10


def test_a_full_disk_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("neocog.feature_store.save_file", full)
    front, batch = Counting(), images(5)
    assert torch.equal(features(front, batch, PLACE), features(front, batch, PLACE, cached=False))


def test_a_process_that_is_killed_leaves_what_it_has_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neocog.features._KEPT_SECONDS", 0.0)
    monkeypatch.setattr("neocog.features.batch_size_for", lambda shape: 4)

    def interrupt(what: str, done: int, total: int) -> None:
        if done == 8:
            raise KeyboardInterrupt

    whole, front, batch = Counting(), Counting(), images(10)
    front.load_state_dict(whole.state_dict())
    with pytest.raises(KeyboardInterrupt):
        features(front, batch, PLACE, progress=interrupt)
    found = features(front, batch, PLACE)
    assert front.seen <= 14
    assert torch.equal(found, features(whole, batch, PLACE, cached=False))


def test_what_two_processes_write_at_once_is_all_kept(own_cache: Path) -> None:
    front, batch = Counting(), images(8)
    rows = features(front, batch, PLACE, cached=False)
    digests = [bytes([row] * 16) for row in range(8)]
    one, other = FeatureStore("network"), FeatureStore("network")
    assert not list(one.read(digests)) and not list(other.read(digests))
    one.add(digests[:4], rows[:4])
    other.add(digests[2:], rows[2:])
    found = {digest: row for known, values in one.read(digests) for digest, row in zip(known, values, strict=True)}
    assert torch.equal(torch.stack([found[digest] for digest in digests]), rows)
    assert not list(FeatureStore("other").read(digests))


def test_images_in_many_small_parts_do_not_become_many_files(own_cache: Path) -> None:
    front, batch = Counting(), images(40)
    for row in range(40):
        features(front, batch[row : row + 1], PLACE)
    assert len(list((own_cache / "features").glob("*.safetensors"))) < 8
    features(front, batch, PLACE)
    assert front.seen == 40


def test_what_another_process_is_writing_is_not_forgotten(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neocog.feature_store._MOST", 1)
    (own_cache / "features").mkdir(parents=True)
    begun = own_cache / "features" / ".key-name.safetensors.abc.safetensors"
    begun.write_bytes(b"half of it")
    for _ in range(2):
        features(Counting(), images(4), PLACE)
    assert begun.exists()


def test_other_hardware_gives_features_of_its_own() -> None:
    front, batch = Counting(), images(4)
    features(front, batch, PLACE)
    features(front, batch, Hardware(torch.device("cpu"), True, False, 1))
    features(front, batch, Hardware(torch.device("cpu"), False, True, 1))
    assert front.seen == 12


def test_no_images_give_no_features_of_the_right_shape() -> None:
    assert features(Counting(), images(0), PLACE).shape == (0, 4)
