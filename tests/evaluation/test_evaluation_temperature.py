import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from neocog.errors import DataError
from neocog.evaluation import fit_temperature, usable


def answers(scale: float, seed: int = 0, images: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from the softmax of logits, and the logits multiplied by `scale`: their temperature is `scale`."""
    draws = np.random.default_rng(seed)
    logits = draws.normal(0, 2, (images, 5))
    raised = np.exp(logits)
    shares = raised / raised.sum(1, keepdims=True)
    labels = np.array([draws.choice(5, p=share) for share in shares])
    return logits * scale, labels


@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0, 12.0])
def test_the_temperature_that_spoiled_the_logits_is_found(scale: float) -> None:
    found = fit_temperature(*answers(scale))
    assert found.value == pytest.approx(scale, rel=0.08)
    assert found.runaway is None and found.images == 2000
    assert found.ece_after < 0.03
    assert found.nll_after <= found.nll_before


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10), st.integers(8, 40))
def test_no_other_temperature_makes_the_labels_likelier(seed: int, scale: float, images: int) -> None:
    logits, labels = answers(scale, seed, images)
    found = fit_temperature(logits, labels)

    def loss(temperature: float) -> float:
        scores = torch.from_numpy(logits) / temperature
        return float(torch.nn.functional.cross_entropy(scores, torch.from_numpy(labels)))

    assert found.nll_before == pytest.approx(loss(1.0))
    assert found.nll_after == pytest.approx(loss(found.value))
    for other in found.value * np.array([0.5, 0.9, 0.999, 1.001, 1.1, 2.0]):
        if 0.01 <= other <= 100:
            assert found.nll_after <= loss(other) + 1e-9


def test_its_losses_are_those_of_scikit_learn() -> None:
    logits, labels = answers(3.0, images=300)
    found = fit_temperature(logits, labels)
    for temperature, loss in ((1.0, found.nll_before), (found.value, found.nll_after)):
        shares = torch.softmax(torch.from_numpy(logits) / temperature, 1).numpy()
        assert loss == pytest.approx(log_loss(labels, shares, labels=range(5)))


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e6])
def test_where_every_answer_is_right_it_runs_away_to_its_bound_and_is_not_usable(size: float) -> None:
    labels = np.arange(6) % 3
    found = fit_temperature(size * np.eye(3)[labels], labels)
    assert (found.value, found.runaway) == (0.01, "low")
    with pytest.raises(DataError, match=r"no temperature can be fitted to these 6 validation images.*none is wrong"):
        usable(found)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e6])
def test_where_every_answer_is_wrong_it_runs_away_to_the_other_bound(size: float) -> None:
    labels = np.arange(6) % 3
    found = fit_temperature(-size * np.eye(3)[labels], labels)
    assert (found.value, found.runaway) == (100.0, "high")
    with pytest.raises(DataError, match="say nothing of the labels"):
        usable(found)


def test_logits_that_are_all_alike_stay() -> None:
    found = fit_temperature(np.full((4, 3), 7.0), np.array([0, 1, 2, 0]))
    assert (found.value, found.runaway) == (1.0, None)
    assert found.nll_after == pytest.approx(np.log(3))


@pytest.mark.parametrize(
    ("logits", "labels", "says"),
    [
        (np.zeros((0, 3)), np.zeros(0, int), "needs logits"),
        (np.zeros((2, 3)), np.zeros(3, int), "needs logits"),
        (np.zeros(3), np.zeros(3, int), "needs logits"),
        (np.zeros((2, 3)), np.zeros(2), "a whole number as label"),
        (np.full((2, 3), np.nan), np.zeros(2, int), "needs finite logits"),
        (np.zeros((2, 3)), np.array([0, 3]), "run from 0 to 2; got 0 to 3"),
        (np.zeros((2, 3)), np.array([-1, 0]), "got -1 to 0"),
    ],
)
def test_what_a_temperature_cannot_be_fitted_to_is_refused(logits: np.ndarray, labels: np.ndarray, says: str) -> None:
    with pytest.raises(DataError, match=says):
        fit_temperature(logits, labels)
