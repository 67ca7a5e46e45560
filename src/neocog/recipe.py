"""Recipe: what to do, as data. Read, validate and write; nothing here imports torch."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from neocog.errors import RecipeError
from neocog.files import write_whole

Probability = Annotated[float, Field(ge=0, le=1)]
Range = tuple[float, float]


class Settings(BaseModel):
    """A table of a recipe: unknown keys are refused and values never change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class DataSettings(Settings):
    """`[data]`: which images, in which geometry, and what is set aside for validation."""

    source: str = Field("", description="name of a data set, or path of a folder or a CSV file")
    image_size: tuple[int, int] | None = Field(None, description="height and width in pixels; one number for a square")
    channels: Literal[1, 3] | None = Field(None, description="1 for grayscale, 3 for colour; left out: as the data are")
    resize: Literal["crop", "letterbox", "squash"] = Field(
        "crop", description="how another aspect ratio is made to fit"
    )
    validation: float | int | Literal["test"] = Field(
        0.1, description='fraction or number of training images set aside, or "test" to validate on the test set'
    )
    split_seed: int = Field(0, ge=0, description="seed of the stratified split")
    groups: str | None = Field(
        None, description="pattern on the file name, or name of a CSV column: what belongs together stays in one split"
    )
    strict: bool = Field(False, description="refuse a folder with unreadable files instead of leaving them out")
    cache: Literal["auto", "memory", "disk"] = Field("auto", description="where decoded images live while training")
    mean: list[float] | Literal["auto"] = Field(
        [0.0], description="subtracted from pixels in [0, 1], one a channel or one for all"
    )
    std: list[float] | Literal["auto"] = Field(
        [1.0], description="pixels are divided by it, one a channel or one for all"
    )

    @field_validator("image_size", mode="before")
    @classmethod
    def _square(cls, value: object) -> object:
        if isinstance(value, int) and not isinstance(value, bool):
            value = (value, value)
        if isinstance(value, list):
            value = tuple(value)
        if isinstance(value, tuple) and any(isinstance(side, int) and not 1 <= side <= 8192 for side in value):
            raise ValueError("each side must lie between 1 and 8192 pixels")
        return value

    @field_validator("validation")
    @classmethod
    def _validation(cls, value: float | int | str) -> float | int | str:
        if isinstance(value, float) and not 0 < value < 1:
            raise ValueError("a fraction must lie between 0 and 1; write a whole number for a number of images")
        if isinstance(value, int) and value < 1:
            raise ValueError("a number of images must be at least 1")
        return value

    @field_validator("std")
    @classmethod
    def _std(cls, value: list[float] | str) -> list[float] | str:
        if isinstance(value, list) and any(number <= 0 for number in value):
            raise ValueError("every value must be greater than 0")
        return value

    @field_validator("mean", "std")
    @classmethod
    def _one_or_each(cls, value: list[float] | str) -> list[float] | str:
        if isinstance(value, list) and len(value) not in (1, 3):
            raise ValueError("give one number, or three for colour images")
        return value


class ModelSettings(Settings):
    """`[model]`: the network and how its weights begin."""

    network: str = Field(
        "", description="a name, a network in the notation, or a Python path such as mypackage.nets:build"
    )
    num_classes: Annotated[int, Field(ge=1)] | None = Field(None, description="checked against the data where given")
    init: Literal["default", "glorot"] = Field(
        "default", description="initial weights: PyTorch's, or Glorot uniform with zero biases"
    )


