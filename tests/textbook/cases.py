"""Windows of every kind for the tests, and what PyTorch's operators give in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]
MANY = settings(max_examples=60, deadline=None)
SOME = settings(max_examples=30, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)


class Case(NamedTuple):
    """A layer that slides kernels over images; one number an axis in `size` to `dilation`."""

    images: int
    channels: int
    maps: int
    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...] | str
    dilation: tuple[int, ...]
    groups: int
    seed: int

    @property
    def sliding(self) -> dict[str, Any]:
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }

    @property
    def arrays(self) -> tuple[Array, Array, Array]:
        """x, weight and bias."""
        rng = np.random.default_rng(self.seed)
        x = rng.normal(size=(self.images, self.channels, *self.size))
        weight = rng.normal(size=(self.maps, self.channels // self.groups, *self.kernel))
        return x, weight, rng.normal(size=self.maps)


@st.composite
def cases(draw: st.DrawFn, axes: int) -> Case:
    def each(least: int, most: int) -> tuple[int, ...]:
        return draw(st.tuples(*[st.integers(least, most)] * axes))

    groups = draw(st.integers(1, 3))
    kernel, dilation = each(1, 4), each(1, 3)
    padding = draw(st.sampled_from(["valid", "same", "number"]))
    reach = [(taps - 1) * apart + 1 for taps, apart in zip(kernel, dilation, strict=True)]
    return Case(
        images=draw(st.integers(1, 3)),
        channels=groups * draw(st.integers(1, 2)),
        maps=groups * draw(st.integers(1, 2)),
        size=tuple(lines + more for lines, more in zip(reach, each(0, 4), strict=True)),
        kernel=kernel,
        stride=(1,) * axes if padding == "same" else each(1, 3),
        padding=each(0, 4) if padding == "number" else padding,
        dilation=dilation,
        groups=groups,
        seed=draw(SEEDS),
    )


def gradients(function: Callable[..., Tensor], arrays: Sequence[Array], grad: Array) -> tuple[Array, list[Array]]:
    """What a function of tensors gives, and the gradients by its arguments where that by its output is `grad`."""
    leaves = [torch.tensor(array, requires_grad=True) for array in arrays]
    output = function(*leaves)
    by_autograd = torch.autograd.grad(output, leaves, torch.tensor(grad).reshape(output.shape))
    return output.detach().numpy(), [gradient.numpy() for gradient in by_autograd]


def close(found: Any, expected: Any) -> None:
    """Equal up to the rounding of float64, measured by the largest value."""
    assert np.shape(found) == np.shape(expected)
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * scale)
