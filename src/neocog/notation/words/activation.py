"""Activations: `relu`, `tanh`, `scaledtanh`, `sigmoid`, `softmax`, `gelu`, `silu`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from neocog.errors import NotationError
from neocog.notation.arguments import Arguments
from neocog.notation.words.base import Layer, Reason, Shape, count, shape_text

ActivationKind: TypeAlias = Literal["relu", "tanh", "scaledtanh", "sigmoid", "softmax", "gelu", "silu"]
ACTIVATIONS: tuple[ActivationKind, ...] = get_args(ActivationKind)

_TORCH: dict[ActivationKind, str] = {
    "relu": "nn.ReLU()",
    "tanh": "nn.Tanh()",
    "scaledtanh": "1.7159 * torch.tanh(2 / 3 * x)",
    "sigmoid": "nn.Sigmoid()",
    "softmax": "nn.Softmax(dim=1)",
    "gelu": "nn.GELU()",
    "silu": "nn.SiLU()",
}
_FORMULA: dict[ActivationKind, str] = {
    "relu": "max(0, x)",
    "tanh": "tanh(x)",
    "scaledtanh": "1.7159 * tanh(2/3 * x)",
    "sigmoid": "1 / (1 + exp(-x))",
    "softmax": "exp(x) / the sum of all exp(x)",
    "gelu": "x * Phi(x), Phi the normal distribution",
    "silu": "x / (1 + exp(-x))",
}


@dataclass(frozen=True)
class Activation(Layer):
    """A function of each value; `softmax` alone is one of all values together.

    `scaledtanh` is 1.7159 tanh(2x/3), the activation of LeCun, Bottou, Bengio and Haffner (1998). `gelu` is
    the exact one, with the error function.
    """

    kind: ActivationKind

    def __post_init__(self) -> None:
        if self.kind not in ACTIVATIONS:
            raise NotationError(f"an activation is one of {', '.join(ACTIVATIONS)}, not '{self.kind}'.")

    @property
    def word(self) -> str:
        """The kind itself."""
        return self.kind

    def __str__(self) -> str:
        return self.kind

    def torch(self, shape: Shape) -> str:
        """The PyTorch module, or the expression where there is none."""
        return _TORCH[self.kind]

    def output_shape(self, shape: Shape) -> Shape:
        """The shape as it came.

        Raises:
            NotationError: `softmax` on a map.
        """
        if self.kind == "softmax" and len(shape) != 1:
            raise NotationError(
                f"softmax turns a flat row of scores into probabilities, "
                f"but a map {shape_text(shape)} reaches it.\n"
                f"Put 'flatten | linear classes' before it."
            )
        return shape

    def reason(self, shape: Shape) -> Reason:
        """The function, and that it leaves the shape alone."""
        output = f"{shape_text(shape)}, each value x becomes {_FORMULA[self.kind]}"
        if self.kind == "softmax":
            return Reason(output, notes=(f"training uses the {count(shape[0], 'logit')} before it",))
        return Reason(output)


def read(arguments: Arguments) -> Activation:
    """Read an activation, which takes nothing after its word."""
    kind = next(kind for kind in ACTIVATIONS if kind == arguments.word)
    return arguments.finish(lambda: Activation(kind))
