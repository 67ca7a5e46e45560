"""An explanation as a picture: the image and what it shows, the kernels, one value, the feature maps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from neocog.explain.colours import SIGNED, show_image, show_map
from neocog.explain.picture_maps import maps_section
from neocog.explain.picture_value import value_section
from neocog.explain.sheet import MARGIN, Area, Section, draw_sheet
from neocog.explain.text import answer_text, method_text
from neocog.report.canvas import BLUE, GRAY, INK, LINE, ORANGE
from neocog.report.fonts import shorten

if TYPE_CHECKING:
    from neocog.explain.explanation import Explanation

_WIDTH = 11.0
_SIDE = 2.35
_KERNEL = 0.62
_MOST_KERNELS = 32
_BAR = 0.36
_MOST_BARS = 6
_WIDEST_HEAD = 30  # columns, above a picture
_HEAT = LinearSegmentedColormap.from_list("heat", [(0.84, 0.37, 0.0, 0.0), (0.84, 0.37, 0.0, 0.9)])


def draw(explanation: Explanation, path: str | Path) -> Path:
    """Draw an explanation into a PNG file; gives its path. Raises `NeocogError` where it cannot be written."""
    sections = [_first_section(explanation), *_kernels_section(explanation), value_section(explanation)]
    sections.append(maps_section(explanation, _WIDTH - 2 * MARGIN))
    title = shorten(answer_text(explanation, Path(explanation.source).name), 90)
    return draw_sheet(path, title, sections, _WIDTH, [*explanation.classes, explanation.source, "×"])


def _first_section(explanation: Explanation) -> Section:
    height, width = explanation.image.shape[1:]
    tall = min(_SIDE * height / width, 2 * _SIDE)
    bars = _BAR * len(explanation.top(_MOST_BARS))

    def paint(area: Area) -> None:
        panels = [_draw_image, _draw_attribution, _draw_map, _draw_probabilities]
        for number, panel in enumerate(panels):
            left = number * (_SIDE + 0.35)
            panel(explanation, area, (left, 0.5, _SIDE if number < 3 else area.width - left, tall))

    return Section(method_text(explanation), max(tall, bars) + 0.5, paint)


def _draw_image(explanation: Explanation, area: Area, place: tuple[float, float, float, float]) -> None:
    axes = area.axes(*place)
    show_image(axes, explanation.image)
    _caption(area, place, "the image", "boxed: what the value on the right sees")
    if explanation.field is not None:
        (top, bottom), (left, right) = explanation.field.inside
        box = Rectangle(
            (left - 0.5, top - 0.5), right - left + 1, bottom - top + 1, fill=False, edgecolor=ORANGE, linewidth=2,
            clip_on=False,
        )  # fmt: skip
        axes.add_patch(box)


def _draw_attribution(explanation: Explanation, area: Area, place: tuple[float, float, float, float]) -> None:
    axes = area.axes(*place)
    target = explanation.classes[explanation.target]
    values = explanation.attribution
    signed = bool(values.min() < 0)
    show_image(axes, explanation.image, faded=True)
    # A few pixels can stand far above all others, and would leave these without any colour.
    high = float(np.percentile(np.abs(values), 99.5)) or float(np.abs(values).max()) or 1.0
    if signed:
        shares = np.clip(values / high, -1, 1)
        colours = SIGNED((shares + 1) / 2)
        colours[..., 3] = np.abs(shares) ** 0.6
        axes.imshow(colours, interpolation="nearest")
    else:
        axes.imshow(np.clip(values / high, 0, 1), cmap=_HEAT, vmin=0, vmax=1, interpolation="nearest")
    what = "orange speaks for it, blue against it" if signed else "orange speaks for it"
    _caption(area, place, f"what speaks for {shorten(target, 16)}", what)


def _draw_map(explanation: Explanation, area: Area, place: tuple[float, float, float, float]) -> None:
    view, value = explanation.view(explanation.layer), explanation.pixel
    if view is None or view.values.ndim != 3 or len(value.place) != 3:
        _draw_unit(explanation, area, place)
        return
    channel, row, column = value.place
    axes = area.axes(*place, frame=True)
    signed = bool(view.values.min() < 0)
    show_map(axes, view.values[channel], signed=signed)
    colour = INK if signed else ORANGE
    # A single value of a large map would be too small to see.
    size = max(1.0, max(view.values.shape[1:]) / 24)
    mark = Rectangle(
        (column - size / 2, row - size / 2), size, size, fill=False, edgecolor=colour, linewidth=2, clip_on=False
    )
    axes.add_patch(mark)
    head = shorten(f"channel {channel} of {explanation.layer}", _WIDEST_HEAD)
    _caption(area, place, head, f"boxed: the value {value.output:.4g}")


def _draw_unit(explanation: Explanation, area: Area, place: tuple[float, float, float, float]) -> None:
    """Show the weights of a unit that is connected to the pixels themselves as the image that they are."""
    value, image = explanation.pixel, explanation.image
    below = f"gives {value.output:.4g}"
    kernel = None if value.step is None else value.step.kernel
    if kernel is not None and kernel.size == image.size and kernel.ndim == 2:
        axes = area.axes(*place, frame=True)
        show_map(axes, kernel.reshape(image.shape).mean(0).astype(np.float32), signed=True)
        below += "; its weights, one for each pixel"
    _caption(area, place, f"unit {value.place[0]} of {explanation.layer}", below)


def _draw_probabilities(explanation: Explanation, area: Area, place: tuple[float, float, float, float]) -> None:
    left, top, width, _ = place
    bars = explanation.top(_MOST_BARS)
    _caption(area, place, "the answer", "")
    axes = area.axes(left, top, width, _BAR * len(bars))
    axes.barh(range(len(bars)), [1.0] * len(bars), color=LINE, height=0.32)
    axes.barh(range(len(bars)), [share for _, share in bars], color=BLUE, height=0.32)
    axes.set(xlim=(0, 1), ylim=(len(bars) - 0.5, -0.75))
    for number, (label, share) in enumerate(bars):
        axes.text(0, number - 0.24, area.letters.drawable(shorten(label, 22)), fontsize=8.5, color=INK, va="bottom")
        axes.text(1, number - 0.24, f"{100 * share:.1f} %", fontsize=8.5, color=GRAY, va="bottom", ha="right")


def _kernels_section(explanation: Explanation) -> list[Section]:
    kernels = explanation.kernels
    if kernels is None or kernels.shape[2:] == (1, 1):
        return []
    channel = explanation.kernels_channel or 0
    # Only what looks at the image itself has red, green and blue to show.
    colour = kernels.shape[1] == len(explanation.image) == 3 and explanation.kernels_layer == explanation.layers[0].name
    if kernels.shape[1] == 1 or colour:
        shown, what = kernels[:_MOST_KERNELS], f"the kernels of {explanation.kernels_layer}"
    else:
        shown = kernels[channel][:_MOST_KERNELS, None]
        what = f"the kernel of channel {channel} of {explanation.kernels_layer}, one part for each input channel"
    what += ", as colours" if colour else ": orange is positive, blue negative"
    total = len(kernels) if kernels.shape[1] == 1 or colour else kernels.shape[1]
    what += f" (the first {len(shown)} of {total})" if total > len(shown) else ""
    columns = int((_WIDTH - 2 * MARGIN) / (_KERNEL + 0.1))
    rows = -(-len(shown) // columns)

    def paint(area: Area) -> None:
        high = float(np.abs(shown).max()) or 1.0
        for number, kernel in enumerate(shown):
            row, column = divmod(number, columns)
            axes = area.axes(column * (_KERNEL + 0.1), row * (_KERNEL + 0.28), _KERNEL, _KERNEL, frame=True)
            _show_kernel(axes, kernel, high)
            axes.set_xlabel(str(number), fontsize=7, color=GRAY, labelpad=1)

    return [Section(what, rows * (_KERNEL + 0.28) - 0.1, paint)]


def _show_kernel(axes: Axes, kernel: NDArray[np.float32], high: float) -> None:
    if len(kernel) == 3:
        axes.imshow(np.clip(kernel.transpose(1, 2, 0) / high / 2 + 0.5, 0, 1), interpolation="nearest", aspect="auto")
    else:
        axes.imshow(kernel[0], cmap=SIGNED, vmin=-high, vmax=high, interpolation="nearest", aspect="auto")


def _caption(area: Area, place: tuple[float, float, float, float], text: str, below: str) -> None:
    area.write(place[0], 0.02, text, size=9.5)
    area.write(place[0], 0.22, below, size=8, color=GRAY)
