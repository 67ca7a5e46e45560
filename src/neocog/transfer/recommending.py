"""From what was measured to a recipe: the procedure of each of the four cases, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace

from neocog.recipe import Recipe, default_recipe
from neocog.transfer.advice import LARGE, Advice, Measured

# passes through the network that an image costs in the recipe fine-tune: once for the features, five times through the
# last blocks, three times through all, forward and backward
_FINE_TUNING_PASSES = 1 + 5 * 1.3 + 3 * 4.0


@dataclass(frozen=True)
class Recommendation:
    """A recipe for the images, in words why, and about how many minutes it takes here (None where not known)."""

    procedure: str
    recipe: Recipe
    reasons: tuple[str, ...]
    minutes: float | None


def recommend(
    advice: Advice, source: str, *, groups: str | None = None, skip_list: str | None = None
) -> Recommendation:
    """Choose the procedure for what `advice` measured; the other arguments stand in the recipe's `[data]`."""
    found = _chosen(advice, source)
    given = {"data.groups": groups, "data.skip_list": skip_list}
    values = {key: value for key, value in given.items() if value is not None}
    return replace(found, recipe=found.recipe.with_values(values))


def _chosen(advice: Advice, source: str) -> Recommendation:
    measured = advice.measured
    if measured is None:
        return _scratch(advice, source, ("There are no trained weights here, so the network begins with random ones.",))
    if advice.case == "small and similar":
        return _extraction(advice, measured, source)
    if advice.case == "small and different":
        return _early(advice, measured, source)
    if advice.case == "large and similar" or not _tiny(advice):
        return _fine_tuning(advice, measured, source)
    many = (
        "There are many images, and they are unlike ImageNet's and small: a network of their own size learns more "
        "from them than ImageNet's features bring along.",
    )
    return _scratch(advice, source, many)


def _extraction(advice: Advice, measured: Measured, source: str, *more: str) -> Recommendation:
    why = (
        "The last features already tell the classes apart, and there are few images: a new head on frozen features "
        "has the fewest weights to learn, so it overfits least.",
        *more,
        "neocog train on a folder of photographs also tries fine-tuning, in cross-validation, where --minutes allows.",
    )
    recipe = _based("transfer", measured, source, "feature extraction")
    return Recommendation("feature extraction", recipe, why, _minutes(advice, measured, 1))


def _early(advice: Advice, measured: Measured, source: str) -> Recommendation:
    layer = measured.levels[advice.best_level].layer
    if _tiny(advice) and float(min(advice.counts)) >= 10:
        unlike = (
            f"The images are small and unlike ImageNet's: the features after {layer} serve them as well as the last "
            "ones. A small network from scratch, with augmentation, is made for their size.",
            f"Measure it against the first layers of {measured.network}: --model '{measured.network}[:{layer}]' "
            "--pretrained imagenet.",
        )
        return _scratch(advice, source, unlike)
    recipe = _cut(measured, layer, source)
    why = (
        f"The images are unlike ImageNet's: the features after {layer} serve as well as the last ones, which were made "
        "for other classes. So only the first layers are reused, with a new head on them.",
    )
    return Recommendation(f"the first layers, up to {layer}", recipe, why, _minutes(advice, measured, 1))


def _fine_tuning(advice: Advice, measured: Measured, source: str) -> Recommendation:
    minutes = _minutes(advice, measured, _FINE_TUNING_PASSES)
    if advice.minutes is not None and minutes > advice.minutes:
        return _extraction(
            advice,
            measured,
            source,
            f"Fine-tuning would fit these images, but takes about {max(1, round(minutes))} minutes here; "
            f"{advice.minutes:g} are given.",
        )
    why = (
        f"With {LARGE:,} images a class and more, all layers can learn from them without forgetting what they know: "
        "the head first, then the last blocks, then all, with smaller steps towards the input.",
    )
    recipe = _based("fine-tune", measured, source, "fine-tuning")
    return Recommendation("fine-tuning, the head first", recipe, why, minutes)


def _scratch(advice: Advice, source: str, why: tuple[str, ...]) -> Recommendation:
    recipe = default_recipe(source)
    if not recipe.data.source:
        recipe = recipe.with_values({"data.source": source})
    return Recommendation("training from scratch", recipe, why, None)


def _based(name: str, measured: Measured, source: str, procedure: str) -> Recipe:
    height, width = measured.image_size
    recipe = Recipe.load(name).model_copy(update={"description": f"Advised for {source}: {procedure}"})
    return recipe.with_values({"data.source": source, "data.channels": 3, "data.image_size": [height, width]})


def _cut(measured: Measured, layer: str, source: str) -> Recipe:
    """Give the recipe of a head on the network cut after `layer`, whose pieces are all frozen."""
    from neocog.models import build
    from neocog.models.pieces import pieces, place_of

    row = pieces(build(measured.network, (3, *measured.image_size), 2, seed=0))
    inside = [name for name, module in row[: place_of(row, layer) + 1] if any(True for _ in module.parameters())]
    frozen = list(dict.fromkeys(name.partition(".")[0] for name in inside))
    recipe = _based("transfer", measured, source, f"the first layers, up to {layer}")
    stages = [stage.model_copy(update={"freeze": frozen}) for stage in recipe.stage]
    return recipe.model_copy(update={"stage": stages}).with_values({"model.network": f"{measured.network}[:{layer}]"})


def _minutes(advice: Advice, measured: Measured, passes: float) -> float:
    return advice.images * passes * measured.seconds_an_image / 60


def _tiny(advice: Advice) -> bool:
    """Whether the images are too small for a network made for photographs."""
    return advice.native_side is not None and advice.native_side <= 64
