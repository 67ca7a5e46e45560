"""Layers that make training better behaved: `batchnorm`, `dropout`."""

from __future__ import annotations

from dataclasses import dataclass

from neocog.errors import NotationError
from neocog.notation.arguments import Arguments
from neocog.notation.words.base import Layer, Reason, Shape, shape_text


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Batch normalisation (Ioffe and Szegedy, 2015) of each channel of a map, or of each value when flat.

    Its parameters are a weight and a bias a channel; the running mean and variance are buffers, not counted.
    """

    @property
    def word(self) -> str:
        """`batchnorm`."""
        return "batchnorm"

    def __str__(self) -> str:
        return "batchnorm"

    def torch(self, shape: Shape) -> str:
        """`nn.BatchNorm2d` on a map, `nn.BatchNorm1d` on a flat input."""
        return f"nn.BatchNorm{2 if len(shape) == 3 else 1}d({shape[0]})"

    def parameter_shapes(self, shape: Shape) -> dict[str, Shape]:
        """A weight and a bias a channel."""
        return {"weight": (shape[0],), "bias": (shape[0],)}

    def reason(self, shape: Shape) -> Reason:
        """Two parameters a channel."""
        return Reason(
            output=f"{shape_text(shape)}, as it came in",
            parameters=f"2 * {shape[0]} = {2 * shape[0]:,}",
            notes=(f"{2 * shape[0]:,} running means and variances are kept beside them, not trained",),
        )


@dataclass(frozen=True)
class Dropout(Layer):
    """In training, sets each value to 0 with probability p and scales the rest by 1/(1-p)."""

    p: float

    def __post_init__(self) -> None:
        if not 0 <= self.p < 1:
            raise NotationError(
                f"dropout takes the part to drop, from 0 to below 1, not {_decimal(self.p)}; a half is 'dropout 0.5'."
            )

    @property
    def word(self) -> str:
        """`dropout`."""
        return "dropout"

    def __str__(self) -> str:
        return f"dropout {_decimal(self.p)}"

    def torch(self, shape: Shape) -> str:
        """`nn.Dropout`, on maps too: it drops single values, not whole channels."""
        return f"nn.Dropout({_decimal(self.p)})"

    def reason(self, shape: Shape) -> Reason:
        """What happens in training."""
        return Reason(
            output=f"{shape_text(shape)}, as it came in",
            notes=(f"in training each value is 0 with probability {_decimal(self.p)}; otherwise nothing happens",),
        )


def _decimal(number: float) -> str:
    short = f"{number:g}"
    return short if float(short) == number else repr(number)


def read_batchnorm(arguments: Arguments) -> BatchNorm:
    """Read `batchnorm`."""
    return arguments.finish(BatchNorm)


def read_dropout(arguments: Arguments) -> Dropout:
    """Read `dropout P`."""
    p = arguments.decimal("the part to drop", "dropout 0.5")
    return arguments.finish(lambda: Dropout(p))
