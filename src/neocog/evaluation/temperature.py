"""Temperature scaling: one number that makes probabilities mean what they say, and changes no answer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neocog.errors import DataError
from neocog.evaluation.calibration import calibrate_bins

LOWEST, HIGHEST = 0.01, 100.0


@dataclass(frozen=True)
class Temperature:
    """A fitted temperature: probabilities are the softmax of logits / `value`.

    `nll` is the mean negative log-likelihood (the cross entropy) and `ece` the expected calibration error of the
    images of the fit, before (temperature 1) and after. `runaway` is None where the likelihood has its maximum inside
    of the bounds; "low" where it grows as far down as is looked (nothing speaks against any confidence, as where every
    answer is right), "high" where it grows as far up (the logits say nothing of the labels).
    """

    value: float
    images: int
    nll_before: float
    nll_after: float
    ece_before: float
    ece_after: float
    runaway: Literal["low", "high"] | None = None

    def figures(self) -> dict[str, Any]:
        """The figures as plain values, for a file."""
        return asdict(self)


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> Temperature:
    """Find the temperature at which `labels` (N,) are most likely by `logits` (N, K) (Guo et al. 2017).

    The negative log-likelihood is convex in 1 / T, so its slope has at most one zero, which is bracketed and found
    (Brent 1973) for T from 0.01 to 100; where it has none there, the bound itself is given, and `runaway` says so.
    Logits that are all alike in every image give 1. Raises `DataError` without a single image, for logits that are not
    finite, and for labels that have no logit.
    """
    from scipy.optimize import brentq

    values, truth = _checked(logits, labels)
    own = values[np.arange(len(truth)), truth]

    def slope(inverse: float) -> float:
        # d/db of log(sum(exp(b z))) - b z_label: the mean logit by the probabilities less that of the label
        return float(((_softmax(values * inverse) * values).sum(axis=1) - own).mean())

    runaway: Literal["low", "high"] | None = None
    if (values == values[:, :1]).all():
        value = 1.0
    elif slope(1 / LOWEST) <= 0:
        value, runaway = LOWEST, "low"
    elif slope(1 / HIGHEST) >= 0:
        value, runaway = HIGHEST, "high"
    else:
        value = 1 / float(brentq(slope, 1 / HIGHEST, 1 / LOWEST, xtol=1e-12, rtol=1e-12))
    before, after = (_figures(values / temperature, truth) for temperature in (1.0, value))
    return Temperature(value, len(truth), before[0], after[0], before[1], after[1], runaway)


def check_temperature(value: float) -> None:
    """Raise `DataError` for a temperature that is not positive or not finite."""
    if not 0 < value < np.inf:
        raise DataError(f"temperature = {value}: expected a positive number; 1 leaves the logits as they are.")


def usable(found: Temperature) -> Temperature:
    """Give a temperature back that can be used; raises `DataError` for one that ran away, with the reason."""
    if found.runaway == "low":
        raise DataError(
            f"no temperature can be fitted to these {found.images:,} validation images: the surer the answers are, the "
            "better they fit, as happens where none is wrong. Set more images aside (data.validation)."
        )
    if found.runaway == "high":
        raise DataError(
            f"no temperature can be fitted to these {found.images:,} validation images: the answers say nothing of the "
            "labels, so equal probabilities for all classes fit best. Train a better network first."
        )
    return found


def _checked(logits: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    values, truth = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if values.ndim != 2 or not len(values) or truth.shape != values.shape[:1] or truth.dtype.kind not in "iu":
        raise DataError(
            "fitting a temperature needs logits (N, K) and a whole number as label for each of N >= 1 images; got "
            f"{values.shape} and {truth.dtype} {truth.shape}."
        )
    if not np.isfinite(values).all():
        raise DataError("fitting a temperature needs finite logits; there are infinite ones or NaN among them.")
    if truth.min() < 0 or truth.max() >= values.shape[1]:
        raise DataError(
            f"the labels of {values.shape[1]} logits run from 0 to {values.shape[1] - 1}; got {truth.min()} to "
            f"{truth.max()}."
        )
    return values, truth.astype(np.int64)


def _softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    raised = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _figures(values: NDArray[np.float64], truth: NDArray[np.int64]) -> tuple[float, float]:
    highest = values.max(axis=1)
    loss = highest + np.log(np.exp(values - highest[:, None]).sum(axis=1)) - values[np.arange(len(truth)), truth]
    calibration = calibrate_bins(_softmax(values).max(axis=1), values.argmax(axis=1) == truth)
    return float(loss.mean()), calibration.ece
