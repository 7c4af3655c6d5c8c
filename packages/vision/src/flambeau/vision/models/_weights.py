"""Published weights and their metadata: address, preprocessing of images, and properties."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self
from urllib.error import URLError

import flambeau as fb

_NO_FILE = (
    "The weights {weights!r} could not be downloaded, and {folder} has no file {file}. Download {url} on a machine "
    "with a network and put it there, or pass its path: weights={file!r}. For random weights, pass weights=None."
)


@dataclass(frozen=True, eq=False)
class Weights:
    """Published weights of a model.

    Attributes:
        url: address of the file.
        transforms: function that creates the preprocessing of images.
        meta: metadata, such as ``categories``, the names of the classes, ``num_params``, ``min_size`` of
            images and ``_metrics``.
    """

    url: str
    transforms: Callable[..., Any]
    meta: dict[str, Any]


class WeightsEnum(enum.Enum):
    """Base class of enumerations of weights. Values are :class:`Weights`, whose attributes the members also have.

    >>> from flambeau.vision.models import ResNet50_Weights
    >>> ResNet50_Weights.DEFAULT
    ResNet50_Weights.IMAGENET1K_V2
    >>> ResNet50_Weights.DEFAULT.meta["categories"][:2]
    ['tench', 'goldfish']
    >>> ResNet50_Weights.DEFAULT.transforms().crop_size
    [224]
    """

    @classmethod
    def verify(cls, obj: Any) -> Self | None:
        """Return the member with a given name, which may begin with the name of the enumeration.

        A member and None are returned unchanged.

        Raises: KeyError for an unknown name, TypeError for other types.
        """
        if obj is None or isinstance(obj, cls):
            return obj
        if not isinstance(obj, str):
            found = f"{type(obj).__name__}.{obj.name}" if isinstance(obj, enum.Enum) else repr(obj)
            raise TypeError(f"Invalid Weight class provided; expected {cls.__name__} but received {found}.")
        name = obj.removeprefix(f"{cls.__name__}.")
        if name not in cls.__members__:
            raise KeyError(f"{cls.__name__} has no weights {name!r}. Its weights are: {', '.join(cls.__members__)}")
        return cls[name]

    def get_state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Load the parameters from PyTorch's cache. If the file does not exist, download it.

        Args: the arguments of :func:`flambeau.hub.load_state_dict_from_url`, except for the address.
        Raises: OSError, with a note about alternatives, if the download fails.
        """
        try:
            return fb.hub.load_state_dict_from_url(self.url, *args, **kwargs)
        except URLError as error:
            folder = f"{fb.hub.get_dir()}/checkpoints"
            error.add_note(_NO_FILE.format(weights=self, folder=folder, file=self.file_name, url=self.url))
            raise

    @property
    def url(self) -> str:
        """Address of the file."""
        return self._weights.url

    @property
    def transforms(self) -> Callable[..., Any]:
        """Function that creates the preprocessing of images."""
        return self._weights.transforms

    @property
    def meta(self) -> dict[str, Any]:
        """Metadata of the weights."""
        return self._weights.meta

    @property
    def file_name(self) -> str:
        """Name of the published file."""
        return self.url.rpartition("/")[2]

    @property
    def _weights(self) -> Weights:
        value: Weights = self.value
        return value

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return getattr, (
            type(self),
            self.name,
        )  # members are pickled by name: a copied function that creates transforms differs from the original
