"""neocog trains, explains and ships convolutional image classifiers.

A recipe trains into a run; a run gives a classifier:

    import neocog as nc

    run = nc.train("mnist")
    classifier = run.classifier()
    classifier.predict("digit.png")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from neocog.classifier import Classifier as Classifier
    from neocog.classifier import Prediction as Prediction
    from neocog.classifier import load as load
    from neocog.data import ImageSet as ImageSet
    from neocog.errors import NeocogError as NeocogError
    from neocog.kernels.fuse import fuse as fuse
    from neocog.models import build as build
    from neocog.recipe import Recipe as Recipe
    from neocog.run import Run as Run
    from neocog.summary import summarize as summarize
    from neocog.training.fitting import fit as fit
    from neocog.training.session import resume as resume
    from neocog.training.session import train as train

# Importing neocog must not wait for torch (PEP 562): each name is fetched when it is first used.
_HOME = {
    "Classifier": "classifier",
    "ImageSet": "data",
    "NeocogError": "errors",
    "Prediction": "classifier",
    "Recipe": "recipe",
    "Run": "run",
    "build": "models",
    "fit": "training.fitting",
    "fuse": "kernels.fuse",
    "load": "classifier",
    "resume": "training.session",
    "summarize": "summary",
    "train": "training.session",
}

__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'neocog' has no attribute {name!r}")
    return getattr(import_module(f"neocog.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
