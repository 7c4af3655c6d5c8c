"""Selection of a model's training or evaluation mode for a trace."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from flambeau.nn import Module


@contextlib.contextmanager
def in_mode(model: Any, training: bool | None) -> Iterator[None]:
    """Set the mode of a model in this context, and restore the mode of each module at the end.

    Args:
        training: True for training, False for evaluation, None to leave the mode unchanged.
    """
    modules = list(model.modules()) if isinstance(model, Module) and training is not None else []
    modes = [module.training for module in modules]
    try:
        for module in modules:
            module.training = bool(training)
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
