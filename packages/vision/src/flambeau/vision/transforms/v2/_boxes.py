"""Transforms of boxes: format conversion, clipping, removal of invalid boxes, and crops that preserve some boxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, overload

import flambeau as fb

from ... import ops, tv_tensors
from ...tv_tensors import BoundingBoxes, BoundingBoxFormat
from ...tv_tensors._bounding_boxes import check_clamping_mode, format_of
from .. import _random, functional as F
from .._boxes import corners_of, exact_corners_of, reformatted, rewritten
from .._image import height_and_width
from ._queries import get_bounding_boxes
from ._transform import Transform, kind_of, transform_images

__all__ = ["clamp_bounding_boxes", "convert_bounding_box_format", "sanitize_bounding_boxes"]

Labels = Callable[[Any], Any]


@overload
def convert_bounding_box_format(
    inpt: BoundingBoxes,
    old_format: BoundingBoxFormat | str | None = None,
    new_format: BoundingBoxFormat | str | None = None,
    inplace: bool = False,
) -> BoundingBoxes: ...


@overload
def convert_bounding_box_format(
    inpt: fb.Tensor,
    old_format: BoundingBoxFormat | str | None = None,
    new_format: BoundingBoxFormat | str | None = None,
    inplace: bool = False,
) -> fb.Tensor: ...


def convert_bounding_box_format(
    inpt: fb.Tensor,
    old_format: BoundingBoxFormat | str | None = None,
    new_format: BoundingBoxFormat | str | None = None,
    inplace: bool = False,
) -> fb.Tensor:
    """Convert boxes ``(N, 4)`` to another format.

    Args:
        inpt: ``BoundingBoxes`` or a plain tensor.
        old_format: format of a plain tensor; must be None for ``BoundingBoxes``.
        new_format: format of the result.
        inplace: accepted for compatibility, without effect.
    Raises: TypeError if ``new_format`` is None; ValueError if ``old_format`` is None for a plain tensor or given for
        ``BoundingBoxes``.
    """
    if new_format is None:
        raise TypeError("convert_bounding_box_format() missing 1 required argument: 'new_format'")
    after = format_of(new_format)
    if isinstance(inpt, BoundingBoxes):
        if old_format is not None:
            raise ValueError("For bounding box tv_tensor inputs, `old_format` must not be passed.")
        plain = reformatted(inpt.as_subclass(fb.Tensor), inpt.format.value, after.value)
        return tv_tensors.wrap(plain, like=inpt, format=after)
    if old_format is None:
        raise ValueError("For pure tensor inputs, `old_format` has to be passed.")
    return reformatted(inpt, format_of(old_format).value, after.value)


@overload
def clamp_bounding_boxes(
    inpt: BoundingBoxes,
    format: BoundingBoxFormat | str | None = None,
    canvas_size: Sequence[int] | None = None,
    clamping_mode: str | None = "auto",
) -> BoundingBoxes: ...


@overload
def clamp_bounding_boxes(
    inpt: fb.Tensor,
    format: BoundingBoxFormat | str | None = None,
    canvas_size: Sequence[int] | None = None,
    clamping_mode: str | None = "auto",
) -> fb.Tensor: ...


def clamp_bounding_boxes(
    inpt: fb.Tensor,
    format: BoundingBoxFormat | str | None = None,
    canvas_size: Sequence[int] | None = None,
    clamping_mode: str | None = "auto",
) -> fb.Tensor:
    """Clip boxes ``(N, 4)`` to their image.

    Args:
        inpt: ``BoundingBoxes`` or a plain tensor.
        format, canvas_size: format and image size of a plain tensor; must be None for ``BoundingBoxes``.
        clamping_mode: None for no clipping; ``"auto"`` for the mode of the boxes.
    Raises: ValueError if ``format`` or ``canvas_size`` is None for a plain tensor or given for ``BoundingBoxes``.
    """
    if isinstance(inpt, BoundingBoxes):
        if format is not None or canvas_size is not None:
            raise ValueError("For bounding box tv_tensor inputs, `format` and `canvas_size` must not be passed.")
        mode = inpt.clamping_mode if clamping_mode == "auto" else clamping_mode
        like = tv_tensors.wrap(inpt.as_subclass(fb.Tensor), like=inpt, clamping_mode=mode)
        return tv_tensors.wrap(rewritten(exact_corners_of(inpt), like), like=inpt)
    if format is None or canvas_size is None:
        raise ValueError("For pure tensor inputs, `format` and `canvas_size` have to be passed.")
    mode = "soft" if clamping_mode == "auto" else clamping_mode
    like = BoundingBoxes(inpt, format=format, canvas_size=canvas_size, clamping_mode=mode)
    return rewritten(exact_corners_of(like), like).as_subclass(fb.Tensor)


def sanitize_bounding_boxes(
    bounding_boxes: fb.Tensor,
    format: BoundingBoxFormat | str | None = None,
    canvas_size: Sequence[int] | None = None,
    min_size: float = 1.0,
    min_area: float = 1.0,
) -> tuple[fb.Tensor, fb.Tensor]:
    """Return the boxes that are large enough and inside their image, and a mask ``(N,)`` that selects these boxes.

    Args:
        bounding_boxes: ``BoundingBoxes`` or a plain tensor.
        format, canvas_size: format and image size of a plain tensor; must be None for ``BoundingBoxes``.
        min_size, min_area: minimum side and minimum area.
    Raises: ValueError if ``format`` or ``canvas_size`` is None for a plain tensor or given for ``BoundingBoxes``.
    """
    if isinstance(bounding_boxes, BoundingBoxes):
        if format is not None or canvas_size is not None:
            raise ValueError(
                "format and canvas_size must be None when bounding_boxes is a tv_tensors.BoundingBoxes instance"
            )
        valid = _valid(bounding_boxes, min_size, min_area)
        return tv_tensors.wrap(bounding_boxes.as_subclass(fb.Tensor)[valid], like=bounding_boxes), valid
    if format is None or canvas_size is None:
        raise ValueError("format and canvas_size cannot be None if bounding_boxes is a pure tensor")
    valid = _valid(BoundingBoxes(bounding_boxes, format=format, canvas_size=canvas_size), min_size, min_area)
    return bounding_boxes[valid], valid


def _valid(boxes: Any, min_size: float, min_area: float) -> fb.Tensor:
    corners = corners_of(boxes)
    sides = corners[:, 2:] - corners[:, :2]
    height, width = boxes.canvas_size
    inside = (corners >= 0) & (corners <= fb.tensor([width, height, width, height], device=corners.device))
    return inside.all(1) & (sides >= min_size).all(1) & (sides[:, 0] * sides[:, 1] >= min_area)


class ConvertBoundingBoxFormat(Transform):
    """Convert boxes to another format, ``"XYXY"``, ``"XYWH"`` or ``"CXCYWH"``.

    >>> boxes = BoundingBoxes([[1, 2, 5, 6]], format="XYXY", canvas_size=(8, 10))
    >>> ConvertBoundingBoxFormat("CXCYWH")(boxes).tolist()
    [[3, 4, 4, 4]]
    """

    def __init__(self, format: BoundingBoxFormat | str) -> None:
        super().__init__()
        self.format = format_of(format)

    def forward(self, *inputs: Any) -> Any:
        def convert(boxes: Any) -> Any:
            return convert_bounding_box_format(boxes, new_format=self.format)

        return transform_images(convert, inputs, lambda value: kind_of(value) == "boxes")

    def extra_repr(self) -> str:
        return f"format={self.format}"


class ClampBoundingBoxes(Transform):
    """Clip boxes to their image.

    Args:
        clamping_mode: None for no clipping; ``"auto"`` for the mode of the boxes.

    >>> boxes = BoundingBoxes([[-2, 1, 12, 5]], format="XYXY", canvas_size=(8, 10))
    >>> ClampBoundingBoxes()(boxes).tolist()
    [[0, 1, 10, 5]]
    """

    def __init__(self, clamping_mode: str | None = "auto") -> None:
        super().__init__()
        self.clamping_mode = clamping_mode

    def forward(self, *inputs: Any) -> Any:
        def clamp(boxes: Any) -> Any:
            return clamp_bounding_boxes(boxes, clamping_mode=self.clamping_mode)

        return transform_images(clamp, inputs, lambda value: kind_of(value) == "boxes")

    def extra_repr(self) -> str:
        return f"clamping_mode={self.clamping_mode}"


class SetClampingMode(Transform):
    """Set the ``clamping_mode`` of boxes, which determines whether later transforms clip them to the image.

    Args:
        clamping_mode: ``"soft"`` or ``"hard"`` to clip the boxes, None for no clipping.
    Raises: ValueError for another mode.

    >>> boxes = BoundingBoxes([[-2, 1, 12, 5]], format="XYXY", canvas_size=(8, 10))
    >>> boxes = SetClampingMode(None)(boxes)
    >>> boxes.clamping_mode, ClampBoundingBoxes()(boxes).tolist()
    (None, [[-2, 1, 12, 5]])
    """

    def __init__(self, clamping_mode: str | None) -> None:
        super().__init__()
        self.clamping_mode = check_clamping_mode(clamping_mode)

    def forward(self, *inputs: Any) -> Any:
        def set_mode(boxes: Any) -> Any:
            return tv_tensors.wrap(boxes.as_subclass(fb.Tensor).clone(), like=boxes, clamping_mode=self.clamping_mode)

        return transform_images(set_mode, inputs, lambda value: kind_of(value) == "boxes")

    def extra_repr(self) -> str:
        return f"clamping_mode={self.clamping_mode}"


class SanitizeBoundingBoxes(Transform):
    """Remove boxes that are too small or not inside their image, with their labels and masks.

    Args:
        min_size, min_area: minimum side and minimum area of a box.
        labels_getter: selects the labels: ``"default"`` for the dictionary entry "labels" or, if it does not exist, the
            first entry whose name contains "label"; the name of an entry; or a function that returns one or several
            tensors of the sample. None filters only boxes and masks.
    Raises: ValueError for bounds below 1, samples without boxes, missing labels, or a different number of labels.

    >>> boxes = BoundingBoxes([[1, 2, 5, 6], [3, 3, 3, 7]], format="XYXY", canvas_size=(8, 10))
    >>> sample = SanitizeBoundingBoxes()({"boxes": boxes, "labels": fb.tensor([17, 1])})
    >>> sample["boxes"].tolist(), sample["labels"].tolist()
    ([[1, 2, 5, 6]], [17])
    """

    def __init__(
        self, min_size: float = 1.0, min_area: float = 1.0, labels_getter: Labels | str | None = "default"
    ) -> None:
        super().__init__()
        for name, value in (("min_size", min_size), ("min_area", min_area)):
            if value < 1:
                raise ValueError(f"{name} must be >= 1, got {value}.")
        if not (labels_getter is None or isinstance(labels_getter, str) or callable(labels_getter)):
            raise ValueError(
                f"labels_getter should either be 'default', a string, None or a callable, but got {labels_getter}."
            )
        self.min_size = min_size
        self.min_area = min_area
        self.labels_getter = labels_getter

    def forward(self, *inputs: Any) -> Any:
        labels = self._labels(inputs if len(inputs) > 1 else inputs[0])
        boxes = get_bounding_boxes(inputs)
        for label in labels:
            if not isinstance(label, fb.Tensor):
                raise ValueError(
                    f"The labels in the input to forward() must be a tensor or None, got {type(label)} instead."
                )
            if len(label) != len(boxes):
                raise ValueError(
                    f"Number of boxes (shape={list(boxes.shape)}) and must match the number of labels. Found labels "
                    f"with shape={list(label.shape)})."
                )
        valid = _valid(boxes, self.min_size, self.min_area)

        def chosen(value: Any) -> bool:
            of_each = kind_of(value) == "mask" and value.ndim == 3 and len(value) == len(boxes)
            return kind_of(value) == "boxes" or of_each or any(value is label for label in labels)

        def sorted_out(value: Any) -> Any:
            return tv_tensors.wrap(value.as_subclass(fb.Tensor)[valid], like=value)

        return transform_images(sorted_out, inputs, chosen)

    def _labels(self, sample: Any) -> tuple[Any, ...]:
        getter = self.labels_getter
        if getter is None:
            return ()
        found = getter(sample) if callable(getter) else self._of_dictionary(sample)
        return tuple(found) if isinstance(found, tuple | list) else () if found is None else (found,)

    def _of_dictionary(self, sample: Any) -> Any:
        """Return the labels in a dictionary, which is the sample or its second item."""
        entries = sample[1] if isinstance(sample, tuple | list) else sample
        if isinstance(entries, fb.Tensor):
            return entries
        if not isinstance(entries, Mapping):
            raise ValueError(
                "When using the default labels_getter, the input passed to forward must be a dictionary or a two-tuple "
                f"whose second item is a dictionary or a tensor, but got {type(sample)} instead."
            )
        if self.labels_getter != "default":
            return entries[self.labels_getter]
        names = [name for name in entries if isinstance(name, str) and "label" in name.lower()]
        if not names:
            raise ValueError(
                "Could not infer where the labels are in the sample. Try passing a callable as the labels_getter "
                "parameter? If there are no labels in the sample by design, pass labels_getter=None."
            )
        return entries[next((name for name in names if name.lower() == "labels"), names[0])]

    def extra_repr(self) -> str:
        return f"min_size={self.min_size}, min_area={self.min_area}, labels_getter={self.labels_getter}"


class RandomIoUCrop(Transform):
    """Crop an image at random so that the crop contains the centre of at least one box.

    The IoU of the crop and one of these boxes is at least a number that is drawn at random. Boxes with a centre outside
    the crop become empty; :class:`SanitizeBoundingBoxes` removes them.

    Args:
        min_scale, max_scale: bounds of the crop's height and width, as fractions of the image's height and width.
        min_aspect_ratio, max_aspect_ratio: bounds of the ratio of width to height.
        sampler_options: minimum IoUs to choose from; values of at least 1 select the full image.
        trials: number of crops to try for each minimum IoU.
    Raises: TypeError for samples without an image or without boxes.
    Source: Liu et al. 2015, arXiv:1512.02325.

    >>> _ = fb.manual_seed(0)
    >>> boxes = BoundingBoxes([[2, 2, 12, 12], [30, 30, 38, 38]], format="XYXY", canvas_size=(40, 40))
    >>> image, boxes = RandomIoUCrop(sampler_options=[0.1])(fb.zeros(3, 40, 40), boxes)
    >>> image.shape, boxes.canvas_size, boxes.tolist()
    (flambeau.Size([3, 17, 21]), (17, 21), [[0, 0, 0, 0], [16, 8, 21, 16]])
    """

    def __init__(
        self,
        min_scale: float = 0.3,
        max_scale: float = 1.0,
        min_aspect_ratio: float = 0.5,
        max_aspect_ratio: float = 2.0,
        sampler_options: Sequence[float] | None = None,
        trials: int = 40,
    ) -> None:
        super().__init__()
        self.min_scale = min_scale
        self.max_scale = max_scale
        self.min_aspect_ratio = min_aspect_ratio
        self.max_aspect_ratio = max_aspect_ratio
        self.options = [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0] if sampler_options is None else sampler_options
        self.trials = trials

    def check_inputs(self, flat_inputs: list[Any]) -> None:
        kinds = {kind_of(value) for value in flat_inputs}
        images = [value for value in flat_inputs if kind_of(value) in (None, "image") and hasattr(value, "size")]
        if "boxes" not in kinds or not images:
            raise TypeError(
                f"{type(self).__name__}() requires input sample to contain tensor or PIL images and bounding boxes. "
                "Sample can also contain masks."
            )

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw minimum IoUs and regions until a region fits a box, or until the full image is drawn."""
        boxes = get_bounding_boxes(flat_inputs)
        corners = corners_of(boxes).double()
        size = height_and_width(next(value for value in flat_inputs if kind_of(value) in (None, "image")))
        while True:
            least = self.options[_random.integer(0, len(self.options))]
            if least >= 1.0:
                return {}
            for _ in range(self.trials):
                region = self._random_region(size)
                if region is None:
                    continue
                part = fb.tensor([region], dtype=fb.float64, device=corners.device)
                middles = (corners[:, :2] + corners[:, 2:]) / 2
                within = ((middles > part[:, :2]) & (middles < part[:, 2:])).all(1)
                if within.any() and ops.box_iou(corners[within], part).max() >= least:
                    left, top, right, bottom = region
                    return {"part": (top, left, bottom - top, right - left), "within": within}

    def _random_region(self, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
        """Draw left, top, right and bottom of a random crop. Return None if its aspect ratio is out of bounds."""
        height, width = size
        across, down = (_random.uniform(self.min_scale, self.max_scale) for _ in range(2))
        new_width, new_height = int(width * across), int(height * down)
        if min(new_width, new_height) == 0:
            return None
        if not self.min_aspect_ratio <= new_width / new_height <= self.max_aspect_ratio:
            return None
        left, top = int((width - new_width) * _random.uniform()), int((height - new_height) * _random.uniform())
        return left, top, left + new_width, top + new_height

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if not params:
            return inpt
        part = F.crop(inpt, *params["part"])
        if kind_of(inpt) != "boxes":
            return part
        empty = fb.where(params["within"][:, None], part.as_subclass(fb.Tensor), 0)
        return tv_tensors.wrap(empty.to(part.dtype), like=part)
