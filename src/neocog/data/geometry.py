"""The geometry of an image set: the size, channels and fit that training and prediction share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from neocog.errors import DataError

Resize = Literal["crop", "letterbox", "squash", "pad", "center", "imagenet"]


@dataclass(frozen=True)
class Geometry:
    """How a picture of any size and mode becomes a uint8 array (C, H, W). Recorded beside the weights.

    `image_size` is (height, width) in pixels, `channels` is 1 (grayscale) or 3 (RGB). `resize` says how
    another aspect ratio is made to fit: "crop" fills the frame and cuts the overhang equally on both sides,
    "letterbox" shows the whole picture on black bars, "squash" stretches it; "pad" keeps the picture's own size
    and centres it on black, and only shrinks one that is larger, as "letterbox" does; "center" keeps the picture's own
    size too, and cuts off what lies outside the frame; "imagenet" shows the middle 87.5 % of what "crop" shows (224 of
    256 pixels), by a bicubic filter, as networks for ImageNet are evaluated. Raises `DataError` for values out of
    range.
    """

    image_size: tuple[int, int]
    channels: int
    resize: Resize = "crop"

    def __post_init__(self) -> None:
        if len(self.image_size) != 2 or any(not 1 <= side <= 8192 for side in self.image_size):
            raise DataError(
                f"image_size is height and width, each from 1 to 8192 pixels; got {self.image_size}. "
                "Write for example (64, 64)."
            )
        if self.channels not in (1, 3):
            raise DataError(f"channels is 1 (grayscale) or 3 (colour); got {self.channels}.")
        if self.resize not in get_args(Resize):
            raise DataError(
                f'resize is "crop", "letterbox", "squash", "pad", "center" or "imagenet"; got {self.resize!r}.'
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of a decoded image."""
        return (self.channels, *self.image_size)

    def centred(self, height: int, width: int) -> tuple[int, int]:
        """(top, left) of a picture of `height` x `width` in the middle of the frame; an odd rest is below and right.

        Negative where the picture is larger than the frame.
        """
        return (self.image_size[0] - height) // 2, (self.image_size[1] - width) // 2

    @property
    def image_bytes(self) -> int:
        """Bytes of one decoded image."""
        return self.channels * self.image_size[0] * self.image_size[1]
