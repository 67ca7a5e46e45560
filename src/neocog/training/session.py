"""From a recipe to a finished run, and from an unfinished run to its end."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from neocog import __version__
from neocog.data import DataSet, ImageSet, load
from neocog.data.registry import find
from neocog.errors import NeocogError, RecipeError, RunError
from neocog.evaluation import Evaluation, measure
from neocog.files import remove_leftovers, write_whole
from neocog.metadata import Metadata
from neocog.models import NotationNetwork, ScaledNetwork, Scaling, build
from neocog.models.reference import PythonPath
from neocog.models.reference import resolve as resolve_network
from neocog.recipe import Recipe, TrainSettings, default_recipe, settings_by_name
from neocog.run import (
    CHECKPOINT,
    HISTORY,
    LOG,
    METRICS,
    RECIPE,
    REPORT,
    SKIPPED,
    WEIGHTS,
    Run,
    new_folder,
    write_history,
)
from neocog.training import checkpoint
from neocog.training.average import copy_weights
from neocog.training.batches import Augment, TensorBatches
from neocog.training.evaluation import OrderedBatches
from neocog.training.events import EpochDone, Event, Listener, Stopped
from neocog.training.hardware import Hardware, hardware, resolve
from neocog.training.interrupt import Interrupt
from neocog.training.keys import key
from neocog.training.loop import Job, fit
from neocog.training.losses import build_loss
from neocog.training.progress import Log, ProgressBar, duration
from neocog.training.state import State, check_stages, freeze
from neocog.training.stopping import Stopping

DataProgress = Callable[[str, int, int], None]


def train(
    source: str | Path | Recipe | None = None,
    *,
    recipe: str | Path | Recipe | None = None,
    model: str | nn.Module | None = None,
    out: Path | str | None = None,
    progress: bool = True,
    listeners: Sequence[Listener] = (),
    **settings: Any,
) -> Run:
    """Train a classifier and give its run.

    `source` is the name of a data set, the path of a folder or CSV file, or a `Recipe`; without `recipe`, a data set
    is trained with the recipe of its own name where there is one, else with the default one. `model` replaces
    the network: a name, a text in the notation, a Python path such as `mypackage.nets:build`, or a module.
    `settings` are keys of the recipe by their names (`epochs=3, lr=0.01`), or with their table in a mapping
    (`**{"train.seed": 1}`). `out` is the run's folder (else the next number under `runs`).

    Ctrl-C stops at the next step and leaves a run that `resume` goes on with. Raises a `NeocogError` for
    whatever cannot be used; a `TrainingError` leaves the best weights so far in the run.
    """
    chosen = choose_recipe(source, recipe=recipe, model=model, settings=settings)
    bar = ProgressBar() if progress else None
    prepared = prepare(chosen, model if isinstance(model, nn.Module) else None, bar.data if bar else None)
    folder = new_folder(_run_name(chosen), out)
    prepared.recipe.save(folder / RECIPE)
    _write_skipped(folder, prepared.data)
    return _carry_out(prepared, folder, bar, listeners)


def resume(
    run: Run | Path | str,
    *,
    model: str | nn.Module | None = None,
    progress: bool = True,
    listeners: Sequence[Listener] = (),
) -> Run:
    """Go on with a run from its last checkpoint; it ends with the bits of one that was never interrupted.

    `model` is needed where the network is the user's own code, which a run names but never imports by itself.
    Raises `RunError` where the images are no longer those it was trained on.
    """
    run = run if isinstance(run, Run) else Run(run)
    if run.finished:
        return run
    recipe = run.recipe
    own = isinstance(model, nn.Module)
    if not own and _is_code(recipe.model.network) and model != recipe.model.network:
        raise RunError(
            f"{run.path} needs code that a run never imports by itself: {recipe.model.network}. "
            f"If you trust it, name it: neocog resume {run.path} --model {recipe.model.network}"
        )
    bar = ProgressBar() if progress else None
    prepared = prepare(recipe, model if own else None, bar.data if bar else None)  # type: ignore[arg-type]  # own says so
    for name in (RECIPE, WEIGHTS, CHECKPOINT, HISTORY, METRICS):
        remove_leftovers(run.path / name)
    return _carry_out(prepared, run.path, bar, listeners)


def choose_recipe(
    source: str | Path | Recipe | None,
    *,
    recipe: str | Path | Recipe | None,
    model: str | nn.Module | None,
    settings: Mapping[str, Any],
) -> Recipe:
    """Find the recipe that a call or a command line asks for, with its changes applied.

    A Python path is code: only one that `model` names is accepted, never one that stands in a recipe file.
    """
    if isinstance(source, Recipe):
        source, recipe = None, source
    if source is not None:
        known = find(str(source))
        source = known.name if known else source
    if recipe is None:
        if source is None:
            raise RecipeError("say what to train on: a data set such as mnist, a folder of images, or --recipe.")
        chosen = default_recipe(str(source))
    else:
        chosen = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    values: dict[str, Any] = settings_by_name(settings)
    if source is not None:
        values["data.source"] = str(source)
    if isinstance(model, str):
        values["model.network"] = model
    elif model is not None:
        # A class made within a function has a name that nothing can import; the name alone is kept then.
        values["model.network"] = f"{type(model).__module__}:{type(model).__qualname__.replace('<locals>.', '')}"
    chosen = chosen.with_values(values)
    if not chosen.data.source:
        raise RecipeError("the recipe names no images: give a data set or a folder, or set source in its [data].")
    if not chosen.model.network:
        raise RecipeError("the recipe names no network: give --model, or set network in its [model].")
    if model is None and _is_code(chosen.model.network):
        raise RecipeError(
            f"the recipe names code, {chosen.model.network}, and a file's code is never imported by itself. "
            f"If you trust it, name it: --model {chosen.model.network}"
        )
    return chosen


@dataclass(frozen=True)
class Prepared:
    """All that a recipe stands for, in memory: nothing of it is decided any more."""

    recipe: Recipe
    data: DataSet
    network: nn.Module
    model: ScaledNetwork
    hardware: Hardware
    augment: Augment | None


def prepare(recipe: Recipe, module: nn.Module | None = None, progress: DataProgress | None = None) -> Prepared:
    """Read the images, build the network and make every automatic choice explicit in the recipe.

    Whatever is wrong with any stage is found here, before a folder is made or a step is done.
    """
    data = load(recipe.data, progress=progress)
    geometry = data.geometry
    wanted = recipe.model.num_classes
    if wanted is not None and wanted != len(data.classes):
        raise RecipeError(
            f"model.num_classes = {wanted}, but {data.name} has {len(data.classes)} classes: leave it out."
        )
    mean, std = _statistics(recipe, data.train)
    recipe = recipe.with_values(
        {
            "data.source": _lasting(recipe.data.source),
            "data.image_size": geometry.image_size,
            "data.channels": geometry.channels,
            "data.mean": mean,
            "data.std": std,
        }
    )
    network = (
        module
        if module is not None
        else build(
            recipe.model.network,
            geometry.shape,
            len(data.classes),
            init=recipe.model.init,
            seed=key(recipe.train.seed, "initial weights"),
        )
    )
    recipe = recipe.with_values(resolve(recipe.train, network))
    check_stages(network, recipe.stages())
    for stage in recipe.stages():
        build_loss(stage.train, data.train.class_counts().tolist(), torch.device("cpu"))
    model = ScaledNetwork(Scaling(mean, std), network)
    place = hardware(recipe.train)
    place.place(model)
    return Prepared(recipe, data, network, model, place, _augmentation(recipe, geometry.channels))


def _carry_out(prepared: Prepared, folder: Path, bar: ProgressBar | None, listeners: Sequence[Listener]) -> Run:
    """Train from wherever the folder's checkpoint stands, then evaluate and draw."""
    log, begun = Log(folder / LOG), time.monotonic()
    log.write(f"neocog {__version__}, torch {torch.__version__}, Python {platform.python_version()}")
    log.write(f"{prepared.hardware}; {len(prepared.data.train)} training images")
    with prepared.hardware.repeatable(), Interrupt() as interrupt:
        state = _restored(prepared, folder)
        keeper = _Keeper(prepared, folder, state)
        everyone: list[Listener] = [*([bar] if bar else []), log, keeper, *listeners, interrupt]
        try:
            stopped = fit(_job(prepared, folder), state, everyone) if not state.finished else Stopped("finished", True)
        except NeocogError as error:
            log.write(f"failed: {error}")
            raise
        finally:
            freeze(prepared.network, (), always=state.frozen)
            if bar:
                bar.close()
        if stopped.finished:
            _finish(prepared, folder, state)
    log.write(f"this took {duration(time.monotonic() - begun)}")
    return Run(folder)


