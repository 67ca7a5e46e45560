"""Recipe: what to do, as data. Read, validate and write; nothing here imports torch."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple, Self

import tomli_w
from pydantic import Field, ValidationError, model_validator

from neocog.errors import RecipeError
from neocog.files import write_whole
from neocog.mistakes import explain_all, nearest, prefix, setting_advice
from neocog.settings import AugmentSettings as AugmentSettings
from neocog.settings import DataSettings as DataSettings
from neocog.settings import ModelSettings as ModelSettings
from neocog.settings import Settings as Settings
from neocog.settings import StageSettings as StageSettings
from neocog.settings import TrainSettings as TrainSettings
from neocog.settings import all_keys


class Recipe(Settings):
    """What to do, as data: which images, which network, which augmentation, how to train.

    Read one with `Recipe.load(name_or_file)`, change it with `with_values`, write it with `save`.
    """

    description: str = ""
    data: DataSettings = DataSettings()
    model: ModelSettings = ModelSettings()
    augment: AugmentSettings = AugmentSettings()
    train: TrainSettings = TrainSettings()
    stage: list[StageSettings] = Field(default_factory=list)

    @model_validator(mode="after")
    def _stages_are_sound(self) -> Self:
        for stage in self.stage:
            fixed = sorted(set(stage.train) & _SAME_IN_ALL_STAGES)
            if fixed:
                raise ValueError(f"stage {stage.name!r}: {', '.join(fixed)} cannot differ between stages")
        mixes = [name for name in ("mixup", "cutmix") if getattr(self.augment, name)]
        if self.train.loss == "map" and mixes:
            raise ValueError(f'{mixes[0]} gives probabilities for labels, which loss = "map" does not take')
        if self.stage:
            self.stages()
        return self

    @classmethod
    def load(cls, name_or_file: str | Path) -> Recipe:
        """Read a built-in recipe by name, or a TOML file.

        Raises `RecipeError` where there is no such recipe or something in it cannot be used.
        """
        path = Path(name_or_file)
        if str(name_or_file) in builtin_names():
            file = resources.files("neocog") / "recipes" / f"{name_or_file}.toml"
            return cls.from_text(file.read_text(encoding="utf-8"), source=f"recipe {name_or_file}")
        if path.is_dir() and (path / "recipe.toml").is_file():
            path = path / "recipe.toml"
        if not path.is_file():
            raise RecipeError(
                f"there is no recipe {str(name_or_file)!r}: neither a built-in one nor a file."
                f"{nearest(str(name_or_file), builtin_names())} Built in: {', '.join(builtin_names())}."
            )
        try:
            return cls.from_text(path.read_text(encoding="utf-8"), source=str(path))
        except UnicodeDecodeError as error:
            raise RecipeError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}.") from error

    @classmethod
    def from_text(cls, text: str, *, source: str = "recipe") -> Recipe:
        """Read a recipe from TOML text; `source` names it in errors."""
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"{source} is not valid TOML: {error}.") from error
        return cls._validated(values, source)

    @classmethod
    def _validated(cls, values: Mapping[str, Any], source: str) -> Recipe:
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise RecipeError(explain_all(error, source)) from error

    def with_values(self, values: Mapping[str, Any], *, source: str = "") -> Recipe:
        """Give a copy in which keys such as `"train.epochs"` have other values; `None` takes a key out.

        Raises `RecipeError` for a key that does not exist or a value that does not fit.
        """
        tables = self.model_dump(exclude_none=True)
        for key, value in values.items():
            table_name, _, name = key.partition(".")
            table = tables.get(table_name)
            if not name or not isinstance(table, dict):
                known = [field for field, content in tables.items() if isinstance(content, dict)]
                raise RecipeError(
                    f"{prefix(source)}{key!r}: expected table.key such as train.epochs;"
                    f" the tables are {', '.join(known)}.{nearest(key, all_keys())}"
                )
            if value is None:
                table.pop(name, None)
            else:
                table[name] = value
        return self._validated(tables, source)

    def stages(self) -> tuple[Stage, ...]:
        """Resolve the stages of the training: plain training is a single one, named `train`."""
        if not self.stage:
            return (_stage("train", (), self.train),)
        base = self.train.model_dump(exclude_none=True)
        resolved = []
        for stage in self.stage:
            try:
                settings = TrainSettings.model_validate(base | stage.train)
            except ValidationError as error:
                raise RecipeError(explain_all(error, f"stage {stage.name!r}", "train")) from error
            resolved.append(_stage(stage.name, tuple(stage.freeze), settings, stage.augment))
        return tuple(resolved)

    @property
    def validation_chooses(self) -> bool:
        """Whether the validation images decide anything: which epoch's weights are kept, or when a stage ends."""
        stages = self.stages()
        several = sum(stage.train.epochs for stage in stages) > 1
        best = self.train.keep == "best" and self.train.monitor.startswith("valid") and several
        return best or any(stage.train.patience is not None for stage in stages)

    def text(self) -> str:
        """Write the whole recipe as TOML, every value included."""
        values = self.model_dump(exclude_none=True)
        if not self.description:
            del values["description"]
        if not self.stage:
            del values["stage"]
        # TOML reads "\r\n" between lines as "\n"; a text that has it is written on one line with escapes.
        return tomli_w.dumps(_plain(values), multiline_strings=not _has_carriage_return(values))

    def save(self, path: Path | str) -> Path:
        """Write `text()` to `path`, whole or not at all."""
        write_whole(path, self.text())
        return Path(path)


