"""Geometric transforms of boxes and masks.

Note [Kinds of samples]: geometric functions read the ``sample_kind`` of a tensor (see ``flambeau.vision.tv_tensors``).
They transform images and masks as plain tensors; masks are always interpolated by nearest neighbour. They transform the
corners of boxes, and store the new image size in the result. Plain tensors, arrays and PIL images have no
``sample_kind`` and are treated as images. A transform class that calls a geometric function sets ``maps_plane = True``;
the class of the same name in ``transforms.v2`` then also transforms masks and boxes.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import flambeau as fb

from ._interpolation import InterpolationMode

if TYPE_CHECKING:
    from ..tv_tensors import BoundingBoxes


Points = Callable[[np.ndarray], np.ndarray]


def for_kinds(of_boxes: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a function of images so that it also accepts masks and boxes. ``of_boxes`` transforms the boxes.

    See Note [Kinds of samples].
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(function)
        resamples = "interpolation" in signature.parameters

        @functools.wraps(function)
        def call(img: Any, *args: Any, **kwargs: Any) -> Any:
            kind = getattr(type(img), "sample_kind", None)
            if kind is None:
                return function(img, *args, **kwargs)
            binding = signature.bind(img, *args, **kwargs)
            binding.apply_defaults()
            if kind == "boxes":
                return of_boxes(*binding.args, **binding.kwargs)
            if kind == "mask" and resamples:
                binding.arguments["interpolation"] = InterpolationMode.NEAREST
            plain = img.as_subclass(fb.Tensor)
            lines = kind == "mask" and plain.ndim == 2
            binding.arguments["img"] = plain[None] if lines else plain
            result = function(*binding.args, **binding.kwargs)
            return type(img).wrap(result[0] if lines else result, img)

        return call

    return decorate


def corners_of(boxes: Any) -> fb.Tensor:
    """Return boxes as a plain tensor ``(N, 4)`` of x1, y1, x2, y2, with their dtype."""
    return reformatted(boxes.as_subclass(fb.Tensor), boxes.format.value, "XYXY")


def exact_corners_of(boxes: Any) -> fb.Tensor:
    """Return boxes as a plain floating tensor ``(N, 4)`` of x1, y1, x2, y2, without rounding half pixels."""
    plain = boxes.as_subclass(fb.Tensor)
    return reformatted(plain if plain.is_floating_point() else plain.double(), boxes.format.value, "XYXY")


def reformatted(boxes: fb.Tensor, before: str, after: str) -> fb.Tensor:
    """Convert boxes ``(N, 4)`` to another format, without changing their dtype.

    As in torchvision, corners of integer boxes are rounded towards zero and centres are rounded down.
    """
    if before == after:
        return boxes.clone()
    a, b, c, d = (boxes[..., index] for index in range(4))
    if before == "CXCYWH":
        a, b = a - c / 2, b - d / 2
    if before != "XYXY":
        a, b, c, d = (corner.to(boxes.dtype) for corner in (a, b, a + c, b + d))
    if after == "XYXY":
        return fb.stack((a, b, c, d), -1)
    width, height = c - a, d - b
    if after == "CXCYWH":
        a, b = _half(a + c), _half(b + d)
    return fb.stack((a, b, width, height), -1)


def _half(size: fb.Tensor) -> fb.Tensor:
    """Return half of a number; integers are rounded down."""
    return size / 2 if size.is_floating_point() else fb.div(size, 2, rounding_mode="floor")


def rewritten(
    corners: fb.Tensor, like: BoundingBoxes, canvas_size: Sequence[int] | None = None, clamp: bool = True
) -> BoundingBoxes:
    """Convert corners ``(N, 4)`` to boxes with the format of ``like``, clipped to the image if ``clamp``."""
    height, width = canvas_size or like.canvas_size
    if clamp and like.clamping_mode is not None:
        corners = fb.stack((corners[:, 0::2].clamp(0, width), corners[:, 1::2].clamp(0, height)), -1).flatten(1)
    plain = reformatted(corners, "XYXY", like.format.value).to(like.dtype)
    return type(like).wrap(plain, like, canvas_size=(height, width))


def shifted(boxes: BoundingBoxes, left: int, top: int, size: Sequence[int]) -> BoundingBoxes:
    """Shift boxes for a crop at ``(left, top)``, or padding if negative, to ``size`` (height, width)."""
    return rewritten(exact_corners_of(boxes) - fb.tensor([left, top, left, top], device=boxes.device), boxes, size)


def scale_boxes(boxes: BoundingBoxes, size: tuple[int, int]) -> BoundingBoxes:
    """Scale boxes with their image, in any format."""
    (height, width), (new_height, new_width) = boxes.canvas_size, size
    across, down = new_width / width, new_height / height
    ratios = fb.tensor([across, down, across, down], device=boxes.device)
    scaled = (boxes.as_subclass(fb.Tensor) * ratios).to(boxes.dtype)
    return type(boxes).wrap(scaled, boxes, canvas_size=size)


def mirrored(boxes: BoundingBoxes, axis: int) -> BoundingBoxes:
    """Flip boxes horizontally (axis 0) or vertically (axis 1)."""
    corners = exact_corners_of(boxes)
    side = boxes.canvas_size[1 - axis]
    low, high = side - corners[:, axis + 2], side - corners[:, axis]
    parts = list(corners.unbind(1))
    parts[axis], parts[axis + 2] = low, high
    return rewritten(fb.stack(parts, 1), boxes, clamp=False)


def mapped(boxes: BoundingBoxes, points: Points, size: Sequence[int]) -> BoundingBoxes:
    """Transform the corners of boxes with a function of points ``(2, N)``, and return their bounding boxes."""
    corners = exact_corners_of(boxes)
    x, y = corners[:, [0, 2, 2, 0]], corners[:, [1, 1, 3, 3]]
    transformed = points(fb.stack((x.flatten(), y.flatten())).double().cpu().numpy()).reshape(2, -1, 4)
    hull = np.stack([*transformed.min(2), *transformed.max(2)], 1)
    return rewritten(fb.from_numpy(hull).to(boxes.device), boxes, size)
