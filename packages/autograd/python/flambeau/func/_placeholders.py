"""What a function sees of a batch while it is mapped over it, and who answers for it.

Note [Placeholders]
Inside of vmap one ``BatchedTensor`` stands for a batch of tensors. It looks like one of them (tensor-core sees its
shape and dtype, and no elements); ``value`` holds them all, along its first dimension. Every call that one takes part
in comes to :func:`answer` instead of the operator, which looks up the operator's rule, hands it the values, and makes
placeholders of what it gives. A rule computes on values with ordinary operators, so autograd records what is really
computed, and gradients go through a map without rules of their own.

Maps nest: levels count from one, outermost first, and the value of a placeholder may be a placeholder of a lower level.
A rule answers for the highest level among the arguments, and runs as if only the lower ones existed.
"""

import functools
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from flambeau import Tensor, _core
from flambeau._core import _call_with_all, _placeholder, _running_maps


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

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise RuntimeError("vmap: a tensor inside of a mapped function stands for a batch and cannot be saved")


class Level(NamedTuple):
    """A map that runs."""

    size: int
    randomness: str


class _Thread(threading.local):
    def __init__(self) -> None:
        self.levels: list[Level] = []


_thread = _Thread()


def running() -> list[Level]:
    """The maps that run in this thread, outermost first."""
    return _thread.levels


class UnbatchableError(RuntimeError):
    """Raised where the values of a batch cannot be computed at once: the operator then runs once for each element."""


class RefusedError(UnbatchableError):
    """Raised where the user asks for what differs over the batch; an operator that asks for it runs in a loop, too."""


class Call(NamedTuple):
    """A call to be answered for one level, whose values are those of the operator's parameters, in order."""

    operator: Any
    values: tuple[Any, ...]
    level: int
    size: int

    def is_batched(self, x: Any) -> bool:
        """Whether x stands for a batch of this level."""
        return type(x) is BatchedTensor and x.level == self.level

    def value(self, x: Any) -> Any:
        """The values of a batch of this level; of anything else itself. Lists and tuples are searched."""
        if type(x) is BatchedTensor:
            return x.value if x.level == self.level else x
        if type(x) is tuple or type(x) is list:
            return type(x)([self.value(item) for item in x])
        return x

    def batch(self, x: Any) -> Any:
        """The values of a tensor, expanded to the size of the batch where it is the same for all of it."""
        return x.value if self.is_batched(x) else x.unsqueeze(0).expand(self.size, *x.shape)

    def run(self, values: Any) -> Any:
        """The operator's result for these values of its parameters."""
        return _call_with_all(self.operator, tuple(values))

    def argument(self, name: str) -> Any:
        """The value of a parameter."""
        return self.values[self.operator.parameters.index(name)]


Rule = Callable[[Call], Any]

_rules: dict[str, Rule] = {}  # by the operator's name, with its module where that is not flambeau
_compositions: dict[str, Callable[..., Any]] = {}  # what an operator is made of; called with its arguments as they are
_resolved: dict[Any, Callable[[Any, Any, int], Any]] = {}  # by the callable, filled as they are met


def batching(*names: str) -> Callable[[Rule], Rule]:
    """The decorated rule answers for these operators; a text may hold several names."""

    def register(rule: Rule) -> Rule:
        _rules.update(dict.fromkeys(" ".join(names).split(), rule))
        return rule

    return register


def composition(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The decorated function, of the operators' parameters, does the same by other operators."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        _compositions.update(dict.fromkeys(names, function))
        return function

    return register


def name_of(callable_: Any) -> str:
    """The name rules know a callable by: ``linalg.det``; of an attribute ``T.__get__``."""
    descriptor = getattr(callable_, "__self__", None)
    if descriptor is not None and hasattr(descriptor, "__objclass__"):
        return f"{descriptor.__name__}.{callable_.__name__}"
    module = (getattr(callable_, "__module__", None) or "").removeprefix("flambeau").removeprefix(".")
    module = module.removeprefix("nn.functional")  # the same operators, under another name
    return f"{module}.{callable_.__name__}" if module else str(callable_.__name__)


def _resolve(callable_: Any) -> Callable[[Any, Any, int], Any]:
    from flambeau.func import _fallback
    from flambeau.func._batching import random

    name = name_of(callable_)
    if "generator" in getattr(callable_, "parameters", ()):
        return random.drawn
    if name in _compositions:
        function = _compositions[name]
        if hasattr(callable_, "parameters"):
            return _fallback.or_loop(name, lambda _, values, level: function(*values))
        return lambda given, values, level: function(*values, **getattr(given, "keywords", {}))
    if name in _rules:
        return _fallback.or_loop(name, applied(_rules[name]))
    return _fallback.for_operator(callable_, name)


def applied(rule: Rule) -> Callable[[Any, Any, int], Any]:
    """What answers a call by a rule: it runs below the level, and its results become placeholders."""

    def run(callable_: Any, values: tuple[Any, ...], level: int) -> Any:
        size = _thread.levels[level - 1].size
        former = _running_maps(level - 1)
        try:
            return wrapped(rule(Call(callable_, values, level, size)), level)
        finally:
            _running_maps(former)

    return run


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


OUT = (
    "vmap: {name}(..., out=...) is not possible inside of a mapped function; use the form without out= and copy_() its "
    "result"
)


def answer(callable_: Any, values: tuple[Any, ...], out: Any) -> Any:
    """The result of a call with placeholders among its arguments (or of an operator that draws random numbers)."""
    resolved = _resolved.get(callable_)
    if resolved is None:
        resolved = _resolved[callable_] = _resolve(callable_)
    if out is None:
        return resolved(callable_, values, highest_level(values))
    if hasattr(callable_, "parameters"):
        raise RuntimeError(OUT.format(name=name_of(callable_)))
    # Of what is no operator these are the keyword arguments.
    return resolved(functools.partial(callable_, **out), values, highest_level((*values, *out.values())))


_core._define_placeholder(BatchedTensor, answer)


def is_batched_at(x: Any, level: int) -> bool:
    """Whether x stands for a batch of that level."""
    return type(x) is BatchedTensor and x.level == level


def without_placeholders(x: Any) -> Any:
    """The tensor that is really computed with."""
    while type(x) is BatchedTensor:
        x = x.value
    return x
