"""Where and in which number format a training runs: what `auto` stands for, and how it is applied."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from neocog.errors import RecipeError
from neocog.kernels.context import Kernels, using
from neocog.kernels.fuse import fused_blocks
from neocog.kernels.level import VARIABLE, available, level_for, reason
from neocog.kernels.plan import ConvBlock
from neocog.recipe import TrainSettings


@dataclass(frozen=True)
class Hardware:
    """The device of a training, its number format, its layout in memory and the level of its fused blocks."""

    device: torch.device
    bfloat16: bool
    channels_last: bool
    threads: int
    kernels: Kernels = "auto"

    def __str__(self) -> str:
        number = "bfloat16" if self.bfloat16 else "float32"
        layout = "channels_last" if self.channels_last else "contiguous"
        blocks = "" if self.kernels in ("auto", "off") else f", {self.kernels} blocks"
        return f"{self.device}, {number}, {layout}, {self.threads} threads{blocks}"

    def place(self, model: nn.Module) -> None:
        """Move a model to the device and into the layout."""
        model.to(self.device)
        # Unlike contiguous(), to() gives a kernel of one input channel the strides of the layout as well; without them
        # its output is laid out otherwise, and the pooling after it takes four times as long.
        model.to(memory_format=torch.channels_last if self.channels_last else torch.contiguous_format)  # type: ignore[call-overload]

    def images(self, batch: torch.Tensor) -> torch.Tensor:
        """Move a batch to the device and into the layout."""
        batch = batch.to(self.device, non_blocking=True)
        return batch.to(memory_format=torch.channels_last) if self._four(batch) else batch

    def keep(self, images: torch.Tensor) -> torch.Tensor:
        """Move a whole set of images to a GPU where it takes at most 2 GiB there; else leave it where it is."""
        return images.to(self.device) if self.device.type != "cpu" and images.numel() <= 2**31 else images

    @contextlib.contextmanager
    def precision(self) -> Iterator[None]:
        """The context in which a forward pass runs: its number format and its kernels."""
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bfloat16), using(self.kernels):
            yield

    def _four(self, batch: torch.Tensor) -> bool:
        return self.channels_last and batch.dim() == 4

    @contextlib.contextmanager
    def repeatable(self) -> Iterator[None]:
        """Fix the number of threads and ask for algorithms that repeat; put both back in the end."""
        cudnn = torch.backends.cudnn
        before = torch.get_num_threads(), cudnn.benchmark, cudnn.deterministic
        torch.set_num_threads(self.threads)
        cudnn.benchmark, cudnn.deterministic = False, True
        if self.device.type == "cpu":
            _keep_freed_memory()
        try:
            # A backward pass may run parts of the forward pass again, outside of its context.
            with using(self.kernels):
                yield
        finally:
            threads, cudnn.benchmark, cudnn.deterministic = before
            torch.set_num_threads(threads)


def _keep_freed_memory() -> None:
    """Let glibc keep the memory of a step's activations for the next step.

    By default it gives large blocks back to the system and gets them filled with zeros again each time, which
    costs a training on a CPU about a sixth of its speed (docs/tried.md). The old values cannot be read, so it
    stays like this after the training; only a training sets it, never an import.
    """
    trim_threshold, mmap_threshold = -1, -3
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(mmap_threshold, 32 * 2**20)
        libc.mallopt(trim_threshold, 256 * 2**20)


def resolve(settings: TrainSettings, network: nn.Module) -> dict[str, str | int]:
    """Decide what `auto` means for this network on this machine: values for `[train]`, all explicit.

    Raises `RecipeError` where the device or the kernels asked for are not there.
    """
    device = find_device(settings.device)
    precision, layout = settings.precision, settings.memory_format
    if precision == "auto":
        precision = "bfloat16" if _bfloat16_is_best(device, settings.kernels, network) else "float32"
    if layout == "auto":
        convolves = any(isinstance(module, nn.Conv2d) for module in network.modules())
        layout = "channels_last" if convolves and _channels_last_is_fast(device) else "contiguous"
    threads = settings.threads or torch.get_num_threads()
    return {
        "train.device": str(device),
        "train.precision": precision,
        "train.memory_format": layout,
        "train.kernels": _kernels(settings.kernels, device, precision == "bfloat16", network),
        "train.threads": threads,
    }


def hardware(settings: TrainSettings) -> Hardware:
    """Build the `Hardware` of settings in which nothing is `auto` any more."""
    return Hardware(
        find_device(settings.device),
        settings.precision == "bfloat16",
        settings.memory_format == "channels_last",
        settings.threads or torch.get_num_threads(),
        settings.kernels,
    )


def find_device(name: str) -> torch.device:
    """Find a device by its name, the best one there is for `auto`; raises `RecipeError` where it is not there."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise RecipeError(f'device = {name!r}: expected "auto", "cpu", "cuda", "cuda:1" or "mps".') from error
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(device.type, False):
        raise RecipeError(
            f"device = {name!r}: PyTorch {torch.__version__} finds no such device here. "
            'Use device = "cpu" or "auto", or install a PyTorch build for your GPU.'
        )
    return device


def _kernels(kernels: Kernels, device: torch.device, bfloat16: bool, network: nn.Module) -> Kernels:
    """Give the level at which the blocks of a network run, "off" where there are none; refuse one that cannot run."""
    if kernels == "off":
        return "off"
    if kernels == "auto":
        level = level_for(bfloat16) if device.type == "cpu" else None
        return level if level and fused_blocks(network) else "off"
    number = "bfloat16" if kernels == "amx" else "float32"
    why = None
    if device.type != "cpu":
        why = f"the blocks run on the CPU, not on the device {device}. Use"
    elif bfloat16 != (kernels == "amx"):
        why = f'it computes in {number}. Use precision = "{number}" with it, or'
    elif kernels not in available() or level_for(bfloat16) is None:
        why = f"it cannot run here ({reason()}). Use"
    elif os.environ.get(VARIABLE) and level_for(bfloat16) != kernels:
        why = f"{VARIABLE}={os.environ[VARIABLE]} asks for another. Unset it, or use"
    if why is not None:
        raise RecipeError(f'kernels = {kernels!r}: {why} kernels = "auto", or "off" for PyTorch\'s own layers.')
    return kernels


def _bfloat16_is_best(device: torch.device, kernels: Kernels, network: nn.Module) -> bool:
    if kernels in ("amx", "avx512", "avx2"):
        return kernels == "amx"
    if device.type == "cpu" and kernels == "auto" and not level_for(True) and level_for(False):
        # Convolutions in float32 blocks are faster than PyTorch's layers in bfloat16.
        convolves = any(isinstance(block, ConvBlock) for _, block in fused_blocks(network))
        return _bfloat16_is_fast(device) and not convolves
    return _bfloat16_is_fast(device)


def _bfloat16_is_fast(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        # Without these instructions bfloat16 is emulated and several times slower than float32.
        capability = torch.backends.cpu.get_cpu_capability()
        return capability.startswith("AVX512") and bool(torch.cpu._is_avx512_bf16_supported())
    return False


def _channels_last_is_fast(device: torch.device) -> bool:
    # oneDNN and cuDNN work in this layout and copy from the other; elsewhere nothing was measured.
    return device.type == "cuda" or (device.type == "cpu" and platform.machine().lower() in ("x86_64", "amd64"))
