"""The connection table of a convolution: which input maps each output map sees."""

from __future__ import annotations

from collections import Counter
from typing import TypeAlias

from neocog.errors import NotationError
from neocog.notation.words.base import LARGEST_NUMBER, count

# For each output map the numbers of the input maps that it sees, ascending, from 0.
Table: TypeAlias = tuple[tuple[int, ...], ...]

_EXAMPLE = "as in 'conv 2 5x5 table 0+1 1+2'"


def check_table(table: Table, channels: int) -> None:
    """Refuse a table that does not have one entry for each of `channels`, each ascending without repeats.

    Raises:
        NotationError: with the entry that is wrong and how it is written.
    """
    if len(table) != channels:
        raise NotationError(
            f"the table of conv has {_entries(len(table))} for {count(channels, 'channel')}.\n"
            f"Write for each channel the input maps that it sees, {_EXAMPLE}."
        )
    for entry in table:
        if not entry:
            raise NotationError(f"an entry of the table of conv names no input map; write at least one, {_EXAMPLE}.")
        if any(not 0 <= number <= LARGEST_NUMBER for number in entry):
            raise NotationError(
                f"the input maps in a table of conv are numbered from 0 to at most {LARGEST_NUMBER:,}; "
                f"'{entry_text(entry)}' goes beyond."
            )
        if list(entry) != sorted(set(entry)):
            raise NotationError(
                f"an entry of the table of conv names each input map once, in ascending order; "
                f"write '{entry_text(tuple(sorted(set(entry))))}', not '{entry_text(entry)}'."
            )


def check_inputs(table: Table, channels: int) -> None:
    """Refuse a table that names an input map beyond the `channels` that come in.

    Raises:
        NotationError: with the entry, and the numbers that there are.
    """
    wrong = next((entry for entry in table if entry[-1] >= channels), None)
    if wrong is not None:
        there = "only map 0 reaches it" if channels == 1 else f"the maps that reach it are 0 to {channels - 1}"
        raise NotationError(
            f"its table names input map {wrong[-1]} (in '{entry_text(wrong)}'), but {there}.\n"
            "Input maps are numbered from 0."
        )


def entry_text(entry: tuple[int, ...]) -> str:
    """Write one entry, such as `0+1+2`."""
    return "+".join(map(str, entry))


def connections(table: Table) -> int:
    """How many pairs of an output map and an input map are connected."""
    return sum(map(len, table))


def connections_sum(table: Table) -> str:
    """Write the connections as a sum, such as `6*3 + 9*4 + 1*6`: six maps with 3 inputs, nine with 4, one with 6."""
    sizes = Counter(map(len, table))
    return " + ".join(f"{sizes[size]}*{size}" for size in sorted(sizes))


def connections_note(table: Table, channels: int) -> str:
    """Say in words how the output maps are connected to `channels` input maps."""
    sizes = Counter(map(len, table))
    parts = [f"{sizes[size]} with {size} of the {count(channels, 'input map')}" for size in sorted(sizes)]
    return (
        f"output maps: {', '.join(parts)}; {count(connections(table), 'connection')}, "
        f"where without a table there would be {len(table) * channels:,}"
    )


def _entries(number: int) -> str:
    return "1 entry" if number == 1 else f"{number:,} entries"
