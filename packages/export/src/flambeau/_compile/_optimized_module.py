"""Base class of the modules that `flambeau.compile` returns."""

from __future__ import annotations

from typing import Any

from flambeau.nn import Module

from ._other_backend import other_backend


class OptimizedModule(Module):
    """Module that calls the original module ``_orig_mod``.

    All attributes that this class does not define are read, set and deleted in the original module.

    Args:
        module: the original module.
    """

    # Attributes of the wrapper itself, besides those that its class defines.
    _own_attributes = frozenset({"_orig_mod", "programs", "_compiled", "forward", "__dict__"})

    def __init__(self, module: Module) -> None:
        super().__init__()
        self._orig_mod = module

    @property
    def training(self) -> bool:
        """True if the original module is in training mode."""
        mode: bool = self._orig_mod.training
        return mode

    @training.setter
    def training(self, mode: bool) -> None:
        if "_orig_mod" in vars(self).get("_modules", {}):  # the constructor of Module sets the mode earlier
            self._orig_mod.training = mode

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the original module uncompiled, for the backend "eager". Subclasses call a compiled form of it."""
        with other_backend:
            return self._orig_mod(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        modules = vars(self).get("_modules", {})
        if "_orig_mod" not in modules:  # while the object is created, copied or unpickled
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return modules["_orig_mod"] if name == "_orig_mod" else getattr(modules["_orig_mod"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        if "_orig_mod" in vars(self).get("_modules", {}) and not self._is_own(name):
            setattr(self._orig_mod, name, value)
        else:
            super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if self._is_own(name):
            super().__delattr__(name)
        else:
            delattr(self._orig_mod, name)

    def __dir__(self) -> list[str]:
        return sorted({"_orig_mod", *super().__dir__(), *dir(self._orig_mod)})

    def _is_own(self, name: str) -> bool:
        return name in self._own_attributes or hasattr(type(self), name)
