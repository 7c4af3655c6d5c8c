"""Deprecated location of `flambeau.func.functional_call`, which calls a module with other parameters."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager
from typing import Any

from flambeau import Tensor

from ..modules.module import Module

__all__ = ["functional_call"]


def functional_call(
    module: Module,
    parameters_and_buffers: dict[str, Tensor],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Warn that the name is deprecated, and call `flambeau.func.functional_call`."""
    warnings.warn(
        "nn.utils.stateless.functional_call is deprecated. Please use func.functional_call instead.",
        FutureWarning,
        stacklevel=2,
    )
    return _functional_call(module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict)


def _reparametrize_module(
    module: Module, parameters_and_buffers: dict[str, Tensor], tie_weights: bool = False, strict: bool = False
) -> AbstractContextManager[None]:
    """Return a context manager in which a module has other parameters and buffers."""
    from flambeau.func._modules import _reparametrized

    return _reparametrized(module, parameters_and_buffers, tie_weights, strict)


def _functional_call(
    module: Module, parameters_and_buffers: dict[str, Tensor], args: Any = None, kwargs: Any = None, **options: bool
) -> Any:
    """Call a module like `functional_call`, but without the warning. Programs for PyTorch 1 use this private name."""
    from flambeau import func

    return func.functional_call(module, parameters_and_buffers, () if args is None else args, kwargs, **options)
