"""All there is to say about one image and one network, and the two ways of looking at it: as text and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neocog.errors import DataError, ModelError
from neocog.explain.attribution import METHODS, Method, attribute, usual_attribution
from neocog.explain.cam_layer import usual_layer
from neocog.explain.field import Field, field_of
from neocog.explain.forward import Call, Forward, record
from neocog.explain.pixel import PixelArithmetic, chain, is_pointwise
from neocog.explain.places import choose_layer, choose_place
from neocog.explain.written import written_layers
from neocog.models.lenet import TableConv2d
from neocog.models.scaling import ScaledNetwork
from neocog.models.trace import is_layer, module_text

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LayerView:
    """What one layer gave for the image.

    `what` is the layer in the notation, or as PyTorch prints it; `values` its output, float32 without the batch:
    (C, H, W) for maps, (F,) once flat. `pointwise` is set where each value follows from the one value at the same place
    before it: an activation, a norm.
    """

    name: str
    what: str
    values: Floats
    pointwise: bool = False

    @property
    def zeros(self) -> float:
        """The share of its values that are 0, from 0 to 1."""
        return float((self.values == 0).mean()) if self.values.size else 0.0


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a network makes of one image; `text()` for the terminal, `save()` for a picture.

    Attributes:
        image: what the model was given, float32 (C, H, W): pixels from 0 to 255 for a classifier.
        classes: the labels.
        probabilities: float64 (K,), the softmax of the logits.
        target: the index of the class that the attribution speaks for.
        layers: what each layer gave, in the order in which they were called, and the block that is looked at.
        layer: the name of the layer that is looked at.
        chain: the arithmetic of one of its values, from the layer with a window that it comes from to the last
            activation behind it; `pixel` is the layer's own.
        field: the pixels of the image that the value sees; None where none do.
        kernels: weights, (out, in, height, width): of the layer that is looked at, or of the one whose channels it goes
            on with, such as a pool; else of the first convolution; None without any.
        kernels_layer: the name of that layer.
        kernels_channel: which of the kernels the value comes from; None where it comes from no single one.
        method: how the attribution was computed.
        attribution: float32 (H, W): which pixels speak for the target, and (below 0) against it.
        attribution_layer: the layer whose maps Grad-CAM used; empty for the other methods.
        scaling: what the network makes of a pixel before its first layer, in words; empty where nothing.
        source: the name of the image.
    """

    image: Floats
    classes: tuple[str, ...]
    probabilities: NDArray[np.float64]
    target: int
    layers: tuple[LayerView, ...]
    layer: str
    chain: tuple[PixelArithmetic, ...]
    field: Field | None
    kernels: Floats | None
    kernels_layer: str
    kernels_channel: int | None
    method: Method
    attribution: Floats
    attribution_layer: str = ""
    scaling: str = ""
    source: str = "image"

    @property
    def pixel(self) -> PixelArithmetic:
        """The arithmetic of the value that is looked at."""
        return next(part for part in self.chain if part.layer == self.layer)

    @property
    def agrees(self) -> bool:
        """Whether each value that was worked out is the network's own, up to rounding."""
        return all(part.agrees for part in self.chain)

    @property
    def label(self) -> str:
        """The most probable class."""
        return self.classes[int(self.probabilities.argmax())]

    def top(self, most: int = 3) -> tuple[tuple[str, float], ...]:
        """Give the most probable classes with their probabilities."""
        order = np.argsort(-self.probabilities, kind="stable")[:most]
        return tuple((self.classes[index], float(self.probabilities[index])) for index in order)

    def view(self, name: str) -> LayerView | None:
        """Give what the layer called `name` gave."""
        return next((layer for layer in self.layers if layer.name == name), None)

    def text(self, *, width: int = 110) -> str:
        """Write everything out as plain text, `width` characters wide where it can be."""
        from neocog.explain.text import explanation_text

        return explanation_text(self, width)

    def save(self, path: str | Path) -> Path:
        """Draw everything into a PNG file; gives its path. Raises `NeocogError` where it cannot be written."""
        from neocog.explain.picture import draw

        return draw(self, path)


