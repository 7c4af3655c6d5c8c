"""What a function sees of a batch while it is mapped over it.

Note [Placeholders]
Inside of vmap one ``BatchedTensor`` stands for a batch of tensors. It looks like one of them (tensor-core sees its
shape and dtype, and no elements); ``value`` holds them all, along its first dimension. Every call that one takes part
in comes to ``_dispatch.answer`` instead of the operator, which looks up the operator's rule, hands it the values, and
makes placeholders of what it gives. A rule computes on values with ordinary operators, so autograd records what is
really computed, and gradients go through a map without rules of their own.

Maps nest: levels count from one, outermost first, and the value of a placeholder may be a placeholder of a lower level.
A rule answers for the highest level among the arguments, and runs as if only the lower ones existed.
"""

import threading
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from flambeau import Tensor, _core
from flambeau._core import _placeholder


class BatchedTensor(Tensor):
    """Stands for all tensors of a batch inside of a mapped function; it has the shape and dtype of one."""

    __slots__ = ("level", "value")
    __torch_function__ = _core._disabled_torch_function_impl  # type: ignore[assignment]

    value: Tensor
    level: int

    def __repr__(self) -> str:
        return f"BatchedTensor(level={self.level}, batch_size={self.value.shape[0]}, value=\n{self.value!r})"

    def __copy__(self) -> Tensor:
        return self.detach()

    def __deepcopy__(self, memo: Any) -> Tensor:
        return self.clone()

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise RuntimeError("vmap: a tensor inside of a mapped function stands for a batch and cannot be saved")


class Level(NamedTuple):
    """A map that runs."""

    size: int
    randomness: str


class _Maps(threading.local):
    """Those of a thread."""

    def __init__(self) -> None:
        self.running: list[Level] = []  # outermost first


maps = _Maps()


def wrapped(result: Any, level: int) -> Any:
    """Values as placeholders; what is one of this level stays as it is."""
    if type(result) is BatchedTensor and result.level == level:
        return result
    if isinstance(result, Tensor):
        return _placeholder(result, level)
    return each(result, lambda item: wrapped(item, level)) if isinstance(result, (tuple, list)) else result


def each(result: Any, change: Callable[[Any], Any]) -> Any:
    """A tensor changed, or a tuple (named or not) or list with every item changed."""
    if isinstance(result, Tensor):
        return change(result)
    items = [change(item) for item in result]
    return type(result)(*items) if hasattr(result, "_fields") else type(result)(items)


def highest_level(values: Any) -> int:
    """The highest level among the placeholders of an argument list."""
    highest = 0
    for x in values:
        if type(x) is BatchedTensor:
            highest = max(highest, x.level)
        elif type(x) is tuple or type(x) is list:
            highest = max(highest, highest_level(x))
    return highest


def is_batched_at(x: Any, level: int) -> bool:
    """Whether x stands for a batch of that level."""
    return type(x) is BatchedTensor and x.level == level


def without_placeholders(x: Any) -> Any:
    """The tensor that is really computed with."""
    while type(x) is BatchedTensor:
        x = x.value
    return x
