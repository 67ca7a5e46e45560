"""What a text that stands for a network means: a name, a Python path, or a network. Needs no torch."""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from neocog.errors import ModelError, NotationError, WeightsError
from neocog.models import catalogue
from neocog.notation import READERS, Network, parse

# The first layers of a named network: resnet18[:layer2.1].
_CUT = re.compile(r"(?P<name>[\w.\-]+)\[:(?P<layer>[\w.]+)\]")
_PATH = re.compile(r"(?P<module>[^\W\d]\w*(?:\.[^\W\d]\w*)*):(?P<attribute>[^\W\d]\w*(?:\.[^\W\d]\w*)*)")


@dataclass(frozen=True)
class PythonPath:
    """A function, class or module object in Python code: `package.module:attribute`."""

    module: str
    attribute: str

    def __str__(self) -> str:
        return f"{self.module}:{self.attribute}"


def resolve(text: str) -> catalogue.Entry | PythonPath | Network:
    """Say what `text` stands for, without importing any code of the user's.

    Raises `ModelError` for a single word that is no network, and for a malformed path; `NotationError` for a
    network that cannot be read.
    """
    text = text.strip()
    if not text:
        raise ModelError(
            "no network is given. Expected a name such as 'lenet5', a network in the notation such as "
            "'flatten | linear classes', or a Python path such as mypackage.nets:build."
        )
    if text in catalogue.names():
        return catalogue.find(text)
    if cut := _CUT.fullmatch(text):
        return replace(catalogue.find(cut["name"]), cut=cut["layer"])
    if re.fullmatch(r"[^\s#]+:[^\s#]*|[^\s#]+\.py", text):
        return _python_path(text)
    if re.fullmatch(r"[\w.\-]+", text) and text not in READERS:
        raise ModelError(catalogue.unknown(text))
    return parse(text)


def resolve_stored(text: str, source: str) -> catalogue.Entry | PythonPath | Network:
    """Say what the text of a network beside the weights in `source` stands for; raises `WeightsError` for nothing."""
    try:
        return resolve(text)
    except (ModelError, NotationError) as error:
        raise WeightsError(f"{source}: its network cannot be built: {error}") from error


def load(path: PythonPath) -> Any:
    """Import what `path` names; the current directory is looked through first.

    This runs the code of the module: call it only for a path that the user gave. Raises `ModelError` where
    there is no such module or attribute, or where the import fails.
    """
    with current_directory_importable():
        importlib.invalidate_caches()
        try:
            found: Any = importlib.import_module(path.module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{path.module}.".startswith(f"{error.name}."):
                raise _failed(f"importing {path.module}", error) from error
            raise ModelError(
                f"cannot find the Python module {error.name!r} of {path}. "
                f"Start neocog in the folder that holds it ({os.getcwd()} now), or install it."  # noqa: PTH109
            ) from error
        except Exception as error:
            raise _failed(f"importing {path.module}", error) from error
    for name in path.attribute.split("."):
        if not hasattr(found, name):
            near = difflib.get_close_matches(name, [n for n in dir(found) if not n.startswith("_")], n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ModelError(f"{path.module} has no {name!r}, which {path} asks for.{hint}")
        found = getattr(found, name)
    return found


def call(function: Callable[..., Any], name: str, offered: Mapping[str, object]) -> Any:
    """Call `function`, shown as `name` in errors, with those of the `offered` arguments that it takes.

    Raises `ModelError` where it needs others or fails itself; the cause of the error is then its own.
    """
    arguments = _arguments(function, name, offered)
    with current_directory_importable():
        try:
            return function(**arguments)
        except Exception as error:
            raise _failed(name, error) from error


@contextmanager
def current_directory_importable() -> Iterator[None]:
    """Let imports look into the current directory first, as `python -m` does; afterwards as before."""
    here = os.getcwd()  # noqa: PTH109  # sys.path holds text
    sys.path.insert(0, here)
    try:
        yield
    finally:
        # The code that was imported may have changed the list, or taken the entry out itself.
        if here in sys.path:
            sys.path.remove(here)


def _python_path(text: str) -> PythonPath:
    match = _PATH.fullmatch(text)
    if match and not match["module"].endswith(".py"):
        return PythonPath(match["module"], match["attribute"])
    module, _, attribute = text.partition(":")
    dotted = module.removesuffix(".py").removeprefix("./").replace("/", ".").replace("\\", ".")
    proposed = f"{dotted}:{attribute or 'build'}"
    example = proposed if _PATH.fullmatch(proposed) else "mypackage.nets:build"
    raise ModelError(f"a Python path is written package.module:function, not {text!r}. For example {example}.")


def _arguments(function: Callable[..., Any], name: str, offered: Mapping[str, object]) -> dict[str, object]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return {}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    by_name = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    needed = [
        p.name
        for p in parameters
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and p.name not in offered
    ]
    if needed:
        raise ModelError(
            f"{name} needs {', '.join(map(repr, needed))}, but is called with {' and '.join(offered)} alone. "
            "Give its other arguments a default value."
        )
    return {key: value for key, value in offered.items() if takes_any or key in by_name}


def _failed(what: str, error: Exception) -> ModelError:
    return ModelError(f"{what} failed with {type(error).__name__}: {error}. Mend it there, then try again.")
