"""Finding: one thing that an audit has found, and the kinds of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from neocog.data.source import Part

KindName = Literal[
    "unreadable", "leak", "conflict", "near-leak", "near-conflict", "small-class", "label", "duplicate",
    "near-duplicate", "outlier", "suffix", "truncated", "single-colour", "tiny", "huge", "aspect", "animated",
    "skipped", "imbalance", "mode", "rotated",
]  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """What findings of a kind are called, whether they are `serious`, and what to do about them."""

    name: KindName
    short: str
    title: str
    advice: str
    serious: bool = False


# In the order in which they are shown: what spoils a figure first.
KINDS: tuple[Kind, ...] = (
    Kind(
        "unreadable",
        "unreadable",
        "Files that cannot be read",
        "Training leaves them out. Save them again or remove them.",
        True,
    ),
    Kind(
        "leak",
        "leak",
        "The same image in training and in validation or test",
        "The network has learned the answer by heart, and the figure is too good. Keep the image in one part.",
        True,
    ),
    Kind(
        "conflict",
        "two labels",
        "The same image under two labels",
        "One of the labels is wrong, or the image shows both. Keep one of the files, or none.",
        True,
    ),
    Kind(
        "near-leak",
        "near leak",
        "Nearly the same image in training and in validation or test",
        "A copy that was cropped, mirrored, resized or saved again leaks as the same file does.",
        True,
    ),
    Kind(
        "near-conflict",
        "nearly the same, two labels",
        "Nearly the same image under two labels",
        "Look which label is right.",
        True,
    ),
    Kind(
        "small-class",
        "small class",
        "Classes with few training images",
        "Add images, join the class with another, or leave it out.",
        True,
    ),
    Kind(
        "label",
        "likely label error",
        "Likely label errors",
        "Look at each: a model that never saw the image finds another label far more likely. Rare sights of a class "
        "are found too.",
    ),
    Kind(
        "duplicate",
        "duplicate",
        "The same image more than once",
        "One of them is enough; more weigh the image more heavily.",
    ),
    Kind(
        "near-duplicate",
        "near duplicate",
        "Nearly the same image more than once",
        "Harmless where all lie in one part; where neocog sets images aside for validation, name groups so that they "
        "stay together.",
    ),
    Kind(
        "outlier",
        "outlier",
        "Images that are like no others",
        "A placeholder, a screenshot, a picture of something else?",
    ),
    Kind(
        "suffix",
        "other format",
        "Names that say another format",
        "They are read by their content; other programs may not.",
    ),
    Kind("truncated", "ends early", "Files that end early", "They can be read, but the last rows may be missing."),
    Kind("single-colour", "single colour", "Pictures of a single colour", "There is nothing to learn from them."),
    Kind("tiny", "tiny", "Very small pictures", "They are enlarged, and say little."),
    Kind("huge", "huge", "Very large pictures", "They take long to read; a smaller copy gives the same result."),
    Kind(
        "aspect",
        "very long",
        "Very long or very wide pictures",
        'Cropping to a square loses most of them; resize = "letterbox" shows them whole.',
    ),
    Kind("animated", "animated", "Animations", "The first picture alone is used."),
    Kind("skipped", "passed over", "Files that are passed over", "They are no images, or lie where no class is."),
    Kind(
        "imbalance",
        "imbalance",
        "Classes of very different sizes",
        'Judge by the figures of each class; class_weights = "balanced" weighs the rare ones more heavily.',
    ),
    Kind("mode", "mode", "Pictures in other modes than gray and RGB", "They are converted; nothing is to be done."),
    Kind(
        "rotated", "turned", "Photographs that their EXIF data turn", "They are turned upright; nothing is to be done."
    ),
)
KIND = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Item:
    """An image of the audited set: its row, its name (a path within the folder), its label and part.

    A file that never became an image has the row -1.
    """

    row: int
    name: str
    label: str
    part: Part


@dataclass(frozen=True)
class Finding:
    """One thing that was found: of which `kind`, in which images, and why (`reason`).

    `beside` are images to compare with, such as nearest neighbours; `leave_out` are rows that are better left out;
    `score` orders the findings of a kind, the worst first.
    """

    kind: KindName
    items: tuple[Item, ...]
    reason: str
    score: float = 0.0
    beside: tuple[Item, ...] = ()
    leave_out: tuple[int, ...] = ()


def ordered(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Give the findings in the order of their kinds, the worst of each first."""
    place = {kind.name: number for number, kind in enumerate(KINDS)}
    return tuple(sorted(findings, key=lambda finding: (place[finding.kind], -finding.score)))


def plural(count: int, noun: str, many: str | None = None) -> str:
    """Write a number with its noun: `1 image`, `2 images`, `1,204 classes`."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"
