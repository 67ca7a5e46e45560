"""Arguments that several commands take, and values on the command line: what is not one is refused in plain words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

ModelOption = Annotated[
    str | None,
    typer.Option("--model", metavar="NETWORK", help="A network: a name, a text in the notation, or a Python path."),
]
OutOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder of the run; else the next number under runs.")
]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run folder or a .safetensors file.")]


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
