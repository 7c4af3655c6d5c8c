"""CLEVR: rendered images of simple objects."""

from __future__ import annotations

import json
from pathlib import Path

from ._listed_images import ListedImages, Loader
from ._published_files import Published, provide
from .folder import default_loader
from .utils import verify_str_arg
from .vision import Transform

_ARCHIVE = Published("https://dl.fbaipublicfiles.com/clevr/CLEVR_v1.0.zip", "b11922020e72d0cd9154779b2d3d07d2")


class CLEVRClassification(ListedImages):
    """Rendered images: 70,000 for training, 15,000 for validation, 15,000 for testing. A label is a number of objects.

    Args:
        root: the folder that contains ``clevr``.
        split: ``"train"``, ``"val"`` or ``"test"``. The labels of ``"test"`` are None.
        transform, target_transform: functions applied to each image and to each label.
        download: if True, download and unpack the archive if it is missing.
        loader: function that loads an image from its path.
    Raises: RuntimeError if a file is missing; ValueError for an unknown split.

    Source: Johnson et al. 2016, arXiv:1612.06890.

    >>> image, label = CLEVRClassification("data", download=True)[0]
    >>> label  # the number of objects
    3
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
        loader: Loader = default_loader,
    ) -> None:
        super().__init__(root, transform, target_transform, loader)
        self._split = verify_str_arg(split, "split", ("train", "val", "test"))
        folder = Path(self.root) / "clevr" / "CLEVR_v1.0"
        provide(self, [folder], Path(self.root) / "clevr", [_ARCHIVE], download)
        images = sorted((folder / "images" / split).iterdir())
        if split == "test":
            self._list((path, None) for path in images)
            return
        scenes = json.loads((folder / "scenes" / f"CLEVR_{split}_scenes.json").read_text(encoding="utf-8"))["scenes"]
        bodies = {scene["image_filename"]: len(scene["objects"]) for scene in scenes}
        self._list((path, bodies[path.name]) for path in images)
