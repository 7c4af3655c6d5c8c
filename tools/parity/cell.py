"""A cell of the parity table: the outcome of one check."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

import flambeau as fb
from tools.parity.bridge import clone

KINDS = ("forward", "method", "in-place", "out", "gradient", "second", "gradcheck", "gradgradcheck", "errors")
FURTHER_KINDS = ("forward_ad", "autocast", "meta", "cuda")  # run only on request


@dataclass
class Cell:
    """Outcome of one check. It passed if at least one sample ran and no sample failed."""

    variant: str
    dtype: str
    kind: str
    samples: int = 0
    failures: list[str] = field(default_factory=list)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Ignore warnings in a block, because some samples cause warnings in both libraries."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def seeded(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function after seeding both generators."""
    torch.manual_seed(0)
    fb.manual_seed(0)
    with quiet():
        return call(*args, **kwargs)


def arguments(sample: Any, fresh: bool) -> list[Any]:
    """Return the positional arguments of a sample, as copies if ``fresh`` is set."""
    args = [sample.input, *sample.args]
    return [clone(a) for a in args] if fresh else args


@contextlib.contextmanager
def record_failures(cell: Cell, sample: Any) -> Iterator[None]:
    """Record an exception in the block as a failure of the cell, and suppress it."""
    try:
        yield
    except Exception as error:  # any exception counts as a failure of the cell
        cell.failures.append(f"{error_text(error)} for {shown(sample)}")


def error_text(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return text if isinstance(error, AssertionError) else f"{type(error).__name__}: {text}"


def shown(sample: Any) -> str:
    """Return the arguments of a sample as text, with shapes instead of tensors."""

    def show(value: Any) -> str:
        if isinstance(value, torch.Tensor):
            return f"{str(value.dtype).rpartition('.')[2]}{list(value.shape)}"
        if isinstance(value, (tuple, list)):
            return f"({', '.join(map(show, value))})"
        return repr(value)

    named = [f"{k}={show(v)}" for k, v in sample.kwargs.items()]
    return ", ".join([show(sample.input), *map(show, sample.args), *named])[:200]
