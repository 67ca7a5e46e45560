"""Which pixels of an image speak for a class: Grad-CAM, occlusion and integrated gradients, computed by Captum.

All three explain the logit of the target class. Each runs the model in evaluation mode, layer by layer, on images of
its own, and leaves it as it was: training flags, `requires_grad`, gradients, hooks and buffers.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from neocog.errors import DataError, ModelError
from neocog.explain.cam_layer import layer_with_maps, usual_layer
from neocog.explain.enlarging import centres, enlarged
from neocog.explain.forward import record, run
from neocog.explain.layers import device_of, dtype_of, find_layer, plain_network, undisturbed

Method: TypeAlias = Literal["gradcam", "occlusion", "integrated-gradients"]
METHODS: tuple[Method, ...] = get_args(Method)

# Pixels of all channels that one forward pass works on, so that memory stays small for photographs too.
_PIXELS_A_PASS = 64 * 3 * 64 * 64


def grad_cam(model: nn.Module, images: Tensor, targets: Tensor, layer: str | None = None) -> Tensor:
    """Weigh the feature maps of a layer by their mean gradient, add them up, and keep what speaks for the target.

    Source: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-Based Localization",
    ICCV 2017.

    Args:
        model: takes pixels, float in 0..255 (N, C, H, W), and gives logits (N, K).
        images: those pixels, float or uint8.
        targets: the class of each image to speak for, int64 (N,).
        layer: the name of a layer that gives maps. Left out, it is `grad_cam_layer(model, images)`.

    Returns:
        float32 (N, H, W) of at least 0 on the CPU: the map of the layer, enlarged to the images bilinearly. In a
        network in the notation each of its units stands at the middle of its receptive field; in any other the map is
        stretched over the image.

    Raises:
        ModelError: no such layer, or one that gives no maps; a network without a convolution that does, or one that
            no gradient comes through.
        DataError: images or targets that do not fit.
    """
    captum = _captum()

    pixels, classes = _checked(model, images, targets)
    size = (pixels.shape[2], pixels.shape[3])
    if len(pixels) == 0:
        return torch.zeros(0, *size)
    forward = record(model, pixels[0])
    name = usual_layer(forward) if layer is None else layer_with_maps(forward, layer)
    chosen, middles = find_layer(model, name), centres(forward, name)
    found = list[Tensor]()
    with _differentiable(model):
        for part, goals in _parts(pixels, classes):
            # The gradient has to reach the layer where all weights are frozen too.
            given = part.clone().requires_grad_()
            cam = captum.LayerGradCam(_logits(model, goals), chosen).attribute(
                given, target=goals, relu_attributions=True
            )
            found.append(enlarged(cam.detach().float(), size, middles)[:, 0].clamp(min=0))
    return _joined(found, size)


def occlusion(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    window: int | None = None,
    stride: int | None = None,
) -> Tensor:
    """Cover one place after the other with a square, and see by how much the target's logit falls.

    Source: Zeiler, Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014.

    Args:
        model: takes pixels, float in 0..255 (N, C, H, W), and gives logits (N, K).
        images: those pixels, float or uint8.
        targets: the class of each image to speak for, int64 (N,).
        window: side of the square in pixels; left out, about a sixth of the shorter side.
        stride: pixels from one place to the next; left out, half the window.

    Returns:
        float32 (N, H, W) on the CPU: the mean fall over the squares that cover a pixel; below 0 where covering it
        helps the target. The square has the colour that prevails along the border of its image (`border_colour`).

    Raises:
        DataError: images or targets that do not fit, or a window or stride that is not positive.
    """
    captum = _captum()

    pixels, classes = _checked(model, images, targets)
    channels, height, width = pixels.shape[1:]
    side = window if window is not None else max(2, round(min(height, width) / 6))
    step = stride if stride is not None else max(1, side // 2)
    if side < 1 or step < 1:
        raise DataError(f"window = {side} and stride = {step}: expected at least one pixel each.")
    square = (min(side, height), min(side, width))
    steps = (min(step, square[0]), min(step, square[1]))
    with undisturbed(model), torch.no_grad():
        found = [
            captum.Occlusion(_logits(model, chosen)).attribute(
                part,
                sliding_window_shapes=(channels, *square),
                strides=(channels, *steps),
                baselines=border_colour(part).to(part).expand_as(part),
                target=chosen,
                perturbations_per_eval=max(1, _images_a_pass(pixels) // len(part)),
            )[:, 0]
            for part, chosen in _parts(pixels, classes)
        ]
    return _joined(found, (height, width))


def integrated_gradients(
    model: nn.Module, images: Tensor, targets: Tensor, *, steps: int = 32, baseline: Tensor | None = None
) -> Tensor:
    """Add up the gradients on the way from a plain image to the image, times what changes on that way.

    Source: Sundararajan, Taly, Yan, "Axiomatic Attribution for Deep Networks", ICML 2017. Over an image the values
    add up, to the precision of the sum, to the difference between its logit and the logit of the plain image.

    Args:
        model: takes pixels, float in 0..255 (N, C, H, W), and gives logits (N, K).
        images: those pixels, float or uint8.
        targets: the class of each image to speak for, int64 (N,).
        steps: places on the way where the gradient is taken; the sum is the Gauss-Legendre quadrature of that many.
        baseline: the plain images, of a shape that expands to that of `images`; left out, `border_colour(images)`.

    Returns:
        float32 (N, H, W) on the CPU, summed over the channels; below 0 where a pixel speaks against the target.

    Raises:
        DataError: images or targets that do not fit, or steps below 1.
        ModelError: a network that no gradient comes through.
    """
    captum = _captum()

    pixels, classes = _checked(model, images, targets)
    if steps < 1:
        raise DataError(f"steps = {steps}: expected at least one.")
    plain = border_colour(pixels) if baseline is None else baseline
    starts = plain.to(pixels).expand_as(pixels).contiguous()
    found, a_pass = list[Tensor](), _images_a_pass(pixels)
    with _differentiable(model):
        for place, (part, chosen) in enumerate(_parts(pixels, classes)):
            first = place * a_pass
            values = captum.IntegratedGradients(_logits(model, chosen)).attribute(
                part,
                baselines=starts[first : first + len(part)],
                target=chosen,
                n_steps=steps,
                # Captum asks for at least one step of each image at a time.
                internal_batch_size=max(a_pass, len(part)),
            )
            found.append(values.detach().sum(1))
    return _joined(found, (pixels.shape[2], pixels.shape[3]))


def attribute(method: Method, model: nn.Module, images: Tensor, targets: Tensor, layer: str | None = None) -> Tensor:
    """Call the method by its name; `layer` is Grad-CAM's. Raises `ModelError` for a name that is none of `METHODS`."""
    if method == "gradcam":
        return grad_cam(model, images, targets, layer)
    if method == "occlusion":
        return occlusion(model, images, targets)
    if method == "integrated-gradients":
        return integrated_gradients(model, images, targets)
    raise ModelError(f"no method is called {method!r}; there are {', '.join(METHODS)}.")


