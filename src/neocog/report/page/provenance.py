"""What was trained on what, with which settings and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neocog.data.registry import find
from neocog.errors import NeocogError
from neocog.recipe import AugmentSettings, Recipe, Stage, TrainSettings
from neocog.run import LOG, Run

if TYPE_CHECKING:
    from neocog.classifier import Classifier

_ORIGINS = {
    "split": "set aside from the training images",
    "folder": "the data set's own",
    "test": "the test images themselves, as in the published procedure",
}


@dataclass(frozen=True)
class Facts:
    """Groups of (label, text) pairs, the sentences a reader should know, and the recipe as text."""

    groups: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    notes: tuple[str, ...]
    recipe: str


def provenance(classifier: Classifier, run: Run | None, metrics: dict[str, Any]) -> Facts:
    """Gather where a classifier comes from: its metadata tell it, and its run where there is one."""
    text = classifier.metadata.recipe
    try:
        recipe = Recipe.from_text(text, source="the recipe in the weights") if text else None
    except NeocogError:
        recipe = None
    figures = metrics or dict(classifier.metadata.figures)
    groups = [("Images", _images(classifier, recipe, figures))]
    if recipe is not None:
        groups.append(("Training", _training(recipe, figures)))
    reasons = figures.get("choice", {}).get("reasons", ())
    if reasons:
        groups.append(("How it was chosen", [(f"step {number}", text) for number, text in enumerate(reasons, start=1)]))
    groups.append(("Environment", _environment(classifier, recipe, run)))
    return Facts(
        tuple((name, tuple((label, said) for label, said in pairs if said)) for name, pairs in groups),
        tuple(figures.get("notes", ())),
        text.strip(),
    )


def _images(classifier: Classifier, recipe: Recipe | None, figures: dict[str, Any]) -> list[tuple[str, str]]:
    metadata = classifier.metadata
    height, width = metadata.image_size
    colour = "grayscale" if metadata.channels == 1 else "colour"
    names = ", ".join(classifier.classes[:30]) + (", …" if len(classifier.classes) > 30 else "")
    pairs = [("source", _source(recipe.data.source) if recipe is not None else "")]
    if "train_images" in figures:
        pairs.append(("trained on", f"{figures['train_images']:,} images"))
    if "valid" in figures:
        origin = _ORIGINS.get(figures.get("validation_origin", ""), "")
        pairs.append(("validated on", f"{figures['valid']['images']:,} images: {origin}"))
    if "test" in figures:
        pairs.append(("tested on", f"{figures['test']['images']:,} images"))
    return [
        *pairs,
        ("classes", f"{len(classifier.classes)}: {names}"),
        ("as the network sees them", f"{height}x{width} pixels, {colour}, resize = {metadata.resize}"),
        ("scaling", f"(pixel / 255 - {_numbers(metadata.mean)}) / {_numbers(metadata.std)}"),
    ]


def _training(recipe: Recipe, figures: dict[str, Any]) -> list[tuple[str, str]]:
    train = recipe.train
    stages = recipe.stages()
    most = sum(stage.train.epochs for stage in stages)
    epochs = f"{figures.get('epochs', most)} of at most {most}"
    best = figures.get("best_epoch", {})
    if "epoch" in best:
        epochs += f"; the weights are those of epoch {best['epoch']}"
    usual, chosen = AugmentSettings().model_dump(), recipe.augment.model_dump()
    changes = [f"{name} {_plain(value)}" for name, value in chosen.items() if value != usual[name]]
    return [
        ("recipe", recipe.description),
        ("epochs", epochs),
        ("begun with", recipe.model.pretrained and f"trained weights: {_source(recipe.model.pretrained)}"),
        ("stages", "; ".join(_stage(stage) for stage in stages) if recipe.stage else ""),
        ("optimizer", "" if recipe.stage else _optimizer(train)),
        ("batch size", str(train.batch_size)),
        ("loss", train.loss + (f", label smoothing {train.label_smoothing:g}" if train.label_smoothing else "")),
        ("augmentation", ", ".join(changes) or "none"),
        ("seed", str(train.seed)),
    ]


def _stage(stage: Stage) -> str:
    """Say what a stage trains and how."""
    frozen = f", frozen: {', '.join(stage.freeze)}" if stage.freeze else ""
    if stage.train.optimizer == "logistic-regression":
        return f"{stage.name}: logistic regression{frozen}"
    return f"{stage.name}: {_optimizer(stage.train)}{frozen}"


def _optimizer(train: TrainSettings) -> str:
    return f"{train.optimizer}, learning rate {train.lr:g}, schedule {train.schedule}"


def _environment(classifier: Classifier, recipe: Recipe | None, run: Run | None) -> list[tuple[str, str]]:
    pairs = [("neocog", classifier.metadata.version)]
    if recipe is not None:
        train = recipe.train
        pairs.append(
            ("device", f"{train.device}, {train.precision}, {train.memory_format}, kernels {train.kernels}, "
             f"{train.threads} thread{'' if train.threads == 1 else 's'}")
        )  # fmt: skip
    lines = _log_lines(run)
    if lines:
        pairs.append(("versions", lines[0][1]))
        pairs.append(("trained", f"{lines[0][0]} to {lines[-1][0]}"))
    return pairs


def _log_lines(run: Run | None) -> list[tuple[str, str]]:
    """Give the (time, text) pairs of a run's log."""
    if run is None or not (run.path / LOG).is_file():
        return []
    found = []
    for line in (run.path / LOG).read_text(encoding="utf-8", errors="replace").splitlines():
        time, _, text = line.partition("  ")
        if text:
            found.append((time, text.strip()))
    return found


def _source(source: str) -> str:
    known = find(source)
    return f"{source}: {known.description}" if known else source


def _numbers(values: tuple[float, ...]) -> str:
    written = ", ".join(f"{value:.4g}" for value in values)
    return written if len(values) == 1 else f"({written})"


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        return " to ".join(f"{item:g}" if isinstance(item, float) else str(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
