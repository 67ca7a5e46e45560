"""A linear layer fitted to features: multinomial logistic regression with its penalty chosen by cross-validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from neocog.errors import DataError
from neocog.transfer.folds import Folds, Groups, Int64, folds, stratified_part

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating[Any]]
Penalty = float | Literal["auto"]

# penalties are powers of ten; the loss of cross-validation is flat between neighbours half a power apart
_FIRST, _STRONGEST, _WEAKEST = 3.0, 6.0, -2.0
# where a class has a single image, nothing can be left out to choose by
_PENALTY_UNCHOSEN = 10.0
# more rows than these choose no better: a stratified part of them does, in fewer folds
_ROWS_TO_CHOOSE, _ROWS_FOR_FIVE_FOLDS = 10_000, 500
_ELEMENTS_IN_DOUBLE = 20_000_000
_ROWS_FOR_THREADS = 1_000
_LEAST_DEVIATION = 0.01
_ROWS_FOR_LEVEL = 2_048


@dataclass(frozen=True, eq=False)
class Head:
    """A linear layer: `weight` float32 (K, D), `bias` float32 (K,), and the L2 penalty that it was fitted with."""

    weight: Float32
    bias: Float32
    l2_penalty: float

    def logits(self, features: Floats) -> Float32:
        """Give the logits (N, K) of features (N, D)."""
        return np.asarray(features.astype(np.float32, copy=False) @ self.weight.T + self.bias, dtype=np.float32)

    def probabilities(self, features: Floats) -> Float64:
        """Give the probabilities (N, K) of features (N, D)."""
        from scipy.special import softmax

        return np.asarray(softmax(self.logits(features).astype(np.float64), axis=1))


def fit_head(
    features: Floats,
    labels: npt.ArrayLike,
    num_classes: int,
    *,
    l2_penalty: Penalty = "auto",
    groups: Groups | None = None,
    seed: int = 0,
) -> Head:
    """Fit a linear layer to features (N, D) by multinomial logistic regression on standardised features.

    What is minimised is the summed cross entropy and half the `l2_penalty` times the squared weights (1 / C of
    scikit-learn); the mean and deviation of the features are folded into the layer afterwards. "auto" takes the penalty
    with the smallest log loss in stratified five-fold cross-validation that keeps `groups` together (three folds of a
    stratified part where there are many rows; 10 where a class has a single image). A class without images gets no
    weights, and a bias that makes it as likely as one image in N + 1. The same input gives the same layer.

    Raises `DataError` for features that are no finite (N, D), labels outside 0 to `num_classes` - 1, or fewer than two
    classes.
    """
    rows, numbers = check(features, labels, num_classes)
    mean, scale = _standard(rows)
    with _few_threads(rows):
        turned, basis = _turned(_standardised(rows, mean, scale))
        penalty = _choose_penalty(turned, numbers, groups, seed) if l2_penalty == "auto" else float(l2_penalty)
        weight, bias, present = _solved(turned, numbers, penalty)
    if basis is not None:
        weight = weight @ basis.T
    weight = weight / scale
    bias = bias - weight @ mean
    return _with_absent(weight, bias, present, rows, num_classes, penalty)


def check(features: Floats, labels: npt.ArrayLike, num_classes: int | None = None) -> tuple[Floats, Int64]:
    """Give features and labels as arrays; `DataError` where they are not as `fit_head` says."""
    rows, numbers = np.asarray(features), np.asarray(labels, np.int64)
    if rows.ndim != 2 or numbers.shape != rows.shape[:1] or not np.issubdtype(rows.dtype, np.floating):
        raise DataError(
            "expected features as floats of shape (images, features) and a label for each; got "
            f"{rows.dtype} {rows.shape} and {numbers.shape}."
        )
    if not np.isfinite(rows).all():
        raise DataError("some features are not finite numbers; look at the images or the weights that they come from.")
    if len(np.unique(numbers)) < 2:
        raise DataError(f"expected images of at least two classes; the {len(numbers)} given have fewer.")
    if num_classes is not None and not 0 <= int(numbers.min()) <= int(numbers.max()) < num_classes:
        raise DataError(f"labels run from 0 to {num_classes - 1}; got {numbers.min()} to {numbers.max()}.")
    return rows, numbers


def _standard(rows: Floats) -> tuple[Float64, Float64]:
    """Give the mean and the deviation of each feature; 1 for a feature that does not vary.

    A deviation counts as a hundredth of the middle one at least: a feature that hardly varies here may vary more in
    other images, where it would outweigh all others.
    """
    mean = rows.mean(axis=0, dtype=np.float64)
    deviation = rows.std(axis=0, dtype=np.float64)
    # a constant is summed with an error of rounding
    varies = deviation > 1e-6 * np.abs(mean)
    varies &= deviation > 0
    least = _LEAST_DEVIATION * float(np.median(deviation[varies])) if varies.any() else 0.0
    return mean, np.where(varies, np.maximum(deviation, least), 1.0)


def _few_threads(rows: Floats) -> Any:
    """Let linear algebra run on one thread where the problem is so small that threads would wait for each other."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1 if min(rows.shape) <= _ROWS_FOR_THREADS else None)


def _standardised(rows: Floats, mean: Float64, scale: Float64) -> Floats:
    # Of many rows there is room for one copy, and none in double precision.
    found: Floats = np.array(rows, np.float64 if rows.size <= _ELEMENTS_IN_DOUBLE else np.float32)
    found -= mean.astype(found.dtype)
    found /= scale.astype(found.dtype)
    return found


