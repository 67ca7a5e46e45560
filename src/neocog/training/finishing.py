"""The end of a training: the figures of its weights, the pictures, the report, and the weights with all they need."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from neocog.errors import DataError, RunError
from neocog.evaluation import Evaluation, measure
from neocog.files import write_whole
from neocog.run import CHOICE, METRICS, REPORT, WEIGHTS, Run
from neocog.training import checkpoint
from neocog.training.average import copy_weights
from neocog.training.preparing import Prepared, metadata_of
from neocog.training.stage_work import SOLVED, image_batches
from neocog.training.state import State


def finish(prepared: Prepared, folder: Path, state: State) -> None:
    """Evaluate the best weights once on the test set, and write the figures and the pictures."""
    if state.best is None:
        raise RunError(
            f"{folder}: no epoch gave a finite figure, so there are no best weights. Lower the learning rate."
        )
    copy_weights(prepared.network, state.best)
    data = prepared.data
    row = state.best_row()
    found: dict[str, Evaluation] = {}
    for part, images in (("test", data.test), ("valid", data.valid)):
        if images is not None:
            found[part] = measure(prepared.model, images, prepared.hardware)
    metrics: dict[str, Any] = {
        "source": prepared.recipe.data.source,
        "network": prepared.recipe.model.network.strip(),
        "parameters": sum(parameter.numel() for parameter in prepared.network.parameters()),
        "classes": len(data.classes),
        "train_images": len(data.train),
        "skipped": len(data.skipped),
        "notes": list(data.notes),
        "validation_origin": data.validation_origin,
        "validation_chooses": prepared.recipe.validation_chooses,
        "epochs": len(state.history),
        "best_epoch": row,
    }
    metrics |= {} if (folder / CHOICE).is_file() else _cross_validated(prepared)
    metrics |= {part: evaluation.figures() for part, evaluation in found.items()}
    write_weights(folder / WEIGHTS, prepared, state.best, metrics)
    # What was measured on the way, and how long that took, is no part of the weights.
    metrics |= chosen_by(folder)
    # matplotlib is imported only now: a run that was interrupted draws nothing.
    from neocog.report.pictures import write_pictures

    images = data.test if data.test is not None else data.valid
    shown = found.get("test") or found.get("valid")
    first = next(image_batches(prepared, prepared.recipe.stages()[0]).epoch(0, 0, 0))
    part = "test" if "test" in found else "validation"
    write_pictures(folder, state.history, state.best_at, data.classes, first, images, shown, part)
    if shown is not None:
        _write_report(prepared, folder, shown, metrics)
    write_whole(folder / METRICS, json.dumps(metrics, ensure_ascii=False, indent=2) + "\n")


def _cross_validated(prepared: Prepared) -> dict[str, Any]:
    """Of few images one part says little: give what a head that is solved is worth in all training images."""
    from neocog.transfer.trying import FEW_IMAGES, try_head

    stages = prepared.recipe.stages()
    solved = [stage.train.optimizer == SOLVED for stage in stages] == [True]
    if not solved or len(prepared.data.train) >= FEW_IMAGES:
        return {}
    try:
        trial = try_head(prepared, folds=5, l2_penalty=stages[0].train.l2_penalty)
    except DataError:
        # A class of one image cannot be on both sides.
        return {}
    return {"cross_validation": trial.figures("extraction")}


def chosen_by(folder: Path) -> dict[str, Any]:
    """Give what was measured to choose the recipe of a run, where that was left to neocog."""
    file = folder / CHOICE
    if not file.is_file():
        return {}
    try:
        return {"choice": dict(json.loads(file.read_text(encoding="utf-8")))}
    except (ValueError, TypeError) as error:
        raise RunError(f"{file} is damaged ({error}). Delete it: it is only for reading.") from error


def _write_report(prepared: Prepared, folder: Path, evaluation: Evaluation, metrics: dict[str, Any]) -> None:
    from neocog.classifier import Classifier
    from neocog.report.page import Subject, write_report

    images, part = prepared.data.held_out(validation_chooses=prepared.recipe.validation_chooses)
    if images is None:
        return
    classifier = Classifier(prepared.network, metadata_of(prepared, metrics), device=prepared.hardware.device)
    source = Path(prepared.recipe.data.source).name
    subject = Subject(classifier, images, evaluation, source, part, Run(folder), metrics, prepared.data.skipped)
    write_report(folder / REPORT, subject)


def write_weights(
    path: Path, prepared: Prepared, weights: Mapping[str, torch.Tensor], figures: Mapping[str, Any]
) -> None:
    """Write weights with all it takes to use them."""
    checkpoint.save_tensors(path, weights, metadata_of(prepared, figures).values())
