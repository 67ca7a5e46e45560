"""Confident learning: labels that a model which never saw the image finds unlikely."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neocog.data.source import Int64

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Suspects:
    """Rows with a likely wrong label, the likeliest first, with the label `suggested` and the `margin` of each (< 0).

    `joint` int64 (K, K) counts images by given label (rows) and confidently found label (columns): the confident joint.
    `thresholds` (K,) are the mean probabilities that the images of a class get for it.
    """

    rows: Int64
    suggested: Int64
    margin: Float64
    joint: Int64
    thresholds: Float64


def confident_learning(probabilities: Float64, labels: Int64) -> Suspects:
    """Find likely label errors from probabilities (N, K) of a model that did not see these images, and labels (N,).

    An image belongs confidently to a class where it gets at least the probability that images of the class get on
    average (with several such classes, to the likeliest). It is suspected where that is another class than its label's,
    and the likeliest of all. The margin is the probability of its label less that of the suggested one. (Northcutt,
    Jiang, Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70, 2021: thresholds (2), the
    confident joint (1), the method "confident joint off-diagonals", ranked by the normalised margin.)
    """
    count, classes = probabilities.shape
    rows = np.arange(count)
    own = probabilities[rows, labels]
    thresholds = np.array(
        [own[labels == label].mean() if (labels == label).any() else np.inf for label in range(classes)]
    )
    confident = probabilities >= thresholds
    found = np.where(confident, probabilities, -1).argmax(1)
    sure = confident.any(1)
    joint = np.zeros((classes, classes), np.int64)
    np.add.at(joint, (labels[sure], found[sure]), 1)
    suspected = sure & (found != labels) & (probabilities.argmax(1) == found)
    margin = own - probabilities[rows, found]
    order = np.flatnonzero(suspected)
    order = order[np.argsort(margin[order], kind="stable")]
    return Suspects(order, found[order], margin[order], joint, thresholds)
