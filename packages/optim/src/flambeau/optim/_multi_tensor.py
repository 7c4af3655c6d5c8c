"""Optimizers under the names of PyTorch's module for ``foreach=True``, which chooses among equal implementations."""

from __future__ import annotations

from functools import partialmethod
from typing import Any

from flambeau import optim


def _with_foreach(kind: Any) -> type[optim.Optimizer]:
    """Return a class of optimizers that sets ``foreach`` by default."""
    return type(kind.__name__, (kind,), {"__init__": partialmethod(kind.__init__, foreach=True)})


SGD = _with_foreach(optim.SGD)
ASGD = _with_foreach(optim.ASGD)
Adadelta = _with_foreach(optim.Adadelta)
Adagrad = _with_foreach(optim.Adagrad)
Adam = _with_foreach(optim.Adam)
AdamW = _with_foreach(optim.AdamW)
Adamax = _with_foreach(optim.Adamax)
NAdam = _with_foreach(optim.NAdam)
RAdam = _with_foreach(optim.RAdam)
RMSprop = _with_foreach(optim.RMSprop)
Rprop = _with_foreach(optim.Rprop)
