"""Index of the annotations in COCO's JSON files, by image and by category."""

from __future__ import annotations

import importlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Numbers = int | Iterable[int]


def read_annotations(path: str | Path) -> Any:
    """Read annotations with pycocotools if it is installed, otherwise as a :class:`CocoIndex`."""
    try:
        index_type = importlib.import_module("pycocotools.coco").COCO
    except ModuleNotFoundError:
        index_type = CocoIndex
    return index_type(str(path))


class CocoIndex:
    """Index of an annotation file, with the interface of pycocotools' ``COCO``.

    Args:
        annotation_file: path of the file.
    Raises: OSError if the file is missing, ValueError if it is not a JSON object with ``images``.

    Attributes:
        dataset: the content of the file.
        imgs, anns, cats: images, annotations and categories by id.
        imgToAnns: the annotations of each image.
    """

    def __init__(self, annotation_file: str | Path) -> None:
        with open(annotation_file, encoding="utf-8") as file:
            self.dataset = json.load(file)
        if not isinstance(self.dataset, dict) or "images" not in self.dataset:
            raise ValueError(f"{annotation_file} does not hold annotations in COCO's format: it has no list 'images'")
        self.imgs = self._by_number("images")
        self.anns = self._by_number("annotations")
        self.cats = self._by_number("categories")
        self.imgToAnns: dict[int, list[Any]] = defaultdict(list)
        for annotation in self.anns.values():
            self.imgToAnns[annotation["image_id"]].append(annotation)

    def _by_number(self, part: str) -> dict[int, Any]:
        return {each["id"]: each for each in self.dataset.get(part, [])}

    def getAnnIds(
        self,
        imgIds: Numbers = (),
        catIds: Numbers = (),
        areaRng: Sequence[float] = (),
        iscrowd: bool | None = None,
    ) -> list[int]:
        """Return annotation ids, filtered by images, categories, a range of areas, and ``iscrowd``."""
        images, categories = _listed(imgIds), set(_listed(catIds))
        within = self.anns.values() if not images else [each for number in images for each in self.imgToAnns[number]]
        return [
            each["id"]
            for each in within
            if (not categories or each["category_id"] in categories)
            and (not areaRng or areaRng[0] < each["area"] < areaRng[1])
            and (iscrowd is None or each.get("iscrowd") == iscrowd)
        ]

    def getCatIds(
        self,
        catNms: str | Sequence[str] = (),
        supNms: str | Sequence[str] = (),
        catIds: Numbers = (),
    ) -> list[int]:
        """Return category ids, filtered by names, supercategories and ids."""
        names, above = ([each] if isinstance(each, str) else each for each in (catNms, supNms))
        numbers = _listed(catIds)
        return [
            each["id"]
            for each in self.cats.values()
            if (not names or each["name"] in names)
            and (not above or each["supercategory"] in above)
            and (not numbers or each["id"] in numbers)
        ]

    def getImgIds(self, imgIds: Numbers = (), catIds: Numbers = ()) -> list[int]:
        """Return image ids, filtered by ids and categories. An image must contain all given categories."""
        numbers = set(_listed(imgIds)) or set(self.imgs)
        for category in _listed(catIds):
            numbers &= {each["image_id"] for each in self.anns.values() if each["category_id"] == category}
        return sorted(numbers)

    def loadAnns(self, ids: Numbers = ()) -> list[Any]:
        """Return the annotations with the given ids."""
        return [self.anns[number] for number in _listed(ids)]

    def loadCats(self, ids: Numbers = ()) -> list[Any]:
        """Return the categories with the given ids."""
        return [self.cats[number] for number in _listed(ids)]

    def loadImgs(self, ids: Numbers = ()) -> list[Any]:
        """Return the images with the given ids."""
        return [self.imgs[number] for number in _listed(ids)]


def _listed(numbers: Numbers) -> list[int]:
    return list(numbers) if isinstance(numbers, Iterable) else [numbers]