class Stage(NamedTuple):
    """One stage of a training with all its settings resolved."""

    name: str
    freeze: tuple[str, ...]
    train: TrainSettings
    augment: bool = True


def _stage(name: str, frozen: tuple[str, ...], settings: TrainSettings, augment: bool = True) -> Stage:
    if settings.optimizer == "logistic-regression":
        # It is solved at once; its figures stand in the history as those of one epoch.
        settings = settings.model_copy(update={"epochs": 1})
    return Stage(name, frozen, settings, augment)


_SAME_IN_ALL_STAGES = frozenset(
    {"seed", "device", "threads", "precision", "memory_format", "kernels"}
    | {"monitor", "mode", "keep", "checkpoint_seconds"}
)


def builtin_names() -> list[str]:
    """Names of the recipes that come with neocog, sorted."""
    folder = resources.files("neocog") / "recipes"
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def default_recipe(source: str) -> Recipe:
    """Choose the recipe for a data set: the one of its own name where there is one, else `default`."""
    name = source if source in builtin_names() and source != "default" else "default"
    return Recipe.load(name).with_values({"data.source": source})


def settings_by_name(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Give keys such as `epochs` the table they belong to (`train.epochs`); keys with a table stay.

    Raises `RecipeError` for a name that no table has.
    """
    named: dict[str, Any] = {}
    for name, value in settings.items():
        homes = [full for full in all_keys() if full == name or full.partition(".")[2] == name]
        homes = [full for full in homes if not full.startswith("stage.")]
        if not homes:
            raise RecipeError(f"there is no setting {name!r}.{setting_advice(name)}")
        named[homes[0]] = value
    return named


def parse_assignment(text: str) -> tuple[str, Any]:
    """Read `table.key=value`; the value is TOML, and plain text where it is not valid TOML.

    >>> parse_assignment("train.lr=0.01")
    ('train.lr', 0.01)
    >>> parse_assignment("augment.zoom=[0.7, 1.3]")
    ('augment.zoom', [0.7, 1.3])
    >>> parse_assignment("data.resize=letterbox")
    ('data.resize', 'letterbox')
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set {text!r}: expected table.key=value, such as train.epochs=3.")
    try:
        return key.strip(), tomllib.loads(f"value = {value.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def _has_carriage_return(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_carriage_return(item) for pair in value.items() for item in pair)
    if isinstance(value, list | tuple):
        return any(map(_has_carriage_return, value))
    return isinstance(value, str) and "\r" in value


def _plain(value: Any) -> Any:
    """Turn tuples into the lists that TOML knows."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
