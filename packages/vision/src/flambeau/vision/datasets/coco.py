"""Annotations in the format of COCO."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._coco_index import read_annotations
from .folder import default_loader
from .vision import Transform, Transforms, VisionDataset

if TYPE_CHECKING:
    from PIL import Image


class CocoDetection(VisionDataset):
    """Photographs with annotations: a target is a list of dictionaries like ``{"bbox": ..., "category_id": ...}``.

    ``ids`` contains the sorted image ids. ``coco`` is an index of the annotations: an instance of ``COCO`` if
    pycocotools is installed, otherwise an object with the same methods.

    Args:
        root: the folder of the images.
        annFile: the JSON file of the annotations.
        transform, target_transform: functions applied to each image and to each target.
        transforms: function of an image and its target, in place of ``transform`` and ``target_transform``.
    Raises: OSError if a file is missing; ValueError if ``annFile`` has another format.

    Source: Lin et al. 2014, arXiv:1405.0312.

    >>> dataset = CocoDetection("data/coco", "data/coco/annotations.json")
    >>> image, objects = dataset[1]
    >>> [dataset.coco.loadCats(each["category_id"])[0]["name"] for each in objects], objects[0]["bbox"]
    (['cat', 'person'], [1, 2, 3, 2])
    """

    root: str | Path

    def __init__(
        self,
        root: str | Path,
        annFile: str | Path,
        transform: Transform = None,
        target_transform: Transform = None,
        transforms: Transforms = None,
    ) -> None:
        super().__init__(root, transforms, transform, target_transform)
        self.coco: Any = read_annotations(annFile)
        self.ids = sorted(self.coco.imgs)

    def _load_image(self, id: int) -> Image.Image:
        return default_loader(os.path.join(self.root, self.coco.loadImgs(id)[0]["file_name"]))

    def _load_target(self, id: int) -> list[Any]:
        annotations: list[Any] = self.coco.loadAnns(self.coco.getAnnIds(id))
        return annotations

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if not isinstance(index, int):
            raise ValueError(f"Index must be of type integer, got {type(index)} instead.")
        id = self.ids[index]
        return self._transformed(self._load_image(id), self._load_target(id))

    def __len__(self) -> int:
        return len(self.ids)


class CocoCaptions(CocoDetection):
    """Variant of :class:`CocoDetection` whose targets are lists of captions.

    >>> image, sentences = CocoCaptions("data/coco", "data/coco/annotations.json")[1]
    >>> sentences
    ['Cat.', 'Man.']
    """

    def _load_target(self, id: int) -> list[str]:
        return [annotation["caption"] for annotation in super()._load_target(id)]
