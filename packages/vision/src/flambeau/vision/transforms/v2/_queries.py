"""Questions about samples: the types of their values, and the sizes of their images."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from PIL import Image

import flambeau as fb

from ... import tv_tensors
from ...tv_tensors import BoundingBoxes
from .._image import get_dimensions, height_and_width
from ._transform import kind_of, leaves

__all__ = ["check_type", "get_bounding_boxes", "has_all", "has_any", "query_chw", "query_size"]

Check = type | Callable[[Any], bool]


def is_pure_tensor(inpt: Any) -> bool:
    """Return True for tensors that are not ``tv_tensors``.

    >>> is_pure_tensor(fb.zeros(2)), is_pure_tensor(tv_tensors.Mask(fb.zeros(2, 2)))
    (True, False)
    """
    return isinstance(inpt, fb.Tensor) and not isinstance(inpt, tv_tensors.TVTensor)


def check_type(obj: Any, types_or_checks: Iterable[Check]) -> bool:
    """Return True if an object has one of the types, or if one of the functions returns True for it.

    >>> check_type(3, (str, lambda value: value == 3))
    True
    """
    return any(isinstance(obj, check) if isinstance(check, type) else check(obj) for check in types_or_checks)


def has_any(flat_inputs: Iterable[Any], *types_or_checks: Check) -> bool:
    """Return True if a value in a list has one of the types, or if one of the functions returns True for a value.

    >>> has_any([3, "cat"], str, float), has_any([3, "cat"], float)
    (True, False)
    """
    return any(check_type(value, types_or_checks) for value in flat_inputs)


def has_all(flat_inputs: Iterable[Any], *types_or_checks: Check) -> bool:
    """Return True if each type, or function, matches at least one value in a list. See :func:`has_any`.

    >>> has_all([3, "cat"], str, int), has_all([3, "cat"], str, float)
    (True, False)
    """
    values = list(flat_inputs)
    return all(has_any(values, check) for check in types_or_checks)


def get_bounding_boxes(flat_inputs: Any) -> BoundingBoxes:
    """Return the boxes in a list of values.

    Raises: ValueError unless the list contains exactly one ``BoundingBoxes``.

    >>> boxes = BoundingBoxes([[1, 2, 5, 6]], format="XYXY", canvas_size=(8, 10))
    >>> get_bounding_boxes([fb.zeros(3, 8, 10), boxes]) is boxes
    True
    """
    all_boxes = [value for value in leaves(flat_inputs) if kind_of(value) == "boxes"]
    if not all_boxes:
        raise ValueError("No bounding boxes were found in the sample")
    if len(all_boxes) > 1:
        raise ValueError("Found multiple bounding boxes instances in the sample")
    boxes: BoundingBoxes = all_boxes[0]
    return boxes


def query_chw(flat_inputs: Iterable[Any]) -> tuple[int, int, int]:
    """Return the number of channels, the height and the width that the images in a list of values have.

    Raises: TypeError if the list contains no image, ValueError if the images have different sizes.

    >>> query_chw([fb.zeros(3, 4, 5), "cat"])
    (3, 4, 5)
    """
    found = {tuple(get_dimensions(value)) for value in flat_inputs if _is_image(value)}
    channels, height, width = _only(found, "image or video", "CxHxW")
    return channels, height, width


def query_size(flat_inputs: Iterable[Any]) -> tuple[int, int]:
    """Return the height and width that the images, masks and boxes in a list of values have.

    Raises: TypeError if the list contains none of them, ValueError if they have different sizes.

    >>> query_size([fb.zeros(3, 4, 5), tv_tensors.Mask(fb.zeros(4, 5))])
    (4, 5)
    """
    found: set[tuple[int, ...]] = {
        height_and_width(value) for value in flat_inputs if _is_image(value) or kind_of(value)
    }
    height, width = _only(found, "image, video, mask or bounding box", "HxW")
    return height, width


def _is_image(value: Any) -> bool:
    return isinstance(value, Image.Image | np.ndarray) or is_pure_tensor(value) or kind_of(value) == "image"


def _only(found: set[tuple[int, ...]], parts: str, dimensions: str) -> tuple[int, ...]:
    if not found:
        raise TypeError(f"No {parts} was found in the sample")
    if len(found) > 1:
        raise ValueError(f"Found multiple {dimensions} dimensions in the sample: {sorted(found)}")
    return found.pop()
