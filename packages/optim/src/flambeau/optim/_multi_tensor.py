"""The optimizers of PyTorch's module ``_multi_tensor``: subclasses with ``foreach=True`` as the default."""

from __future__ import annotations

from functools import partialmethod
from inspect import signature
from typing import Any

from flambeau import optim


def _with_foreach(kind: Any) -> type[optim.Optimizer]:
    """Return a subclass of an optimizer with ``foreach=True`` as the default."""
    return type(kind.__name__, (kind,), {"__init__": partialmethod(kind.__init__, foreach=True)})


_public = {name: getattr(optim, name) for name in optim.__all__}
_kinds = {name: kind for name, kind in _public.items() if isinstance(kind, type) and kind is not optim.Optimizer}
globals().update(
    {name: _with_foreach(kind) for name, kind in _kinds.items() if "foreach" in signature(kind).parameters}
)
