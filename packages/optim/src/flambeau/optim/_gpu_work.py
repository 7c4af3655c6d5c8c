"""What programs commonly do with optimizers on a GPU, which `python -m flambeau.cuda warm` does to fill its cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import flambeau
from flambeau import optim


def everything(dtype: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """A step of the usual optimizers over parameters of one dtype."""
    for kind in (optim.SGD, optim.Adam, optim.AdamW):
        yield f"step of {kind.__name__}", partial(step, kind, dtype)


def step(kind: Any, dtype: Any) -> None:
    """One step, of parameters whose gradient is 1."""
    parameter = flambeau.ones(8, 12, device="cuda").to(dtype)
    parameter.grad = flambeau.ones_like(parameter)
    kind([parameter], lr=1e-3).step()