def _job(prepared: Prepared, folder: Path) -> Job:
    settings, data = prepared.recipe.train, prepared.data
    counts = data.train.class_counts().tolist()
    context = {"data": fingerprint(data), "version": __version__, "torch": torch.__version__}
    valid = data.valid
    return Job(
        model=prepared.model,
        stages=prepared.recipe.stages(),
        batches=lambda stage: _batches(prepared, stage),
        valid=(lambda: OrderedBatches(valid.images, valid.labels)) if valid is not None else None,
        loss=lambda stage: build_loss(stage, counts, prepared.hardware.device),
        hardware=prepared.hardware,
        save=checkpoint.Checkpointer(folder / CHECKPOINT, settings.checkpoint_seconds, context),
    )


def _batches(prepared: Prepared, stage: TrainSettings) -> TensorBatches:
    train, augment = prepared.data.train, prepared.augment
    images = prepared.hardware.keep(train.images)
    return TensorBatches(images, train.labels, stage.batch_size, seed=stage.seed, augment=augment)


def _augmentation(recipe: Recipe, channels: int) -> Augment | None:
    if not recipe.augment.active:
        return None
    # kornia takes half a second to import, which trainings without augmentation need not wait for.
    from neocog.augment import Augmentation

    return Augmentation(recipe.augment, channels=channels)


