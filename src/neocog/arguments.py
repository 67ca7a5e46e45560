"""Values on the command line: what is not one is refused in plain words."""

from __future__ import annotations

from collections.abc import Callable

import typer


def whole(text: str) -> int:
    """Read a whole number."""
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"expected a whole number, not {text!r}.") from None


def number(text: str) -> float:
    """Read a number."""
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"expected a number such as 0.01, not {text!r}.") from None


def one_of(*choices: str) -> Callable[[str], str]:
    """Give the function that takes one of `choices` and refuses anything else."""

    def choose(text: str) -> str:
        if text not in choices:
            raise typer.BadParameter(f"expected {', '.join(choices[:-1])} or {choices[-1]}, not {text!r}.")
        return text

    return choose
