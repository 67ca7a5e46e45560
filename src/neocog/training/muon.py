"""Muon: steps of the same size in every direction for the kernels of convolutions, AdamW for everything else."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

# Chosen for a steep slope at 0, so that small singular values grow fast; they end between 0.7 and 1.2.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


class Muon(Optimizer):
    """Muon (Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024) with AdamW beside it.

    A kernel (O, C, k, k) is taken as a matrix (O, C*k*k); its Nesterov momentum is replaced by the nearest orthogonal
    matrix, found by three Newton-Schulz iterations, times sqrt(max(1, O / (C*k*k))). Biases, norms and linear layers
    take AdamW steps (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019) of the rate `lr`.

    `muon_lr` is the rate of the kernels, `momentum` theirs; `betas` and `eps` are AdamW's. `weight_decay` is decoupled
    in both. A group's "factor" is what a schedule's rate is multiplied by for it.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        *,
        lr: float,
        muon_lr: float,
        momentum: float = 0.9,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        chosen = list(parameters)
        kernels = [parameter for parameter in chosen if parameter.ndim == 4]
        others = [parameter for parameter in chosen if parameter.ndim != 4]
        common = {"momentum": momentum, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        groups: list[dict[str, Any]] = [
            {"params": kernels, "lr": muon_lr, "factor": muon_lr / lr, "orthogonal": True},
            {"params": others, "lr": lr, "factor": 1.0, "orthogonal": False},
        ]
        super().__init__([group for group in groups if group["params"]], common)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # no closure is ever given
        """Take a step along the gradients; parameters without one stay as they are."""
        for group in self.param_groups:
            trained = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not trained:
                continue
            if group["weight_decay"]:
                torch._foreach_mul_(trained, 1 - group["lr"] * group["weight_decay"])
            if group["orthogonal"]:
                for parameter in trained:
                    self._orthogonal_step(parameter, group)
            else:
                self._adam_step(list(trained), group)

    def _orthogonal_step(self, parameter: nn.Parameter, group: dict[str, Any]) -> None:
        gradient, state = parameter.grad, self.state[parameter]
        if gradient is None:
            return
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        average = state["momentum_buffer"]
        average.mul_(group["momentum"]).add_(gradient)
        ahead = gradient.add(average, alpha=group["momentum"])
        # In the order of memory, which is that of channels_last as a rule; a permutation of columns changes nothing.
        matrix = ahead.permute(0, 2, 3, 1).reshape(len(ahead), -1)
        rows, columns = matrix.shape
        update = orthogonalized(matrix).view(ahead.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)
        parameter.add_(update, alpha=-group["lr"] * math.sqrt(max(1.0, rows / columns)))

    def _adam_step(self, trained: list[Tensor], group: dict[str, Any]) -> None:
        states = [self.state[parameter] for parameter in trained]
        for parameter, state in zip(trained, states, strict=True):
            if not state:
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
                state["step"] = 0
            state["step"] += 1
        gradients = [parameter.grad for parameter in trained if parameter.grad is not None]
        averages, squares = ([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq"))
        first, second = group["betas"]
        torch._foreach_lerp_(averages, gradients, 1 - first)
        torch._foreach_mul_(squares, second)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - second)
        roots = torch._foreach_sqrt(squares)
        steps = [state["step"] for state in states]
        torch._foreach_div_(roots, [math.sqrt(1 - second**step) for step in steps])
        torch._foreach_add_(roots, group["eps"])
        torch._foreach_addcdiv_(trained, averages, roots, [-group["lr"] / (1 - first**step) for step in steps])


def orthogonalized(matrix: Tensor, iterations: int = 3) -> Tensor:
    """Give about U V^T of a matrix (rows, columns) = U S V^T, by the quintic Newton-Schulz iteration.

    The singular values of the result lie around 1 where those of the matrix were not very small beside the largest;
    more `iterations` reach smaller ones. A matrix of zeros stays one.
    """
    a, b, c = _COEFFICIENTS
    x: Tensor = matrix / matrix.norm().clamp_min(1e-7)
    turned = x.shape[0] > x.shape[1]
    x = x.T if turned else x
    for _ in range(iterations):
        square = x @ x.T
        x = torch.addmm(x, torch.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.T if turned else x
