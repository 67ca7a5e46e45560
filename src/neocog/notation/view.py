"""Where a unit of a network looks: its receptive field on the image, its size, its place and how it moves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

Pair: TypeAlias = tuple[int, int]


@dataclass(frozen=True)
class Way:
    """One way from the image to the units of a layer, each pair as (height, width) or (row, column).

    Unit (i, j) sees the rows from `start[0] + i * jump[0]`, `field[0]` of them, and the columns likewise.

    Attributes:
        field: how many pixels of the image, padding counted in, reach one unit.
        jump: how many pixels lie between the fields of two neighbouring units.
        start: the first pixel of the field of unit (0, 0); negative in the padding.
    """

    field: Pair
    jump: Pair
    start: Pair

    def first(self, unit: int, axis: int) -> int:
        """The first line that a unit sees along an axis."""
        return self.start[axis] + unit * self.jump[axis]

    def last(self, unit: int, axis: int) -> int:
        """The last line that a unit sees along an axis."""
        return self.first(unit, axis) + self.field[axis] - 1


@dataclass(frozen=True)
class View:
    """How the units of a layer look at the image.

    Attributes:
        ways: the ways from the image; more than one only behind a residual block whose two ways take steps of
            different size.
        grid: how many units stand beside each other, (height, width). It outlives `flatten`: the layer after it sees
            them all.
    """

    ways: tuple[Way, ...]
    grid: Pair

    @classmethod
    def of_image(cls, size: Pair) -> View:
        """The view of the pixels themselves, of an image of `size` (height, width)."""
        return cls((Way(field=(1, 1), jump=(1, 1), start=(0, 0)),), size)

    @property
    def field(self) -> Pair:
        """How many pixels (height, width), padding counted in, reach one unit: the most that reach any."""
        rows, columns = (self._most(axis) for axis in (0, 1))
        return rows, columns

    @property
    def jump(self) -> Pair:
        """How many pixels (down, right) lie between the fields of two neighbouring units; the most of all ways."""
        return max(way.jump[0] for way in self.ways), max(way.jump[1] for way in self.ways)

    @property
    def start(self) -> Pair:
        """The first pixel (row, column) of the field of unit (0, 0); negative in the padding."""
        return min(way.start[0] for way in self.ways), min(way.start[1] for way in self.ways)

    def sees(self, row: int, column: int) -> tuple[Pair, Pair]:
        """The pixels that reach unit (row, column): ((top, bottom), (left, right)), both ends included, unclipped.

        They can lie outside of the image, in the padding.
        """
        return self._span(row, 0), self._span(column, 1)

    def window(self, reach: Pair, stride: Pair, before: Pair, grid: Pair) -> View:
        """The view through a window of `reach` units moved by `stride` units, giving a `grid` of units.

        `before` is the padding above and to the left, in units.
        """
        return View(tuple(_through(way, reach, stride, before) for way in self.ways), grid)

    def whole(self) -> View:
        """The view of a unit that is connected to the whole grid."""
        spans = [self._everything(axis) for axis in (0, 1)]
        field = (spans[0][1] - spans[0][0] + 1, spans[1][1] - spans[1][0] + 1)
        return View((Way(field, self.jump, (spans[0][0], spans[1][0])),), (1, 1))

    def beside(self, other: View) -> View:
        """The view of units that add up two ways: each sees what the one or the other shows it."""
        grid = max(self.grid, other.grid)
        merged: dict[Pair, Way] = {}
        for way in (*self._ways_on(grid), *other._ways_on(grid)):
            known = merged.get(way.jump)
            merged[way.jump] = way if known is None else _union(known, way)
        return View(tuple(merged.values()), grid)

    def _ways_on(self, grid: Pair) -> tuple[Way, ...]:
        # Units that stand otherwise cannot be told apart on this grid: each is taken to see what all of them do.
        return self.ways if self.grid == grid else tuple(replace(way, jump=(0, 0)) for way in self.whole().ways)

    def _span(self, unit: int, axis: int) -> Pair:
        return min(way.first(unit, axis) for way in self.ways), max(way.last(unit, axis) for way in self.ways)

    def _everything(self, axis: int) -> Pair:
        ends = self._span(0, axis), self._span(self.grid[axis] - 1, axis)
        return min(first for first, _ in ends), max(last for _, last in ends)

    def _most(self, axis: int) -> int:
        # Several ways drift apart evenly, so the widest field belongs to the first unit or to the last.
        spans = (self._span(unit, axis) for unit in (0, self.grid[axis] - 1))
        return max(last - first + 1 for first, last in spans)


def _through(way: Way, reach: Pair, stride: Pair, before: Pair) -> Way:
    return Way(
        field=(way.field[0] + (reach[0] - 1) * way.jump[0], way.field[1] + (reach[1] - 1) * way.jump[1]),
        jump=(way.jump[0] * stride[0], way.jump[1] * stride[1]),
        start=(way.start[0] - before[0] * way.jump[0], way.start[1] - before[1] * way.jump[1]),
    )


def _union(one: Way, other: Way) -> Way:
    start = (min(one.start[0], other.start[0]), min(one.start[1], other.start[1]))
    ends = [max(one.last(0, axis), other.last(0, axis)) for axis in (0, 1)]
    return Way((ends[0] - start[0] + 1, ends[1] - start[1] + 1), one.jump, start)