class AugmentSettings(Settings):
    """`[augment]`: random changes of the training images, drawn anew for each image at each step."""

    horizontal_flip: Probability = Field(0.0, description="probability")
    vertical_flip: Probability = Field(0.0, description="probability")
    rotate: float = Field(0.0, ge=0, le=360, description="degrees: an angle from -rotate to +rotate")
    rotate_choices: list[float] = Field([], description="exact angles in degrees, one of them drawn, such as [45, -45]")
    shift_x: float = Field(0.0, ge=0, lt=1, description="fraction of the width, to either side")
    shift_y: float = Field(0.0, ge=0, lt=1, description="fraction of the height, to either side")
    shear: float = Field(0.0, ge=0, lt=1.5, description="radians, to either side")
    zoom: Range = Field((1.0, 1.0), description="range of the magnification, such as [0.7, 1.3]")
    crop: int = Field(0, ge=0, description="pixels of zero padding around the image before a crop of its own size")
    brightness: Range = Field((1.0, 1.0), description="range of the factor: above 1 is brighter, below darker")
    contrast: Range = Field((1.0, 1.0), description="range of the factor")
    saturation: Range = Field((1.0, 1.0), description="range of the factor; colour images only")
    grayscale: Probability = Field(0.0, description="probability; colour images only")
    blur: float = Field(0.0, ge=0, le=32, description="largest standard deviation of a Gaussian blur, in pixels")
    noise: float = Field(0.0, ge=0, le=1, description="standard deviation of Gaussian noise, for pixels in [0, 1]")
    erase: Probability = Field(0.0, description="probability that a random rectangle is blanked")
    policy: Literal[
        "none", "autoaugment-imagenet", "autoaugment-cifar10", "autoaugment-svhn", "randaugment", "trivialaugment"
    ] = Field("none", description="a published policy, drawn for each image")

    @field_validator("zoom", "brightness", "contrast", "saturation", mode="before")
    @classmethod
    def _range(cls, value: object) -> object:
        if isinstance(value, list):
            value = tuple(value)
        if isinstance(value, tuple) and len(value) == 2 and all(isinstance(end, int | float) for end in value):
            low, high = (float(end) for end in value)
            if not 0 <= low <= high:
                raise ValueError("give [smallest, largest], both at least 0, such as [0.7, 1.3]")
            return low, high
        return value

    @property
    def active(self) -> bool:
        """Whether any change is asked for at all."""
        return self != AugmentSettings()


