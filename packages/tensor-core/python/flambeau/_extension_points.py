"""Functions that packages above tensor-core register here for tensor-core to call.

tensor-core names no module of another package. A package that changes what tensor-core does registers a function when
it is imported. `required` and `available` import it when tensor-core first needs the function.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

from flambeau._distributions import REGISTERED_BY, is_installed

# Returns the tangent of a dual tensor or None, for its repr. Registered by forward-mode differentiation.
tangent_of: Callable[[Any], Any] | None = None

# Prepares a leaf for sparse gradients. Registered by the package that computes gradients.
expect_sparse_gradients: Callable[[Any], object] | None = None

# Returns the process group over which a batch is normalised, or None; normalises a batch over that group. Registered by
# flambeau.distributed.
joined_group: Callable[[Any], Any] | None = None
joined_batch_norm: Callable[..., Any] | None = None

# Makes a tensor require gradients; returns a method of Tensor, such as backward, by its name; captures callables and
# their backward passes for flambeau.cuda.make_graphed_callables. Registered by the package that computes gradients.
require_grad: Callable[[Any], object] | None = None
tensor_method: Callable[[str], Callable[..., Any]] | None = None
make_graphed_callables: Callable[..., Any] | None = None

# The classes of the tensors of modules. Registered by flambeau.nn.
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
    """Return an extension point of REGISTERED_BY, importing the package that registers it on first use.

    Raises: ModuleNotFoundError naming the distribution if it is not installed.
    """
    if globals()[name] is None:
        importlib.import_module(f"flambeau.{REGISTERED_BY[name]}")
    return globals()[name]


def available(name: str) -> Any:
    """Return an extension point like `required`, or None if the distribution is not installed."""
    return required(name) if is_installed(REGISTERED_BY[name]) else None


def when_imported(module: str, function: Callable[[], object]) -> None:
    """Call a function as soon as a module of tensor-core is imported, or at once if it already is.

    The module has to call `imported`.
    """
    if module in sys.modules:
        function()
    else:
        _waiting.setdefault(module, []).append(function)


def imported(module: str) -> None:
    """Call the functions that `when_imported` registered for a module."""
    for function in _waiting.pop(module, []):
        function()
