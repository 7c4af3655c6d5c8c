"""Placeholders for batches inside vmap.

Note [Placeholders]
Inside vmap, a ``BatchedTensor`` is a placeholder for a batch of tensors. It has the shape and dtype of one element of
the batch, but no memory. Its ``value`` is a tensor that holds the whole batch along its first dimension. Every call
with a placeholder goes to ``_dispatch.handle_call`` instead of the operator. This function looks up the operator's
batching rule, calls it with the values, and wraps the results in placeholders. A rule computes on values with ordinary
operators. Therefore autograd records the real computation, and gradients pass through vmap without further rules.

Calls of vmap can be nested. Levels are numbered from one, outermost first. The value of a placeholder can be a
placeholder of a lower level. A rule handles the highest level in the arguments, and runs as if only the lower levels
existed.
"""

import textwrap
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from flambeau import Tensor, _core
from flambeau._core import _placeholder


class BatchedTensor(Tensor):
    """A tensor that represents a batch inside vmap, with the shape and dtype of one element of the batch."""

    __slots__ = ("level", "value")
    __torch_function__ = _core._disabled_torch_function_impl  # type: ignore[assignment]

    value: Tensor
    level: int

    def __repr__(self) -> str:
        return f"BatchedTensor(lvl={self.level}, bdim=0, value=\n{textwrap.indent(repr(self.value), '    ')}\n)"

    def __copy__(self) -> Tensor:
        return self.detach()

    def __deepcopy__(self, memo: Any) -> Tensor:
        return self.clone()

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise RuntimeError("vmap: a tensor inside of a mapped function stands for a batch and cannot be pickled")


class Level(NamedTuple):
    """The batch size and the randomness of an active vmap."""

    size: int
    randomness: str


class _ActiveVmaps(threading.local):
    """The active vmaps of a thread."""

    def __init__(self) -> None:
        self.running: list[Level] = []  # outermost first


maps = _ActiveVmaps()


def wrapped(result: Any, level: int) -> Any:
    """Wrap the tensors of a result in placeholders of a level. A placeholder of this level is returned unchanged."""
    if type(result) is BatchedTensor and result.level == level:
        return result
    if isinstance(result, Tensor):
        return _placeholder(result, level)
    return map_results(result, lambda item: wrapped(item, level)) if isinstance(result, (tuple, list)) else result


def map_results(result: Any, change: Callable[[Any], Any]) -> Any:
    """Apply a function to a tensor, or to every item of a list or tuple (named or not)."""
    if isinstance(result, Tensor):
        return change(result)
    items = [change(item) for item in result]
    return type(result)(*items) if hasattr(result, "_fields") else type(result)(items)


def highest_level(values: Any) -> int:
    """Return the highest level of the placeholders in an argument list."""
    highest = 0
    for x in values:
        if type(x) is BatchedTensor:
            highest = max(highest, x.level)
        elif type(x) is tuple or type(x) is list:
            highest = max(highest, highest_level(x))
    return highest


def is_batched_at(x: Any, level: int) -> bool:
    """Return True if x is a batch of this level."""
    return type(x) is BatchedTensor and x.level == level


def without_placeholders(x: Any) -> Any:
    """Return the value of nested placeholders, which is not a placeholder. Other objects are returned unchanged."""
    while type(x) is BatchedTensor:
        x = x.value
    return x