def _turned(rows: Floats) -> tuple[Floats, Float64 | None]:
    """Write fewer rows than features in a basis (D, N) of their own: a turn leaves the squared weights as they are."""
    if len(rows) >= rows.shape[1]:
        return rows, None
    basis, triangle = np.linalg.qr(rows.T)
    return np.ascontiguousarray(triangle.T), basis


def chosen_penalty(features: Floats, labels: Int64, groups: Groups | None = None, seed: int = 0) -> float:
    """Give the L2 penalty that `fit_head` would choose for these features (N, D) and labels (N,)."""
    mean, scale = _standard(features)
    with _few_threads(features):
        return _choose_penalty(_turned(_standardised(features, mean, scale))[0], labels, groups, seed)


def _choose_penalty(rows: Floats, labels: Int64, groups: Groups | None, seed: int) -> float:
    kept = np.arange(len(rows))
    if len(rows) > _ROWS_TO_CHOOSE:
        kept = stratified_part(labels, _ROWS_TO_CHOOSE, seed)
    rows, labels = rows[kept], labels[kept]
    groups = None if groups is None else [groups[int(row)] for row in kept]
    if np.unique(labels, return_counts=True)[1].min() < 2:
        return _PENALTY_UNCHOSEN
    try:
        parts = folds(labels, groups, 5 if len(rows) <= _ROWS_FOR_FIVE_FOLDS else 3, seed)
    except DataError:
        return _PENALTY_UNCHOSEN
    parts = [(train, test) for train, test in parts if len(np.unique(labels[train])) > 1]
    if not parts:
        return _PENALTY_UNCHOSEN
    return _lowest(_Trial(rows.astype(np.float32), labels, parts))


class _Trial:
    """The log loss of heads on the rows that were left out, for one penalty after another."""

    def __init__(self, rows: Floats, labels: Int64, parts: Folds) -> None:
        self._folds = [(rows[train], labels[train], rows[test], labels[test]) for train, test in parts]
        # each fold begins with the weights of the penalty before
        self._models: list[Any] = [None] * len(parts)
        self.losses: dict[float, float] = {}

    def loss(self, exponent: float) -> float:
        if exponent not in self.losses:
            self.losses[exponent] = sum(self._fold_loss(place, 10.0**exponent) for place in range(len(self._folds)))
        return self.losses[exponent]

    def _fold_loss(self, place: int, penalty: float) -> float:
        rows, labels, test_rows, test_labels = self._folds[place]
        self._models[place] = _logistic(rows, labels, penalty, 1e-4, self._models[place])
        return _log_loss(self._models[place], test_rows, test_labels)


def _lowest(trial: _Trial) -> float:
    """Give the penalty of the lowest loss, which has one valley: by powers of ten, then half a power to either side."""
    best = _FIRST
    for step in (-1.0, 1.0):
        while _WEAKEST <= best + step <= _STRONGEST and trial.loss(best + step) < trial.loss(best):
            best += step
    for exponent in (best + 0.5, best - 0.5):
        trial.loss(exponent)
    return float(10.0 ** min(trial.losses, key=lambda exponent: (trial.losses[exponent], -exponent)))


def _logistic(rows: Floats, labels: Int64, penalty: float, tolerance: float, begin: Any = None) -> Any:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = begin or LogisticRegression(warm_start=True, max_iter=1000)
    model.set_params(C=1 / penalty, tol=tolerance)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(rows, labels)
    return model


def _log_loss(model: Any, rows: Floats, labels: Int64) -> float:
    from scipy.special import log_softmax

    logits = np.asarray(model.decision_function(rows), np.float64)
    if logits.ndim == 1:
        # of two classes scikit-learn gives the difference
        logits = np.stack([np.zeros(len(rows)), logits], axis=1)
    found = log_softmax(logits, axis=1)
    columns = np.searchsorted(model.classes_, labels).clip(max=len(model.classes_) - 1)
    # a class that the training rows lack is no fault of the penalty
    known = model.classes_[columns] == labels
    return float(-found[np.arange(len(rows)), columns][known].sum())


def _solved(rows: Floats, labels: Int64, penalty: float) -> tuple[Float64, Float64, Int64]:
    """Give weights (k, D) and biases (k,) of the k classes that are there, and which they are."""
    model = _logistic(rows, labels, penalty, 1e-5)
    weight, bias = np.asarray(model.coef_, np.float64), np.asarray(model.intercept_, np.float64)
    if len(weight) == 1:
        # scikit-learn gives the difference of the two
        weight, bias = np.concatenate([-weight / 2, weight / 2]), np.concatenate([-bias / 2, bias / 2])
    return weight, bias, np.asarray(model.classes_, np.int64)


def _with_absent(
    weight: Float64, bias: Float64, present: Int64, rows: Floats, num_classes: int, penalty: float
) -> Head:
    from scipy.special import logsumexp

    all_weights, all_biases = np.zeros((num_classes, rows.shape[1])), np.zeros(num_classes)
    all_weights[present], all_biases[present] = weight, bias
    if len(present) < num_classes:
        level = float(np.mean(logsumexp(rows[:_ROWS_FOR_LEVEL] @ weight.T + bias, axis=1)))
        all_biases[np.setdiff1d(np.arange(num_classes), present)] = level - np.log(len(rows))
    return Head(all_weights.astype(np.float32), all_biases.astype(np.float32), penalty)
