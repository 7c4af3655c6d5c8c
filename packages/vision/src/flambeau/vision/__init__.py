"""Image datasets, transforms and models.

Each submodule is imported at first use, so reading a dataset does not import ``flambeau.nn``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from flambeau import _suggestions

if TYPE_CHECKING:
    from . import datasets, io, models, ops, transforms, tv_tensors, utils

__all__ = [
    "datasets",
    "get_image_backend",
    "io",
    "models",
    "ops",
    "set_image_backend",
    "transforms",
    "tv_tensors",
    "utils",
]


def get_image_backend() -> str:
    """Return the name of the library that loads images, which is Pillow.

    >>> get_image_backend()
    'PIL'
    """
    return "PIL"


def set_image_backend(backend: str) -> None:
    """Do nothing, because Pillow loads all images.

    Raises: ValueError if ``backend`` is not "PIL".

    >>> set_image_backend("PIL")
    """
    if backend != "PIL":
        raise ValueError(f"Invalid backend {backend!r}: flambeau loads images with Pillow, 'PIL'")


def _load(name: str) -> Any:
    if name in __all__:  # a submodule
        return importlib.import_module(f"{__name__}.{name}")
    if name == "__version__":  # all packages have the same version
        return importlib.import_module("flambeau").__version__
    raise _suggestions.unknown_attribute(__name__, name)


if TYPE_CHECKING:  # a type checker that sees __getattr__ does not report names that do not exist
    __version__: str
else:
    __getattr__ = _load


def __dir__() -> list[str]:
    return sorted(__all__)
