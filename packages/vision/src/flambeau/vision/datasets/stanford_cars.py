"""Stanford Cars: photographs of 196 models of cars."""

from __future__ import annotations

from pathlib import Path

from ._listed_images import ListedImages, Loader
from ._published_files import read_mat, require
from .folder import default_loader
from .utils import verify_str_arg
from .vision import Transform


class StanfordCars(ListedImages):
    """Photographs of cars: 8,144 for training, 8,041 for testing. Reading requires SciPy.

    Args:
        root: the folder that contains ``stanford_cars``.
        split: ``"train"`` or ``"test"``.
        transform, target_transform: functions applied to each image and to each label.
        download: True raises an error, because the files are no longer published.
        loader: function that loads an image from its path.
    Raises: RuntimeError if a file or SciPy is missing; ValueError for an unknown split, and if ``download`` is True.

    Source: Krause et al. 2013, 3D Object Representations for Fine-Grained Categorization.

    >>> dataset = StanfordCars("data")
    >>> image, label = dataset[0]
    >>> dataset.classes[label]
    'Acura RL'
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
        self._split = verify_str_arg(split, "split", ("train", "test"))
        if download:
            raise ValueError("The files of StanfordCars are no longer available for automatic download.")
        folder = Path(self.root) / "stanford_cars"
        names = folder / "devkit" / "cars_meta.mat"
        test = folder / "cars_test_annos_withlabels.mat"
        listing = folder / "devkit" / "cars_train_annos.mat" if split == "train" else test
        images = folder / f"cars_{split}"
        require(self, [names, listing, images], "Download the files by hand, and put them there.")
        self._name_classes(read_mat(names, squeeze_me=True)["class_names"].reshape(-1).tolist())
        annotations = read_mat(listing, squeeze_me=True)["annotations"].reshape(-1)
        self._list((str(images / str(each["fname"])), int(each["class"]) - 1) for each in annotations)
