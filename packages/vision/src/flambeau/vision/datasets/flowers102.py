"""Flowers102: photographs of 102 species of flowers."""

from __future__ import annotations

from pathlib import Path

from ._listed_images import ListedImages, Loader
from ._published_files import Published, provide, read_mat
from .folder import default_loader
from .utils import verify_str_arg
from .vision import Transform

_SITE = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
_FILES = (
    Published(f"{_SITE}102flowers.tgz", "52808999861908f626f3c1f4e79d11fa"),
    Published(f"{_SITE}imagelabels.mat", "e0620be6f572b9609742df49c70aed4d", unpack=False),
    Published(f"{_SITE}setid.mat", "a5357ecc9cb78c4bef273ce3793fc85c", unpack=False),
)
_SPLITS = {"train": "trnid", "val": "valid", "test": "tstid"}
_CLASSES = """
pink primrose, hard-leaved pocket orchid, canterbury bells, sweet pea, english marigold, tiger lily, moon
orchid, bird of paradise, monkshood, globe thistle, snapdragon, colt's foot, king protea, spear thistle,
yellow iris, globe-flower, purple coneflower, peruvian lily, balloon flower, giant white arum lily, fire lily,
pincushion flower, fritillary, red ginger, grape hyacinth, corn poppy, prince of wales feathers, stemless
gentian, artichoke, sweet william, carnation, garden phlox, love in the mist, mexican aster, alpine sea holly,
ruby-lipped cattleya, cape flower, great masterwort, siam tulip, lenten rose, barbeton daisy, daffodil, sword
lily, poinsettia, bolero deep blue, wallflower, marigold, buttercup, oxeye daisy, common dandelion, petunia,
wild pansy, primula, sunflower, pelargonium, bishop of llandaff, gaura, geranium, orange dahlia, pink-yellow
dahlia?, cautleya spicata, japanese anemone, black-eyed susan, silverbush, californian poppy, osteospermum,
spring crocus, bearded iris, windflower, tree poppy, gazania, azalea, water lily, rose, thorn apple, morning
glory, passion flower, lotus, toad lily, anthurium, frangipani, clematis, hibiscus, columbine, desert-rose,
tree mallow, magnolia, cyclamen, watercress, canna lily, hippeastrum, bee balm, ball moss, foxglove,
bougainvillea, camellia, mallow, mexican petunia, bromelia, blanket flower, trumpet creeper, blackberry lily
"""


class Flowers102(ListedImages):
    """Photographs of flowers: 1,020 for training, 1,020 for validation, 6,149 for testing. Reading requires SciPy.

    Args:
        root: the folder that contains ``flowers-102``.
        split: ``"train"``, ``"val"`` or ``"test"``.
        transform, target_transform: functions applied to each image and to each label.
        download: if True, download the files if one is missing.
        loader: function that loads an image from its path.
    Raises: RuntimeError if a file or SciPy is missing; ValueError for an unknown split.

    Source: Nilsback and Zisserman 2008, Automated Flower Classification over a Large Number of Classes.

    >>> dataset = Flowers102("data", split="val", download=True)
    >>> image, label = dataset[0]
    >>> dataset.classes[label]
    'pink primrose'
    """

    classes = _CLASSES.replace("\n", " ").strip().split(", ")

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
        self._split = verify_str_arg(split, "split", _SPLITS)
        folder = Path(self.root) / "flowers-102"
        images, labels, sets = folder / "jpg", folder / "imagelabels.mat", folder / "setid.mat"
        provide(self, [images, labels, sets], folder, _FILES, download)
        numbers = read_mat(sets)[_SPLITS[split]].ravel().tolist()  # image numbers and labels count from 1
        labels_of = read_mat(labels)["labels"].ravel().tolist()
        self._list((images / f"image_{number:05d}.jpg", labels_of[number - 1] - 1) for number in numbers)
