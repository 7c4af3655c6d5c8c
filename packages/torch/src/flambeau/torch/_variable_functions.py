"""Module ``torch._C._VariableFunctions``, also ``torch._VF``: the operators in ``torch`` under another name."""

from typing import Any

import flambeau


def __dir__() -> list[str]:
    kind = type(flambeau.add)
    return [name for name in dir(flambeau) if isinstance(getattr(flambeau, name), kind)]


def __getattr__(name: str) -> Any:
    return getattr(flambeau, name)
