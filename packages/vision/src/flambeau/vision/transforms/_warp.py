"""Geometric transforms of images: rotation, affine and perspective maps, and elastic deformation.

Coordinates refer to pixel edges: the centre of the first pixel is (0.5, 0.5). As in Pillow, a map computes, for each
pixel of the result, the position in the source image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

import numpy as np
from PIL import Image

import flambeau as fb
from flambeau import nn

from ._boxes import for_kinds, mapped
from ._image import as_batch, get_dimensions, height_and_width, on_planes, through_float, to_pil_like
from ._interpolation import InterpolationMode, interpolation_mode, pillow_mode
from ._pad import fill_of

ImageT = TypeVar("ImageT")

if TYPE_CHECKING:
    from ..tv_tensors import BoundingBoxes

__all__ = ["affine", "elastic_transform", "perspective", "rotate"]

_SAMPLED = (InterpolationMode.NEAREST, InterpolationMode.BILINEAR, InterpolationMode.BICUBIC)


def _turned_boxes(
    boxes: BoundingBoxes, angle: float, interpolation: Any, expand: bool, center: Sequence[float] | None, fill: Any
) -> BoundingBoxes:
    inverse, size = _turning(boxes.canvas_size, angle, expand, center)
    return mapped(boxes, lambda points: np.linalg.solve(inverse[:, :2], points - inverse[:, 2:]), size)


@overload
def rotate(
    img: Image.Image,
    angle: float,
    interpolation: InterpolationMode = InterpolationMode.NEAREST,
    expand: bool = False,
    center: Sequence[float] | None = None,
    fill: Any = None,
) -> Image.Image: ...


@overload
def rotate(
    img: ImageT,
    angle: float,
    interpolation: InterpolationMode = InterpolationMode.NEAREST,
    expand: bool = False,
    center: Sequence[float] | None = None,
    fill: Any = None,
) -> ImageT: ...


@for_kinds(_turned_boxes)
def rotate(
    img: Any,
    angle: float,
    interpolation: InterpolationMode = InterpolationMode.NEAREST,
    expand: bool = False,
    center: Sequence[float] | None = None,
    fill: Any = None,
) -> Any:
    """Rotate an image counter-clockwise.

    Args:
        img: a PIL image, an array or a tensor.
        angle: angle in degrees.
        interpolation: nearest, bilinear or bicubic.
        expand: if True, enlarge the result so that it contains the full image, rotated around its centre.
        center: ``(x, y)`` of the centre of rotation, from the upper left corner; None for the image centre.
        fill: fill value outside the image, a number or one number per channel; None for 0.
    Raises: TypeError or ValueError for invalid arguments.

    >>> rotate(fb.tensor([[[1, 2], [3, 4]]]), 90)
    tensor([[[2, 4],
             [1, 3]]])
    """
    if not isinstance(angle, int | float):
        raise TypeError(f"Argument angle should be int or float, got {angle!r}")
    mode = _sampling_mode(interpolation)
    _check_point(center, "center")
    if isinstance(img, Image.Image):
        turned_around = None if center is None else (float(center[0]), float(center[1]))
        return img.rotate(angle, pillow_mode(mode), bool(expand), turned_around, fillcolor=fill_of(img, fill))
    inverse, size = _turning(height_and_width(img), angle, expand, center)
    return _sample(img, lambda points: inverse[:, :2] @ points + inverse[:, 2:], size, mode, fill)


def _turning(
    size: tuple[int, int], angle: float, expand: bool, center: Sequence[float] | None
) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the matrix ``(2, 3)`` that maps points of the rotated image to source points, and the result's size."""
    height, width = size
    linear = _rotation(-float(angle))
    inverse = _inverse_about(linear, center or (width / 2, height / 2))
    if expand:
        corners = np.linalg.solve(
            inverse[:, :2], np.array([[0, width, width, 0], [0, 0, height, height]]) - inverse[:, 2:]
        )
        low, high = np.floor(corners.min(1).round(9)), np.ceil(corners.max(1).round(9))
        new_width, new_height = (high - low).astype(int).tolist()
        moved = np.array([width - new_width, height - new_height]) / 2
        inverse = np.concatenate([inverse[:, :2], inverse[:, 2:] + inverse[:, :2] @ moved[:, None]], axis=1)
        size = (new_height, new_width)
    return inverse, size


