"""Functions that packages above tensor-core register here for tensor-core to call.

tensor-core names no module of another package. A package that changes what tensor-core does registers a function when
it is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

# The tangent of a dual tensor or None, for its text. Registered by forward-mode differentiation.
tangent_of: Callable[[Any], Any] | None = None

# Prepares a leaf for sparse gradients. Registered by the package that computes gradients.
expect_sparse_gradients: Callable[[Any], object] | None = None

# The group of processes whose batches are normalised together, or None; and that normalisation. Registered by
# flambeau.distributed.
joined_group: Callable[[Any], Any] | None = None
joined_batch_norm: Callable[..., Any] | None = None

_waiting: dict[str, list[Callable[[], object]]] = {}


def when_imported(module: str, function: Callable[[], object]) -> None:
    """Call a function after the import of a module of tensor-core that calls `imported`; at once if that is done."""
    if module in sys.modules:
        function()
    else:
        _waiting.setdefault(module, []).append(function)


def imported(module: str) -> None:
    """Call the functions that wait for the import of a module."""
    for function in _waiting.pop(module, []):
        function()