class TrainSettings(Settings):
    """`[train]`: how the weights are found."""

    epochs: int = Field(5, ge=1, description="passes over the training images")
    batch_size: int = Field(128, ge=1, description="images a step, over all workers")
    optimizer: Literal["sgd", "adam", "adamw"] = "adam"
    lr: float = Field(1e-3, gt=0, description="learning rate (the highest one of a schedule)")
    momentum: float = Field(0.0, ge=0, lt=1, description="SGD only")
    nesterov: bool = Field(False, description="SGD with momentum only")
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = Field(
        (0.9, 0.999), description="Adam and AdamW only"
    )
    epsilon: float = Field(1e-8, gt=0, description="Adam and AdamW only")
    weight_decay: float = Field(0.0, ge=0)
    schedule: Literal["constant", "step", "cosine", "onecycle"] = "constant"
    warmup_epochs: float = Field(0.0, ge=0, description="the learning rate rises linearly from 0 for so long")
    step_epochs: float = Field(10.0, gt=0, description="schedule step: epochs between two reductions")
    step_factor: float = Field(0.1, gt=0, lt=1, description="schedule step: what the learning rate is multiplied by")
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    class_weights: list[float] | Literal["none", "balanced"] = Field(
        "none", description="weight of each class in the loss, in the order of the labels"
    )
    clip_norm: Annotated[float, Field(gt=0)] | None = Field(None, description="largest norm of the gradient")
    ema: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="decay of an exponential moving average of the weights, which is then what is evaluated and kept",
    )
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    memory_format: Literal["auto", "contiguous", "channels_last"] = "auto"
    monitor: Literal["valid_loss", "valid_accuracy", "train_loss", "train_accuracy"] = Field(
        "valid_loss", description="the figure that chooses the best weights and stops early"
    )
    mode: Literal["auto", "min", "max"] = "auto"
    patience: Annotated[int, Field(ge=1)] | None = Field(None, description="epochs without improvement before it stops")
    min_delta: float = Field(0.0, ge=0, description="what counts as an improvement")
    seed: int = Field(0, ge=0, le=2**63 - 1)
    device: str = Field("auto", description='"auto", "cpu", "cuda", "cuda:1" or "mps"')
    threads: int = Field(0, ge=0, description="CPU threads; 0 for as many as PyTorch would take")
    checkpoint_seconds: float = Field(15.0, gt=0, description="about how often the state is saved within an epoch")

    @field_validator("betas", mode="before")
    @classmethod
    def _pair(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("device")
    @classmethod
    def _device(cls, value: str) -> str:
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", value):
            raise ValueError('expected "auto", "cpu", "cuda", "cuda:1" or "mps"')
        return value

    @field_validator("class_weights")
    @classmethod
    def _class_weights(cls, value: list[float] | str) -> list[float] | str:
        if isinstance(value, list) and (not value or any(weight < 0 for weight in value) or not any(value)):
            raise ValueError("give one weight of at least 0 for each class, not all of them 0")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.nesterov and (self.optimizer != "sgd" or not self.momentum):
            raise ValueError('nesterov needs optimizer = "sgd" and a momentum such as 0.9')
        if self.momentum and self.optimizer != "sgd":
            raise ValueError(f'momentum belongs to optimizer = "sgd"; {self.optimizer} has betas')
        return self


class StageSettings(Settings):
    """A `[[stage]]`: what is frozen, and whatever of `[train]` is different in it."""

    name: str = Field(description="how the stage is called in the history")
    freeze: list[str] = Field([], description='layers whose weights stay, by name or pattern, such as "conv*"')
    train: dict[str, Any] = Field({}, description="keys of [train] that differ in this stage")


class Recipe(Settings):
    """What to do, as data: which images, which network, which augmentation, how to train.

    Read one with `Recipe.load(name_or_file)`, change it with `with_values`, write it with `save`.
    """

    description: str = ""
    data: DataSettings = DataSettings()
    model: ModelSettings = ModelSettings()
    augment: AugmentSettings = AugmentSettings()
    train: TrainSettings = TrainSettings()
    stage: list[StageSettings] = []

    @model_validator(mode="after")
    def _stages_are_sound(self) -> Self:
        for stage in self.stage:
            fixed = sorted(set(stage.train) & _SAME_IN_ALL_STAGES)
            if fixed:
                raise ValueError(f"stage {stage.name!r}: {', '.join(fixed)} cannot differ between stages")
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
                f"{_nearest(str(name_or_file), builtin_names())} Built in: {', '.join(builtin_names())}."
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
            raise RecipeError(_explain_all(error, source)) from error

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
                    f"{_from(source)}{key!r}: expected table.key such as train.epochs;"
                    f" the tables are {', '.join(known)}.{_nearest(key, _all_keys())}"
                )
            if value is None:
                table.pop(name, None)
            else:
                table[name] = value
        return self._validated(tables, source)

    def stages(self) -> tuple[Stage, ...]:
        """Resolve the stages of the training: plain training is a single one, named `train`."""
        if not self.stage:
            return (Stage("train", (), self.train),)
        base = self.train.model_dump(exclude_none=True)
        resolved = []
        for stage in self.stage:
            try:
                settings = TrainSettings.model_validate(base | stage.train)
            except ValidationError as error:
                raise RecipeError(_explain_all(error, f"stage {stage.name!r}", "train")) from error
            resolved.append(Stage(stage.name, tuple(stage.freeze), settings))
        return tuple(resolved)

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


