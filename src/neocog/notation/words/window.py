"""A window along one axis: how many positions it takes, and which lines it never meets."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

# The lines that are met are kept as the bits of one number.
_LONGEST = 4_000_000


@dataclass(frozen=True)
class Window:
    """A window along one axis: floor((size - kernel + padding) / stride) + 1 positions.

    Attributes:
        size: how many lines come in.
        kernel: how many taps the window has.
        stride: how far it moves.
        before: lines of padding before the first.
        after: lines of padding after the last.
        dilation: distance between its taps.
    """

    size: int
    kernel: int
    stride: int = 1
    before: int = 0
    after: int = 0
    dilation: int = 1

    @property
    def reach(self) -> int:
        """How many lines the window spans."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def room(self) -> int:
        """How many lines the window can move; negative where it does not fit at all."""
        return self.size - self.reach + self.before + self.after

    @property
    def output(self) -> int:
        """How many positions the window takes; below 1 where it does not fit."""
        return self.room // self.stride + 1

    @property
    def remainder(self) -> int:
        """How many lines at the end, padding included, no position reaches."""
        return self.room % self.stride

    @property
    def unseen(self) -> int:
        """How many of them belong to the input rather than to its padding."""
        return max(0, self.remainder - self.after)

    @property
    def gaps(self) -> int:
        """How many lines of the input before those at the end no tap meets at any position.

        Not counted on a line of more than some millions.
        """
        return self._missed.bit_count() - self.unseen

    def first_unseen(self, most: int) -> list[int]:
        """The numbers of the first lines of the input that no tap meets."""
        found, rest = list[int](), self._missed
        while rest and len(found) < most:
            found.append((rest & -rest).bit_length() - 1)
            rest &= rest - 1
        return found

    @cached_property
    def _missed(self) -> int:
        """The lines that no tap meets, as bits."""
        whole = (1 << self.size) - 1
        if (self.dilation == 1 and self.stride <= self.kernel) or self.before + self.size + self.after > _LONGEST:
            return whole >> (self.size - self.unseen) << (self.size - self.unseen)
        met = _spread(_spread(1, self.kernel, self.dilation), self.output, self.stride) >> self.before
        return whole & ~met

    def __str__(self) -> str:
        reach = str(self.kernel) if self.dilation == 1 else f"(({self.kernel} - 1)*{self.dilation} + 1)"
        padding = f"2*{self.before}" if self.before == self.after else f"({self.before} + {self.after})"
        exact = Fraction(self.room, self.stride) + 1
        return f"({self.size} - {reach} + {padding}) / {self.stride} + 1 = {_rounded(exact)}"


def _spread(bits: int, copies: int, distance: int) -> int:
    """Lay copies of a pattern of bits over each other, each so many bits further up."""
    done = 1
    while done < copies:
        more = min(done, copies - done)
        bits |= bits << more * distance
        done += more
    return bits


def _rounded(number: Fraction) -> str:
    if number.denominator == 1:
        return str(number.numerator)
    digits = 2
    # A rounded value that looks whole would contradict the remainder that it explains.
    while Fraction(text := f"{float(number):.{digits}f}").denominator == 1 and digits < 9:
        digits += 1
    return text.rstrip("0")