def usual_attribution(model: nn.Module, images: Tensor, targets: Tensor) -> tuple[Tensor, Method]:
    """Attribute by the first of Grad-CAM, integrated gradients and occlusion that the network allows, and name it."""
    methods: tuple[Method, ...] = ("gradcam", "integrated-gradients")
    for method in methods:
        with suppress(ModelError):
            return attribute(method, model, images, targets), method
    return occlusion(model, images, targets), "occlusion"


def grad_cam_layer(model: nn.Module, images: Tensor) -> str:
    """Name the layer whose maps Grad-CAM uses where none is named: the last with features and places both.

    See `usual_layer`. `images`: pixels (N, C, H, W); the first one is run. Raises `ModelError` where there is none.
    """
    return usual_layer(record(model, images[0].to(device_of(model), dtype_of(model))))


def border_colour(images: Tensor) -> Tensor:
    """Give the colour that prevails along the border of each image, the median of each channel: (N, C, 1, 1).

    It is what we take for "nothing there": the background of a digit or of a piece of clothes, whether dark or light.
    """
    lines = (images[:, :, 0], images[:, :, -1], images[:, :, :, 0], images[:, :, :, -1])
    return torch.cat(lines, 2).float().median(2).values[:, :, None, None]


def _checked(model: nn.Module, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Give the images as pixels of our own that the model takes, and the targets, both on its device."""
    if images.ndim != 4 or 0 in images.shape[1:]:
        raise DataError(f"expected a batch of images (N, C, H, W); got the shape {tuple(images.shape)}.")
    if targets.shape != images.shape[:1] or targets.dtype not in (torch.int64, torch.int32):
        raise DataError(
            f"expected a target class for each of {len(images)} images, int64 ({len(images)},); "
            f"got {targets.dtype} of shape {tuple(targets.shape)}."
        )
    device = device_of(model)
    # Tensors of inference mode would not take part in gradients.
    with torch.inference_mode(False):
        pixels = images.detach().to(device).clone().to(dtype_of(model))
        return pixels, targets.detach().to(device).clone().to(torch.int64)


@contextmanager
def _differentiable(model: nn.Module) -> Iterator[None]:
    with undisturbed(model), torch.inference_mode(False), torch.enable_grad():
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise ModelError(
                f"the gradient of a logit does not come through {type(plain_network(model)).__name__}: {error}. "
                "occlusion needs no gradient."
            ) from error


def _logits(model: nn.Module, classes: Tensor) -> Callable[[Tensor], Tensor]:
    """Give the function that Captum explains: the logits, which `classes` have to be among."""

    def forward(pixels: Tensor) -> Tensor:
        # A network may begin with a layer that works in place.
        logits = run(model, pixels.clone())
        if not isinstance(logits, Tensor) or logits.ndim != 2:
            what = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ModelError(f"expected a network that gives logits (N, classes); got {what}.")
        if int(classes.min()) < 0 or int(classes.max()) >= logits.shape[1]:
            raise DataError(
                f"the network gives {logits.shape[1]} logits: expected targets from 0 to {logits.shape[1] - 1}, "
                f"not {sorted(set(classes.tolist()))}."
            )
        return logits.float()

    return forward


def _captum() -> Any:
    with warnings.catch_warnings():
        # In a notebook without ipywidgets its progress bar warns on import that it cannot be drawn; none is asked for.
        warnings.filterwarnings("ignore", message="IProgress not found")
        from captum import attr
    return attr


def _images_a_pass(pixels: Tensor) -> int:
    return max(1, _PIXELS_A_PASS // math.prod(pixels.shape[1:]))


def _parts(pixels: Tensor, classes: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    size = _images_a_pass(pixels)
    for first in range(0, len(pixels), size):
        yield pixels[first : first + size], classes[first : first + size]


def _joined(found: list[Tensor], size: tuple[int, int]) -> Tensor:
    return torch.cat(found).to("cpu", torch.float32) if found else torch.zeros(0, *size)
