"""Functions that packages above tensor-core register here for tensor-core to call.

The code of tensor-core does not import other packages directly. A package that extends tensor-core registers a function
when the package is imported. `required` and `available` import the package when tensor-core first needs its function.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

from flambeau._distributions import REGISTERED_BY, is_installed

# Returns the tangent of a dual tensor, or None. Used by repr(). Registered by forward-mode differentiation.
tangent_of: Callable[[Any], Any] | None = None

# Prepares a leaf for sparse gradients. Registered by the package that computes gradients.
expect_sparse_gradients: Callable[[Any], object] | None = None

# joined_group returns the process group over which batch normalisation computes its statistics, or None.
# joined_batch_norm normalises a batch over that group. Registered by flambeau.distributed.
joined_group: Callable[[Any], Any] | None = None
joined_batch_norm: Callable[..., Any] | None = None

# require_grad makes a tensor require gradients. tensor_method returns a method of Tensor, such as backward, by its
# name. make_graphed_callables implements flambeau.cuda.make_graphed_callables. raise_in_backward makes the node that
# accumulates the gradient of a leaf raise an error with a given text, and returns the node. Registered by the package
# that computes gradients.
require_grad: Callable[[Any], object] | None = None
tensor_method: Callable[[str], Callable[..., Any]] | None = None
make_graphed_callables: Callable[..., Any] | None = None
raise_in_backward: Callable[[Any, str], Any] | None = None

# Classes of the parameters and buffers of modules. Registered by flambeau.nn.
Parameter: Callable[..., Any] | None = None
Buffer: Callable[..., Any] | None = None

# Returns the operator of flambeau.ops.aten with a name, or None. Registered by flambeau.nn for operators of layers.
aten_layers: Callable[[str], Callable[..., Any] | None] | None = None

# Dispatches operators to __torch_dispatch__. Registered by the package that computes gradients.
dispatch_handler: Callable[..., Any] | None = None

# Loads a TorchScript program. Registered by flambeau.jit.
load_script: Callable[..., Any] | None = None

_waiting: dict[str, list[Callable[[], object]]] = {}


def required(name: str) -> Any:
    """Return the function of an extension point. On first use, import the package that registers it.

    Raises: ModuleNotFoundError that names the distribution if it is not installed.
    """
    if globals()[name] is None:
        importlib.import_module(f"flambeau.{REGISTERED_BY[name]}")
    return globals()[name]


def available(name: str) -> Any:
    """Return an extension point like `required`, or None if the distribution is not installed."""
    return required(name) if is_installed(REGISTERED_BY[name]) else None


def when_imported(module: str, function: Callable[[], object]) -> None:
    """Call ``function`` when a module of tensor-core is imported, or immediately if the module is already imported.

    The module must call `imported`.
    """
    if module in sys.modules:
        function()
    else:
        _waiting.setdefault(module, []).append(function)


def imported(module: str) -> None:
    """Call the functions that `when_imported` registered for a module."""
    for function in _waiting.pop(module, []):
        function()
