"""A wrapper for datasets that returns samples with ``tv_tensors``, for ``transforms.v2``."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import flambeau as fb

from .. import datasets
from ._bounding_boxes import BoundingBoxes
from ._kinds import Mask

__all__ = ["wrap_dataset_for_transforms_v2"]

Keys = str | Collection[str] | None
Target = Callable[[int, Any, Any], Any]  # converts the index, image and target of a sample to a new target

DatasetT = TypeVar("DatasetT")

_VOC_CLASSES = [
    *("__background__", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
]
_KITTI_CLASSES = ["Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc", "DontCare"]


def wrap_dataset_for_transforms_v2(dataset: DatasetT, target_keys: Keys = None) -> DatasetT:
    """Wrap a dataset so that boxes and masks are ``tv_tensors``, which ``transforms.v2`` transforms with the image.

    The transforms of the dataset are removed from the dataset and applied to the wrapped samples. The result is also
    an instance of the dataset's class.

    Args:
        dataset: a dataset of flambeau, or of a derived class.
        target_keys: for ``CocoDetection``, ``VOCDetection``, ``Kitti`` and ``WIDERFace``, the keys of a target: None
            for the default keys, ``"all"``, or a collection of names.
    Raises: TypeError for a dataset of another class; ValueError for unknown keys.

    >>> from flambeau.vision import datasets
    >>> wrapped = wrap_dataset_for_transforms_v2(datasets.FakeData(size=2))
    Traceback (most recent call last):
    TypeError: No wrapper exists for dataset class FakeData. Please wrap the output yourself.
    """
    if isinstance(target_keys, str) and target_keys != "all":
        raise ValueError(f"`target_keys` can be None, 'all', or a collection of strings, but got {target_keys!r}")
    if not isinstance(dataset, datasets.VisionDataset):
        raise TypeError(
            f"This wrapper is meant for subclasses of `VisionDataset`, but got a '{type(dataset).__name__}' instead."
        )
    kind = type(f"Wrapped{type(dataset).__name__}", (_Wrapped, type(dataset)), {})
    wrapped: DatasetT = kind(dataset, target_keys)
    return wrapped


class _Wrapped:
    """Base class that converts the targets of a dataset's samples and then applies its transforms."""

    def __init__(self, dataset: Any, target_keys: Keys) -> None:
        self._target = _target_of(dataset, target_keys)
        self._target_keys = target_keys
        self.transform, self.target_transform = dataset.transform, dataset.target_transform
        self.transforms = dataset.transforms
        self._dataset = copy.copy(dataset)
        for each in (dataset, self._dataset):
            each.transform = each.target_transform = each.transforms = None

    def __getattr__(self, name: str) -> Any:
        if name == "_dataset":  # __init__ has not run yet
            raise AttributeError(name)
        return getattr(self._dataset, name)

    def __getitem__(self, index: int) -> Any:
        image, target = self._dataset[index]
        sample = image, self._target(index, image, target)
        return sample if self.transforms is None else self.transforms(*sample)

    def __len__(self) -> int:
        return len(self._dataset)

    def __reduce__(self) -> tuple[Any, ...]:
        dataset = copy.copy(self._dataset)
        dataset.transform, dataset.target_transform = self.transform, self.target_transform
        dataset.transforms = self.transforms
        return wrap_dataset_for_transforms_v2, (dataset, self._target_keys)


def _target_of(dataset: Any, target_keys: Keys) -> Target:
    """Return the function that converts the targets of a dataset."""
    for kind in type(dataset).__mro__:
        if kind in _CHOOSING:
            available, usual, make = _CHOOSING[kind]
            return make(dataset, _chosen(target_keys, available, usual))
        if kind in _FIXED:
            if target_keys is not None:
                raise ValueError(
                    "`target_keys` is currently only supported for `CocoDetection`, `VOCDetection`, `Kitti`, and "
                    f"`WIDERFace`, but got {kind.__name__}."
                )
            return _FIXED[kind](dataset)
    raise TypeError(f"No wrapper exists for dataset class {type(dataset).__name__}. Please wrap the output yourself.")


