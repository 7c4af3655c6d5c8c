"""Tensors of boxes, with the format of the boxes and the size of the image."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, Self

import flambeau as fb

from ._kinds import TVTensor, as_tensor


class BoundingBoxFormat(Enum):
    """Format of a box: two corners, a corner and a size, or the centre and a size.

    >>> [format.value for format in BoundingBoxFormat]
    ['XYXY', 'XYWH', 'CXCYWH']
    >>> BoundingBoxes([4, 3, 2, 2], format=BoundingBoxFormat.CXCYWH, canvas_size=(8, 10)).format
    <BoundingBoxFormat.CXCYWH: 'CXCYWH'>
    """

    XYXY = "XYXY"
    XYWH = "XYWH"
    CXCYWH = "CXCYWH"


def is_rotated_bounding_format(format: BoundingBoxFormat | str) -> bool:
    """Return False, because rotated formats are not supported.

    Raises: KeyError for an unknown name, NotImplementedError for the name of a rotated format.

    >>> is_rotated_bounding_format("XYWH")
    False
    """
    format_of(format)
    return False


def format_of(format: BoundingBoxFormat | str) -> BoundingBoxFormat:
    """Return the format for a name. A :class:`BoundingBoxFormat` is returned unchanged.

    Raises: KeyError for an unknown name, NotImplementedError for the name of a rotated format.
    """
    if isinstance(format, BoundingBoxFormat):
        return format
    if format.upper() in ("XYWHR", "CXCYWHR", "XYXYXYXY"):
        raise NotImplementedError(f"rotated boxes are not supported, got format {format!r}")
    return BoundingBoxFormat[format.upper()]


def check_clamping_mode(mode: str | None) -> str | None:
    """Return a clamping mode. Raises: ValueError for an unknown mode."""
    if mode not in (None, "hard", "soft"):
        raise ValueError(f"clamping_mode must be None, hard or soft, got {mode}.")
    return mode


class BoundingBoxes(TVTensor):
    """Boxes ``(N, 4)``, or one box ``(4,)``, of an image.

    Args:
        data: argument of ``flambeau.as_tensor``.
        format: a :class:`BoundingBoxFormat`, or its name.
        canvas_size: the image's height and width.
        clamping_mode: ``"soft"`` or ``"hard"`` for boxes that transforms clip to the image; None for boxes that are
            not clipped.
        dtype, device, requires_grad: properties of the tensor. None takes the property from the data.
    Raises: ValueError for more than two dimensions or an unknown mode; KeyError for an unknown format.

    >>> BoundingBoxes([1, 2, 3, 4], format="xywh", canvas_size=(8, 10))
    BoundingBoxes([[1, 2, 3, 4]], format=BoundingBoxFormat.XYWH, canvas_size=(8, 10), clamping_mode=soft)
    """

    sample_kind = "boxes"
    format: BoundingBoxFormat
    canvas_size: tuple[int, int]
    clamping_mode: str | None

    def __new__(
        cls,
        data: Any,
        *,
        format: BoundingBoxFormat | str,
        canvas_size: Sequence[int],
        clamping_mode: str | None = "soft",
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool | None = None,
    ) -> Self:
        tensor = as_tensor(data, dtype, device, requires_grad)
        if tensor.ndim == 1:
            tensor = tensor[None]
        elif tensor.ndim != 2:
            raise ValueError(f"Expected a 1D or 2D tensor, got {tensor.ndim}D")
        return cls._known(tensor, format_of(format), canvas_size, check_clamping_mode(clamping_mode))

    @classmethod
    def _known(cls, tensor: fb.Tensor, format: Any, canvas_size: Any, clamping_mode: Any) -> Self:
        boxes = tensor.as_subclass(cls)
        boxes.format, boxes.canvas_size, boxes.clamping_mode = format, tuple(canvas_size), clamping_mode
        return boxes

    @classmethod
    def wrap(cls, tensor: fb.Tensor, like: Any, **kwargs: Any) -> Self:
        known = {**like._metadata(), **kwargs}
        return cls._known(tensor, format_of(known["format"]), known["canvas_size"], known["clamping_mode"])

    @classmethod
    def _wrap_output(cls, output: Any, args: Sequence[Any]) -> Any:
        like = next((value for value in args if isinstance(value, cls)), None)
        if like is None:  # the boxes are in a list
            like = next(value for values in args if isinstance(values, list | tuple) for value in values)
        if isinstance(output, fb.Tensor):
            return cls.wrap(output.as_subclass(fb.Tensor), like)
        return super()._wrap_output(output, args)

    def _metadata(self) -> dict[str, Any]:
        return {"format": self.format, "canvas_size": self.canvas_size, "clamping_mode": self.clamping_mode}

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        known = tuple(self._metadata().values())
        return type(self)._known, (self.as_subclass(fb.Tensor), *known)
