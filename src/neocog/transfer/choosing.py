"""What `neocog train FOLDER` does with photographs: a procedure chosen by measurement, within the time given."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from neocog.data import DataSet
from neocog.data.memory import available_memory
from neocog.data.source import Progress
from neocog.errors import DataError
from neocog.features import features
from neocog.files import write_whole
from neocog.recipe import Recipe
from neocog.run import CHOICE
from neocog.settings import AugmentSettings, StageSettings, TrainSettings
from neocog.training.preparing import Prepared, prepare
from neocog.training.progress import duration
from neocog.training.stage_work import frozen_front
from neocog.transfer.folds import Folds, folds
from neocog.transfer.head import chosen_penalty
from neocog.transfer.stages import all_layer_stages, extraction_stages, last_block_stages
from neocog.transfer.trying import TooLong, Trial, kept_together, try_head, try_training

# Passes through the whole network that an image costs: a step back takes about twice the time of one forward,
# augmentation and the optimiser some more; the last quarter of the layers is about a third of the work.
_STEP, _LAST_STEP = 4.0, 1.3
_TIMED = 16
_FOLDS = 5
# Of the memory that is free, the share that the images of a fold may take.
_SHARE = 2
_OF_ANY_TRAINING = (
    "seed", "device", "threads", "precision", "memory_format", "kernels", "batch_size", "checkpoint_seconds"
)  # fmt: skip

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Choice:
    """The recipe that was chosen, the images that it was chosen on, and why: sentences and figures."""

    recipe: Recipe
    data: DataSet
    reasons: tuple[str, ...]
    figures: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write the reasons and figures beside the run that follows from them."""
        content = {"reasons": list(self.reasons), "cross_validation": self.figures}
        write_whole(folder / CHOICE, json.dumps(content, ensure_ascii=False, indent=2) + "\n")


@dataclass(frozen=True)
class _Candidate:
    name: str
    recipe: Recipe
    passes: float


def choose(
    recipe: Recipe, *, minutes: float, progress: Progress | None = None, tell: Tell = lambda text: None
) -> Choice:
    """Choose how to train on the images of `recipe`, whose `[model]` begins with trained weights.

    A head on frozen features is always measured, by five-fold cross-validation within the training images; fine-tuning
    is measured in the same folds where that and the training fit into `minutes`, and taken where it is right more often
    by at least one standard error of the difference. The images set aside for validation and test decide nothing.
    """
    end = time.monotonic() + 60 * minutes
    return _Choosing(recipe, end, progress, tell).choice()


