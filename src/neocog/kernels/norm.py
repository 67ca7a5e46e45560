"""Batch norm and relu in training as one operation of autograd."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.kernels.block import channels_last, empty_nhwc, nhwc, pointer, raise_for, thread_struct
from neocog.kernels.library import Level, NormStruct, library


def fused_norm(x: Tensor, norm: nn.BatchNorm2d, *, relu: bool, level: Level, threads: int) -> Tensor:
    """Give relu(norm(x)) of a batch norm that is training, in channels_last; its running statistics move as usual.

    `x` is float32 (N, C, H, W), with at least two pixels to a channel. The statistics are those of the batch (Ioffe
    and Szegedy, "Batch Normalization", 2015, algorithm 1). The same inputs and threads give the same bits. Without
    `relu` that step is left out. Raises `ValueError` where a level has no batch norm or the norm is not one of those
    that `norm_supported` names.
    """
    problem = norm_supported(norm) or _misfit(x, norm, level)
    if problem:
        raise ValueError(f"a fused batch norm is not possible: {problem}")
    y, mean, variance = _FusedNorm.apply(channels_last(x), norm.weight, norm.bias, norm.eps, relu, level, threads)  # type: ignore[no-untyped-call]
    _move_running_statistics(norm, mean, variance, x.numel() // x.shape[1])
    return y  # type: ignore[no-any-return]


def norm_supported(norm: nn.BatchNorm2d) -> str | None:
    """Say why a batch norm cannot be fused; None where it can."""
    if not norm.training:
        return "it is not training"
    if not norm.affine:
        return "it has no weight and bias"
    return None


def _misfit(x: Tensor, norm: nn.BatchNorm2d, level: Level) -> str | None:
    if level not in library().norm_forward:
        return f"level {level!r} has none"
    if x.dim() != 4 or x.shape[1] != norm.num_features or x.numel() <= x.shape[1]:
        return f"expected images (N, {norm.num_features}, H, W) of two pixels or more, got {tuple(x.shape)}"
    if {x.dtype, norm.weight.dtype, norm.bias.dtype} != {torch.float32}:
        return f"expected float32, got {x.dtype} and {norm.weight.dtype}"
    return None


def _move_running_statistics(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor, pixels: int) -> None:
    # As nn.BatchNorm2d does it; the running variance is the unbiased one.
    if norm.running_mean is None or norm.running_var is None:
        return
    share = norm.momentum
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
        if share is None:
            share = 1.0 / float(norm.num_batches_tracked)
    if share is None:
        share = 0.0
    with torch.no_grad():
        norm.running_mean.lerp_(mean, share)
        norm.running_var.lerp_(variance * (pixels / (pixels - 1)), share)


class _FusedNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, eps: float, relu: bool, level: Level, threads: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        channels, dense = x.shape[1], nhwc(x)
        y = empty_nhwc((x.shape[0], channels, x.shape[2], x.shape[3]), x.dtype)
        mean, variance = torch.empty(channels), torch.empty(channels)
        norm = NormStruct(x.numel() // channels, channels, eps, relu)
        gamma, beta = gamma.contiguous(), beta.contiguous()
        raise_for(
            library().norm_forward[level](
                ctypes.byref(norm),
                ctypes.byref(thread_struct(threads)),
                *map(pointer, (dense, gamma, beta, y, mean, variance)),
            )
        )
        ctx.save_for_backward(x, gamma, beta, mean, variance)
        ctx.norm, ctx.level, ctx.threads = norm, level, threads
        ctx.mark_non_differentiable(mean, variance)
        return y, mean, variance

    @staticmethod
    def backward(ctx: Any, dy: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, gamma, beta, mean, variance = ctx.saved_tensors
        if torch.is_grad_enabled():
            return *_differentiable_gradients(x, gamma, beta, ctx.norm, dy), None, None, None, None
        dense, dense_dy = nhwc(x), nhwc(dy)
        dx = empty_nhwc(tuple(x.shape), x.dtype) if ctx.needs_input_grad[0] else None
        dgamma, dbeta = torch.empty_like(gamma), torch.empty_like(beta)
        raise_for(
            library().norm_backward[ctx.level](
                ctypes.byref(ctx.norm),
                ctypes.byref(thread_struct(ctx.threads)),
                *map(pointer, (dense, gamma, beta, mean, variance, dense_dy, dx, dgamma, dbeta)),
            )
        )
        return dx, dgamma, dbeta, None, None, None, None


def _differentiable_gradients(
    x: Tensor, gamma: Tensor, beta: Tensor, norm: NormStruct, dy: Tensor
) -> tuple[Tensor | None, ...]:
    # create_graph=True asks for gradients of these gradients, which only PyTorch's operators have.
    y = F.batch_norm(x, None, None, gamma, beta, training=True, eps=norm.epsilon)
    y = F.relu(y) if norm.relu else y
    inputs = [tensor for tensor in (x, gamma, beta) if tensor.requires_grad]
    gradients = iter(torch.autograd.grad(y, inputs, dy, create_graph=True))
    return tuple(next(gradients) if tensor.requires_grad else None for tensor in (x, gamma, beta))
