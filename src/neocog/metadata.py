"""What stands beside the weights in a `.safetensors` file: all it takes to use them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from neocog.errors import WeightsError

FORMAT = 1


@dataclass(frozen=True)
class Metadata:
    """The metadata of a classifier's weights.

    `network` is a text in the notation, the name of a network, or the Python path of a user's own, as `kind` says.
    `image_size` is (height, width); `mean` and `std` belong to pixels in [0, 1]. `figures` are those of the best
    epoch and of the test set, where there was one. Probabilities are the softmax of the logits divided by
    `temperature`: 1 unless the classifier was calibrated.
    """

    network: str
    kind: str
    classes: tuple[str, ...]
    image_size: tuple[int, int]
    channels: int
    resize: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    recipe: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0

    def values(self) -> dict[str, Any]:
        """Give it as plain values that JSON can hold."""
        return {"format": FORMAT} | asdict(self)

    @classmethod
    def parse(cls, text: str | None, source: str) -> Metadata:
        """Read `values` in JSON again; `source` names the file in the `WeightsError` that anything else raises."""
        if text is None:
            raise WeightsError(
                f"{source} has weights, but not what neocog stores beside them (network, labels, preprocessing). "
                "Expected a best.safetensors of a run, or a run folder."
            )
        try:
            values = json.loads(text)
            if values.pop("format") > FORMAT:
                raise WeightsError(f"{source} was written by a newer neocog ({values.get('version')}). Update neocog.")
            known = {item.name for item in fields(cls)}
            return TypeAdapter(cls).validate_python({key: value for key, value in values.items() if key in known})
        except ValidationError as error:
            wrong = ", ".join(sorted({str(found["loc"][0]) for found in error.errors()}))
            raise WeightsError(
                f"{source}: beside the weights, {wrong} is missing or of another kind than neocog writes. "
                "Take the file that neocog wrote, or train anew."
            ) from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise WeightsError(f"{source}: what stands beside the weights cannot be read ({error}).") from error
