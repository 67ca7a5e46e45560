import itertools

import torch

from neocog.training.keys import generator, key, keyed_randomness


def test_keys_differ_by_seed_purpose_and_each_part_of_the_place() -> None:
    places = itertools.product((0, 1), ("order", "step"), (0, 1, 11), (0, 1, 11), (0, 1, 11))
    keys = [key(seed, purpose, *place) for seed, purpose, *place in places]
    assert len(set(keys)) == len(keys)
    # PyTorch's CPU generator looks at these bits alone.
    assert len({number % 2**32 for number in keys}) == len(keys)
    assert all(0 <= number < 2**63 for number in keys)


def test_keys_are_the_same_in_every_version() -> None:
    assert key(0, "order", 0, 0) == 3970017264876154664
    assert key(0, "order", 0, 1) != key(0, "order", 1, 0)


def test_generators_give_the_same_draws_again() -> None:
    assert torch.equal(
        torch.randperm(9, generator=generator(3, "order", 1)), torch.randperm(9, generator=generator(3, "order", 1))
    )
    assert generator(3, "order", 1).initial_seed() == key(3, "order", 1)


def test_keyed_randomness_leaves_the_users_generator_as_it_was() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with keyed_randomness(torch.device("cpu"), 7):
        inside = torch.rand(3)
    with keyed_randomness(torch.device("cpu"), 7):
        again = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(inside, again)
    assert not torch.equal(inside, expected)