_SAME_IN_ALL_STAGES = frozenset(
    {"seed", "device", "threads", "precision", "memory_format", "monitor", "mode", "checkpoint_seconds"}
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
        homes = [full for full in _all_keys() if full == name or full.partition(".")[2] == name]
        homes = [full for full in homes if not full.startswith("stage.")]
        if not homes:
            raise RecipeError(f"there is no setting {name!r}.{_setting_advice(name)}")
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


def _all_keys() -> list[str]:
    return [f"{table}.{key}" for table, settings in _TABLES.items() for key in settings.model_fields]


_TABLES: dict[str, type[Settings]] = {
    "data": DataSettings,
    "model": ModelSettings,
    "augment": AugmentSettings,
    "train": TrainSettings,
    "stage": StageSettings,
}


def _nearest(word: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" Did you mean {found[0]!r}?" if found else ""


def _explain_all(error: ValidationError, source: str, table: str = "") -> str:
    """Give each wrong key one line, whatever the number of alternatives that it failed to be."""
    lines: dict[str, str] = {}
    for problem in error.errors():
        key, line = _explain(problem, source, table)
        lines.setdefault(key, line)
    return "\n".join(lines.values())


def _explain(problem: Any, source: str, table: str) -> tuple[str, str]:
    """Put one of pydantic's findings into a sentence with the key, the value and what would do."""
    location = [table, *problem["loc"]] if table else list(problem["loc"])
    names = [str(part) for part in location if not isinstance(part, int)]
    key = ".".join(names[:2]) if names and names[0] in _TABLES else ".".join(names[:1])
    if problem["type"] == "extra_forbidden":
        return key, f"{_from(source)}{key}: there is no such key.{_key_advice(names)}"
    if problem["type"] == "missing":
        return key, f"{_from(source)}{key}: this key is needed."
    value = f"{key} = {_shown(problem['input'])}: " if key else ""
    if key in _TABLES and problem["type"] == "value_error":
        # What does not go together has its keys in the reason; the whole table would bury it.
        value = f"[{key}]: "
    return key, f"{_from(source)}{value}{_reason(problem, names)}"


def _from(source: str) -> str:
    return f"{source}: " if source else ""


def _setting_advice(name: str) -> str:
    table, _, key = name.partition(".")
    own = [full for full in _all_keys() if full.startswith(f"{table}.")]
    homes = [full for full in _all_keys() if full.partition(".")[2] in (key, table) and not own]
    if homes:
        return f" Did you mean {homes[0]!r}?"
    return _nearest(name, own or [*_all_keys(), *(full.partition(".")[2] for full in _all_keys())])


def _key_advice(location: list[str]) -> str:
    if len(location) == 1:
        tables = ["description", *_TABLES]
        advice = _nearest(location[0], [*tables, *(key.partition(".")[2] for key in _all_keys())])
        homes = [full for full in _all_keys() if full.partition(".")[2] == location[0]]
        if homes:
            return f" It belongs to a table: {' or '.join(homes)}."
        return f"{advice} A recipe has the tables {', '.join(f'[{name}]' for name in _TABLES)}."
    fields = list(_TABLES[location[0]].model_fields) if location[0] in _TABLES else []
    wanted = location[-1]
    elsewhere = [full for full in _all_keys() if full.partition(".")[2] == wanted]
    if elsewhere:
        return f" It belongs to [{elsewhere[0].partition('.')[0]}]."
    return _nearest(wanted, fields) or f" The keys of [{location[0]}] are: {', '.join(fields)}."


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


_KINDS = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
}


_LIMITS = {
    "greater_than_equal": "of at least {ge:g}",
    "greater_than": "above {gt:g}",
    "less_than_equal": "of at most {le:g}",
    "less_than": "below {lt:g}",
    "finite_number": "that is finite",
}


def _reason(problem: Any, names: list[str]) -> str:
    if problem["type"] == "value_error":
        return f"{problem['ctx']['error']}."
    field = _TABLES[names[0]].model_fields.get(names[1]) if len(names) > 1 and names[0] in _TABLES else None
    if field and field.description and (len(names) > 2 or problem["type"].endswith("_type")):
        kind = _KINDS.get(problem["type"]) if len(names) == 2 else None
        return f"expected {kind} ({field.description})." if kind else f"expected: {field.description}."
    if problem["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", problem["ctx"]["expected"])
        return f"expected {problem['ctx']['expected']}.{_nearest(str(problem['input']), choices)}"
    limit = _LIMITS.get(problem["type"])
    if limit is not None:
        meaning = f": {field.description}" if field and field.description else ""
        return f"expected a number {limit.format(**problem.get('ctx', {}))}{meaning}."
    if field and field.description:
        return f"expected: {field.description}."
    message = str(problem["msg"])
    if problem["type"].endswith("_type") and len(names) == 1:
        message = "Input should be a table"
    return f"expected {message.removeprefix('Input should be ').removeprefix('a valid ')}."
