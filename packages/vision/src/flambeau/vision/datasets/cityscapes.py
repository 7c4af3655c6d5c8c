"""Cityscapes: photographs of streets with a class for each pixel."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ._published_files import by_hand, missing_paths, require
from .folder import default_loader, loaded_as_stored
from .utils import extract_archive, list_dir, list_files, verify_str_arg
from .vision import Transform, Transforms, VisionDataset

_SUFFIXES = {
    "instance": "instanceIds.png",
    "semantic": "labelIds.png",
    "color": "color.png",
    "polygon": "polygons.json",
}
_SPLITS = {"fine": ("train", "test", "val"), "coarse": ("train", "train_extra", "val")}


class CityscapesClass(NamedTuple):
    """Class of pixels. ``train_id`` is 255 or -1 for classes that are ignored in training."""

    name: str
    id: int
    train_id: int
    category: str
    category_id: int
    has_instances: bool
    ignore_in_eval: bool
    color: tuple[int, int, int]


_CLASSES = [
    CityscapesClass("unlabeled", 0, 255, "void", 0, False, True, (0, 0, 0)),
    CityscapesClass("ego vehicle", 1, 255, "void", 0, False, True, (0, 0, 0)),
    CityscapesClass("rectification border", 2, 255, "void", 0, False, True, (0, 0, 0)),
    CityscapesClass("out of roi", 3, 255, "void", 0, False, True, (0, 0, 0)),
    CityscapesClass("static", 4, 255, "void", 0, False, True, (0, 0, 0)),
    CityscapesClass("dynamic", 5, 255, "void", 0, False, True, (111, 74, 0)),
    CityscapesClass("ground", 6, 255, "void", 0, False, True, (81, 0, 81)),
    CityscapesClass("road", 7, 0, "flat", 1, False, False, (128, 64, 128)),
    CityscapesClass("sidewalk", 8, 1, "flat", 1, False, False, (244, 35, 232)),
    CityscapesClass("parking", 9, 255, "flat", 1, False, True, (250, 170, 160)),
    CityscapesClass("rail track", 10, 255, "flat", 1, False, True, (230, 150, 140)),
    CityscapesClass("building", 11, 2, "construction", 2, False, False, (70, 70, 70)),
    CityscapesClass("wall", 12, 3, "construction", 2, False, False, (102, 102, 156)),
    CityscapesClass("fence", 13, 4, "construction", 2, False, False, (190, 153, 153)),
    CityscapesClass("guard rail", 14, 255, "construction", 2, False, True, (180, 165, 180)),
    CityscapesClass("bridge", 15, 255, "construction", 2, False, True, (150, 100, 100)),
    CityscapesClass("tunnel", 16, 255, "construction", 2, False, True, (150, 120, 90)),
    CityscapesClass("pole", 17, 5, "object", 3, False, False, (153, 153, 153)),
    CityscapesClass("polegroup", 18, 255, "object", 3, False, True, (153, 153, 153)),
    CityscapesClass("traffic light", 19, 6, "object", 3, False, False, (250, 170, 30)),
    CityscapesClass("traffic sign", 20, 7, "object", 3, False, False, (220, 220, 0)),
    CityscapesClass("vegetation", 21, 8, "nature", 4, False, False, (107, 142, 35)),
    CityscapesClass("terrain", 22, 9, "nature", 4, False, False, (152, 251, 152)),
    CityscapesClass("sky", 23, 10, "sky", 5, False, False, (70, 130, 180)),
    CityscapesClass("person", 24, 11, "human", 6, True, False, (220, 20, 60)),
    CityscapesClass("rider", 25, 12, "human", 6, True, False, (255, 0, 0)),
    CityscapesClass("car", 26, 13, "vehicle", 7, True, False, (0, 0, 142)),
    CityscapesClass("truck", 27, 14, "vehicle", 7, True, False, (0, 0, 70)),
    CityscapesClass("bus", 28, 15, "vehicle", 7, True, False, (0, 60, 100)),
    CityscapesClass("caravan", 29, 255, "vehicle", 7, True, True, (0, 0, 90)),
    CityscapesClass("trailer", 30, 255, "vehicle", 7, True, True, (0, 0, 110)),
    CityscapesClass("train", 31, 16, "vehicle", 7, True, False, (0, 80, 100)),
    CityscapesClass("motorcycle", 32, 17, "vehicle", 7, True, False, (0, 0, 230)),
    CityscapesClass("bicycle", 33, 18, "vehicle", 7, True, False, (119, 11, 32)),
    CityscapesClass("license plate", -1, -1, "vehicle", 7, False, True, (0, 0, 142)),
]


class Cityscapes(VisionDataset):
    """Photographs of streets: 2,975 for training, 500 for validation, 1,525 for testing, 20,000 with coarse labels.

    Args:
        root: the folder that contains ``leftImg8bit`` and ``gtFine`` or ``gtCoarse``, or their archives, which are
            unpacked at first use.
        split: ``"train"``, ``"val"`` or ``"test"``. With coarse annotations, also ``"train_extra"``.
        mode: the annotations, ``"fine"`` or ``"coarse"``.
        target_type: ``"instance"``, ``"semantic"`` or ``"color"`` (PIL images), ``"polygon"`` (dictionaries), or a list
            of these for a tuple of targets.
        transform, target_transform: functions applied to each image and to each target.
        transforms: function of an image and its target, in place of ``transform`` and ``target_transform``.
    Raises: RuntimeError if a file is missing; ValueError for an unknown split, mode or target.

    Source: Cordts et al. 2016, arXiv:1604.01685.

    >>> image, mask = Cityscapes("data/cityscapes", split="val", target_type="semantic")[0]
    >>> Cityscapes.classes[mask.getpixel((0, 0))].name
    'terrain'
    """

    CityscapesClass = CityscapesClass
    classes = _CLASSES

    root: str | Path

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        mode: str = "fine",
        target_type: Sequence[str] | str = "instance",
        transform: Transform = None,
        target_transform: Transform = None,
        transforms: Transforms = None,
    ) -> None:
        super().__init__(root, transforms, transform, target_transform)
        splits = _SPLITS[verify_str_arg(mode, "mode", _SPLITS)]
        self.split = verify_str_arg(split, f"split if mode is '{mode}'", splits)
        self.mode = "gtFine" if mode == "fine" else "gtCoarse"
        kinds = [target_type] if isinstance(target_type, str) else list(target_type)
        self.target_type = [verify_str_arg(each, "target_type", _SUFFIXES) for each in kinds]
        self.images_dir = str(Path(self.root) / "leftImg8bit" / split)
        self.targets_dir = str(Path(self.root) / self.mode / split)
        if missing_paths([self.images_dir, self.targets_dir]):
            self._unpack()
        self.images: list[str] = []
        self.targets: list[list[str]] = []
        for city in list_dir(self.images_dir):
            for path in list_files(Path(self.images_dir) / city, "", prefix=True):
                name = Path(path).name.partition("_leftImg8bit")[0]
                start = f"{self.targets_dir}/{city}/{name}_{self.mode}_"
                self.images.append(path)
                self.targets.append([start + _SUFFIXES[each] for each in self.target_type])

    def _unpack(self) -> None:
        images = "trainextra" if self.split == "train_extra" else "trainvaltest"
        annotations = "gtFine_trainvaltest" if self.mode == "gtFine" else "gtCoarse"
        archives = [Path(self.root) / f"{name}.zip" for name in (f"leftImg8bit_{images}", annotations)]
        if missing_paths(archives):
            require(self, [self.images_dir, self.targets_dir], by_hand("https://www.cityscapes-dataset.com"))
        for archive in archives:
            extract_archive(archive, self.root)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        targets = tuple(self._target(path) for path in self.targets[index])
        target = targets if len(targets) > 1 else targets[0]
        return self._transformed(default_loader(self.images[index]), target)

    @staticmethod
    def _target(path: str) -> Any:
        return json.loads(Path(path).read_text(encoding="utf-8")) if path.endswith(".json") else loaded_as_stored(path)

    def __len__(self) -> int:
        return len(self.images)

    def extra_repr(self) -> str:
        return f"Split: {self.split}\nMode: {self.mode}\nType: {self.target_type}"
