"""`neocog augment`: what an augmentation does to an image, for the eye, or as new image files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neocog.arguments import whole
from neocog.commands.paths import check_output
from neocog.errors import RecipeError
from neocog.printing import err, say, table

if TYPE_CHECKING:
    from neocog.augment.saving import Saved
    from neocog.augment.showing import Grids
    from neocog.data.source import Source
    from neocog.recipe import AugmentSettings, Recipe

_TABLES = ("augment", "data")
_USUAL_COPIES = 4
_LISTED = 10


def augment(
    images: Annotated[
        str,
        typer.Argument(metavar="IMAGE|DATA", help="An image, or a data set, folder or CSV file, for its first images."),
    ],
    policy: Annotated[
        str | None,
        typer.Option(
            metavar="KIND", help="One kind, such as rotate45, autoaugment-imagenet or all; else each of them."
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(metavar="RECIPE", help="What this recipe does: a built-in one by name, or a TOML file."),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="augment.KEY=VALUE", help="Any setting of an augmentation, on top of the rest."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.png|DIR", help="The picture; for all kinds a folder of pictures.")
    ] = None,
    seed: Annotated[int, typer.Option(parser=whole, metavar="N", help="Another seed draws other changes.")] = 0,
    save: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the images and changed copies as files into a new folder.")
    ] = None,
    copies: Annotated[
        int | None, typer.Option(parser=whole, metavar="N", help="How many copies of each image (4) to save.")
    ] = None,
) -> None:
    """Show what augmentation does to an image, kind by kind, or write augmented images as files."""
    if policy and recipe:
        raise RecipeError("--policy and --recipe are two ways to say what to do: give one of them.")
    if copies is not None and save is None:
        raise RecipeError("--copies says how many copies to save: name a new folder for them with --save DIR.")
    if not 0 <= seed < 2**63:
        raise RecipeError(f"--seed {seed}: expected a whole number from 0 on.")
    chosen, one = _recipe(recipe, setting or []), bool(policy or recipe or setting)
    if save is not None and not one:
        raise RecipeError("say what to do to the copies: --policy KIND, --recipe RECIPE or --set augment.KEY=VALUE.")
    if one:
        check_output("--out", out, ".png")
    elif out is not None and (out.suffix or out.is_file()):
        raise RecipeError(f"--out {out}: a picture of each kind goes into a folder; name one, or choose a --policy.")
    if policy is not None:
        from neocog.augment.kinds import find_kind

        find_kind(policy)
    from neocog.augment.originals import find_originals
    from neocog.augment.showing import Grids

    source = find_originals(images)
    if save is None or out is not None:
        grids = Grids(source, chosen.data, seed=seed)
        if one:
            _draw_one(grids, policy, chosen, out or Path(f"{_plain(source.name)}-{_word(policy, recipe)}.png"))
        else:
            _draw_all(grids, out or Path(f"{_plain(source.name)}-augmented"))
    if save is not None:
        from neocog.augment.saving import save_copies
        from neocog.training.progress import ProgressBar

        bar, settings = ProgressBar(), _settings(policy, chosen, _side(source, chosen))
        try:
            saved = save_copies(
                source,
                save,
                settings,
                copies=_USUAL_COPIES if copies is None else copies,
                seed=seed,
                data=chosen.data,
                progress=bar.data,
            )
        finally:
            bar.close()
        _tell(saved)


def _recipe(recipe: str | None, settings: Sequence[str]) -> Recipe:
    from neocog.recipe import Recipe, parse_assignment

    chosen = Recipe.load(recipe) if recipe else Recipe()
    values: dict[str, Any] = dict(parse_assignment(text) for text in settings)
    for key in values:
        if key.partition(".")[0] not in _TABLES:
            raise RecipeError(f"--set {key}: expected augment.KEY=VALUE, such as augment.rotate=15.")
    if recipe and not chosen.augment.active and not values:
        raise RecipeError(f"the recipe {recipe} has no augmentation. Add some with --set augment.KEY=VALUE.")
    return chosen.with_values(values)


def _settings(policy: str | None, recipe: Recipe, side: int) -> AugmentSettings:
    """Give the settings of a kind, with what `--set` says on top, or those of the recipe."""
    from neocog.augment.kinds import find_kind
    from neocog.recipe import Recipe

    if policy is None:
        return recipe.augment
    changed = {f"augment.{name}": value for name, value in recipe.augment.model_dump(exclude_defaults=True).items()}
    kind = Recipe(augment=find_kind(policy).settings(side))
    return kind.with_values(changed).augment


def _side(source: Source, recipe: Recipe) -> int:
    from neocog.augment.originals import first_images

    _, height, width = first_images(source, 1, recipe.data)[0].pixels.shape
    return int(max(height, width))


def _draw_one(grids: Grids, policy: str | None, recipe: Recipe, path: Path) -> None:
    from neocog.augment.kinds import find_kind

    title = "as the recipe says"
    if policy is not None:
        kind = find_kind(policy)
        title = kind.title
        if reason := grids.drawable(kind):
            raise RecipeError(f"--policy {policy}: {reason}.")
    say(f"wrote {grids.draw(_settings(policy, recipe, grids.side), title, path)}")


def _draw_all(grids: Grids, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows, left = [], []
    for kind, result in grids.draw_all(folder):
        if isinstance(result, Path):
            rows.append((result.name, kind.title))
        else:
            left.append(f"left out: {kind.name} {result}")
    say(table(("picture", "what it shows"), rows))
    for line in left:
        err.print(line, markup=False)
    say(f"wrote {len(rows)} pictures to {folder}")


def _tell(saved: Saved) -> None:
    from neocog.augment.saving import GROUPS

    for item in saved.skipped[:_LISTED]:
        err.print(f"left out: {item.path}: {item.reason}", markup=False)
    if len(saved.skipped) > _LISTED:
        err.print(f"left out: {len(saved.skipped) - _LISTED:,} more files", markup=False)
    say(f"wrote {saved.originals:,} images and {saved.copies:,} changed copies to {saved.folder}")
    for name, folder in saved.renamed.items():
        say(f"note: the class {name} lies in the folder {folder}")
    if saved.divided:
        say("Only training images were changed; validation and test images are there as they are.")
    if saved.labelled:
        say(
            "A name begins with the number of its original. So that copies of one image never lie on both sides of a "
            f"split:\nnext      neocog train {saved.folder} --set 'data.groups={GROUPS}'"
        )


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name) or "images"


def _word(policy: str | None, recipe: str | None) -> str:
    return policy or (_plain(Path(recipe).stem) if recipe else "augmented")
