"""Labeled Faces in the Wild."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from ._listed_images import Loader
from ._published_files import by_hand, lines_of, require
from .folder import default_loader
from .utils import verify_str_arg
from .vision import Transform, VisionDataset

_LISTS = {"10fold": "", "train": "DevTrain", "test": "DevTest"}
_HOME = "https://www.kaggle.com/datasets/jessicali9530/lfw-dataset"


class _LFW(VisionDataset):
    base_folder = "lfw-py"
    _folders: ClassVar[dict[str, str]] = {
        "original": "lfw",
        "funneled": "lfw_funneled",
        "deepfunneled": "lfw-deepfunneled",
    }
    _view: str
    root: str
    data: list[Any]
    targets: list[int]

    def __init__(
        self,
        root: str | Path,
        split: str = "10fold",
        image_set: str = "funneled",
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
        loader: Loader = default_loader,
    ) -> None:
        above = str(Path(root) / self.base_folder)
        super().__init__(above, transform=transform, target_transform=target_transform)
        self.image_set = verify_str_arg(image_set.lower(), "image_set", self._folders)
        self.split = verify_str_arg(split.lower(), "split", _LISTS)
        if download:
            raise ValueError(f"LFW dataset is no longer available for automatic download. {by_hand(_HOME)}")
        self.view, self.labels_file = self._view, f"{self._view}{_LISTS[self.split]}.txt"
        self.images_dir = str(Path(above) / self._folders[self.image_set])
        self._loader = loader
        require(self, [self.images_dir, Path(above) / self.labels_file], by_hand(_HOME))

    def _get_path(self, identity: str, number: int | str) -> str:
        return str(Path(self.images_dir) / identity / f"{identity}_{int(number):04d}.jpg")

    def _rows(self) -> list[list[str]]:
        return [line.split("\t") for line in lines_of(Path(self.root) / self.labels_file)]

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        return f"Alignment: {self.image_set}\nSplit: {self.split}"


class LFWPeople(_LFW):
    """13,233 photographs of the faces of 5,749 people. A sample is an image and the index of the person.

    Args:
        root: the folder that contains ``lfw-py``, the folder of the images and the lists.
        split: ``"10fold"``, ``"train"`` or ``"test"``.
        image_set: alignment of the faces: ``"original"``, ``"funneled"`` or ``"deepfunneled"``.
        transform, target_transform: functions applied to each image and to each target.
        download: must be False, because the files are no longer published.
        loader: function that loads an image from its path.
    Raises: RuntimeError if a file is missing; ValueError for an unknown split or set, and if ``download`` is True.

    Source: Huang et al. 2007, Labeled Faces in the Wild.

    >>> dataset = LFWPeople("data", split="test")
    >>> image, label = dataset[0]
    >>> list(dataset.class_to_idx)[label]
    'Ann'
    """

    _view = "people"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        names = Path(self.root) / "lfw-names.txt"
        require(self, [names], by_hand(_HOME))
        self.class_to_idx = {line.split()[0]: number for number, line in enumerate(lines_of(names))}
        people = [(row[0], int(row[1])) for row in self._rows() if len(row) == 2]  # other rows contain only a count
        self.data = [self._get_path(name, number) for name, count in people for number in range(1, count + 1)]
        self.targets = [self.class_to_idx[name] for name, count in people for _ in range(count)]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(self._loader(self.data[index]), self.targets[index])

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}\nClasses (identities): {len(self.class_to_idx)}"


class LFWPairs(_LFW):
    """Pairs of faces. A sample is two images and a label: 1 for the same person, 0 for different persons.

    Args: as in :class:`LFWPeople`.

    >>> dataset = LFWPairs("data")
    >>> first, second, same = dataset[0]
    >>> dataset.pair_names[0], same
    (('Ann', 'Ann'), 1)
    """

    _view = "pairs"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        pairs = [row for row in self._rows() if len(row) > 2]  # a name and two numbers, or two pairs of name and number
        both = [(row[0], row[1], row[-2] if len(row) == 4 else row[0], row[-1]) for row in pairs]
        self.pair_names = [(first, second) for first, _, second, _ in both]
        self.data = [(self._get_path(a, i), self._get_path(b, j)) for a, i, b, j in both]
        self.targets = [int(len(row) == 3) for row in pairs]

    def __getitem__(self, index: int) -> tuple[Any, Any, Any]:  # type: ignore[override]
        first, second = (self._loader(path) for path in self.data[index])
        if self.transform is not None:
            first, second = self.transform(first), self.transform(second)
        target: Any = self.targets[index]
        return first, second, target if self.target_transform is None else self.target_transform(target)
