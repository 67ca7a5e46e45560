"""The arithmetic of a layer, written out."""

from __future__ import annotations

from neocog.notation.shapes import LayerShape


def why(layer: LayerShape) -> str:
    """Write out how the numbers of a layer come about: lines of plain text, without a final line end."""
    reason = layer.layer.reason(layer.input_shape)
    lines = [
        ("becomes", layer.torch),
        ("output", reason.output),
        ("parameters", reason.parameters or "none"),
        ("MACs", reason.macs or "none"),
        ("receptive field", _field(layer)),
        *(("also", note) for note in reason.notes),
    ]
    width = max(len(label) for label, _ in lines)
    return "\n".join([f"{layer.name}: {layer.text}", *(f"  {label:<{width}}  {text}" for label, text in lines)])


def _field(layer: LayerShape) -> str:
    before, after = layer.view_in, layer.view_out
    size = f"{after.field[0]}x{after.field[1]}"
    if before.field == after.field:
        return f"{size}, as before"
    steps = [_steps(before.field[axis], after.field[axis], before.jump[axis]) for axis in (0, 1)]
    return f"{steps[0] if steps[0] == steps[1] else f'{steps[0]} high, {steps[1]} wide'}, so {size}"


def _steps(before: int, after: int, jump: int) -> str:
    # The reach of the layer in units of its input follows from how far the field has grown.
    reach = (after - before) // jump + 1
    return f"{before} + ({reach} - 1)*{jump} = {after}"