def explain(
    model: nn.Module,
    image: Tensor | NDArray[Any],
    *,
    layer: str | None = None,
    channel: int | None = None,
    at: int | Sequence[int] | None = None,
    method: Method | None = None,
    target: int | str | None = None,
    classes: Sequence[str] | None = None,
    temperature: float = 1.0,
    source: str = "image",
) -> Explanation:
    """Explain what a network makes of one image.

    Args:
        model: any module that takes images (N, C, H, W) and gives logits (N, K).
        image: what the model takes, a tensor or an array (C, H, W), uint8 or float.
        layer: the layer to look at; left out, the first convolution, or else the first layer with weights.
        channel: a channel of its output; left out, the one that fired most.
        at: (row, column) in that channel, or the number of a unit of a flat layer; left out, where it fired most.
        method: "gradcam", "occlusion" or "integrated-gradients"; left out, Grad-CAM, or integrated gradients where no
            convolution gives maps, or occlusion where no gradient comes through.
        target: the class that the attribution speaks for, its label or its index; left out, the most probable.
        classes: the labels; left out, the numbers from 0.
        temperature: what the logits are divided by before the softmax.
        source: a name for the image.

    Raises:
        ModelError: no such layer, channel, place or method; a model that cannot take the image, or gives no logits.
        DataError: an image that is not (C, H, W), or a target that is no class.
    """
    if method is not None and method not in METHODS:
        raise ModelError(f"no method is called {method!r}; there are {', '.join(METHODS)}.")
    given = _as_floats(image)
    forward = record(model, given)
    probabilities = _probabilities(forward, temperature)
    names = tuple(classes) if classes is not None else tuple(map(str, range(len(probabilities))))
    if len(names) != len(probabilities):
        raise DataError(f"the network gives {len(probabilities)} logits, but there are {len(names)} classes.")
    goal = _target(target, names, probabilities)
    call = choose_layer(forward, layer)
    place = choose_place(call, channel, at)
    used, cam_layer, attribution = _attribution(method, model, forward, goal)
    convolution, same = _convolution(forward, call)
    return Explanation(
        image=forward.image[0].detach().cpu().to(torch.float32).numpy(),
        classes=names,
        probabilities=probabilities,
        target=goal,
        layers=_layers(forward, call),
        layer=call.name,
        chain=chain(forward, call, place),
        field=field_of(model, forward, call, place),
        kernels=None if convolution is None else _weights(convolution.module),
        kernels_layer="" if convolution is None else convolution.name,
        kernels_channel=place[0] if same else None,
        method=used,
        attribution=attribution,
        attribution_layer=cam_layer,
        scaling=_scaling(model),
        source=source,
    )


def _as_floats(image: Tensor | NDArray[Any]) -> Tensor:
    if not isinstance(image, Tensor | np.ndarray):
        raise DataError(f"expected an image as a tensor or an array (C, H, W); got {type(image).__name__}.")
    given = torch.as_tensor(image)
    # PyTorch's networks are in float32 as a rule, NumPy's numbers in float64.
    return given if given.is_floating_point() and isinstance(image, Tensor) else given.to(torch.float32)


def _probabilities(forward: Forward, temperature: float) -> NDArray[np.float64]:
    logits = forward.logits
    if logits is None or logits.ndim != 2:
        what = "no tensor" if logits is None else f"the shape {tuple(logits.shape)}"
        raise ModelError(f"expected a network that gives logits (N, classes); got {what}.")
    if not torch.isfinite(logits).all():
        raise ModelError(_astray(forward))
    found: NDArray[np.float64] = torch.softmax(logits[0].double() / temperature, 0).cpu().numpy()
    return found


