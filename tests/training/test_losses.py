import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from neocog.errors import RecipeError
from neocog.recipe import TrainSettings
from neocog.training.losses import build_loss

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, 0.3], [-3.0, 1.0, 4.0], [0.0, 0.0, 0.0]])
LABELS = torch.tensor([0, 2, 1, 2])
CPU = torch.device("cpu")


def by_hand(weights: list[float], smoothing: float) -> float:
    logits = LOGITS.double().numpy()
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    w = np.array(weights)
    target = w[LABELS.numpy()] * -logs[np.arange(4), LABELS.numpy()]
    spread = (-logs * w).sum(1) / len(weights)
    total = (1 - smoothing) * target + smoothing * spread
    return float(total.sum() / w[LABELS.numpy()].sum())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", ["none", [1.0, 2.0, 0.5]])
def test_cross_entropy_with_weights_and_smoothing(weights: str | list[float], smoothing: float) -> None:
    settings = TrainSettings.model_validate({"class_weights": weights, "label_smoothing": smoothing})
    found = build_loss(settings, [1, 1, 2], CPU)(LOGITS, LABELS)
    expected = by_hand([1.0] * 3 if weights == "none" else list(weights), smoothing)  # type: ignore[arg-type]
    assert float(found) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", ["none", [1.0, 2.0, 0.5]])
def test_certain_labels_as_probabilities_cost_what_class_numbers_cost(
    weights: str | list[float], smoothing: float
) -> None:
    settings = TrainSettings.model_validate({"class_weights": weights, "label_smoothing": smoothing})
    loss = build_loss(settings, [1, 1, 2], CPU)
    certain = torch.nn.functional.one_hot(LABELS, 3).float()
    assert float(loss(LOGITS, certain)) == pytest.approx(float(loss(LOGITS, LABELS)), rel=1e-6)


def test_the_loss_of_a_mixture_is_the_mean_of_both_losses_by_their_weights() -> None:
    weights = [1.0, 3.0, 0.5]
    loss = build_loss(TrainSettings(class_weights=weights), [1, 1, 1], CPU)
    mixture = torch.tensor([[0.7, 0.3, 0.0], [0.0, 0.25, 0.75], [0.0, 1.0, 0.0], [0.5, 0.0, 0.5]])
    logits = LOGITS.double().numpy()
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    shares = mixture.double().numpy() * np.array(weights)
    assert float(loss(LOGITS, mixture)) == pytest.approx(float((shares * -logs).sum() / shares.sum()), rel=1e-6)


def test_the_map_criterion_refuses_mixtures() -> None:
    with pytest.raises(RecipeError, match=r"augment\.mixup and augment\.cutmix"):
        build_loss(TrainSettings(loss="map"), None, CPU)(LOGITS, torch.eye(4, 3))


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    labels = np.repeat([0, 1, 2], [5, 30, 7])
    weights = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    balanced = build_loss(TrainSettings(class_weights="balanced"), [5, 30, 7], CPU)
    listed = build_loss(TrainSettings(class_weights=weights.tolist()), [5, 30, 7], CPU)
    assert torch.equal(balanced(LOGITS, LABELS), listed(LOGITS, LABELS))
    assert float(balanced(LOGITS, LABELS)) == pytest.approx(by_hand(weights.tolist(), 0.0), rel=1e-6)


def test_it_is_computed_in_float32_whatever_the_logits() -> None:
    loss = build_loss(TrainSettings(), [1, 1, 1], CPU)
    assert loss(LOGITS.bfloat16(), LABELS).dtype == torch.float32


def test_as_many_weights_as_classes() -> None:
    with pytest.raises(RecipeError, match=r"2 weights for 3 classes"):
        build_loss(TrainSettings(class_weights=[1.0, 2.0]), [1, 1, 1], CPU)


def test_the_map_criterion_is_equation_9_of_the_paper() -> None:
    penalties = torch.tensor([[0.5, 90.0, 120.0], [30.0, 12.0, 60.0]])
    found = build_loss(TrainSettings(loss="map", map_constant=2.5), [1, 1, 1], CPU)(-penalties, torch.tensor([0, 2]))
    y = penalties.double().numpy()
    rest = np.log(np.exp(-2.5) + np.exp(-y).sum(1))
    assert float(found) == pytest.approx(float((np.array([y[0, 0], y[1, 2]]) + rest).mean()), rel=1e-6)


def test_weights_of_classes_count_in_the_map_criterion_too() -> None:
    penalties, labels = torch.tensor([[0.5, 2.0], [3.0, 1.0]]), torch.tensor([0, 1])
    single = [
        float(build_loss(TrainSettings(loss="map"), None, CPU)(-penalties[i : i + 1], labels[i : i + 1]))
        for i in (0, 1)
    ]
    both = build_loss(TrainSettings(loss="map", class_weights=[1.0, 3.0]), None, CPU)(-penalties, labels)
    assert float(both) == pytest.approx((single[0] + 3 * single[1]) / 4, rel=1e-6)


def test_a_wrong_number_of_weights_is_found_at_the_first_batch_where_nobody_counted_the_classes() -> None:
    for kind in ("cross_entropy", "map"):
        settings = TrainSettings.model_validate({"loss": kind, "class_weights": [1.0, 2.0]})
        with pytest.raises(RecipeError, match=r"2 weights for 3 classes"):
            build_loss(settings, None, CPU)(LOGITS, LABELS)
