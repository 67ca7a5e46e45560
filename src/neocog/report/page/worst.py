"""The answers that a network was most wrong about, and where it looked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from neocog.data import ImageSet
from neocog.errors import NeocogError
from neocog.report.page.pictures import image_uri, shaded, where

if TYPE_CHECKING:
    from neocog.classifier import Classifier
    from neocog.evaluation import Evaluation
    from neocog.explain.attribution import Method

MOST = 12
_METHODS: dict[Method, str] = {
    "gradcam": "Grad-CAM (Selvaraju et al., 2017)",
    "integrated-gradients": "integrated gradients (Sundararajan et al., 2017)",
    "occlusion": "occlusion (Zeiler, Fergus, 2014)",
}


@dataclass(frozen=True)
class Answer:
    """An image, what it is, what it was taken for and how surely; `shaded` shows what spoke for that, in `where`."""

    image: str
    shaded: str
    where: str
    true: str
    predicted: str
    confidence: float
    true_probability: float
    source: str
    width: int
    height: int


def worst_first(evaluation: Evaluation) -> NDArray[np.int64]:
    """Give the indices of the wrong answers by their loss, highest first; without any, those of all answers."""
    wrong = evaluation.wrong_by_loss()
    return wrong if len(wrong) else evaluation.top_losses(evaluation.images)


def worst_answers(classifier: Classifier, images: ImageSet, evaluation: Evaluation) -> tuple[tuple[Answer, ...], str]:
    """Give the first of `worst_first` with what spoke for each answer, and a word on them.

    A network that cannot be looked into gives the images alone.
    """
    chosen = worst_first(evaluation)[:MOST]
    pixels = images.images[torch.from_numpy(chosen)]
    maps, told = _attributions(classifier, pixels, torch.from_numpy(evaluation.predicted[chosen]))
    answers = tuple(
        _answer(images, evaluation, int(index), pixels[place].numpy(), None if maps is None else maps[place])
        for place, index in enumerate(chosen.tolist())
    )
    wrong = evaluation.images - evaluation.correct
    if wrong:
        first = f"The network answers {wrong:,} of {evaluation.images:,} images wrongly. "
        first += f"These {len(answers)} have the highest loss. " if wrong > len(answers) else ""
    else:
        first = f"There is no mistake among the {evaluation.images:,} images. These right answers were the least sure. "
    return answers, first + told


def _attributions(
    classifier: Classifier, pixels: torch.Tensor, targets: torch.Tensor
) -> tuple[NDArray[np.float32] | None, str]:
    from neocog.explain.attribution import integrated_gradients, usual_attribution

    try:
        maps, method = usual_attribution(classifier.model, pixels, targets)
        maps, name = maps.clamp(min=0), _METHODS[method]
        # Grad-CAM may find that nothing speaks for a class when a whole map is weighed by one number.
        empty = maps.flatten(1).amax(1) <= 0
        if method == "gradcam" and empty.any():
            maps[empty] = integrated_gradients(classifier.model, pixels[empty], targets[empty]).clamp(min=0)
            name += f", and where that finds nothing by {_METHODS['integrated-gradients']}"
    except NeocogError as error:
        return None, f"Where the network looked cannot be shown: {error}"
    return maps.numpy().astype(np.float32), (
        f"Beside each image stands what spoke for the answer, from purple to yellow, by {name}. It shows where the "
        "evidence lies, not why it is taken for evidence."
    )


def _answer(
    images: ImageSet,
    evaluation: Evaluation,
    index: int,
    pixels: NDArray[np.uint8],
    attribution: NDArray[np.float32] | None,
) -> Answer:
    label, predicted = int(evaluation.labels[index]), int(evaluation.predicted[index])
    return Answer(
        image=image_uri(pixels),
        shaded="" if attribution is None else image_uri(shaded(pixels, attribution)),
        where="" if attribution is None else where(attribution),
        true=evaluation.classes[label],
        predicted=evaluation.classes[predicted],
        confidence=float(evaluation.probabilities[index, predicted]),
        true_probability=float(evaluation.probabilities[index, label]),
        source="/".join(Path(images.sources[index]).parts[-2:]) if images.sources is not None else f"image {index}",
        width=pixels.shape[2],
        height=pixels.shape[1],
    )