def _affine_boxes(
    boxes: BoundingBoxes,
    angle: float,
    translate: Any,
    scale: float,
    shear: Any,
    interpolation: Any,
    fill: Any,
    center: Any,
) -> BoundingBoxes:
    inverse = _affine_inverse(boxes.canvas_size, angle, translate, scale, shear, center)
    return mapped(boxes, lambda points: np.linalg.solve(inverse[:, :2], points - inverse[:, 2:]), boxes.canvas_size)


@overload
def affine(
    img: Image.Image,
    angle: float,
    translate: Sequence[int],
    scale: float,
    shear: float | Sequence[float],
    interpolation: InterpolationMode = InterpolationMode.NEAREST,
    fill: Any = None,
    center: Sequence[float] | None = None,
) -> Image.Image: ...


@overload
def affine(
    img: ImageT,
    angle: float,
    translate: Sequence[int],
    scale: float,
    shear: float | Sequence[float],
    interpolation: InterpolationMode = InterpolationMode.NEAREST,
    fill: Any = None,
    center: Sequence[float] | None = None,
) -> ImageT: ...


@for_kinds(_affine_boxes)
def affine(
    img: Any,
    angle: float,
    translate: Sequence[int],
    scale: float,
    shear: float | Sequence[float],
    interpolation: InterpolationMode = InterpolationMode.NEAREST,
    fill: Any = None,
    center: Sequence[float] | None = None,
) -> Any:
    """Rotate an image clockwise, shear, scale and translate it. Only the translation moves the centre.

    Args:
        img: a PIL image, an array or a tensor.
        angle: angle of the rotation in degrees.
        translate: ``(x, y)`` in pixels.
        scale: positive factor.
        shear: angle in degrees along x, or angles along x and y.
        interpolation, fill, center: as for :func:`rotate`.
    Raises: TypeError or ValueError for invalid arguments.
    """
    inverse = _affine_inverse(height_and_width(img), angle, translate, scale, shear, center)
    mode = _sampling_mode(interpolation)
    if isinstance(img, Image.Image):
        coefficients = tuple(inverse.ravel().tolist())
        return img.transform(
            img.size, Image.Transform.AFFINE, coefficients, pillow_mode(mode), fillcolor=fill_of(img, fill)
        )
    return _sample(img, lambda points: inverse[:, :2] @ points + inverse[:, 2:], height_and_width(img), mode, fill)


def _affine_inverse(
    size: tuple[int, int], angle: float, translate: Any, scale: float, shear: Any, center: Any
) -> np.ndarray:
    """Return the matrix ``(2, 3)`` that maps points of the transformed image to source points."""
    if not isinstance(angle, int | float):
        raise TypeError(f"Argument angle should be int or float, got {angle!r}")
    _check_point(translate, "translate", required=True)
    _check_point(center, "center")
    if scale <= 0.0:
        raise ValueError(f"Argument scale should be positive, got {scale}")
    if isinstance(shear, int | float):
        shear = (float(shear), 0.0)
    elif not isinstance(shear, tuple | list) or len(shear) not in (1, 2):
        raise ValueError(f"Shear should be a number or a sequence of 1 or 2 numbers. Got {shear!r}")
    shear_x, shear_y = float(shear[0]), float(shear[-1] if len(shear) == 2 else shear[0])
    height, width = size
    linear = float(scale) * _rotation(float(angle)) @ _shear(shear_x, shear_y)
    return _inverse_about(linear, center or (width / 2, height / 2), translate)


def _projected_boxes(
    boxes: BoundingBoxes, startpoints: Any, endpoints: Any, interpolation: Any, fill: Any
) -> BoundingBoxes:
    forward = _projection(_perspective_coefficients(endpoints, startpoints))
    return mapped(boxes, forward, boxes.canvas_size)


@overload
def perspective(
    img: Image.Image,
    startpoints: Sequence[Sequence[int]],
    endpoints: Sequence[Sequence[int]],
    interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    fill: Any = None,
) -> Image.Image: ...


