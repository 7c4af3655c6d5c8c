"""Typical GPU work with optimizers. `python -m flambeau.cuda warm` runs this work to fill the kernel cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import flambeau
from flambeau import optim


def everything(dtype: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield, for each common optimizer, its name and a function that runs one step on parameters of ``dtype``."""
    for kind in (optim.SGD, optim.Adam, optim.AdamW):
        yield f"step of {kind.__name__}", partial(step, kind, dtype)


def step(kind: Any, dtype: Any) -> None:
    """Run one step of the optimizer class ``kind`` on a parameter whose gradient is 1."""
    parameter = flambeau.ones(8, 12, device="cuda").to(dtype)
    parameter.grad = flambeau.ones_like(parameter)
    kind([parameter], lr=1e-3).step()
