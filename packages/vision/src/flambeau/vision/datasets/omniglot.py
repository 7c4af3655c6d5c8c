"""Omniglot: handwritten characters of fifty alphabets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ._listed_images import ListedImages, Loader
from ._published_files import Published, provide
from .folder import loaded_as_stored
from .utils import list_dir, list_files
from .vision import Transform

if TYPE_CHECKING:
    from PIL import Image


def _grey(path: Any) -> Image.Image:
    return loaded_as_stored(path).convert("L")


class Omniglot(ListedImages):
    """1,623 characters, each drawn by twenty people, as greyscale images of 105x105 pixels.

    Args:
        root: the folder that contains ``omniglot-py``.
        background: True for the 964 training characters, False for the other 659 characters.
        transform: function applied to each image.
        target_transform: function applied to each class index (the index of the character).
        download: if True, download and unpack the archive if it is missing.
        loader: function that loads an image from its path. The default function loads it in greyscale.
    Raises: RuntimeError if the files are missing.

    Source: Lake, Salakhutdinov, Tenenbaum 2015, Human-level concept learning through probabilistic program induction.

    >>> image, label = Omniglot("data", download=True)[0]
    >>> image.mode, label
    ('L', 0)
    """

    folder = "omniglot-py"
    download_url_prefix = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python"
    zips_md5: ClassVar[dict[str, str]] = {
        "images_background": "68d2efa1b9178cc56df9314c21c6e718",
        "images_evaluation": "6b91aef0f799c5bb55b94e3f2daec811",
    }

    def __init__(
        self,
        root: str | Path,
        background: bool = True,
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
        loader: Loader | None = None,
    ) -> None:
        super().__init__(str(Path(root) / self.folder), transform, target_transform, loader or _grey)
        self.background = background
        name = "images_background" if background else "images_evaluation"
        target = Path(self.root) / name
        self.target_folder = str(target)
        archive = Published(f"{self.download_url_prefix}/{name}.zip", self.zips_md5[name])
        provide(self, [target], self.root, [archive], download)
        self._alphabets = list_dir(target)
        self._characters = [
            f"{alphabet}/{name}" for alphabet in self._alphabets for name in list_dir(target / alphabet)
        ]
        self._list(
            (path, number)
            for number, character in enumerate(self._characters)
            for path in list_files(target / character, ".png", prefix=True)
        )
