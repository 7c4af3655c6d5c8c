"""The table of batching rules of operators, and the interface of a rule. Note [Placeholders]."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flambeau
from flambeau import Tensor
from flambeau._core import _call_with_all, _running_maps
from flambeau.func._placeholders import BatchedTensor, maps, wrapped


class UnbatchableError(RuntimeError):
    """Raised by a rule that cannot compute a batch at once. The operator then runs once per element."""


class UnsupportedByVmapError(UnbatchableError):
    """Raised for a query, such as ``item()``, whose result can differ between the elements of a batch."""


class Call(NamedTuple):
    """A call of an operator with batches of one level.

    Attributes:
        values: the arguments in the order of the operator's parameters.
        level: level of the batches.
        size: batch size.
    """

    operator: Any
    values: tuple[Any, ...]
    level: int
    size: int

    def is_batched(self, x: Any) -> bool:
        """Return True if x is a batch of this level."""
        return type(x) is BatchedTensor and x.level == self.level

    def value(self, x: Any) -> Any:
        """Return ``x`` with each batch of this level, also inside lists and tuples, replaced with its value."""
        if type(x) is BatchedTensor:
            return x.value if x.level == self.level else x
        if type(x) is tuple or type(x) is list:
            return type(x)([self.value(item) for item in x])
        return x

    def batch(self, x: Any) -> Any:
        """Return a tensor with the batch dimension: the value of a batch, or another tensor expanded to the batch."""
        return x.value if self.is_batched(x) else x.unsqueeze(0).expand(self.size, *x.shape)

    def run(self, values: Any) -> Any:
        """Call the operator with one value for each of its parameters."""
        return _call_with_all(self.operator, tuple(values))

    def argument(self, name: str) -> Any:
        """Return the value of the parameter ``name``."""
        return self.values[self.operator.parameters.index(name)]


Handler = Callable[[Any, Any, int], Any]  # the parameters are a callable, its arguments and the level
Rule = Callable[[Call], Any]

rules: dict[str, Rule] = {}  # the key is an operator name, such as "add" or "linalg.det"
compositions: dict[str, Callable[..., Any]] = {}  # implementations of operators in terms of other operators


def batching(*names: str) -> Callable[[Rule], Rule]:
    """Register the decorated function as the batching rule of operators. A string can contain several names."""

    def register(rule: Rule) -> Rule:
        rules.update(dict.fromkeys(" ".join(names).split(), rule))
        return rule

    return register


def composition(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function as the vmap implementation of operators.

    The function has the same parameters as the operators, and computes the result with other operators.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        compositions.update(dict.fromkeys(names, function))
        return function

    return register


def check_arguments(name: str, *values: Any) -> None:
    """Raise the errors that the operator ``name`` raises for these values, by running it on the meta device."""
    getattr(flambeau, name)(
        *(flambeau.empty(x.shape, dtype=x.dtype, device="meta") if isinstance(x, Tensor) else x for x in values)
    )


def applied(rule: Rule) -> Handler:
    """Return an implementation that runs a rule at the next lower level and wraps its results in placeholders."""

    def run(callable_: Any, values: tuple[Any, ...], level: int) -> Any:
        size = maps.running[level - 1].size
        former = _running_maps(level - 1)
        try:
            return wrapped(rule(Call(callable_, values, level, size)), level)
        finally:
            _running_maps(former)

    return run
