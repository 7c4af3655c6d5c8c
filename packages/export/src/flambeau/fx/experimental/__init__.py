"""PyTorch's experimental passes; each module is imported on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from flambeau import _public_names, _suggestions

if TYPE_CHECKING:
    from . import optimization as optimization, proxy_tensor as proxy_tensor

__all__ = ["optimization", "proxy_tensor"]


if not TYPE_CHECKING:  # hidden from type checkers, so that they report undefined names

    def __getattr__(name: str) -> Any:
        if name in __all__:
            return importlib.import_module(f"{__name__}.{name}")
        raise _suggestions.unknown_attribute(__name__, name)


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), __all__)
