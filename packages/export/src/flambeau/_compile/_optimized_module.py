"""Base class of the modules that `flambeau.compile` returns."""

from __future__ import annotations

from typing import Any

from flambeau.nn import Module

from ._other_backend import other_backend


class OptimizedModule(Module):
    """Module that calls the original module ``_orig_mod`` and takes all other attributes from it."""

    def __init__(self, module: Module) -> None:
        super().__init__()
        self._orig_mod = module
        self.training = module.training

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the original module uncompiled, for the backend "eager". Subclasses call a compiled form of it."""
        with other_backend:
            return self._orig_mod(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name == "_orig_mod":
            raise AttributeError(name)
        return getattr(self._orig_mod, name)
