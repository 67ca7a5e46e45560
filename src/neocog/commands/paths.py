"""Files that a command is to write, looked at before anything is computed."""

from __future__ import annotations

from pathlib import Path

from neocog.errors import RecipeError


def check_output(option: str, path: Path | None, *suffixes: str) -> None:
    """Raise `RecipeError` for a file that has none of `suffixes` or no folder to lie in; None is nothing to write."""
    if path is None:
        return
    if path.suffix.lower() not in suffixes:
        raise RecipeError(f"{option} {path}: expected the name of a file that ends in {' or '.join(suffixes)}.")
    if not path.absolute().parent.is_dir():
        raise RecipeError(f"{option} {path}: there is no folder {path.parent}. Make it first.")