def _astray(forward: Forward) -> str:
    bad = [call.name for call in forward.layers() if call.output is not None and not call.output.isfinite().all()]
    first = f"; {bad[0]} is the first layer that does" if bad else ""
    return (
        f"the network gives numbers that are not finite for this image{first}, so nothing can be said of its answer. "
        "Its training went astray, or its weights are damaged: train anew."
    )


def _target(target: int | str | None, classes: Sequence[str], probabilities: NDArray[np.float64]) -> int:
    if target is None:
        return int(probabilities.argmax())
    if isinstance(target, str) and target in classes:
        return classes.index(target)
    if isinstance(target, int | np.integer) and 0 <= target < len(classes):
        return int(target)
    shown = ", ".join(classes[:40]) + (f" and {len(classes) - 40} more" if len(classes) > 40 else "")
    raise DataError(f"there is no class {target!r}. The network knows {shown}.")


def _attribution(method: Method | None, model: nn.Module, forward: Forward, target: int) -> tuple[Method, str, Floats]:
    """Give the method, the layer where it is Grad-CAM, and what it finds."""
    image, targets = forward.image, torch.tensor([target])
    if method is None:
        found, method = usual_attribution(model, image, targets)
    else:
        found = attribute(method, model, image, targets)
    return method, usual_layer(forward) if method == "gradcam" else "", found[0].numpy()


def _layers(forward: Forward, chosen: Call) -> tuple[LayerView, ...]:
    written = {name: layer.text for name, layer in written_layers(forward).items()}
    return tuple(
        LayerView(
            call.name,
            written.get(call.name) or module_text(call.module),
            _values(call.output),
            is_pointwise(call.module),
        )
        for call in forward.calls()
        if call.output is not None and (call is chosen or is_layer(call.module))
    )


def _values(output: Tensor) -> Floats:
    values: Floats = output[0].to(torch.float32).cpu().numpy()
    return values


def _convolution(forward: Forward, call: Call) -> tuple[Call | None, bool]:
    """Give the convolution whose kernels to show, and whether its channels are those of the call.

    It is the call itself, or the one before it with nothing between that mixes channels; else the first of all.
    """
    layers = forward.layers()
    before = layers[: layers.index(call) + 1] if call in layers else []
    for layer in reversed(before):
        if isinstance(layer.module, nn.Conv2d | TableConv2d):
            return layer, True
        mixes = any(weight.ndim > 1 for weight in layer.module.parameters(recurse=False))
        if mixes or not layer.inputs or layer.inputs[0].shape[1:2] != layer.shape[:1]:
            break
    return next((layer for layer in layers if isinstance(layer.module, nn.Conv2d | TableConv2d)), None), False


def _weights(module: nn.Module) -> Floats:
    if isinstance(module, TableConv2d):
        return _full_kernels(module)
    assert isinstance(module, nn.Conv2d)
    weights: Floats = module.weight.detach().to("cpu", torch.float32).numpy()
    return weights


def _full_kernels(layer: TableConv2d) -> Floats:
    """Give the kernels of a table as those of a full convolution, zero where nothing is connected."""
    full = np.zeros((len(layer.table), layer.in_channels, *layer.kernel), dtype=np.float32)
    connected = iter(layer.weight.detach().to("cpu", torch.float32).numpy())
    for output, seen in enumerate(layer.table):
        for map_ in seen:
            full[output, map_] = next(connected)
    return full


def _scaling(model: nn.Module) -> str:
    if not isinstance(model, ScaledNetwork):
        return ""
    mean, std = model.scaling.mean.flatten().tolist(), model.scaling.std.flatten().tolist()
    text = "pixel / 255"
    if any(mean):
        text = f"({text} - {_numbers(mean)})"
    if any(value != 1 for value in std):
        text = f"{text} / {_numbers(std)}"
    return text


def _numbers(values: Sequence[float]) -> str:
    different = [f"{value:.4g}" for value in values]
    return different[0] if len(set(different)) == 1 else f"({', '.join(different)})"
