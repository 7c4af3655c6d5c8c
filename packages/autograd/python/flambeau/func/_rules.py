"""How an operator works on a batch: the table of rules, and what a rule is given. Note [Placeholders]"""

from collections.abc import Callable
from typing import Any, NamedTuple

from flambeau._core import _call_with_all, _running_maps
from flambeau.func._placeholders import BatchedTensor, maps, wrapped


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


Answer = Callable[[Any, Any, int], Any]  # of a callable, its arguments and the level
Rule = Callable[[Call], Any]

rules: dict[str, Rule] = {}  # by the operator's name, with its module where that is not flambeau
compositions: dict[str, Callable[..., Any]] = {}  # what an operator is made of; called with its arguments as they are


def batching(*names: str) -> Callable[[Rule], Rule]:
    """The decorated rule answers for these operators; a text may hold several names."""

    def register(rule: Rule) -> Rule:
        rules.update(dict.fromkeys(" ".join(names).split(), rule))
        return rule

    return register


def composition(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The decorated function, of the operators' parameters, does the same by other operators."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        compositions.update(dict.fromkeys(names, function))
        return function

    return register


def applied(rule: Rule) -> Answer:
    """What answers a call by a rule: it runs below the level, and its results become placeholders."""

    def run(callable_: Any, values: tuple[Any, ...], level: int) -> Any:
        size = maps.running[level - 1].size
        former = _running_maps(level - 1)
        try:
            return wrapped(rule(Call(callable_, values, level, size)), level)
        finally:
            _running_maps(former)

    return run
