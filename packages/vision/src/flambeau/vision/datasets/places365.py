"""Places365: photographs of scenes in 365 classes."""

from __future__ import annotations

from pathlib import Path

from ._listed_images import ListedImages, Loader
from ._published_files import Published, fetch, lines_of, provide
from .folder import default_loader
from .utils import verify_str_arg
from .vision import Transform

_SITE = "http://data.csail.mit.edu/places/places365/"
_LISTS = {
    "standard": Published(f"{_SITE}filelist_places365-standard.tar", "35a0585fee1fa656440f3ab298f8479c"),
    "challenge": Published(f"{_SITE}filelist_places365-challenge.tar", "70a8307e459c3de41690a7c76c931734"),
}
# _SPLITS: the list of the images of each split. _IMAGES: the image archive, by split and by True for small images.
_SPLITS = {
    "train-standard": "places365_train_standard.txt",
    "train-challenge": "places365_train_challenge.txt",
    "val": "places365_val.txt",
    "test": "places365_test.txt",
}
_IMAGES = {
    ("train-standard", False): ("train_large_places365standard.tar", "67e186b496a84c929568076ed01a8aa1"),
    ("train-challenge", False): ("train_large_places365challenge.tar", "605f18e68e510c82b958664ea134545f"),
    ("val", False): ("val_large.tar", "9b71c4993ad89d2d8bcbdc4aef38042f"),
    ("test", False): ("test_large.tar", "41a4b6b724b1d2cd862fb3871ed59913"),
    ("train-standard", True): ("train_256_places365standard.tar", "53ca1c756c3d1e7809517cc47c5561c5"),
    ("train-challenge", True): ("train_256_places365challenge.tar", "741915038a5e3471ec7332404dfb64ef"),
    ("val", True): ("val_256.tar", "e27b17d8d44f4af9a78502beb927f808"),
    ("test", True): ("test_256.tar", "f532f6ad7b582262a2ec8009075e186b"),
}


class Places365(ListedImages):
    """Photographs of scenes: 1.8 million for training (8 million in the challenge), 36,500 for validation.

    ``imgs`` contains pairs of path and label, and ``targets`` contains the labels. The labels of test images are None.

    Args:
        root: the folder that contains the lists and the image folders.
        split: ``"train-standard"``, ``"train-challenge"``, ``"val"`` or ``"test"``.
        small: True for images of 256x256 pixels, False for high resolution.
        download: if True, download and unpack missing files.
        transform, target_transform: functions applied to each image and to each label.
        loader: function that loads an image from its path.
    Raises: RuntimeError if a list is missing; ValueError for an unknown split.

    Source: Zhou et al. 2017, Places: A 10 Million Image Database for Scene Recognition.

    >>> dataset = Places365("data/places365", small=True, download=True)
    >>> image, label = dataset[0]
    >>> dataset.classes[label]
    '/a/airfield'
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "train-standard",
        small: bool = False,
        download: bool = False,
        transform: Transform = None,
        target_transform: Transform = None,
        loader: Loader = default_loader,
    ) -> None:
        super().__init__(root, transform, target_transform, loader)
        self.split = verify_str_arg(split, "split", _SPLITS)
        self.small = small
        names, listing = Path(self.root) / "categories_places365.txt", Path(self.root) / _SPLITS[split]
        provide(self, [names, listing], self.root, [_LISTS[self.variant]], download)
        self.class_to_idx = {name: int(number) for name, number in (line.split() for line in lines_of(names))}
        self.classes = sorted(self.class_to_idx)
        if download and not Path(self.images_dir).exists():
            self._fetch_images()
        rows = ([*line.split(), None][:2] for line in lines_of(listing))
        images = Path(self.images_dir)
        self._list((str(images / str(name).lstrip("/")), None if label is None else int(label)) for name, label in rows)
        self.imgs, self.targets = self._samples, self._labels

    @property
    def variant(self) -> str:
        """Variant of the dataset: ``"standard"`` or ``"challenge"``."""
        return "challenge" if "challenge" in self.split else "standard"

    @property
    def images_dir(self) -> str:
        """The folder of the images."""
        size = "256" if self.small else "large"
        name = f"data_{size}_{self.variant}" if self.split.startswith("train") else f"{self.split}_{size}"
        return str(Path(self.root) / name)

    def _fetch_images(self) -> None:
        name, md5 = _IMAGES[self.split, self.small]
        fetch(self.root, [Published(_SITE + name, md5)])
        if self.split.startswith("train"):  # both training archives contain a folder of the same name
            Path(self.images_dir.rpartition("_")[0]).rename(self.images_dir)

    def extra_repr(self) -> str:
        return f"Split: {self.split}\nSmall: {self.small}"
