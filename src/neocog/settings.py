"""The tables of a recipe: every key with its type, its default and its limits. Nothing here imports torch."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

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
    resize: Literal["crop", "letterbox", "squash", "pad", "center", "imagenet"] = Field(
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
    skip_list: str | None = Field(
        None, description="a file that names images to leave out, as neocog audit --write-list writes it"
    )
    cache: Literal["auto", "memory", "disk"] = Field("auto", description="where decoded images live while training")
    mean: list[float] | Literal["auto"] | None = Field(
        None,
        description="subtracted from pixels in [0, 1], one a channel or one for all; "
        "left out: 0, or what published weights were trained with",
    )
    std: list[float] | Literal["auto"] | None = Field(
        None,
        description="pixels are divided by it, one a channel or one for all; "
        "left out: 1, or what published weights were trained with",
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
    def _std(cls, value: list[float] | str | None) -> list[float] | str | None:
        if isinstance(value, list) and any(number <= 0 for number in value):
            raise ValueError("every value must be greater than 0")
        return value

    @field_validator("mean", "std")
    @classmethod
    def _one_or_each(cls, value: list[float] | str | None) -> list[float] | str | None:
        if isinstance(value, list) and len(value) not in (1, 3):
            raise ValueError("give one number, or three for colour images")
        return value


class ModelSettings(Settings):
    """`[model]`: the network and how its weights begin."""

    network: str = Field(
        "", description="a name, a network in the notation, or a Python path such as mypackage.nets:build"
    )
    pretrained: str = Field(
        "", description='where all weights but the head\'s come from: "imagenet", a weights file or a run'
    )
    num_classes: Annotated[int, Field(ge=1)] | None = Field(None, description="checked against the data where given")
    init: Literal["default", "glorot", "lecun-1998"] = Field(
        "default",
        description="initial weights: PyTorch's, Glorot uniform with zero biases, or uniform within 2.4 / fan-in",
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
    mixup: float = Field(
        0.0,
        ge=0,
        description="alpha of MixUp: two images and their labels are blended by a share from Beta(alpha, alpha)",
    )
    cutmix: float = Field(
        0.0,
        ge=0,
        description="alpha of CutMix: a rectangle comes from another image, and so does its share of the label",
    )
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
    optimizer: Literal["sgd", "adam", "adamw", "muon", "logistic-regression"] = Field(
        "adam",
        description='"logistic-regression" solves the last linear layer, where all else is frozen, in one epoch',
    )
    l2_penalty: Annotated[float, Field(gt=0)] | Literal["auto"] = Field(
        "auto", description="logistic-regression only: 1 / C of scikit-learn; auto: chosen by cross-validation"
    )
    layer_lr_decay: float = Field(
        1.0, gt=0, le=1, description="the learning rate of each block is that of the next one, times this"
    )
    freeze_batch_norm: bool = Field(
        False, description="batch norm normalises by the statistics that it has, and they stay as they are"
    )
    lr: float = Field(1e-3, gt=0, description="learning rate (the highest one of a schedule)")
    muon_lr: float = Field(
        0.1, gt=0, description="Muon only: learning rate of the convolutions' kernels; lr is that of all else, by AdamW"
    )
    momentum: float = Field(0.0, ge=0, lt=1, description="SGD only")
    nesterov: bool = Field(False, description="SGD with momentum only")
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = Field(
        (0.9, 0.999), description="Adam, AdamW and Muon only"
    )
    epsilon: float = Field(1e-8, gt=0, description="Adam, AdamW and Muon only")
    weight_decay: float = Field(0.0, ge=0)
    schedule: Literal["constant", "step", "cosine", "onecycle"] = "constant"
    warmup_epochs: float = Field(0.0, ge=0, description="the learning rate rises linearly from 0 for so long")
    step_epochs: float = Field(10.0, gt=0, description="schedule step: epochs between two reductions")
    step_factor: float = Field(0.1, gt=0, lt=1, description="schedule step: what the learning rate is multiplied by")
    loss: Literal["cross_entropy", "map"] = Field(
        "cross_entropy", description="map: the criterion of LeCun et al. 1998 (eq. 9), for a network that ends in rbf"
    )
    map_constant: float = Field(
        1.0, gt=0, description="loss map only: the penalty j at which no digit at all is as likely as a digit"
    )
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
    kernels: Literal["auto", "off", "amx", "avx512", "avx2"] = Field(
        "auto", description='level of the fused CPU blocks; "off" for PyTorch\'s own layers'
    )
    monitor: Literal["valid_loss", "valid_accuracy", "train_loss", "train_accuracy"] = Field(
        "valid_loss", description="the figure that chooses the best weights and stops early"
    )
    mode: Literal["auto", "min", "max"] = "auto"
    keep: Literal["best", "last"] = Field(
        "best", description="the weights that the run ends with: of the best epoch, or of the last"
    )
    validation_dropout: bool = Field(
        False, description="dropout stays active in validation, as in a loop that never switches to evaluation"
    )
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
        if self.layer_lr_decay != 1 and self.optimizer == "muon":
            raise ValueError("layer_lr_decay does not go with muon; take adamw or sgd")
        if self.loss == "map" and self.label_smoothing:
            raise ValueError('label_smoothing belongs to loss = "cross_entropy"; leave it out for loss = "map"')
        return self


class StageSettings(Settings):
    """A `[[stage]]`: what is frozen, and whatever of `[train]` is different in it."""

    name: str = Field(description="how the stage is called in the history")
    freeze: list[str] = Field([], description='layers whose weights stay, by name or pattern, such as "conv*"')
    augment: bool = Field(True, description="false: the images as they are, whatever [augment] says")
    train: dict[str, Any] = Field({}, description="keys of [train] that differ in this stage")


TABLES: dict[str, type[Settings]] = {
    "data": DataSettings,
    "model": ModelSettings,
    "augment": AugmentSettings,
    "train": TrainSettings,
    "stage": StageSettings,
}


def all_keys() -> list[str]:
    """Give every key with its table, such as `train.epochs`."""
    return [f"{table}.{key}" for table, settings in TABLES.items() for key in settings.model_fields]