def _chosen(target_keys: Keys, available: Collection[str], usual: Collection[str]) -> set[str]:
    keys = set(available) if target_keys == "all" else set(usual if target_keys is None else target_keys)
    if extra := keys - set(available):
        raise ValueError(f"Target keys {sorted(extra)} are not available, only {sorted(available)}")
    return keys


def _unchanged(dataset: Any) -> Target:
    return lambda index, image, target: target


def _segmentation(dataset: Any) -> Target:
    if getattr(dataset, "mode", None) == "boundaries":
        raise RuntimeError("SBDataset with mode='boundaries' is not supported by this wrapper")
    return lambda index, image, target: Mask(target)


def _category_only(dataset: Any) -> Target:
    _reject(dataset, dataset.target_type, ("annotation",))
    return _unchanged(dataset)


def _reject(dataset: Any, target_types: Sequence[str], unsupported: Sequence[str]) -> None:
    for kind in unsupported:
        if kind in target_types:
            name = type(dataset).__name__
            raise RuntimeError(f"{name} with target_type=[{kind!r}, ...] is not supported by this wrapper")


def _by_kind(kinds: Sequence[str], makers: Mapping[str, Callable[[Any, Any], Any]]) -> Target:
    """Return a function that converts targets of several types. ``makers`` has the function for each type."""

    def make(index: int, image: Any, target: Any) -> Any:
        if not kinds:
            return target
        several = target if len(kinds) > 1 else (target,)
        converted = tuple(
            makers[kind](image, each) if kind in makers else each for kind, each in zip(kinds, several, strict=True)
        )
        return converted if len(converted) > 1 else converted[0]

    return make


def _celeba(dataset: Any) -> Target:
    _reject(dataset, dataset.target_type, ("attr", "landmarks"))
    return _by_kind(dataset.target_type, {"bbox": lambda image, box: _corners(box, image)})


def _oxford_pets(dataset: Any) -> Target:
    return _by_kind(dataset._target_types, {"segmentation": lambda image, mask: Mask(mask)})


def _cityscapes(dataset: Any) -> Target:
    _reject(dataset, dataset.target_type, ("polygon", "color"))
    makers = {"instance": lambda image, mask: _instances(Mask(mask)), "semantic": lambda image, mask: Mask(mask)}
    return _by_kind(dataset.target_type, makers)


