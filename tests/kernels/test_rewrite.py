"""A rewritten forward does what the written one does, whatever is in it."""

from __future__ import annotations

import copy
import linecache
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional
from tests.kernels.exact import needs_blocks, whole, whole_images
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.functional import max_pool2d, relu

from neocog.kernels.fuse import fuse, fused_layers
from neocog.kernels.rewrite import rewrite

pytestmark = needs_blocks

IMAGES = whole_images(2, 2, 9, 10)


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.other = nn.Conv2d(2, 2, 5, padding=2)
        self.act, self.pool = nn.ReLU(), nn.MaxPool2d(2)
        self.convs = nn.ModuleList([nn.Conv2d(2, 2, 3, padding=1) for _ in range(2)])
        self.block = nn.ModuleDict({"conv": nn.Conv2d(2, 2, 3, padding=1)})
        self.scale, self.calls, self.deep = 1.0, 0, False


class Nested(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.act(self.conv(x + 1)))


class Methods(Base):
    def forward(self, x: Tensor) -> Tensor:
        return max_pool2d(self.conv(x).relu(), 2, 2)


class InPlace(Base):
    def forward(self, x: Tensor) -> Tensor:
        return (
            F.relu(F.max_pool2d(self.conv(x), 2, stride=None, padding=(1, 1)), inplace=True)
            + self.other(x).relu_().sum()
        )


class Long(Base):
    def forward(self, x: Tensor) -> Tensor:
        first = self.block["conv"](x)
        second = torch.nn.functional.relu(first, True)
        third = torch.max_pool2d(second, 2)
        result = third * 2
        return result


class Paths(Base):
    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.convs[0](x))
        x = relu(self.convs[1](x))
        return x


class SeenTwice(Base):
    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        z = F.relu(y)
        return self.pool(z) + y[:, :, ::2, ::2][:, :, :4] + self.pool(self.act(self.other(y)))


class Unlike(Base):
    def forward(self, x: Tensor) -> Tensor:
        x = self.other(F.relu(self.conv(x), inplace=False))
        x = F.max_pool2d(x, 2, ceil_mode=True)
        return F.max_pool2d(F.relu(self.conv(x)), self.pool.kernel_size)


class Branches(Base):
    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        for _ in range(2):
            x = self.conv(x)
            x = F.relu(x)
        if self.deep:
            x = self.other(x)
            x = self.act(x)
        else:
            with torch.no_grad():
                y = self.other(x)
                y = self.pool(y)
            x = x * y.mean()
        while x.abs().max() > 1000:
            x = x / 1024
        return x * self.scale


class Surprised(Base):
    def forward(self, x: Tensor) -> Tensor:
        try:
            x = self.conv(x)
            x = F.relu(x)
            raise KeyError("after the relu")
        except KeyError:
            return F.max_pool2d(x, 2)
        finally:
            x = self.act(self.other(x))


class Parent(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.conv(x))


class Child(Parent):
    def forward(self, x: Tensor, *more: Tensor, factor: float = 2.0, **named: Tensor) -> Tensor:
        """Call what is above, and functions within."""
        x = super().forward(x) * factor
        more_of = lambda self: F.relu(self.conv(x))  # noqa: E731
        rows = [self.pool(self.act(self.other(row[None]))) for row in x]
        return torch.cat(rows).sum() + more_of(self)


class Deleted(Base):
    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        z = self.act(y)
        del y
        return z


class Locals(Base):
    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        z = self.act(y)
        return z + len(locals())


CHAINS = {
    Nested: [["conv", "act", "pool"]],
    Methods: [["conv", "relu", "maxpool"]],
    InPlace: [["conv", "maxpool", "relu"], ["other", "relu"]],
    Long: [["block['conv']", "relu", "maxpool"]],
    Paths: [["convs[0]", "act"], ["convs[1]", "relu"]],
    SeenTwice: [["other", "act", "pool"]],
    Unlike: [["conv", "relu"], ["conv", "relu"]],
    Branches: [["conv", "relu"], ["other", "act"], ["other", "pool"]],
    Surprised: [["other", "act"]],
    Child: [["other", "act", "pool"]],
}