@overload
def perspective(
    img: ImageT,
    startpoints: Sequence[Sequence[int]],
    endpoints: Sequence[Sequence[int]],
    interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    fill: Any = None,
) -> ImageT: ...


@for_kinds(_projected_boxes)
def perspective(
    img: Any,
    startpoints: Sequence[Sequence[int]],
    endpoints: Sequence[Sequence[int]],
    interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    fill: Any = None,
) -> Any:
    """Apply the perspective transform that maps the four ``startpoints`` to the four ``endpoints``.

    Args:
        img: a PIL image, an array or a tensor.
        startpoints, endpoints: lists of four points ``[x, y]``, of which no three are collinear.
        interpolation, fill: as for :func:`rotate`.
    Raises: ValueError for a wrong number of points, or collinear points.
    """
    coefficients = _perspective_coefficients(startpoints, endpoints)
    mode = _sampling_mode(interpolation)
    if isinstance(img, Image.Image):
        return img.transform(
            img.size, Image.Transform.PERSPECTIVE, coefficients, pillow_mode(mode), fillcolor=fill_of(img, fill)
        )

    return _sample(img, _projection(coefficients), height_and_width(img), mode, fill)


def _projection(coefficients: Sequence[float]) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function that maps points ``(2, N)``, given the result of :func:`_perspective_coefficients`."""
    a, b, c, d, e, f, g, h = coefficients

    def source(points: np.ndarray) -> np.ndarray:
        x, y = points
        depth = g * x + h * y + 1
        return np.asarray([(a * x + b * y + c) / depth, (d * x + e * y + f) / depth])

    return source


def _displaced_boxes(boxes: Any, displacement: Any, interpolation: Any, fill: Any) -> NoReturn:
    raise NotImplementedError("elastic_transform does not support bounding boxes")


@overload
def elastic_transform(
    img: Image.Image,
    displacement: fb.Tensor,
    interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    fill: Any = None,
) -> Image.Image: ...


@overload
def elastic_transform(
    img: ImageT,
    displacement: fb.Tensor,
    interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    fill: Any = None,
) -> ImageT: ...


@for_kinds(_displaced_boxes)
def elastic_transform(
    img: Any,
    displacement: fb.Tensor,
    interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    fill: Any = None,
) -> Any:
    """Sample an image at displaced positions.

    Args:
        img: a PIL image, an array or a tensor.
        displacement: displacements in x and y, ``(1, H, W, 2)``, in units of half the image's width and height.
        interpolation, fill: as for :func:`rotate`.
    Raises: TypeError or ValueError for an invalid displacement.
    """
    if not isinstance(displacement, fb.Tensor):
        raise TypeError(f"Argument displacement should be a Tensor, got {type(displacement)}")
    _, height, width = get_dimensions(img)
    if tuple(displacement.shape) != (1, height, width, 2):
        found = list(displacement.shape)
        raise ValueError(f"Argument displacement shape should be {[1, height, width, 2]}, but given {found}")
    mode = _sampling_mode(interpolation)
    moved = displacement[0].permute(2, 0, 1).reshape(2, -1).numpy() * (np.array([[width], [height]]) / 2)
    if isinstance(img, Image.Image):
        pixels = _sample(np.asarray(img), lambda points: points + moved, (height, width), mode, fill)
        return to_pil_like(pixels, img)
    return _sample(img, lambda points: points + moved, (height, width), mode, fill)


def _sampling_mode(interpolation: Any) -> InterpolationMode:
    mode = interpolation_mode(interpolation)
    mode = InterpolationMode.NEAREST if mode is InterpolationMode.NEAREST_EXACT else mode
    if mode not in _SAMPLED:
        raise ValueError(f"interpolation should be nearest, bilinear or bicubic for this transform, got {mode.value}")
    return mode


def _check_point(point: Any, name: str, required: bool = False) -> None:
    if point is None and not required:
        return
    if not isinstance(point, tuple | list):
        raise TypeError(f"Argument {name} should be a sequence, got {point!r}")
    if len(point) != 2:
        raise ValueError(f"Argument {name} should have 2 numbers, got {point!r}")


def _rotation(degrees: float) -> np.ndarray:
    """Return the clockwise rotation matrix for a downward y axis."""
    angle = math.radians(degrees)
    cosine, sine = round(math.cos(angle), 15), round(math.sin(angle), 15)
    return np.array([[cosine, -sine], [sine, cosine]])


def _shear(x_degrees: float, y_degrees: float) -> np.ndarray:
    along_x = np.array([[1.0, -math.tan(math.radians(x_degrees))], [0.0, 1.0]])
    along_y = np.array([[1.0, 0.0], [-math.tan(math.radians(y_degrees)), 1.0]])
    return np.asarray(along_y @ along_x)


def _inverse_about(linear: np.ndarray, center: Sequence[float], translate: Sequence[float] = (0, 0)) -> np.ndarray:
    """Return the matrix ``(2, 3)`` of the inverse of ``linear`` about a centre, followed by a translation."""
    (a, b), (c, d) = linear
    inverse = np.array([[d, -b], [-c, a]]) / (a * d - b * c)
    middle = np.array(center, dtype=float)
    return np.concatenate([inverse, (middle - inverse @ (middle + np.array(translate, dtype=float)))[:, None]], axis=1)


def _perspective_coefficients(startpoints: Any, endpoints: Any) -> tuple[float, ...]:
    """Return a to h of the map from end to start points: ``(ax + by + c, dx + ey + f) / (gx + hy + 1)``."""
    start, end = (np.asarray(points, dtype=float) for points in (startpoints, endpoints))
    if start.shape != (4, 2) or end.shape != (4, 2):
        raise ValueError(f"Please provide exactly four corners each, got {startpoints!r} and {endpoints!r}")
    rows = []
    for (u, v), (x, y) in zip(start, end, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    try:
        return tuple(np.linalg.solve(np.array(rows), start.ravel()).tolist())
    except np.linalg.LinAlgError:
        raise ValueError(
            f"there is no perspective from {startpoints!r} to {endpoints!r}: three of the points lie on a line"
        ) from None


def _sample(
    img: Any,
    source: Callable[[np.ndarray], np.ndarray],
    size: tuple[int, int],
    mode: InterpolationMode,
    fill: Any,
) -> Any:
    """Sample an array or a tensor at the source positions of the result's pixels.

    Args:
        source: function from positions ``(2, H * W)``, x and y, in the result to positions in the image.
        size: size of the result.
    """
    height, width = size
    y, x = np.divmod(np.arange(height * width), width)
    positions = source(np.stack([x + 0.5, y + 0.5]))
    rows, columns = height_and_width(img)
    grid = (positions * (np.array([[2.0 / columns], [2.0 / rows]])) - 1.0).T.reshape(1, height, width, 2)

    def sampled(planes: fb.Tensor) -> fb.Tensor:
        batch = as_batch(planes)
        points = fb.from_numpy(grid).to(batch).expand(len(batch), -1, -1, -1)
        result = _read(batch, points, mode.value, fill)
        return result.reshape(*planes.shape[:-2], height, width)

    clamp = mode is InterpolationMode.BICUBIC
    return on_planes(img, lambda planes: through_float(planes, sampled, clamp))


def _read(batch: fb.Tensor, points: fb.Tensor, mode: str, fill: Any) -> fb.Tensor:
    """Sample images at points in [-1, 1]. Outside the image, mix in ``fill`` as grid_sample mixes in 0."""

    def read(image: fb.Tensor) -> fb.Tensor:
        return nn.functional.grid_sample(image, points, mode=mode, padding_mode="zeros", align_corners=False)

    result = read(batch)
    if fill is None or (isinstance(fill, int | float) and fill == 0):
        return result
    colours = fb.tensor([float(x) for x in (fill if isinstance(fill, tuple | list) else (fill,))]).to(batch)
    if len(colours) not in (1, batch.shape[1]):
        raise ValueError(
            f"fill should have one number, or one for each of the {batch.shape[1]} channels, got {len(colours)}"
        )
    inside = read(fb.ones_like(batch[:, :1]))
    if mode == "nearest":
        return fb.where(inside < 0.5, colours.view(1, -1, 1, 1), result)
    return result + (1 - inside) * colours.view(1, -1, 1, 1)