def _instances(numbers: fb.Tensor) -> dict[str, Any]:
    """Return the mask and label of each object. ``numbers`` has a label, or ``1000 * label + instance``, per pixel."""
    segments = numbers.as_subclass(fb.Tensor)
    each = segments.unique()
    masks = fb.stack([segments == number for number in each])
    return {"masks": Mask(masks), "labels": fb.where(each >= 1000, each // 1000, each)}


def _boxes(boxes: Any, image: Any, format: str = "XYXY") -> BoundingBoxes:
    return BoundingBoxes(boxes, format=format, canvas_size=(image.height, image.width))


def _corners(boxes: Any, image: Any) -> BoundingBoxes:
    """Convert boxes of x, y, width and height to corners."""
    from ..transforms.v2.functional import convert_bounding_box_format

    return convert_bounding_box_format(_boxes(boxes, image, "XYWH"), new_format="XYXY")


def _coco(dataset: Any, keys: set[str]) -> Target:
    def make(index: int, image: Any, target: Any) -> dict[str, Any]:
        if not target:
            return {"image_id": dataset.ids[index]}
        listed = _listed(target)
        makers: dict[str, Callable[[], Any]] = {
            "image_id": lambda: dataset.ids[index],
            "boxes": lambda: _corners(listed["bbox"], image),
            "masks": lambda: Mask(fb.stack([_coco_mask(each, image) for each in listed["segmentation"]])),
            "labels": lambda: fb.tensor(listed["category_id"]),
        }
        return {key: makers[key]() if key in makers else listed[key] for key in sorted(keys)}

    return make


def _coco_mask(segmentation: Any, image: Any) -> fb.Tensor:
    try:
        masks = importlib.import_module("pycocotools.mask")
    except ModuleNotFoundError:
        raise RuntimeError(
            "pycocotools is needed to convert COCO's segmentations to masks: pip install pycocotools"
        ) from None
    if isinstance(segmentation, list):
        segmentation = masks.merge(masks.frPyObjects(segmentation, image.height, image.width))
    elif not isinstance(segmentation["counts"], str):
        segmentation = masks.frPyObjects(segmentation, image.height, image.width)
    return fb.from_numpy(masks.decode(segmentation))


def _voc(dataset: Any, keys: set[str]) -> Target:
    def make(index: int, image: Any, target: Any) -> dict[str, Any]:
        listed = _listed(target["annotation"]["object"])
        result = dict(target) if "annotation" in keys else {}
        if "boxes" in keys:
            sides = ("xmin", "ymin", "xmax", "ymax")
            result["boxes"] = _boxes([[int(box[side]) for side in sides] for box in listed["bndbox"]], image)
        if "labels" in keys:
            result["labels"] = fb.tensor([_VOC_CLASSES.index(name) for name in listed["name"]])
        return result

    return make


def _kitti(dataset: Any, keys: set[str]) -> Target:
    def make(index: int, image: Any, target: Any) -> Any:
        if target is None:
            return None
        listed = _listed(target)
        makers: dict[str, Callable[[], Any]] = {
            "boxes": lambda: _boxes(listed["bbox"], image),
            "labels": lambda: fb.tensor([_KITTI_CLASSES.index(name) for name in listed["type"]]),
        }
        return {key: makers[key]() if key in makers else listed[key] for key in sorted(keys)}

    return make


def _wider_face(dataset: Any, keys: set[str]) -> Target:
    def make(index: int, image: Any, target: Any) -> Any:
        if target is None:
            return None
        return {key: _corners(target[key], image) if key == "bbox" else target[key] for key in sorted(keys)}

    return make


def _listed(objects: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Convert a list of dictionaries to a dictionary of lists."""
    listed: dict[str, list[Any]] = {}
    for each in objects:
        for key, value in each.items():
            listed.setdefault(key, []).append(value)
    return listed


_FIXED: dict[type, Callable[[Any], Target]] = {
    **dict.fromkeys((datasets.CIFAR10, datasets.MNIST, datasets.DatasetFolder, datasets.Caltech256), _unchanged),
    **dict.fromkeys((datasets.GTSRB, datasets.Imagenette, datasets.CocoCaptions), _unchanged),
    datasets.Caltech101: _category_only,
    datasets.VOCSegmentation: _segmentation,
    datasets.SBDataset: _segmentation,
    datasets.CelebA: _celeba,
    datasets.OxfordIIITPet: _oxford_pets,
    datasets.Cityscapes: _cityscapes,
}
_COCO_KEYS = ["segmentation", "area", "iscrowd", "image_id", "bbox", "category_id", "boxes", "masks", "labels"]
_KITTI_KEYS = [
    "type",
    "truncated",
    "occluded",
    "alpha",
    "bbox",
    "dimensions",
    "location",
    "rotation_y",
    "boxes",
    "labels",
]
_FACE_KEYS = ["bbox", "blur", "expression", "illumination", "occlusion", "pose", "invalid"]
# Possible keys of a target, default keys, and the function that creates the target.
_CHOOSING: dict[type, tuple[Collection[str], Collection[str], Callable[[Any, set[str]], Target]]] = {
    datasets.CocoDetection: (_COCO_KEYS, ("image_id", "boxes", "labels"), _coco),
    datasets.VOCDetection: (("annotation", "boxes", "labels"), ("boxes", "labels"), _voc),
    datasets.Kitti: (_KITTI_KEYS, ("boxes", "labels"), _kitti),
    datasets.WIDERFace: (_FACE_KEYS, _FACE_KEYS, _wider_face),
}
