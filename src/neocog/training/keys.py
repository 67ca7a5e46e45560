"""Random numbers as functions of where they are used: (seed, what for, stage, epoch, step).

Nothing carries a generator's state from step to step, so a training that is resumed anywhere draws what an
unbroken one would have drawn.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator

import torch


def key(seed: int, purpose: str, *place: int) -> int:
    """Give the seed in [0, 2**63) that belongs to `purpose` at `place`, such as (stage, epoch, step)."""
    text = ":".join([str(seed), purpose, *map(str, place)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(seed: int, purpose: str, *place: int) -> torch.Generator:
    """Give a CPU generator that starts from `key(...)`: the same draws on every device."""
    return torch.Generator().manual_seed(key(seed, purpose, *place))


@contextlib.contextmanager
def keyed_randomness(device: torch.device, number: int) -> Iterator[None]:
    """Let torch's own generators (dropout, initial weights) start from `number`, and leave them as they were."""
    with contextlib.ExitStack() as stack:
        # torch.manual_seed would also reseed the accelerators that are not forked here.
        if device.type == "cuda":
            stack.enter_context(torch.cuda.device(device))
            index = torch.cuda.current_device()
            stack.enter_context(torch.random.fork_rng(devices=[index]))
            torch.cuda.manual_seed(number)
        elif device.type == "mps":
            stack.enter_context(torch.random.fork_rng(devices=[0], device_type="mps"))
            torch.mps.manual_seed(number)
        else:
            stack.enter_context(torch.random.fork_rng(devices=[]))
        torch.default_generator.manual_seed(number)
        yield