def _restored(prepared: Prepared, folder: Path) -> State:
    """Give the state of the folder's checkpoint, or the initial one where there is none yet."""
    settings = prepared.recipe.train
    state = State(prepared.network, Stopping.from_settings(settings, validates=prepared.data.valid is not None))
    file = folder / CHECKPOINT
    if not file.exists():
        return state
    tensors, plain = checkpoint.read(file)
    if plain["context"]["data"] != fingerprint(prepared.data):
        raise RunError(
            f"{folder} was trained on other images than {prepared.recipe.data.source} holds now; going on would mix "
            "the two. Restore the images, or train anew."
        )
    if plain["context"]["torch"] != torch.__version__:
        Log(folder / LOG).write(f"begun with torch {plain['context']['torch']}: the last bits may differ")
    checkpoint.restore(state, tensors, plain, prepared.recipe.stages())
    return state


class _Keeper:
    """A listener that keeps the history and the best weights on disk, epoch by epoch."""

    def __init__(self, prepared: Prepared, folder: Path, state: State) -> None:
        self.prepared, self.folder, self.state = prepared, folder, state
        if state.history:
            # A kill may have come between the checkpoint and these; the checkpoint is what counts.
            self._write()

    def __call__(self, event: Event) -> None:
        if isinstance(event, EpochDone):
            write_history(self.folder, self.state.history)
            if event.kept:
                self._write_weights()

    def _write(self) -> None:
        write_history(self.folder, self.state.history)
        self._write_weights()

    def _write_weights(self) -> None:
        if self.state.best is not None:
            write_weights(self.folder / WEIGHTS, self.prepared, self.state.best, self.state.best_row())


