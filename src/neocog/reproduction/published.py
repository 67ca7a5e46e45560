"""What the sources of the course, and our own goals, claim for each built-in recipe. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from neocog.errors import RecipeError
from neocog.mistakes import nearest
from neocog.recipe import builtin_names

Better = Literal["higher", "lower", "equal", "neither"]
Relation = Literal["", "about", "at least", "at most", "fewer than"]


@dataclass(frozen=True)
class Claim:
    """One figure of a recipe, and what a source says about it.

    `figure` is a key of `neocog.reproduction.figures.FIGURES`; `number` is what was published, in the figure's unit
    (accuracies, errors and rises as fractions of 1), None where the source gives none and ours is shown alone.
    `better` says which direction counts as better: "equal" asks for exactly this number, "neither" compares
    without a verdict. `relation` is how the source puts the number; `note` is what to know about it.
    """

    figure: str
    number: float | None = None
    better: Better = "higher"
    relation: Relation = ""
    note: str = ""


@dataclass(frozen=True)
class Published:
    """The claims of one recipe; the first is its headline.

    `goal` says that the number is an aim of this project, which only the mean can reach. `seeds` is how many
    seeds the claim is about. `assumed` lists what the source leaves open and was decided here.
    """

    name: str
    source: str
    claims: tuple[Claim, ...]
    assumed: tuple[str, ...] = ()
    goal: bool = False
    seeds: int = 1


_MNIST_WEIGHTS = "initial weights as PyTorch draws them"
_GLOROT = "Glorot uniform initial weights with zero biases"
_KERAS = "Adam as in Keras: learning rate 1e-3, epsilon 1e-7"
_BOOTCAMP = ("batches of 128", "pixels in [0, 1]", _MNIST_WEIGHTS)
_BITMAPS = "the ten 7x12 bitmaps are our own drawings of such digits"
_OPTIMISER = (
    "AdamW with weight decay 0.1, batches of 64 and one cycle of 10 epochs in place of the paper's stochastic diagonal "
    "Levenberg-Marquardt and 20 epochs"
)
_MAP_CONSTANT = "6 for the constant j of the MAP criterion"
_LENET5_1998 = Claim("parameters", 60_000, "equal", note="the trainable ones, as the paper counts them")

_ALL = (
    Published(
        "week4",
        "the course, week 4",
        (Claim("last_valid_accuracy", 0.98, relation="about", note="after 3 epochs"),),
        (_MNIST_WEIGHTS,),
    ),
    Published(
        "bootcamp-cnn",
        "the bootcamp's notes, first network",
        (
            Claim("lowest_valid_loss", 0.0324, "lower"),
            Claim("accuracy_at_lowest_loss", 0.9891),
            Claim("best_valid_accuracy", 0.9902),
            Claim("epochs", 11, "neither", note="where early stopping ended the training"),
        ),
        _BOOTCAMP,
    ),
    Published(
        "bootcamp-cnn2",
        "the bootcamp's notes, second network",
        (
            Claim("lowest_valid_loss", 0.0243, "lower", note="with dropout active, as in the source"),
            Claim("accuracy_at_lowest_loss", 0.9930, note="with dropout active, as in the source"),
            Claim("best_valid_accuracy", 0.9935, note="with dropout active, as in the source"),
            Claim("epoch_of_lowest_loss", 9, "neither"),
            Claim("valid_loss", 0.0243, "lower", note="ours without dropout, the source's with it"),
            Claim("valid_accuracy", 0.9930, note="ours without dropout, the source's with it"),
        ),
        _BOOTCAMP,
    ),
    Published(
        "lenet5",
        "the course, LeNet-5 in its modern form",
        (Claim("last_valid_accuracy", 0.9825, note="after 20 epochs"), Claim("parameters", 61_706, "equal")),
        ("pixels in [0, 1]", _MNIST_WEIGHTS),
    ),
    Published(
        "lenet5-1998",
        "LeCun, Bottou, Bengio and Haffner 1998",
        (Claim("test_error", 0.0095, "lower", "at most"), _LENET5_1998),
        (_BITMAPS, _OPTIMISER, _MAP_CONSTANT),
    ),
    Published(
        "lenet5-1998-distorted",
        "LeCun, Bottou, Bengio and Haffner 1998, with distorted images",
        (Claim("test_error", 0.008, "lower", "at most"), _LENET5_1998),
        (_BITMAPS, _OPTIMISER, _MAP_CONSTANT, "how far the images are distorted"),
    ),
    Published(
        "fashion-scratch",
        "the course, a network from scratch",
        (Claim("last_valid_accuracy", note="the source shows curves only"), Claim("parameters", 197_210, "equal")),
        (_GLOROT,),
    ),
    Published(
        "fashion-keras",
        "the course, the same network in Keras",
        (
            Claim("overfitting", 0.1, "higher", "at least", note='published is "overfits early"; the 10 % are ours'),
            Claim("epoch_of_lowest_loss", None),
            Claim("last_valid_accuracy", None),
        ),
        (_GLOROT, _KERAS, "the number: overfitting is a last validation loss 10 % above the lowest"),
    ),
    Published(
        "fashion-keras-dropout",
        "the course, the same network in Keras with dropout",
        (
            Claim("last_valid_accuracy", 0.9210, note="with the last epoch's weights"),
            Claim("parameters", 197_210, "equal"),
        ),
        (_GLOROT, _KERAS),
    ),
    Published(
        "bootcamp-cnn-stride",
        "the course, strides in place of pooling",
        (Claim("test_accuracy", note="compared with bootcamp-cnn"),),
        _BOOTCAMP,
    ),
    Published(
        "mlp",
        "the course, a network without convolutions",
        (Claim("test_accuracy", note="compared with bootcamp-cnn under shift"),),
        ("the whole recipe",),
    ),
    Published(
        "mnist",
        "a goal of this project",
        (Claim("test_accuracy", 0.996, relation="at least"),),
        goal=True,
        seeds=5,
    ),
    Published(
        "mnist-tiny",
        "a goal of this project",
        (
            Claim("test_accuracy", 0.994, relation="at least"),
            Claim("parameters", 8_000, "lower", "fewer than"),
        ),
        goal=True,
        seeds=5,
    ),
    Published(
        "mnist-fast",
        "a goal of this project, in the least time",
        (Claim("test_accuracy", 0.99, relation="at least"),),
        goal=True,
        seeds=10,
    ),
    Published(
        "fashion-mnist",
        "a goal of this project",
        (Claim("test_accuracy", 0.94, relation="at least"),),
        goal=True,
        seeds=5,
    ),
)

PUBLISHED = {entry.name: entry for entry in _ALL}


def reproducible() -> list[str]:
    """Names of the recipes that have claims and come with neocog, in the order of the tables."""
    built_in = set(builtin_names())
    return [name for name in PUBLISHED if name in built_in]


def check_names(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Give each name once, in the order of `known`; raises `RecipeError` for one that is not known."""
    wanted, order = set(names), list(known)
    for name in sorted(wanted - set(order)):
        raise RecipeError(
            f"{name!r} is not among the recipes with a figure to compare with.{nearest(name, order)} "
            f"They are: {', '.join(order)}."
        )
    return [name for name in order if name in wanted]
