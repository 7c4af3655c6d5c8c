"""Module ``torch._C._VariableFunctions``, also ``torch._VF``: the operators in ``torch`` under another name."""

from collections.abc import Iterator
from typing import Any

import flambeau


def installed_names(namespace: Any) -> Iterator[tuple[str, Any]]:
    """Yield the names and values of a module or class, without those of packages that are not installed."""
    for name in dir(namespace):
        try:
            value = getattr(namespace, name)
        except ModuleNotFoundError:
            continue
        yield name, value


def __dir__() -> list[str]:
    return [name for name, value in installed_names(flambeau) if isinstance(value, type(flambeau.add))]


def __getattr__(name: str) -> Any:
    return getattr(flambeau, name)