@pytest.mark.parametrize("kind", [*CHAINS, Deleted, Locals])
def test_the_results_are_those_of_the_written_forward(kind: type[Base], ran: list[str]) -> None:
    module = whole(kind())
    plain = copy.deepcopy(module)
    rewritten = rewrite(module)
    chains = [] if rewritten is None else rewritten.chains
    assert [[stage.name for stage in chain] for chain in chains] == CHAINS.get(kind, [])
    fuse(module)
    for deep, scale in ((False, 1.0), (True, 2.0)):
        module.deep = plain.deep = deep
        module.scale = plain.scale = scale
        for images in (IMAGES, IMAGES.clone().requires_grad_()):
            assert torch.equal(module(images), plain(images))
    assert module.calls == plain.calls
    assert bool(ran) == (kind in CHAINS)


def test_errors_are_raised_at_the_lines_of_the_source() -> None:
    module = fuse(whole(Unlike()))
    module.get_submodule("pool").kernel_size = "two"
    with pytest.raises(TypeError) as found:
        module(IMAGES)
    lines = [entry for entry in found.traceback if Path(entry.path) == Path(__file__)]
    assert str(lines[-1].statement).strip() == "return F.max_pool2d(F.relu(self.conv(x)), self.pool.kernel_size)"


def test_defaults_names_and_closures_are_kept() -> None:
    module = whole(Child())
    rewritten = rewrite(module)
    assert rewritten is not None
    function: Any = rewritten.function
    assert function.__qualname__ == "Child.forward"
    assert function.__kwdefaults__ == {"factor": 2.0}
    fuse(module)
    assert torch.equal(module(IMAGES, IMAGES, factor=3.0, other=IMAGES), Child.forward(module, IMAGES, factor=3.0))


def _module_from(text: str, file: str) -> nn.Module:
    """A module whose class was made from a text, as a notebook makes it where `file` is known to linecache."""
    names: dict[str, Any] = {"nn": nn, "F": F, "Base": Base}
    exec(compile(text, file, "exec"), names)
    made: nn.Module = whole(names["Net"]())
    return made


TEXT = "class Net(Base):\n    def forward(self, x):\n        return F.relu(self.conv(x))\n"


def test_a_cell_of_a_notebook_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(linecache.cache, "<cell 1>", (len(TEXT), None, TEXT.splitlines(keepends=True), "<cell 1>"))
    module = fuse(_module_from(TEXT, "<cell 1>"))
    assert fused_layers(module) == ["conv + relu"]
    assert torch.equal(module(IMAGES), F.relu(module.get_submodule("conv")(IMAGES)))


def test_without_the_source_or_with_another_one_the_forward_stays(tmp_path: Path) -> None:
    assert fused_layers(fuse(_module_from(TEXT, "<no file>"))) == []
    file = tmp_path / "changed.py"
    file.write_text(TEXT.replace("F.relu(self.conv(x))", "F.relu(self.conv(x)) + 1"), encoding="utf-8")
    module = fuse(_module_from(TEXT, str(file)))
    assert fused_layers(module) == []
    assert torch.equal(module(IMAGES), F.relu(module.get_submodule("conv")(IMAGES)))
    file.write_text("this is no Python", encoding="utf-8")
    linecache.clearcache()
    assert fused_layers(fuse(_module_from(TEXT, str(file)))) == []


def test_a_method_that_is_replaced_later_is_what_runs() -> None:
    class Mine(Parent):
        pass

    module = fuse(whole(Mine()))
    assert fused_layers(module) == ["conv + act"]
    Mine.forward = lambda self, x: x + 1  # type: ignore[method-assign]
    assert torch.equal(module(IMAGES), IMAGES + 1)


def test_decorated_forwards_stay() -> None:
    class Decorated(Base):
        @torch.no_grad()
        def forward(self, x: Tensor) -> Tensor:
            return self.act(self.conv(x))

    module = fuse(whole(Decorated()))
    assert fused_layers(module) == []
    assert not module(IMAGES).requires_grad
