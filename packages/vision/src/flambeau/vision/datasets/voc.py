"""Datasets of the Pascal VOC challenges."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ._published_files import Published, lines_of, provide
from .folder import default_loader, loaded_as_stored
from .utils import verify_str_arg
from .vision import Transform, Transforms, VisionDataset

_SITE = "https://thor.robots.ox.ac.uk/pascal/VOC"
# For each year: the folder on the server, the name of the archive, and its MD5 checksum.
_ARCHIVES = {
    "2012": ("voc2012", "VOCtrainval_11-May-2012.tar", "6cd6e144f989b92b3379bac3b3de84fd"),
    "2011": ("voc2011", "VOCtrainval_25-May-2011.tar", "6c3384ef61512963050cb5d687e5bf1e"),
    "2010": ("voc2010", "VOCtrainval_03-May-2010.tar", "da459979d0c395079b5c75ee67908abb"),
    "2009": ("voc2009", "VOCtrainval_11-May-2009.tar", "a3e00b113cfcfebf17e343f59da3caa1"),
    "2008": ("voc2008", "VOCtrainval_14-Jul-2008.tar", "2629fa636546599198acfcfbfcf1904a"),
    "2007": ("voc2007", "VOCtrainval_06-Nov-2007.tar", "c52e279531787c972589f7e41ab4ae64"),
    "2007-test": ("voc2007", "VOCtest_06-Nov-2007.tar", "b6e924de25625d8de591ea690078ad9f"),
}


class _VOC(VisionDataset):
    root: str | Path
    _split_folder: str
    _target_folder: str
    _target_suffix: str

    def __init__(
        self,
        root: str | Path,
        year: str = "2012",
        image_set: str = "train",
        download: bool = False,
        transform: Transform = None,
        target_transform: Transform = None,
        transforms: Transforms = None,
    ) -> None:
        super().__init__(root, transforms, transform, target_transform)
        self.year = verify_str_arg(year, "year", [str(each) for each in range(2007, 2013)])
        sets = ["train", "trainval", "val", *(["test"] if year == "2007" else [])]
        self.image_set = verify_str_arg(image_set, "image_set", sets)
        site, name, self.md5 = _ARCHIVES["2007-test" if image_set == "test" else year]
        self.url, self.filename = f"{_SITE}/{site}/{name}", name
        folder = Path(self.root, "TrainVal") if year == "2011" else Path(self.root)
        folder = folder / "VOCdevkit" / f"VOC{year}"
        split = folder / "ImageSets" / self._split_folder / f"{image_set}.txt"
        provide(self, [split], self.root, [Published(self.url, self.md5)], download)
        names = lines_of(split)
        self.images = [str(folder / "JPEGImages" / f"{name}.jpg") for name in names]
        self.targets = [str(folder / self._target_folder / f"{name}{self._target_suffix}") for name in names]

    def __len__(self) -> int:
        return len(self.images)


class VOCSegmentation(_VOC):
    """Photographs with the class of each pixel: a target is a PIL image of mode P.

    Args:
        root: the folder that contains ``VOCdevkit``.
        year: ``"2007"`` to ``"2012"``.
        image_set: ``"train"``, ``"trainval"``, ``"val"`` or, for 2007 only, ``"test"``.
        download: if True, download and unpack the archive if it is missing.
        transform, target_transform: functions applied to each image and to each target.
        transforms: function of an image and its target, in place of ``transform`` and ``target_transform``.
    Raises: RuntimeError if a file is missing; ValueError for an unknown year or set.

    Source: Everingham et al. 2010, The Pascal Visual Object Classes (VOC) Challenge.

    >>> image, mask = VOCSegmentation("data", year="2012", image_set="train", download=True)[0]
    >>> mask.size == image.size, mask.getpixel((0, 0))
    (True, 12)
    """

    _split_folder, _target_folder, _target_suffix = "Segmentation", "SegmentationClass", ".png"

    @property
    def masks(self) -> list[str]:
        """Paths of the target images."""
        return self.targets

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(default_loader(self.images[index]), loaded_as_stored(self.masks[index]))


class VOCDetection(_VOC):
    """Photographs with annotations: a target is the content of an XML file as a dictionary.

    Args, Raises, Source: as in :class:`VOCSegmentation`.

    >>> image, target = VOCDetection("data", year="2012", image_set="train", download=True)[0]
    >>> [each["name"] for each in target["annotation"]["object"]]
    ['cat', 'dog']
    """

    _split_folder, _target_folder, _target_suffix = "Main", "Annotations", ".xml"

    @property
    def annotations(self) -> list[str]:
        """Paths of the annotation files."""
        return self.targets

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        target = self.parse_voc_xml(ElementTree.parse(self.annotations[index]).getroot())
        return self._transformed(default_loader(self.images[index]), target)

    @staticmethod
    def parse_voc_xml(node: ElementTree.Element) -> dict[str, Any]:
        """Convert an element to a dictionary. The values are lists for repeated names, and always for ``object``."""
        text = (node.text or "").strip()
        if not len(node):
            return {node.tag: text} if node.text else {}
        elements: dict[str, list[Any]] = {}
        for child in node:
            for name, value in VOCDetection.parse_voc_xml(child).items():
                elements.setdefault(name, []).append(value)
        joined = {name: values[0] if len(values) == 1 else values for name, values in elements.items()}
        if node.tag == "annotation":
            joined["object"] = elements.get("object", [])
        return {node.tag: joined}
