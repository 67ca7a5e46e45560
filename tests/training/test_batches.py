import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from neocog.errors import DataError
from neocog.training.batches import LoaderBatches, TensorBatches, as_batch


def numbered(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.arange(count, dtype=torch.float32).view(count, 1, 1, 1), torch.arange(count)


@pytest.mark.parametrize(
    ("count", "size", "sizes"),
    [(10, 4, [4, 4, 2]), (8, 4, [4, 4]), (9, 4, [4, 5]), (5, 4, [5]), (1, 4, [1]), (3, 1, [1, 1, 1]), (3, 8, [3])],
)
def test_every_image_once_an_epoch_and_none_left_alone(count: int, size: int, sizes: list[int]) -> None:
    batches = TensorBatches(*numbered(count), size, seed=0)
    epoch = list(batches.epoch(0, 0, 0))
    assert [len(labels) for _, labels in epoch] == sizes
    assert batches.steps == len(sizes)
    assert sorted(torch.cat([labels for _, labels in epoch]).tolist()) == list(range(count))
    for images, labels in epoch:
        assert torch.equal(images.flatten().long(), labels)


def test_the_order_belongs_to_seed_stage_and_epoch() -> None:
    def order(seed: int, stage: int, epoch: int) -> tuple[int, ...]:
        batches = TensorBatches(*numbered(50), 8, seed=seed)
        return tuple(torch.cat([labels for _, labels in batches.epoch(stage, epoch, 0)]).tolist())

    assert order(0, 0, 0) == order(0, 0, 0)
    assert len({order(0, 0, 0), order(1, 0, 0), order(0, 1, 0), order(0, 0, 1)}) == 4


@pytest.mark.parametrize("start", range(5))
def test_an_epoch_can_begin_at_any_step(start: int) -> None:
    def augment(images: torch.Tensor, *, seed: int) -> torch.Tensor:
        return images + seed

    batches = TensorBatches(*numbered(17), 4, seed=3, augment=augment)
    whole = list(batches.epoch(1, 2, 0))
    for (images, labels), (expected, expected_labels) in zip(batches.epoch(1, 2, start), whole[start:], strict=True):
        assert torch.equal(images, expected) and torch.equal(labels, expected_labels)


def test_each_step_augments_with_a_seed_of_its_own() -> None:
    seeds: list[int] = []

    def augment(images: torch.Tensor, *, seed: int) -> torch.Tensor:
        seeds.append(seed)
        return images

    batches = TensorBatches(*numbered(8), 2, seed=0, augment=augment)
    for place in ((0, 0), (0, 1), (1, 0)):
        list(batches.epoch(*place, 0))
    assert len(set(seeds)) == 12


def test_the_users_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    list(TensorBatches(*numbered(8), 2, seed=0).epoch(0, 0, 0))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loader_gives_its_own_batches() -> None:
    images, labels = numbered(10)
    loader = DataLoader(TensorDataset(images, labels), batch_size=4)
    batches = LoaderBatches(loader)
    assert batches.steps == 3
    assert [found.tolist() for _, found in batches.epoch(0, 0, 1)] == [[4, 5, 6, 7], [8, 9]]


class Stream(IterableDataset[tuple[torch.Tensor, int]]):
    def __iter__(self):  # type: ignore[no-untyped-def]
        yield torch.zeros(1), 0


@pytest.mark.parametrize(
    ("loader", "says"),
    [
        ((pair for pair in [numbered(2)]), "Wrap a generator in list"),
        (DataLoader(Stream()), "expected batches with a length"),
        ([], "not a single batch"),
        (3, "got int"),
    ],
)
def test_what_is_no_batches_is_refused(loader: object, says: str) -> None:
    with pytest.raises(DataError, match=says):
        LoaderBatches(loader)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("batch", "says"),
    [
        (torch.zeros(4), "got Tensor"),
        ({"image": 1}, "got dict"),
        ((torch.zeros(2, 3), torch.zeros(3, dtype=torch.int64)), r"images of shape \(2, 3\) and 3 labels"),
        ((torch.zeros(2, 3), torch.eye(2)), r"labels.argmax\(1\)"),
        ((torch.zeros(2, 3), torch.zeros(2)), "torch.float32"),
        ((torch.zeros(2, 3), ["cat", "dog"]), "must hold tensors"),
        ((torch.tensor(1), torch.tensor([1])), "one label for each image"),
    ],
)
def test_what_is_no_batch_is_refused(batch: object, says: str) -> None:
    with pytest.raises(DataError, match=says):
        as_batch(batch)


@pytest.mark.parametrize("labels", [[0, 2], np.array([0, 2], np.uint8), torch.tensor([0, 2], dtype=torch.int32)])
def test_whole_numbers_of_any_kind_are_labels(labels: object) -> None:
    images, found = as_batch([np.zeros((2, 1, 4, 4), np.float32), labels])
    assert found.dtype == torch.int64 and found.tolist() == [0, 2]
    assert images.shape == (2, 1, 4, 4)
