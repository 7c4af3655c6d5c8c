"""ImageNet, the dataset of the 2012 challenge (ILSVRC)."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flambeau as fb

from ._published_files import by_hand, lines_of, read_mat, require
from .folder import ImageFolder
from .utils import check_integrity, extract_archive, verify_str_arg

ARCHIVE_META = {
    "train": ("ILSVRC2012_img_train.tar", "1d675b47d978889d74fa0da5fadfb00e"),
    "val": ("ILSVRC2012_img_val.tar", "29b22e2961454d5413ddabcf34fc5622"),
    "devkit": ("ILSVRC2012_devkit_t12.tar.gz", "fa75699e90414af021442c21a62c3abf"),
}
META_FILE = "meta.bin"


class ImageNet(ImageFolder):
    """Photographs in 1,000 classes: 1,281,167 for training, 50,000 for validation.

    The archives must be in ``root``. They are unpacked at first use, which requires SciPy. ``classes`` contains a tuple
    of names for each class, and ``wnids`` contains the folder names. ``class_to_idx`` maps each name to its class
    index.

    Args:
        root: the folder that contains ``train`` and ``val``.
        split: ``"train"`` or ``"val"``.
        kwargs: as in :class:`~flambeau.vision.datasets.ImageFolder`.
    Raises: RuntimeError for an archive that is missing or has a wrong checksum; ValueError for an unknown split.

    Source: Russakovsky et al. 2014, arXiv:1409.0575.

    >>> dataset = ImageNet("data/imagenet", split="val")
    >>> image, label = dataset[0]
    >>> dataset.classes[label]
    ('tench', 'Tinca tinca')
    """

    def __init__(self, root: str | Path, split: str = "train", **kwargs: Any) -> None:
        root = self.root = os.path.expanduser(root)
        self.split = verify_str_arg(split, "split", ("train", "val"))
        self.parse_archives()
        names, _ = load_meta_file(root)
        super().__init__(self.split_folder, **kwargs)
        self.root = root
        self.wnids = self.classes
        self.wnid_to_idx = self.class_to_idx
        self.classes = [names[wnid] for wnid in self.wnids]
        self.class_to_idx = {name: number for number, each in enumerate(self.classes) for name in each}

    def parse_archives(self) -> None:
        """Unpack the archives of missing files."""
        if not (Path(self.root) / META_FILE).is_file():
            parse_devkit_archive(self.root)
        if not os.path.isdir(self.split_folder):
            (parse_train_archive if self.split == "train" else parse_val_archive)(self.root)

    @property
    def split_folder(self) -> str:
        """The folder that contains the class folders of this split."""
        return os.path.join(self.root, self.split)

    def extra_repr(self) -> str:
        return f"Split: {self.split}"


def load_meta_file(root: str | Path, file: str | None = None) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Return the names of each class by folder, and the class folders of the validation images."""
    path = Path(root) / (file or META_FILE)
    require(load_meta_file, [path], "ImageNet(root) creates it from the archive of the development kit.")
    names, validation = fb.load(path)
    return names, validation


def _archive(root: str | Path, part: str, file: str | None) -> Path:
    name, md5 = ARCHIVE_META[part]
    path = Path(root) / (file or name)
    if not check_integrity(path, md5):
        raise RuntimeError(
            f"The archive {path.name} is not present in the root directory or is corrupted. "
            f"{by_hand('https://image-net.org')} Place it in {root}."
        )
    return path


def parse_devkit_archive(root: str | Path, file: str | None = None) -> None:
    """Read the class names from the archive of the development kit, and write them to ``meta.bin``."""
    archive = _archive(root, "devkit", file)
    with tempfile.TemporaryDirectory() as temporary:
        extract_archive(archive, temporary)
        data = Path(temporary) / "ILSVRC2012_devkit_t12" / "data"
        synsets = read_mat(data / "meta.mat", squeeze_me=True)["synsets"]
        leaves = [each for each in synsets if each[4] == 0]  # the other synsets are hypernyms in WordNet
        folders = {int(each[0]): str(each[1]) for each in leaves}
        names = {str(each[1]): tuple(str(each[2]).split(", ")) for each in leaves}
        truth = lines_of(data / "ILSVRC2012_validation_ground_truth.txt")
        fb.save((names, [folders[int(number)] for number in truth]), Path(root) / META_FILE)


def parse_train_archive(root: str | Path, file: str | None = None, folder: str = "train") -> None:
    """Unpack the training images, an archive that contains one archive for each class."""
    target = Path(root) / folder
    extract_archive(_archive(root, "train", file), target)
    for archive in sorted(target.glob("*.tar")):
        extract_archive(archive, archive.with_suffix(""), remove_finished=True)


def parse_val_archive(
    root: str | Path, file: str | None = None, wnids: Sequence[str] | None = None, folder: str = "val"
) -> None:
    """Unpack the validation images, and move each image to the folder of its class."""
    target = Path(root) / folder
    folders = load_meta_file(root)[1] if wnids is None else wnids
    extract_archive(_archive(root, "val", file), target)
    images = sorted(path for path in target.iterdir() if path.is_file())
    for wnid in set(folders):
        (target / wnid).mkdir()
    for wnid, image in zip(folders, images, strict=False):
        shutil.move(image, target / wnid / image.name)