class _Choosing:
    """One choice on its way."""

    def __init__(self, recipe: Recipe, end: float, progress: Progress | None, tell: Tell) -> None:
        # The stages follow from the network and from what is measured.
        self.recipe = recipe.model_copy(update={"stage": []})
        self.end, self.progress, self._tell = end, progress, tell
        self.reasons: list[str] = []
        self.figures: dict[str, Any] = {}
        self.prepared = prepare(self.recipe, progress=progress)
        self.seconds = _seconds_an_image(self.prepared)
        self.groups = kept_together(self.prepared.data)

    def choice(self) -> Choice:
        """Measure and decide."""
        data = self.prepared.data
        network = self.prepared.network
        train = data.train
        self.say(
            f"{len(train):,} training images of {len(data.classes)} classes: {self.recipe.model.network} with trained "
            f"weights turns each into features, and a new head learns on them."
        )
        extraction = _without_steps(self._with(extraction_stages(network)))
        parts = self._folds()
        if parts is None:
            return self._choice(extraction)
        measured, extraction = self._extraction(extraction, parts)
        best = "extraction", extraction, measured
        for candidate in self._candidates():
            trial = self._tried(candidate, parts)
            if trial is None:
                break
            if self._pays(candidate.name, trial, best[2]):
                best = candidate.name, candidate.recipe, trial
        self.figures["chosen"] = best[0]
        if len(self.figures["tried"]) > 1:
            self.say(f"chosen: {best[0]}.")
        return self._choice(best[1])

    def say(self, text: str) -> None:
        """Tell it now, and keep it for the run."""
        self.reasons.append(text)
        self._tell(text)

    def _choice(self, recipe: Recipe) -> Choice:
        what = self.figures.get("chosen", "extraction")
        recipe = recipe.model_copy(
            update={"description": f"Chosen by neocog train for {self.prepared.data.name}: {what}"}
        )
        return Choice(recipe, self.prepared.data, tuple(self.reasons), self.figures)

    def _with(self, stages: list[StageSettings]) -> Recipe:
        return Recipe.model_validate(self.recipe.model_dump() | {"stage": [stage.model_dump() for stage in stages]})

    def _folds(self) -> Folds | None:
        train = self.prepared.data.train
        single = [name for name, count in zip(train.classes, train.class_counts().tolist(), strict=True) if count < 2]
        if single:
            self.say(
                "nothing could be measured by cross-validation, which needs two images of each class; there is one of: "
                f"{', '.join(single[:5])}{', …' if len(single) > 5 else ''}."
            )
            return None
        try:
            parts = folds(train.labels.numpy(), self.groups, _FOLDS, self.recipe.train.seed)
        except DataError as error:
            self.say(f"nothing could be measured by cross-validation: {error}")
            return None
        if any(len(np.unique(train.labels.numpy()[rows])) < 2 for rows, _ in parts):
            self.say(
                "nothing could be measured by cross-validation: all images of a class show the same or are of one "
                "group, and without them one class is left."
            )
            return None
        return parts

    def _extraction(self, recipe: Recipe, parts: Folds) -> tuple[Trial, Recipe]:
        """Measure the head on frozen features, and give the recipe its penalty."""
        trial = try_head(self.prepared, folds=_FOLDS, progress=self.progress)
        rows = features(frozen_front(self.prepared), self.prepared.data.train.images, self.prepared.hardware)
        penalty = chosen_penalty(rows.flatten(1).numpy(), trial.labels, self.groups, self.recipe.train.seed)
        self._record("extraction", trial, len(parts))
        self.say(f"extraction, in {len(parts)}-fold cross-validation inside the training images: {_told(trial)}.")
        stages = [stage.model_copy(update={"train": stage.train | {"l2_penalty": penalty}}) for stage in recipe.stage]
        return trial, recipe.model_copy(update={"stage": stages})

    def _candidates(self) -> list[_Candidate]:
        network = self.prepared.network
        last, every = self._with(last_block_stages(network)), self._with(all_layer_stages(network))
        _, some, more = (stage.train.epochs for stage in every.stages())
        return [
            _Candidate("fine-tuning of the last blocks", last, 1 + _LAST_STEP * some),
            _Candidate("fine-tuning of all layers", every, 1 + _LAST_STEP * some + _STEP * more),
        ]

    def _tried(self, candidate: _Candidate, parts: Folds) -> Trial | None:
        """Cross-validate a candidate, if it and the training that follows end in time."""
        train = self.prepared.data.train
        images = len(train)
        if train.images.nbytes > available_memory() // _SHARE:
            self.say(
                f"{candidate.name} was not tried: the images of a fold do not fit into memory. "
                "--recipe fine-tune does it without measuring."
            )
            return None
        folds_cost = len(parts) * (1 - 1 / len(parts)) * images * candidate.passes * self.seconds
        final_cost = images * candidate.passes * self.seconds
        left = self.end - time.monotonic()
        if folds_cost + final_cost > left:
            self._not_tried(candidate, folds_cost + final_cost)
            return None
        self.say(f"trying {candidate.name}: {len(parts)} trainings, about {duration(folds_cost)}.")
        prepared = replace(self.prepared, recipe=_resolved(candidate.recipe, self.prepared.recipe))
        try:
            trial = try_training(prepared, parts, deadline=self.end - final_cost)
        except TooLong as error:
            self._not_tried(candidate, error.seconds + final_cost)
            return None
        self._record(candidate.name, trial, len(parts))
        self.say(f"{candidate.name}, in the same folds: {_told(trial)}.")
        return trial

    def _not_tried(self, candidate: _Candidate, seconds: float) -> None:
        minutes = max(1, round(seconds / 60 + 1))
        self.say(
            f"{candidate.name} was not tried: to measure and do it takes about {duration(seconds)} here. "
            f"--minutes {minutes} gives it the time."
        )

    def _pays(self, name: str, trial: Trial, best: Trial) -> bool:
        gain, error = difference(trial, best)
        pays = gain > 0 and gain >= error
        verdict = "it pays" if pays else "it does not pay"
        self.say(f"{name}: {100 * gain:+.2f} points, with a standard error of {100 * error:.2f}: {verdict}.")
        return pays

    def _record(self, name: str, trial: Trial, count: int) -> None:
        self.figures.setdefault("tried", []).append(trial.figures(name) | {"folds": count})


def _without_steps(recipe: Recipe) -> Recipe:
    """Give a recipe whose only stage is solved, without what would be said of steps and of changed images."""
    kept = {name: getattr(recipe.train, name) for name in _OF_ANY_TRAINING}
    return recipe.model_copy(update={"augment": AugmentSettings(), "train": TrainSettings(**kept)})


def difference(one: Trial, other: Trial) -> tuple[float, float]:
    """Give by how much `one` is right more often than `other` on the same images, and the standard error of that."""
    change = (one.predictions == one.labels).astype(np.float64) - (other.predictions == other.labels)
    return float(change.mean()), float(change.std(ddof=1) / np.sqrt(len(change))) if len(change) > 1 else 0.0


def _told(trial: Trial) -> str:
    low, high = trial.interval
    return (
        f"{100 * trial.accuracy:.2f} % of {len(trial.labels):,} images right "
        f"(95 % interval {100 * low:.2f} to {100 * high:.2f} %)"
    )


def _seconds_an_image(prepared: Prepared) -> float:
    """Time one pass of an image through the network."""
    front, images = frozen_front(prepared), prepared.data.train.images[:_TIMED]
    features(front, images, prepared.hardware, cached=False)
    begun = time.monotonic()
    features(front, images, prepared.hardware, cached=False)
    return (time.monotonic() - begun) / len(images)


def _resolved(recipe: Recipe, made: Recipe) -> Recipe:
    """Give `recipe` with the automatic choices of `made`, a recipe of the same images and network."""
    return made.model_copy(update={"stage": recipe.stage})
