"""Datasets whose files are in one folder per class."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from flambeau.data import PackedList

from .vision import Transform, VisionDataset

IMG_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")

Extensions = str | Sequence[str] | None
Check = Callable[[str], bool] | None


def has_file_allowed_extension(filename: str, extensions: str | Sequence[str]) -> bool:
    """Return True if a file name, in lower case, ends with one of the given extensions.

    >>> has_file_allowed_extension("a/B.PNG", (".png", ".jpg"))
    True
    """
    return filename.lower().endswith(extensions if isinstance(extensions, str) else tuple(extensions))


def is_image_file(filename: str) -> bool:
    """Return True if a file name has one of the image extensions ``IMG_EXTENSIONS``."""
    return has_file_allowed_extension(filename, IMG_EXTENSIONS)


def find_classes(directory: str | Path) -> tuple[list[str], dict[str, int]]:
    """Return the sorted names of the subfolders of a folder, and a dictionary that maps each name to its index.

    Raises: FileNotFoundError if there are no subfolders.
    """
    with os.scandir(directory) as entries:
        classes = sorted(entry.name for entry in entries if entry.is_dir())
    if not classes:
        raise FileNotFoundError(f"Couldn't find any class folder in {directory}.")
    return classes, {name: number for number, name in enumerate(classes)}


def make_dataset(
    directory: str | Path,
    class_to_idx: dict[str, int] | None = None,
    extensions: Extensions = None,
    is_valid_file: Check = None,
    allow_empty: bool = False,
) -> list[tuple[str, int]]:
    """Return a sorted list of the files in the class folders: pairs of path and class index.

    Raises: ValueError unless exactly one of ``extensions`` and ``is_valid_file`` is given; FileNotFoundError for a
        class without a file, unless ``allow_empty``.
    """
    directory = os.path.expanduser(directory)
    if class_to_idx is None:
        _, class_to_idx = find_classes(directory)
    elif not class_to_idx:
        raise ValueError("'class_to_index' must have at least one entry to collect any samples.")
    if (extensions is None) == (is_valid_file is None):
        raise ValueError("Both extensions and is_valid_file cannot be None or not None at the same time")

    samples: list[tuple[str, int]] = []
    empty = []
    for name in sorted(class_to_idx):
        files = _files_below(os.path.join(directory, name))
        if is_valid_file is not None:
            chosen = [path for path in files if is_valid_file(path)]
        else:
            chosen = [path for path in files if has_file_allowed_extension(path, extensions or ())]
        samples += [(path, class_to_idx[name]) for path in chosen]
        if not chosen:
            empty.append(name)
    if empty and not allow_empty:
        message = f"Found no valid file for the classes {', '.join(empty)}. "
        if extensions is not None:
            message += (
                f"Supported extensions are: {extensions if isinstance(extensions, str) else ', '.join(extensions)}"
            )
        raise FileNotFoundError(message)
    return samples


def _files_below(directory: str) -> list[str]:
    folders = sorted(os.walk(directory, followlinks=True))
    return [os.path.join(folder, name) for folder, _, names in folders for name in sorted(names)]


def pil_loader(path: str | Path) -> Image.Image:
    """Load an image file as RGB.

    Raises: OSError that names the file, if the file is missing, damaged or in a format that Pillow does not support.
    """
    with _name_file_in_errors(path) as image:
        return image.convert("RGB")


def loaded_as_stored(path: str | Path) -> Image.Image:
    """Load an image file in its stored mode, which preserves palettes and class indices.

    Raises: the errors of `pil_loader`.
    """
    with _name_file_in_errors(path) as image:
        image.load()
        return image


@contextlib.contextmanager
def _name_file_in_errors(path: str | Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as image:
            yield image
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise
        raise OSError(f"{path} cannot be decoded as an image: {error}") from error


default_loader = pil_loader


class DatasetFolder(VisionDataset):
    """Dataset of files in one folder per class, loaded by a custom function.

    Args:
        root: the folder that contains the class folders. Class folders may contain subfolders.
        loader: function that loads a sample from its path.
        extensions: lower-case extensions of the files to include. Give either this or ``is_valid_file``.
        is_valid_file: function that decides from a path whether to include the file.
        transform, target_transform: functions applied to each sample and to each class index.
        allow_empty: if True, class folders may be empty.
    Raises: the errors of :func:`make_dataset` and :func:`find_classes`; IndexError for an index out of range.

    ``classes`` contains the sorted names of the folders, and ``class_to_idx`` maps these names to class indices.
    ``samples`` contains pairs of path and class index, and ``targets`` contains the class indices.

    >>> from pathlib import Path
    >>> dataset = DatasetFolder("data/reviews", loader=lambda path: Path(path).read_text(), extensions=(".txt",))
    >>> dataset.classes, dataset[1]
    (['negative', 'positive'], ('A delight.', 1))
    """

    root: str | Path

    def __init__(
        self,
        root: str | Path,
        loader: Callable[[str], Any],
        extensions: Extensions = None,
        transform: Transform = None,
        target_transform: Transform = None,
        is_valid_file: Check = None,
        allow_empty: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.loader = loader
        self.extensions = extensions
        self.classes: list[Any]  # names; for ImageNet, tuples of names
        self.classes, self.class_to_idx = self.find_classes(self.root)
        samples = self.make_dataset(self.root, self.class_to_idx, extensions, is_valid_file, allow_empty)
        # The list is packed, so that worker processes share one copy of the paths.
        self.samples: Sequence[tuple[str, int]] = PackedList(samples)
        self.targets = [target for _, target in self.samples]

    @staticmethod
    def make_dataset(
        directory: str | Path,
        class_to_idx: dict[str, int],
        extensions: Extensions = None,
        is_valid_file: Check = None,
        allow_empty: bool = False,
    ) -> list[tuple[str, int]]:
        """Return the samples: see the function :func:`make_dataset`. A subclass may override this method."""
        return make_dataset(directory, class_to_idx, extensions, is_valid_file, allow_empty)

    def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
        """Return the classes and their indices. A subclass may override this method."""
        return find_classes(directory)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, target = self.samples[index]
        return self._transformed(self.loader(path), target)

    def __len__(self) -> int:
        return len(self.samples)


class ImageFolder(DatasetFolder):
    """Dataset of images in one folder per class: ``root/cat/1.png``, ``root/dog/x/2.jpg``.

    Args: as in :class:`DatasetFolder`. By default, the dataset contains the files with an extension in
    ``IMG_EXTENSIONS``, which Pillow loads as RGB.

    ``imgs`` is another name for ``samples``.

    >>> dataset = ImageFolder("data/animals", transform=lambda image: image.size)
    >>> dataset.classes, dataset[3]
    (['cat', 'dog'], ((8, 6), 1))
    """

    def __init__(
        self,
        root: str | Path,
        transform: Transform = None,
        target_transform: Transform = None,
        loader: Callable[[str], Any] = default_loader,
        is_valid_file: Check = None,
        allow_empty: bool = False,
    ) -> None:
        extensions = IMG_EXTENSIONS if is_valid_file is None else None
        super().__init__(root, loader, extensions, transform, target_transform, is_valid_file, allow_empty)
        self.imgs = self.samples
