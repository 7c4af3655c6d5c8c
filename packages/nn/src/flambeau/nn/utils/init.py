"""Making layers without initialising them."""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

from ..modules.module import Module

__all__ = ["skip_init"]

M = TypeVar("M", bound=Module)


def skip_init(module_cls: type[M], *args: Any, **kwargs: Any) -> M:
    """Return ``module_cls(*args, **kwargs)`` with parameters that are not initialised, for values that are loaded.

    Raises: RuntimeError for a class that is no module or takes no ``device``.

    >>> nn.utils.skip_init(nn.Linear, 2, 3)
    Linear(in_features=2, out_features=3, bias=True)
    """
    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    from .. import init

    drawing = {name: getattr(init, name) for name in init.__all__ if name.endswith("_")}
    try:
        for name in drawing:
            setattr(init, name, lambda tensor, *args, **kwargs: tensor)
        return module_cls(*args, **kwargs)
    finally:
        for name, function in drawing.items():
            setattr(init, name, function)
