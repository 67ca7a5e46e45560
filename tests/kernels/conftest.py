"""Which blocks run in a test, and which may."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor

from neocog.kernels import fuse, plan, rewrite
from neocog.kernels.plan import Block, ConvBlock


@pytest.fixture(autouse=True)
def _what_pays_stays_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks with relu or pooling, in every test: what pays in truth changes with what is measured."""

    def pays(block: Block, *_: object) -> bool:
        return block.relu or (isinstance(block, ConvBlock) and block.pool)

    for module in (plan, fuse, rewrite):
        monkeypatch.setattr(module, "pays", pays)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The blocks that ran, in order, such as `conv pool relu` and `norm relu`."""
    blocks: list[str] = []

    def record(name: str) -> None:
        compute = getattr(plan, f"fused_{name}")

        def recorded(*inputs: Any, **settings: Any) -> Tensor:
            blocks.append(" ".join([name, *(step for step in ("pool", "relu") if settings.get(step))]))
            output: Tensor = compute(*inputs, **settings)
            return output

        monkeypatch.setattr(plan, f"fused_{name}", recorded)

    record("conv")
    record("norm")
    return blocks
