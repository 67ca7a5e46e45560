import numpy as np
import pytest
import torch
from torch import nn

from neocog.training.average import MovingAverage, copy_weights, weights_replaced


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))


@pytest.mark.parametrize("decay", [0.5, 0.99])
def test_it_follows_its_formula(decay: float) -> None:
    model = network()
    average = MovingAverage(model, decay)
    expected = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}
    for step in range(1, 30):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape))
            model[1].running_mean.add_(0.1)
            model[1].num_batches_tracked.add_(1)
        average.update(model)
        used = min(decay, (1 + step) / (10 + step))
        for name, tensor in model.state_dict().items():
            expected[name] = used * expected[name] + (1 - used) * tensor.double().numpy()
    for name, tensor in average.tensors.items():
        if tensor.is_floating_point():
            np.testing.assert_allclose(tensor.numpy(), expected[name], rtol=1e-5, atol=1e-6)
    assert int(average.tensors["1.num_batches_tracked"]) == 29


def test_weights_are_replaced_for_a_while_only() -> None:
    model = network()
    own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    other = {name: tensor + 1 for name, tensor in own.items()}
    with pytest.raises(ZeroDivisionError), weights_replaced(model, other):
        assert all(torch.equal(tensor, other[name]) for name, tensor in model.state_dict().items())
        raise ZeroDivisionError
    assert all(torch.equal(tensor, own[name]) for name, tensor in model.state_dict().items())
    with weights_replaced(model, None):
        assert all(torch.equal(tensor, own[name]) for name, tensor in model.state_dict().items())


def test_copied_weights_keep_their_place_and_layout() -> None:
    model = network().to(memory_format=torch.channels_last)
    where, strides = model[0].weight.data_ptr(), model[0].weight.stride()
    copy_weights(model, {name: torch.ones_like(tensor) for name, tensor in model.state_dict().items()})
    assert model[0].weight.data_ptr() == where and model[0].weight.stride() == strides
    assert bool((model[0].weight == 1).all())
