"""The tuples with named fields that operators with several results return, by the operator's name.

>>> import flambeau
>>> flambeau.sort(flambeau.tensor([3, 1, 2]))
flambeau.return_types.sort(
values=tensor([1, 2, 3]),
indices=tensor([1, 2, 0]))
"""

import importlib
from typing import Any

from flambeau import _core


def __getattr__(name: str) -> Any:
    if name not in _core._return_types:
        importlib.import_module("flambeau.linalg")  # whose types are made when it is loaded
    try:
        return _core._return_types[name]
    except KeyError:
        raise AttributeError(f"module 'flambeau.return_types' has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted(_core._return_types)
