"""WIDER FACE: photographs with boxes of faces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flambeau as fb

from ._published_files import Published, drive, lines_of, provide
from .folder import loaded_as_stored
from .utils import verify_str_arg
from .vision import Transform, VisionDataset

_FILES = (
    Published(drive("15hGDLhsx8bLgLcIRD5DhYt5iBxnjNF1M"), "3fedf70df600953d25982bcd13d91ba2", "WIDER_train.zip"),
    Published(drive("1GUCogbp16PMGa39thoMMeWxp7Rp5oM8Q"), "dfa7d7e790efa35df3788964cf0bbaea", "WIDER_val.zip"),
    Published(drive("1HIfDbVEWKmsYKJZm4lchTBDLW5N7dY5T"), "e5d8f4248ed24c334bbd12f49c29dd40", "WIDER_test.zip"),
    Published(
        "http://shuoyang1213.me/WIDERFACE/support/bbx_annotation/wider_face_split.zip",
        "0e3767bcf0e326556d407bf5bff5d27c",
    ),
)
_MARKS = ("blur", "expression", "illumination", "occlusion", "pose", "invalid")


class WIDERFace(VisionDataset):
    """32,203 photographs with 393,703 faces: 40 % for training, 10 % for validation, 50 % for testing.

    A target is a dictionary of int64 tensors: ``bbox`` (faces, 4) with x, y, width and height, and ``blur``,
    ``expression``, ``illumination``, ``occlusion``, ``pose`` and ``invalid`` (faces,). The target of a
    test image is None.

    Args:
        root: the folder that contains ``widerface``.
        split: ``"train"``, ``"val"`` or ``"test"``.
        transform, target_transform: functions applied to each image and to each target.
        download: if True, download and unpack missing files, which requires gdown.
    Raises: RuntimeError if a file is missing; ValueError for an unknown split or a damaged list.

    Source: Yang et al. 2015, arXiv:1511.06523.

    >>> image, faces = WIDERFace("data", download=True)[0]
    >>> faces["bbox"]
    tensor([[1, 2, 3, 4],
            [5, 6, 7, 8]])
    """

    BASE_FOLDER = "widerface"
    root: str

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
    ) -> None:
        above = str(Path(root) / self.BASE_FOLDER)
        super().__init__(above, transform=transform, target_transform=target_transform)
        self.split = verify_str_arg(split, "split", ("train", "val", "test"))
        images, lists = Path(self.root) / f"WIDER_{split}" / "images", Path(self.root) / "wider_face_split"
        provide(self, [images, lists], self.root, _FILES, download)
        self.img_info: list[dict[str, Any]]
        if split == "test":
            names = lines_of(lists / "wider_face_test_filelist.txt")
            self.img_info = [{"img_path": str(images / name)} for name in names]
        else:
            listed = _annotated(lists / f"wider_face_{split}_bbx_gt.txt")
            self.img_info = [{"img_path": str(images / name), "annotations": faces} for name, faces in listed]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        info = self.img_info[index]
        return self._transformed(loaded_as_stored(info["img_path"]), info.get("annotations"))

    def __len__(self) -> int:
        return len(self.img_info)

    def extra_repr(self) -> str:
        return f"Split: {self.split}"


def _annotated(path: Path) -> Iterator[tuple[str, dict[str, fb.Tensor]]]:
    """Yield the name and the faces of each image from a list file.

    For each image, the file has a line with the name, a line with the number of faces, and a line per face.
    """
    lines = iter(lines_of(path))
    for name in lines:
        try:
            count = max(int(next(lines)), 1)  # an image without a face has a line of zeros
            table = fb.tensor([[int(field) for field in next(lines).split()] for _ in range(count)])
        except (StopIteration, ValueError) as error:
            raise ValueError(f"{path} is damaged: the faces of {name!r} are missing or invalid") from error
        faces = {"bbox": table[:, :4].clone()}
        yield name, faces | {mark: table[:, 4 + column].clone() for column, mark in enumerate(_MARKS)}
