"""Visualisation of tensors: image grids, image files, drawing of boxes, masks and keypoints, and images of flows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

import flambeau as fb

Colour = str | tuple[int, int, int]

# The colour wheel of optical flow: corners in red, green and blue, and the number of colours from each to the next.
_WHEEL_CORNERS = [[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]]
_WHEEL_STEPS = [15, 6, 4, 11, 13, 6]


def _log_api_usage_once(obj: Any) -> None:
    """Do nothing. Programs call this private function of torchvision, where it counts uses."""


@fb.no_grad()
def make_grid(
    tensor: fb.Tensor | Sequence[fb.Tensor],
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> fb.Tensor:
    """Arrange images in a grid.

    Args:
        tensor: ``(N, C, H, W)``, one image ``(C, H, W)`` or ``(H, W)``, or a sequence of images of one size. Images
            with one channel are converted to three channels.
        nrow: number of images in a row.
        padding: number of pixels between and around the images.
        normalize: if True, scale the values to 0..1.
        value_range: the minimum and maximum that are scaled to 0 and 1; by default the minimum and maximum of all
            images.
        scale_each: if True, use the minimum and maximum of each image.
        pad_value: value of the padding.
    Returns: ``(3, height, width)``, or another number of channels if the images have it. A single image is returned
        without padding.
    Raises: TypeError for other types, ValueError for other shapes.

    >>> make_grid(fb.zeros(6, 1, 4, 5), nrow=3).shape
    flambeau.Size([3, 14, 23])
    """
    images = _as_images(tensor)
    if normalize:
        images = _normalized(images, value_range, scale_each)
    if len(images) == 1:
        return images[0]
    count, channels, height, width = images.shape
    columns = min(nrow, count)
    rows = math.ceil(count / columns)
    row_height, column_width = height + padding, width + padding
    grid = images.new_full((channels, rows * row_height + padding, columns * column_width + padding), pad_value)
    for index, image in enumerate(images):
        top, left = index // columns * row_height + padding, index % columns * column_width + padding
        grid[:, top : top + height, left : left + width] = image
    return grid


def _as_images(tensor: Any) -> fb.Tensor:
    if not isinstance(tensor, fb.Tensor):
        if not isinstance(tensor, list | tuple) or not all(isinstance(image, fb.Tensor) for image in tensor):
            raise TypeError(f"tensor or list of tensors expected, got {type(tensor)}")
        if len({tuple(image.shape) for image in tensor}) != 1:
            raise ValueError(f"images of the same shape expected, got shapes {[list(image.shape) for image in tensor]}")
        tensor = fb.stack(list(tensor))
    if tensor.ndim not in (2, 3, 4) or 0 in tensor.shape:
        raise ValueError(f"[N, C, H, W], [C, H, W] or [H, W] expected, got shape {list(tensor.shape)}")
    images = tensor.reshape(*([1] * (4 - tensor.ndim)), *tensor.shape)
    return fb.cat([images] * 3, 1) if images.shape[1] == 1 else images


def _normalized(images: fb.Tensor, value_range: tuple[float, float] | None, scale_each: bool) -> fb.Tensor:
    if value_range is not None and not isinstance(value_range, tuple):
        raise TypeError(
            f"value_range has to be a tuple (min, max) if specified. min and max are numbers, got {value_range!r}"
        )
    if value_range is not None:
        low, high = value_range
        return (images.clamp(low, high) - low) / max(high - low, 1e-5)
    over = (1, 2, 3) if scale_each else (0, 1, 2, 3)
    least, greatest = images.amin(over, keepdim=True), images.amax(over, keepdim=True)
    return (images - least) / (greatest - least).clamp(min=1e-5)


@fb.no_grad()
def save_image(
    tensor: fb.Tensor | Sequence[fb.Tensor], fp: str | Path | BinaryIO, format: str | None = None, **kwargs: Any
) -> None:
    """Write images as a grid to a file.

    Args:
        tensor: images of floats in 0..1, as for :func:`make_grid`.
        fp: path of the file, whose extension selects the format, or an open file.
        format: Pillow's name of the format; required for an open file.
        kwargs: options of :func:`make_grid`.
    Raises: ValueError for an unknown extension, OSError if the file cannot be written.
    """
    _picture_of(make_grid(tensor, **kwargs)).save(fp, format=format)


def _picture_of(image: fb.Tensor) -> Image.Image:
    """Convert a tensor ``(C, H, W)`` of bytes or of floats in 0..1 to a PIL image."""
    if image.dtype is not fb.uint8:
        image = (image * 255 + 0.5).clamp(0, 255).to(fb.uint8)
    pixels = np.ascontiguousarray(image.cpu().permute(1, 2, 0).numpy())
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _canvas(image: Any, colour_only: bool = True) -> Image.Image:
    if not isinstance(image, fb.Tensor):
        raise TypeError(f"The image must be a tensor, got {type(image)}")
    if not (image.dtype is fb.uint8 or image.is_floating_point()):
        raise ValueError(f"The image dtype must be uint8 or float, got {image.dtype}")
    if image.ndim != 3 or image.shape[0] not in ((3,) if colour_only else (1, 3)):
        raise ValueError(f"Only an RGB image [3, H, W] is supported, got shape {list(image.shape)}")
    canvas = _picture_of(image)
    return canvas.convert("RGB")


def _as_tensor(canvas: Image.Image, like: fb.Tensor) -> fb.Tensor:
    planes = fb.from_numpy(np.array(canvas).transpose(2, 0, 1).copy())
    return planes if like.dtype is fb.uint8 else (planes / 255).to(like.dtype)


def _colours(colours: Any, count: int) -> list[tuple[int, int, int]]:
    """Return a colour for each object. If ``colours`` is None, colours are generated."""
    if colours is None:
        # Multiples of three large numbers modulo 255, so that many objects get different colours.
        return [tuple(index * step % 255 for step in (2**25 - 1, 2**15 - 1, 2**21 - 1)) for index in range(count)]  # type: ignore[misc]
    listed = colours if isinstance(colours, list) else [colours] * count
    if len(listed) < count:
        raise ValueError(
            f"Number of colors must be equal or larger than the number of objects, but got {len(listed)} < {count}."
        )
    return [ImageColor.getrgb(each) if isinstance(each, str) else tuple(each) for each in listed[:count]]


@fb.no_grad()
def draw_bounding_boxes(
    image: fb.Tensor,
    boxes: fb.Tensor,
    labels: Sequence[str | None] | None = None,
    colors: list[Colour] | Colour | None = None,
    fill: bool | None = False,
    width: int = 1,
    font: str | None = None,
    font_size: int | None = None,
) -> fb.Tensor:
    """Draw boxes, optionally with labels, on an image.

    Args:
        image: ``(3, H, W)`` or ``(1, H, W)`` of bytes, or of floats in 0..1.
        boxes: ``(N, 4)`` of x1, y1, x2, y2.
        labels: a name for each box; None for a box without a name.
        colors: one colour for all boxes, or a list with one colour for each box. A colour is a name or a tuple of red,
            green and blue (0 to 255). None generates colours.
        fill: if True, fill the boxes with a half-transparent colour.
        width: width of the lines.
        font, font_size: path of a TrueType font and size in points; by default Pillow's font.
    Returns: ``(3, H, W)`` of the image's dtype.
    Raises: TypeError or ValueError if images, boxes and labels do not match.
    """
    canvas = _canvas(image, colour_only=False)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes should have shape [N, 4] with rows (x1, y1, x2, y2), got shape {list(boxes.shape)}")
    if (boxes[:, :2] > boxes[:, 2:]).any():
        raise ValueError("Boxes need to be in (xmin, ymin, xmax, ymax) format. Use flambeau.vision.ops.box_convert")
    if labels is not None and len(labels) != len(boxes):
        raise ValueError(
            f"Number of boxes ({len(boxes)}) and labels ({len(labels)}) mismatch. Please specify labels for each box."
        )
    letters = ImageFont.load_default(font_size) if font is None else ImageFont.truetype(font, font_size or 10)
    draw = ImageDraw.Draw(canvas, "RGBA")
    names = labels or [None] * len(boxes)
    for box, colour, name in zip(boxes.to(fb.int64).tolist(), _colours(colors, len(boxes)), names, strict=True):
        draw.rectangle(box, fill=(*colour, 100) if fill else None, outline=colour, width=width)
        if name is not None:
            draw.text((box[0] + width + 1, box[1] + width + 1), name, fill=colour, font=letters)
    return _as_tensor(canvas, image)


@fb.no_grad()
def draw_segmentation_masks(
    image: fb.Tensor, masks: fb.Tensor, alpha: float = 0.8, colors: list[Colour] | Colour | None = None
) -> fb.Tensor:
    """Colour the pixels of masks in an image.

    Args:
        image: ``(3, H, W)`` of bytes, or of floats in 0..1.
        masks: bool, ``(N, H, W)`` or ``(H, W)``. Pixels in several masks become black.
        alpha: opacity, 0 to 1.
        colors: one colour for all masks, or a list with one colour for each mask. None generates colours.
    Returns: ``(3, H, W)`` of the image's dtype.
    Raises: TypeError or ValueError if images and masks do not match.
    """
    _canvas(image)
    layers = masks[None] if masks.ndim == 2 else masks
    if layers.ndim != 3 or layers.dtype is not fb.bool:
        raise ValueError(f"masks must be bool of shape [H, W] or [N, H, W], got {masks.dtype}, {list(masks.shape)}")
    if tuple(layers.shape[-2:]) != tuple(image.shape[-2:]):
        raise ValueError(
            "The image and the masks must have the same height and width, got shapes "
            f"{list(image.shape)} and {list(masks.shape)}"
        )
    white = 255 if image.dtype is fb.uint8 else 1
    coloured = image.clone()
    for mask, colour in zip(layers, _colours(colors, len(layers)), strict=True):
        values = fb.tensor([float(part) for part in colour])[:, None, None] / 255 * white
        coloured = fb.where(mask, values.to(image.dtype), coloured)
    coloured = fb.where(layers.sum(0) > 1, fb.zeros_like(coloured), coloured)
    blended = image * (1 - alpha) + coloured * alpha
    return blended.to(image.dtype)


@fb.no_grad()
def draw_keypoints(
    image: fb.Tensor,
    keypoints: fb.Tensor,
    connectivity: Sequence[tuple[int, int]] | None = None,
    colors: Colour | None = None,
    radius: int = 2,
    width: int = 3,
    visibility: fb.Tensor | None = None,
) -> fb.Tensor:
    """Draw keypoints, and optionally white lines between them, on an image.

    Args:
        image: ``(3, H, W)`` of bytes, or of floats in 0..1.
        keypoints: ``(N, K, 2)``, x and y of K points of N objects.
        connectivity: pairs of points to connect by lines.
        colors: colour of the points; None for white circles.
        radius: radius of the points.
        width: width of the lines.
        visibility: bool ``(N, K)``, True for the points to draw.
    Returns: ``(3, H, W)`` of the image's dtype.
    Raises: TypeError or ValueError if images and points do not match.
    """
    canvas = _canvas(image)
    if keypoints.ndim != 3 or keypoints.shape[2] != 2:
        raise ValueError(f"keypoints must be of shape [num_instances, K, 2], got {list(keypoints.shape)}")
    shown = (
        fb.ones(keypoints.shape[:2], dtype=fb.bool) if visibility is None else visibility.reshape(visibility.shape[:2])
    )
    if tuple(shown.shape) != tuple(keypoints.shape[:2]):
        raise ValueError(f"visibility must be of shape {list(keypoints.shape[:2])}, got {list(shown.shape)}")
    draw = ImageDraw.Draw(canvas)
    for points, seen in zip(keypoints.to(fb.int64).tolist(), shown.tolist(), strict=True):
        for (x, y), visible in zip(points, seen, strict=True):
            if visible:
                draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colors)
        for start, end in connectivity or ():
            if seen[start] and seen[end]:
                draw.line((*points[start], *points[end]), width=width)
    return _as_tensor(canvas, image)


@fb.no_grad()
def flow_to_image(flow: fb.Tensor) -> fb.Tensor:
    """Convert an optical flow to an image: the hue shows the direction, and the saturation the distance.

    Args:
        flow: float32 ``(2, H, W)`` or ``(N, 2, H, W)``, the movement of each pixel to the right and down. The largest
            distance of all flows gets a saturated colour.
    Returns: uint8 ``(3, H, W)`` or ``(N, 3, H, W)``. Pixels that do not move are white.
    Raises: ValueError for another dtype or shape.

    Source: Baker et al. 2011, doi:10.1007/s11263-010-0390-2.

    >>> flow_to_image(fb.tensor([[[0.0, 2.0]], [[0.0, 0.0]]]))[:, 0].T.tolist()  # a fixed pixel, and one to the right
    [[255, 255, 255], [255, 0, 0]]
    """
    if flow.dtype is not fb.float32:
        raise ValueError(f"Flow should be of dtype flambeau.float32, got {flow.dtype}.")
    if flow.ndim not in (3, 4) or flow.shape[-3] != 2:
        raise ValueError(f"Input flow should have shape (2, H, W) or (N, 2, H, W), got {list(flow.shape)}.")
    flow = flow / (flow.square().sum(-3).sqrt().max() + fb.finfo(flow.dtype).eps)
    right, down = flow.unbind(-3)
    wheel = _colour_wheel().to(flow.device)
    position = (fb.atan2(-down, -right) / math.pi + 1) / 2 * (len(wheel) - 1)
    before = position.floor().to(fb.int64)
    share = (position - before)[..., None]
    colours = (1 - share) * wheel[before] + share * wheel[(before + 1) % len(wheel)]
    distance = flow.square().sum(-3).sqrt()[..., None]
    return (255 * (1 - distance * (1 - colours))).floor().to(fb.uint8).movedim(-1, -3).contiguous()


def _colour_wheel() -> fb.Tensor:
    """Return the 55 colours of the wheel, ``(55, 3)`` in 0..1."""
    colours = []
    for index, steps in enumerate(_WHEEL_STEPS):
        start, end = _WHEEL_CORNERS[index], _WHEEL_CORNERS[(index + 1) % len(_WHEEL_CORNERS)]
        for step in range(steps):
            moved = 255 * step // steps
            colours.append([255 * a + moved * (b - a) for a, b in zip(start, end, strict=True)])
    return fb.tensor(colours) / 255.0
