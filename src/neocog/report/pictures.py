"""The pictures of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from neocog.data import ImageSet
from neocog.evaluation import Evaluation
from neocog.report.confusion import plot_confusion
from neocog.report.curves import plot_curves
from neocog.report.mistakes import plot_mistakes
from neocog.report.samples import label_texts, plot_samples

CURVES, SAMPLES, CONFUSION, MISTAKES = "curves.png", "samples.png", "confusion.png", "mistakes.png"
_SAMPLES, _MISTAKES = 25, 25


def write_pictures(
    folder: Path,
    history: Sequence[Mapping[str, Any]],
    best: int | None,
    classes: Sequence[str],
    batch: tuple[torch.Tensor, torch.Tensor],
    images: ImageSet | None,
    evaluation: Evaluation | None,
    part: str,
) -> list[Path]:
    """Draw the curves, the first training images as augmented, and what went wrong on the evaluated images.

    `best` is the row of `history` whose weights were kept, `batch` a training batch, uint8 (B, C, H, W) and
    labels, numbers (B,) or mixtures (B, K); `images` are those that `evaluation` is about.
    """
    labels = label_texts(batch[1][:_SAMPLES].cpu(), classes)
    shown = batch[0][:_SAMPLES].cpu()
    written = [
        plot_curves(history, folder / CURVES, title="Training", best=best),
        plot_samples(shown, labels, folder / SAMPLES, title="Training images as the network sees them"),
    ]
    if evaluation is not None and images is not None:
        title = f"{100 * evaluation.accuracy:.2f} % of {evaluation.images:,} {part} images right"
        written.append(plot_confusion(evaluation.confusion, classes, folder / CONFUSION, title=title))
        written.append(_mistakes(folder, classes, images, evaluation, part))
    return written


def _mistakes(folder: Path, classes: Sequence[str], images: ImageSet, evaluation: Evaluation, part: str) -> Path:
    chosen = evaluation.mistakes(_MISTAKES)
    return plot_mistakes(
        images.images[torch.from_numpy(chosen)],
        [classes[label] for label in evaluation.labels[chosen]],
        [classes[label] for label in evaluation.predicted[chosen]],
        evaluation.probabilities[chosen].max(axis=1).tolist(),
        folder / MISTAKES,
        title=f"The surest mistakes on {part} images",
    )
