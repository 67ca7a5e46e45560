"""The arithmetic of a layer, written out."""

from __future__ import annotations

from collections.abc import Sequence

from neocog.notation.shapes import LayerShape, SumShape
from neocog.notation.view import View
from neocog.notation.words.base import Layer, pair_text, shape_text
from neocog.notation.words.windowed import Windowed


def why(part: LayerShape | SumShape) -> str:
    """Write out how the numbers of a layer, or of the sum of a residual block, come about.

    Lines of plain text, without a final line end.
    """
    return _why_sum(part) if isinstance(part, SumShape) else _why_layer(part)


def why_and_note(part: LayerShape | SumShape) -> str:
    """Write what `why` does, and below it the layer's note, where it has one."""
    note = None if isinstance(part, SumShape) else part.note
    return f"{why(part)}\n{note}" if note else why(part)


def titled(title: str, lines: Sequence[tuple[str, str]]) -> str:
    """Write lines of a label and a text below a title, the texts one below the other."""
    width = max(len(label) for label, _ in lines)
    return "\n".join([title, *(f"  {label:<{width}}  {text}" for label, text in lines)])


def _why_layer(part: LayerShape) -> str:
    reason = part.layer.reason(part.input_shape)
    lines = [
        ("becomes", part.torch),
        ("output", reason.output),
        ("parameters", reason.parameters or "none"),
        ("MACs", reason.macs or "none"),
        *field_reason(part.layer, part.view_in, part.view_out),
        *(("also", note) for note in reason.notes),
    ]
    return titled(f"{part.name}: {part.text}", lines)


def _why_sum(part: SumShape) -> str:
    shape = shape_text(part.output_shape)
    beside = f"{part.shortcut} gives {shape}" if part.shortcut else f"the input itself, {shape}"
    body, shortcut = field_text(part.view_body), field_text(part.view_shortcut)
    lines = [
        ("body", f"{part.body} gives {shape}"),
        ("shortcut", beside),
        ("output", f"{shape} + {shape}, value by value, so {shape}"),
        ("parameters", "none of its own"),
        ("MACs", "none"),
        ("receptive field", f"{body} and {shortcut}, together {field_text(part.view_out)}"),
    ]
    return titled(f"{part.name}: residual, body + shortcut", lines)


def field_text(view: View) -> str:
    """Write where the units look: the size of what each sees, where the first one's begins, how far apart they are.

    For example `6x6 from -2,-2 every 2`; rows before columns. Without the last where there is but one unit, or where
    ways of different steps lead to them, so that their fields differ in size.
    """
    text = f"{shape_text(view.field)} from {view.start[0]},{view.start[1]}"
    if len(view.ways) > 1:
        return f"up to {text}"
    return text if view.grid == (1, 1) else f"{text} every {pair_text(view.jump)}"


def field_reason(layer: Layer, before: View, after: View) -> list[tuple[str, str]]:
    """Write out how a layer's field follows from that of what it takes: (label, text) a line."""
    if before == after or len(before.ways) > 1:
        return [("receptive field", field_text(after) + (", as before" if before == after else ""))]
    sizes = [_steps(before.field[axis], after.field[axis], before.jump[axis]) for axis in (0, 1)]
    starts = [_margin(before.start[axis], after.start[axis], before.jump[axis]) for axis in (0, 1)]
    lines = [
        ("receptive field", f"{_both(sizes)}, so {shape_text(after.field)}"),
        ("first pixel", f"{_both(starts, 'down', 'across')}, so {after.start[0]},{after.start[1]}"),
    ]
    if after.grid == (1, 1) or not isinstance(layer, Windowed):
        return lines
    jumps = [f"{before.jump[axis]}*{layer.stride[axis]} = {after.jump[axis]}" for axis in (0, 1)]
    return [*lines, ("jump", _both(jumps, "down", "across"))]


def _both(texts: list[str], rows: str = "high", columns: str = "wide") -> str:
    """The arithmetic of the rows and that of the columns, once where they are the same."""
    return texts[0] if texts[0] == texts[1] else f"{texts[0]} {rows}, {texts[1]} {columns}"


def _steps(before: int, after: int, jump: int) -> str:
    # The reach of the layer in units of its input follows from how far the field has grown.
    reach = (after - before) // jump + 1
    return f"{before} + ({reach} - 1)*{jump} = {after}"


def _margin(before: int, after: int, jump: int) -> str:
    return f"{before} - {(before - after) // jump}*{jump} = {after}"
