"""Tensor subclasses for images, masks, boxes and videos, which ``transforms.v2`` recognises.

Operators return plain tensors, except for ``clone``, ``to``, ``detach``, ``requires_grad_`` and ``pin_memory``;
:func:`set_return_type` changes this.

>>> import flambeau
>>> boxes = BoundingBoxes([[1.0, 2.0, 5.0, 6.0]], format="XYXY", canvas_size=(8, 10))
>>> type(boxes + 1).__name__, type(boxes.clone()).__name__, boxes.clone().canvas_size
('Tensor', 'BoundingBoxes', (8, 10))
"""

from typing import Any, TypeVar

import flambeau as fb
from flambeau import _public_names

from ._bounding_boxes import BoundingBoxes, BoundingBoxFormat, is_rotated_bounding_format
from ._kinds import Image, Mask, TVTensor, Video, set_return_type

TensorT = TypeVar("TensorT", bound=fb.Tensor)

__all__ = [
    "BoundingBoxFormat",
    "BoundingBoxes",
    "Image",
    "Mask",
    "TVTensor",
    "Video",
    "is_rotated_bounding_format",
    "set_return_type",
    "wrap",
]


def wrap(wrappee: fb.Tensor, *, like: TensorT, **kwargs: Any) -> TensorT:
    """Convert a tensor to the class of ``like``, with the metadata of ``like``. ``kwargs`` replace metadata items.

    >>> boxes = BoundingBoxes([[1.0, 2.0, 5.0, 6.0]], format="XYXY", canvas_size=(8, 10))
    >>> wrap(boxes * 2, like=boxes, canvas_size=(16, 20)).canvas_size
    (16, 20)
    """
    if isinstance(like, TVTensor):
        return type(like).wrap(wrappee, like, **kwargs)
    return wrappee.as_subclass(type(like))


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), __all__)
