"""One fused block as an operation of autograd: convolution, bias, max pooling and relu."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.kernels.library import BAD_SHAPE, NO_MEMORY, OK, ConvStruct, Level, ThreadsStruct, library, openmp

_Four: TypeAlias = tuple[int, int, int, int]


class _Block(NamedTuple):
    """A block for images of one shape: what C is told, and how its arrays lie in memory.

    `conv` is only read, by all threads. The strides are those of channels_last: a memory_format cannot be asked for
    them, as torch says yes to any strides where N and C, or H and W, are 1.
    """

    conv: ConvStruct
    x_strides: _Four
    weight_strides: _Four
    y_shape: _Four
    y_strides: _Four


def fused_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    *,
    padding: int,
    pool: bool,
    pool_padding: int = 0,
    relu: bool,
    level: Level,
    threads: int,
) -> Tensor:
    """Give max_pool2d(relu(conv2d(x, weight, bias, padding=padding)), 2, padding=pool_padding) in channels_last.

    `x` is (N, C, H, W) with any strides: float32, or for the level `amx` any floating type, which becomes bfloat16.
    `weight` is float32, (O, C, 3, 3) or (O, C, 5, 5); `padding` goes from 0 to the kernel size - 1, `pool_padding` is
    0 or 1. Without `pool` or `relu` that step is left out. The same inputs and threads give the same bits.

    Raises `ValueError` where the shapes do not fit or are not supported, `MemoryError` where there is not enough.
    """
    block = _block(x.shape, weight.shape, padding, pool, pool_padding, relu)
    _check(x, weight, bias, level)
    if level == "amx":
        x = x.to(torch.bfloat16)
    if x.stride() != block.x_strides:
        x = channels_last(x)
    if torch.is_grad_enabled() and (
        x.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad)
    ):
        return _FusedConv.apply(x, weight, bias, block, level, threads)  # type: ignore[no-any-return,no-untyped-call]
    return _forward(x, weight, bias, block, level, threads, None)


def supported(conv: nn.Conv2d, pool: nn.MaxPool2d | None = None) -> str | None:
    """Say why a convolution, with the pooling that follows it, cannot be a block; None where it can."""
    if conv.stride != (1, 1) or conv.dilation != (1, 1) or conv.groups != 1:
        return "stride, dilation and groups must be 1"
    if conv.kernel_size not in ((3, 3), (5, 5)):
        return "the kernel must be 3x3 or 5x5"
    if conv.padding_mode != "zeros" or padding_of(conv) is None:
        return "the padding must be zeros, the same on all sides, and narrower than the kernel"
    if pool is None:
        return None
    if _pair(pool.kernel_size) != (2, 2) or _pair(pool.stride) != (2, 2) or _pair(pool.dilation) != (1, 1):
        return "the pooling must be 2x2 with stride 2"
    if _pair(pool.padding) not in ((0, 0), (1, 1)) or pool.ceil_mode or pool.return_indices:
        return "the pooling must have padding 0 or 1, no ceil_mode and no indices"
    return None


def padding_of(conv: nn.Conv2d) -> int | None:
    """Give the padding of a convolution as the one number for all sides; None where it is another."""
    size = conv.kernel_size[0]
    if isinstance(conv.padding, str):
        return {"same": size // 2, "valid": 0}[conv.padding]
    top, left = conv.padding
    return top if top == left and 0 <= top < size else None


def _pair(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)


class _FusedConv(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, block: _Block, level: Level, threads: int
    ) -> Tensor:
        choice = torch.empty(block.y_shape, dtype=torch.uint8) if block.conv.pool or block.conv.relu else None
        y = _forward(x, weight, bias, block, level, threads, choice)
        ctx.save_for_backward(x, weight, bias, choice)
        ctx.block, ctx.level, ctx.threads = block, level, threads
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, choice = ctx.saved_tensors
        block: _Block = ctx.block
        wanted = ctx.needs_input_grad[:3]
        if torch.is_grad_enabled():
            # create_graph=True asks for gradients of these gradients, which only PyTorch's operators have.
            return *_differentiable_gradients(x, weight, bias, block, dy, wanted), None, None, None
        dense_dy = dy if dy.stride() == block.y_strides else nhwc(dy)
        w = weight if weight.stride() == block.weight_strides else nhwc(weight)
        dx = torch.empty_strided(x.shape, block.x_strides, dtype=x.dtype) if wanted[0] else None
        dw = torch.empty_like(w)
        db = None if bias is None else torch.empty(bias.shape)
        raise_for(
            library().backward[ctx.level](
                ctypes.addressof(block.conv),
                ctypes.addressof(thread_struct(ctx.threads)),
                x.data_ptr(),
                w.data_ptr(),
                pointer(choice),
                dense_dy.data_ptr(),
                pointer(dx),
                dw.data_ptr(),
                pointer(db),
            )
        )
        return dx, dw if w is weight else _laid_out_as(weight, dw), db, None, None, None


def _differentiable_gradients(
    x: Tensor, weight: Tensor, bias: Tensor | None, block: _Block, dy: Tensor, wanted: tuple[bool, ...]
) -> tuple[Tensor | None, ...]:
    y = F.conv2d(x.to(weight.dtype), weight, bias, padding=block.conv.padding)
    if block.conv.pool:
        y = F.max_pool2d(y, 2, padding=block.conv.pool_padding)
    if block.conv.relu:
        y = F.relu(y)
    inputs = [tensor for tensor, want in zip((x, weight, bias), wanted, strict=True) if want and tensor is not None]
    gradients = iter(torch.autograd.grad(y, inputs, dy.to(y.dtype), create_graph=True))
    return tuple(next(gradients) if want else None for want in wanted)


def _forward(
    x: Tensor, weight: Tensor, bias: Tensor | None, block: _Block, level: Level, threads: int, choice: Tensor | None
) -> Tensor:
    y = torch.empty_strided(block.y_shape, block.y_strides, dtype=x.dtype)
    w = weight if weight.stride() == block.weight_strides else nhwc(weight)
    b = None if bias is None else bias.contiguous()
    raise_for(
        library().forward[level](
            ctypes.addressof(block.conv),
            ctypes.addressof(thread_struct(threads)),
            x.data_ptr(),
            w.data_ptr(),
            pointer(b),
            y.data_ptr(),
            pointer(choice),
        )
    )
    return y


@lru_cache(maxsize=1024)
def _block(
    x_shape: tuple[int, ...], weight_shape: tuple[int, ...], padding: int, pool: bool, pool_padding: int, relu: bool
) -> _Block:
    """Check the shapes and say how they lie in memory; kept, as a training asks for the same ones in every step."""
    if len(x_shape) != 4 or len(weight_shape) != 4 or weight_shape[1] != x_shape[1] or not x_shape[1]:
        raise ValueError(
            f"expected x (N, C, H, W) and a weight (O, C, k, k), got {tuple(x_shape)} and {tuple(weight_shape)}"
        )
    (images, channels, height, width), (filters, _, kernel, kernel_width) = x_shape, weight_shape
    if kernel_width != kernel or kernel not in (3, 5) or not filters:
        raise ValueError(f"expected a kernel of 3x3 or 5x5, got the weight {tuple(weight_shape)}")
    if not 0 <= padding < kernel or pool_padding not in (0, 1):
        raise ValueError(
            f"expected padding 0 to {kernel - 1} and pool_padding 0 or 1, got {padding} and {pool_padding}"
        )
    rows, columns = (size + 2 * padding - kernel + 1 for size in (height, width))
    if pool and min(rows, columns) > 0:
        rows, columns = ((size + 2 * pool_padding) // 2 for size in (rows, columns))
    if min(rows, columns) < 1:
        raise ValueError(f"images of {height}x{width} are too small: nothing would come out of the block")
    shape = (images, height, width, channels, filters, kernel, padding, pool, pool_padding if pool else 0, relu)
    return _Block(
        ConvStruct(*map(int, shape)),
        _strides(channels, height, width),
        _strides(channels, kernel, kernel),
        (images, filters, rows, columns),
        _strides(filters, rows, columns),
    )


def _strides(channels: int, height: int, width: int) -> _Four:
    return height * width * channels, 1, width * channels, channels


def _check(x: Tensor, weight: Tensor, bias: Tensor | None, level: Level) -> None:
    if level not in library().forward:
        raise ValueError(f"level {level!r} is not there: {library().problem or 'it was not compiled'}")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"expected a bias ({weight.shape[0]},), got {tuple(bias.shape)}")
    if not (x.is_cpu and weight.is_cpu and (bias is None or bias.is_cpu)):
        raise ValueError("expected all tensors on the CPU")
    single = torch.float32
    fits = x.dtype is single or (level == "amx" and x.is_floating_point())
    if not fits or weight.dtype is not single or (bias is not None and bias.dtype is not single):
        raise ValueError(
            f"expected float32 weights and images of float32 (amx: bfloat16), got {weight.dtype} and {x.dtype}"
        )


@lru_cache(maxsize=64)
def thread_struct(threads: int) -> ThreadsStruct:
    """Say how to run on a number of threads; only read, by all that share it."""
    runtime = openmp() if threads > 1 else None
    return ThreadsStruct(runtime and runtime.parallel, max(1, threads))


def nhwc(tensor: Tensor) -> Tensor:
    """Give (A, B, H, W) as a dense (A, H, W, B); no copy where it lies so in memory already."""
    return tensor.permute(0, 2, 3, 1).contiguous()


def channels_last(x: Tensor) -> Tensor:
    """Give (N, C, H, W) with the order of channels_last in memory; no copy where it lies so already."""
    return nhwc(x).permute(0, 3, 1, 2)


def empty_nhwc(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Make an (N, C, H, W) of channels_last strides; nobody's view, so that whoever gets it may change it in place."""
    return torch.empty_strided(shape, _strides(*shape[1:]), dtype=dtype)


def _laid_out_as(weight: Tensor, dense: Tensor) -> Tensor:
    """Give a dense (O, k, k, C) as (O, C, k, k) with the strides of `weight`, so that autograd need not copy it."""
    if weight.permute(0, 2, 3, 1).is_contiguous():
        return dense.as_strided(weight.shape, weight.stride())
    return dense.permute(0, 3, 1, 2).contiguous()


def pointer(tensor: Tensor | None) -> int | None:
    """Give the address of a tensor's first number, None for NULL."""
    return None if tensor is None else tensor.data_ptr()


def raise_for(status: int) -> None:
    """Raise what a status of the C functions stands for."""
    if status == NO_MEMORY:
        raise MemoryError("the fused blocks got no memory for their sums. Try a smaller batch or fewer threads.")
    if status == BAD_SHAPE:
        raise ValueError("the fused blocks do not support this shape")
    if status != OK:
        raise RuntimeError(f"the fused blocks gave the unknown status {status}")
