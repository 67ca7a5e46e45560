"""An explanation as plain text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neocog.explain.shading import beside, shaded
from neocog.notation import shape_text
from neocog.printing import table

if TYPE_CHECKING:
    from neocog.explain.explanation import Explanation

_MOST_KERNELS = 8
_LARGEST_KERNEL = 11
_LONGEST_LAYER = 64
_INDENT = "  "


def explanation_text(explanation: Explanation, width: int) -> str:
    """Write an explanation out: the answer, the layers, the kernels, one value, its field, and the attribution."""
    parts = [
        answer_text(explanation, explanation.source),
        _layers(explanation),
        _kernels(explanation),
        _pixel(explanation, width),
        _field(explanation),
        _pictures(explanation, width),
    ]
    return "\n\n".join(part for part in parts if part)


def answer_text(explanation: Explanation, name: str) -> str:
    """Say in one line what the network makes of the image called `name`."""
    first, *others = explanation.top()
    text = f"{name}: {first[0]} ({_percent(first[1])})"
    return text + "".join(f", {label} ({_percent(share)})" for label, share in others)


def method_text(explanation: Explanation) -> str:
    """Name the method of the attribution, and what it shows."""
    target = explanation.classes[explanation.target]
    if explanation.method == "gradcam" and not explanation.attribution.any():
        return (
            f"Grad-CAM at {explanation.attribution_layer}: nothing speaks for {target}, taken over the whole map; "
            "occlusion and integrated-gradients look closer"
        )
    if explanation.method == "gradcam":
        return f"Grad-CAM at {explanation.attribution_layer}: where its maps speak for {target}"
    if explanation.method == "occlusion":
        return f"occlusion: where covering the image lowers the logit of {target}"
    return f"integrated gradients: which pixels raise the logit of {target}"


def _layers(explanation: Explanation) -> str:
    rows = [
        (
            layer.name,
            shape_text(layer.values.shape),
            f"{layer.values.min():.3g}" if layer.values.size else "",
            f"{layer.values.max():.3g}" if layer.values.size else "",
            f"{100 * layer.zeros:.0f} %",
            layer.what if len(layer.what) <= _LONGEST_LAYER else layer.what[: _LONGEST_LAYER - 1] + "…",
        )
        for layer in explanation.layers
    ]
    heads = ("layer", "output", "lowest", "highest", "zeros", "what")
    return table(heads, rows, right=("lowest", "highest", "zeros"))


def _kernels(explanation: Explanation) -> str:
    kernels = explanation.kernels
    if kernels is None or max(kernels.shape[2:]) > _LARGEST_KERNEL or kernels.shape[2:] == (1, 1):
        return ""
    channel = explanation.kernels_channel or 0
    if kernels.shape[1] == 1:
        shown, names = kernels[:, 0], [str(number) for number in range(len(kernels))]
        what = f"the kernels of {explanation.kernels_layer}"
    else:
        shown, names = kernels[channel], [str(number) for number in range(kernels.shape[1])]
        what = f"the kernel of channel {channel} of {explanation.kernels_layer}, by input channel"
    most = slice(0, _MOST_KERNELS)
    high = float(np.abs(shown).max()) or 1.0
    blocks = [[name, *shaded(kernel / high)] for name, kernel in zip(names[most], shown[most], strict=True)]
    rest = f" (the first {_MOST_KERNELS} of {len(shown)})" if len(shown) > _MOST_KERNELS else ""
    return "\n".join([f"{what}{rest}; dark is positive, - and = negative:", *_indented(beside(blocks))])


def _pixel(explanation: Explanation, width: int) -> str:
    head = "one value, with the network's own numbers"
    if explanation.scaling:
        head += f" (it takes {explanation.scaling})"
    return "\n".join([f"{head}:", *(part.text(width=width) for part in explanation.chain)])


def _field(explanation: Explanation) -> str:
    if explanation.field is None:
        return "receptive field: no pixel of the image reaches this value"
    return f"receptive field: {explanation.field}"


def _pictures(explanation: Explanation, width: int) -> str:
    side = max(8, min(40, (width - 8) // 3))
    image = explanation.image.mean(0)
    drawn = [("the image", image, True)]
    view, place = explanation.view(explanation.layer), explanation.pixel.place
    if view is not None and view.values.ndim == 3 and min(view.values.shape[1:]) > 1:
        drawn.append((f"channel {place[0]} of {explanation.layer}", view.values[place[0]], False))
    drawn.append(("what speaks for it", explanation.attribution, False))
    blocks = []
    for name, values, spread in drawn:
        lines = shaded(_even(values, spread), columns=side, tall=True)
        blocks.append([name[: max(side, 18)], *lines])
    return "\n".join([f"{method_text(explanation)}:", *_indented(beside(blocks))])


def _even(values: NDArray[np.float32], spread: bool) -> NDArray[np.float64]:
    """Bring values to -1..1: an image from its darkest to its lightest, what has a zero around that."""
    numbers = values.astype(np.float64)
    if spread:
        low, high = float(numbers.min()), float(numbers.max())
        return (numbers - low) / (high - low) if high > low else np.zeros_like(numbers)
    highest = float(np.abs(numbers).max())
    return numbers / highest if highest else numbers


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"{_INDENT}{line}".rstrip() for line in lines]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
