"""From a recipe to a finished run, and from an unfinished run to its end."""

from __future__ import annotations

import csv
import io
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from neocog import __version__
from neocog.data import DataSet
from neocog.data.registry import find
from neocog.data.source import Progress
from neocog.errors import NeocogError, RecipeError, RunError
from neocog.files import remove_leftovers, write_whole
from neocog.recipe import Recipe, default_recipe, settings_by_name
from neocog.run import CHECKPOINT, HISTORY, LOG, METRICS, RECIPE, SKIPPED, WEIGHTS, Run, new_folder, write_history
from neocog.training import checkpoint
from neocog.training.evaluation import StopRequested
from neocog.training.events import EpochDone, Event, Listener, Stopped
from neocog.training.finishing import finish, write_weights
from neocog.training.interrupt import INTERRUPTED, Interrupt
from neocog.training.loop import Job, fit
from neocog.training.losses import build_loss
from neocog.training.preparing import Prepared, fingerprint, is_code, prepare
from neocog.training.progress import Log, ProgressBar, duration
from neocog.training.stage_work import stage_work
from neocog.training.state import State, freeze
from neocog.training.stopping import Stopping
from neocog.transfer.automatic import DEFAULT_MINUTES, automatic_recipe
from neocog.transfer.choosing import Choice, choose


def train(
    source: str | Path | Recipe | None = None,
    *,
    recipe: str | Path | Recipe | None = None,
    model: str | nn.Module | None = None,
    out: Path | str | None = None,
    minutes: float | None = None,
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

    Photographs, where neither recipe, network nor anything about the training is given, begin with published weights,
    and `neocog.transfer.choosing.choose` decides how they are trained, within `minutes` (1 unless given).

    Ctrl-C stops at the next step and leaves a run that `resume` goes on with. Raises a `NeocogError` for
    whatever cannot be used; a `TrainingError` leaves the best weights so far in the run.
    """
    chosen = choose_recipe(source, recipe=recipe, model=model, settings=settings)
    bar = ProgressBar() if progress else None
    choice = None
    if recipe is None and not isinstance(source, Recipe) and not isinstance(model, nn.Module):
        choice = _choice(chosen.data.source, model, settings, minutes, bar)
    if choice is None and minutes is not None:
        raise RecipeError(
            "minutes is the time for choosing how to train on photographs (in colour, 96 pixels and more) where no "
            "recipe, network or setting says it. Here there is nothing to choose: leave minutes out."
        )
    module = model if isinstance(model, nn.Module) else None
    if choice is not None:
        chosen = choice.recipe
    prepared = prepare(chosen, module, bar.data if bar else None, data=choice.data if choice else None)
    folder = new_folder(_run_name(chosen), out)
    prepared.recipe.save(folder / RECIPE)
    if choice is not None:
        choice.save(folder)
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
    if not own and is_code(recipe.model.network) and model != recipe.model.network:
        raise RunError(
            f"{run.path} needs code that a run never imports by itself: {recipe.model.network}. "
            f"If you trust it, name it: neocog resume {run.path} --model {recipe.model.network}"
        )
    bar = ProgressBar() if progress else None
    module = model if isinstance(model, nn.Module) else None
    begun = (run.path / CHECKPOINT).exists()
    prepared = prepare(recipe, module, bar.data if bar else None, trained=not begun)
    for name in (RECIPE, WEIGHTS, CHECKPOINT, HISTORY, METRICS):
        remove_leftovers(run.path / name)
    return _carry_out(prepared, run.path, bar, listeners)


def _choice(
    source: str, model: str | None, settings: Mapping[str, Any], minutes: float | None, bar: ProgressBar | None
) -> Choice | None:
    """Choose by measurement where the training is left open."""
    if find(source) is not None:
        return None
    tell = bar.say if bar else _silent
    base = automatic_recipe(source, model, settings_by_name(settings), tell)
    if base is None:
        return None
    given = DEFAULT_MINUTES if minutes is None else minutes
    return choose(base, minutes=given, progress=bar.data if bar else None, tell=tell)


def _silent(_: str) -> None:
    """Say nothing."""


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
    if model is None and is_code(chosen.model.network):
        raise RecipeError(
            f"the recipe names code, {chosen.model.network}, and a file's code is never imported by itself. "
            f"If you trust it, name it: --model {chosen.model.network}"
        )
    return chosen


def _carry_out(prepared: Prepared, folder: Path, bar: ProgressBar | None, listeners: Sequence[Listener]) -> Run:
    """Train from wherever the folder's checkpoint stands, then evaluate and draw."""
    log, begun = Log(folder / LOG), time.monotonic()
    log.write(f"neocog {__version__}, torch {torch.__version__}, Python {platform.python_version()}")
    log.write(f"{prepared.hardware}; {len(prepared.data.train)} training images")
    with prepared.hardware.repeatable(), Interrupt() as interrupt:
        state = _restored(prepared, folder)
        keeper = _Keeper(prepared, folder, state)
        everyone: list[Listener] = [*([bar] if bar else []), log, keeper, *listeners, interrupt]

        def told(what: str, done: int, total: int) -> None:
            if bar:
                bar.data(what, done, total)
            if interrupt.asked:
                raise StopRequested(INTERRUPTED)

        try:
            done = Stopped("finished", True)
            stopped = done if state.finished else fit(_job(prepared, folder, state, told), state, everyone)
        except NeocogError as error:
            log.write(f"failed: {error}")
            raise
        finally:
            freeze(prepared.network, (), always=state.frozen)
            if bar:
                bar.close()
        if stopped.finished:
            finish(prepared, folder, state)
    log.write(f"this took {duration(time.monotonic() - begun)}")
    return Run(folder)


def _job(prepared: Prepared, folder: Path, state: State, progress: Progress) -> Job:
    settings, data = prepared.recipe.train, prepared.data
    counts = data.train.class_counts().tolist()
    context = {"data": fingerprint(data), "version": __version__, "torch": torch.__version__}
    return Job(
        stages=prepared.recipe.stages(),
        work=lambda stage: stage_work(prepared, stage, progress, state),
        loss=lambda stage: build_loss(stage, counts, prepared.hardware.device),
        hardware=prepared.hardware,
        save=checkpoint.Checkpointer(folder / CHECKPOINT, settings.checkpoint_seconds, context),
    )


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