def _finish(prepared: Prepared, folder: Path, state: State) -> None:
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
        "epochs": len(state.history),
        "best_epoch": row,
    }
    metrics |= {part: evaluation.figures() for part, evaluation in found.items()}
    write_weights(folder / WEIGHTS, prepared, state.best, metrics)
    # matplotlib is imported only now: a run that was interrupted draws nothing.
    from neocog.report.pictures import write_pictures

    images = data.test if data.test is not None else data.valid
    shown = found.get("test") or found.get("valid")
    first = next(_batches(prepared, prepared.recipe.stages()[0].train).epoch(0, 0, 0))
    part = "test" if "test" in found else "validation"
    write_pictures(folder, state.history, state.best_at, data.classes, first, images, shown, part)
    if shown is not None:
        _write_report(prepared, folder, shown, metrics)
    write_whole(folder / METRICS, json.dumps(metrics, ensure_ascii=False, indent=2) + "\n")


def _write_report(prepared: Prepared, folder: Path, evaluation: Evaluation, metrics: dict[str, Any]) -> None:
    from neocog.classifier import Classifier
    from neocog.report.page import Subject, write_report

    images, part = prepared.data.held_out
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


def metadata_of(prepared: Prepared, figures: Mapping[str, Any]) -> Metadata:
    """Give what stands beside the weights."""
    recipe, network = prepared.recipe, prepared.network
    kind = "python" if _is_code(recipe.model.network) else "name"
    text = recipe.model.network.strip()
    if isinstance(network, NotationNetwork):
        kind, text = "notation", network.notation
    geometry = prepared.data.geometry
    return Metadata(
        text,
        kind,
        prepared.data.classes,
        geometry.image_size,
        geometry.channels,
        geometry.resize,
        tuple(map(float, recipe.data.mean)),
        tuple(map(float, recipe.data.std)),
        recipe.text(),
        figures,
        __version__,
    )


def fingerprint(data: DataSet) -> str:
    """Give a digest of the training images and labels; of a large set, of every so many images."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (data.train, data.valid):
        if part is not None:
            digest.update(part.labels.numpy().tobytes())
            every = max(1, part.images.numel() // 2**28)
            digest.update(part.images[::every].contiguous().numpy().tobytes())
    return digest.hexdigest()


def _statistics(recipe: Recipe, images: ImageSet) -> tuple[list[float], list[float]]:
    """Give the mean and deviation that the recipe names, or those of the training images per channel."""
    wanted: list[list[float]] = []
    counted = None
    for value, index in ((recipe.data.mean, 0), (recipe.data.std, 1)):
        if value == "auto":
            counted = counted or _measured(images)
            value = counted[index]
        if len(value) not in (1, images.images.shape[1]):
            raise RecipeError(
                f"data.{('mean', 'std')[index]} has {len(value)} numbers, but the images have {images.images.shape[1]} "
                "channels: give one number for all, or one for each."
            )
        wanted.append([float(number) for number in value])
    return wanted[0], wanted[1]


def _measured(image_set: ImageSet) -> tuple[list[float], list[float]]:
    channels = image_set.images.shape[1]
    counts = np.zeros((channels, 256), dtype=np.int64)
    for start in range(0, len(image_set), 4096):
        part = image_set.images[start : start + 4096]
        for channel in range(channels):
            counts[channel] += np.bincount(part[:, channel].numpy().ravel(), minlength=256)
    values = np.arange(256) / 255
    total = counts.sum(axis=1)
    mean = counts @ values / total
    # Rounding could carry the variance of a single value below zero.
    deviation = np.sqrt(np.maximum(counts @ values**2 / total - mean**2, 0))
    # A channel without any contrast would be divided by zero.
    return mean.tolist(), np.maximum(deviation, 1 / 255).tolist()


def _is_code(network: str) -> bool:
    return isinstance(resolve_network(network), PythonPath)


def _lasting(source: str) -> str:
    """Give the absolute path of a folder or file, so that a run resumes from anywhere; names stay."""
    return source if find(source) else str(Path(source).resolve())


def _run_name(recipe: Recipe) -> str:
    name = Path(recipe.data.source).name or "run"
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)


def _write_skipped(folder: Path, data: DataSet) -> None:
    if data.skipped:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["path", "reason"])
        writer.writerows((item.path, item.reason) for item in data.skipped)
        # a file name may hold bytes that are no UTF-8
        write_whole(folder / SKIPPED, text.getvalue().encode("utf-8", "surrogateescape"))
