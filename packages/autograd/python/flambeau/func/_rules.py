"""The table of batching rules of operators, and their interface. Note [Placeholders]."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flambeau
from flambeau import Tensor
from flambeau._core import _call_with_all, _running_maps
from flambeau.func._placeholders import BatchedTensor, maps, wrapped


class UnbatchableError(RuntimeError):
    """Raised by a rule that cannot compute a batch at once. The operator then runs once per element."""


class UnsupportedByVmapError(UnbatchableError):
    """Raised for a query, such as ``item()``, whose result differs between the elements of a batch."""


class Call(NamedTuple):
    """A call at one level. ``values`` are the arguments in the order of the operator's parameters."""

    operator: Any
    values: tuple[Any, ...]
    level: int
    size: int

    def is_batched(self, x: Any) -> bool:
        """Return True if x is a batch of this level."""
        return type(x) is BatchedTensor and x.level == self.level

    def value(self, x: Any) -> Any:
        """Return the value of a batch of this level, even inside lists and tuples. Other objects are unchanged."""
        if type(x) is BatchedTensor:
            return x.value if x.level == self.level else x
        if type(x) is tuple or type(x) is list:
            return type(x)([self.value(item) for item in x])
        return x

    def batch(self, x: Any) -> Any:
        """Return the value of a tensor with the batch dimension, expanded if the tensor is not batched."""
        return x.value if self.is_batched(x) else x.unsqueeze(0).expand(self.size, *x.shape)

    def run(self, values: Any) -> Any:
        """Call the operator with these values of its parameters."""
        return _call_with_all(self.operator, tuple(values))

    def argument(self, name: str) -> Any:
        """Return the value of a parameter."""
        return self.values[self.operator.parameters.index(name)]


Handler = Callable[[Any, Any, int], Any]  # takes a callable, its arguments and the level
Rule = Callable[[Call], Any]

rules: dict[str, Rule] = {}  # by operator name, prefixed with its module if that is not flambeau
compositions: dict[str, Callable[..., Any]] = {}  # implementations of operators in terms of other operators


def batching(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for operators. A string can contain several names."""

    def register(rule: Rule) -> Rule:
        rules.update(dict.fromkeys(" ".join(names).split(), rule))
        return rule

    return register


def composition(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register an implementation of operators in terms of other operators, with the same parameters."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        compositions.update(dict.fromkeys(names, function))
        return function

    return register


def check_arguments(name: str, *values: Any) -> None:
    """Raise the errors that the operator of this name raises for such values. It runs on the meta device."""
    getattr(flambeau, name)(
        *(flambeau.empty(x.shape, dtype=x.dtype, device="meta") if isinstance(x, Tensor) else x for x in values)
    )


def applied(rule: Rule) -> Handler:
    """Return an implementation that runs a rule below the level and wraps its results in placeholders."""

    def run(callable_: Any, values: tuple[Any, ...], level: int) -> Any:
        size = maps.running[level - 1].size
        former = _running_maps(level - 1)
        try:
            return wrapped(rule(Call(callable_, values, level, size)), level)
        finally:
            _running_maps(former)

    return run
