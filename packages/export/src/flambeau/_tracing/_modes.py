"""Training and evaluation while a model is traced."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from flambeau.nn import Module


@contextlib.contextmanager
def in_mode(model: Any, training: bool | None) -> Iterator[None]:
    """Set a model to training or evaluation, or (None) to neither, and restore each module's mode at the end."""
    modules = list(model.modules()) if isinstance(model, Module) and training is not None else []
    modes = [module.training for module in modules]
    try:
        for module in modules:
            module.training = bool(training)
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
