"""Derivatives that call operators from Python, so that ``__torch_dispatch__`` intercepts these operators.

The table of pointwise operators defines their derivatives as expressions (``_pointwise_derivatives``), and
``_derivative_rules`` contains the derivatives of other operators. The derivative of any remaining operator is a single
operator whose name ends in ``_vjp``. It runs the original operator again and differentiates it (``_vjp``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flambeau
from flambeau import Tensor
from flambeau.library._overloads import OpOverload


class Differentiated(NamedTuple):
    """A call of an operator that is differentiated.

    Attributes:
        results: results of the call, with None for tensors that the derivative does not read.
        gradients: gradient of each tensor among the results, or None.
        needs: for each tensor among the arguments, True if its gradient is needed.
        tensors: the tensors among the arguments.
    """

    overload: OpOverload
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    results: list[Any]
    gradients: tuple[Any, ...]
    needs: tuple[bool, ...]
    tensors: tuple[Tensor, ...]

    def argument(self, name: str) -> Any:
        """Return the value of an argument by its name in the schema."""
        if name in self.kwargs:
            return self.kwargs[name]
        for position, argument in enumerate(self.overload._schema.positional):
            if argument.name == name and position < len(self.args):
                return self.args[position]
        return self.overload._schema.by_name[name].default_value


Rule = Callable[[Differentiated], "tuple[Any, ...] | None"]
RULES: dict[str, Rule] = {}
_READING_RESULTS: set[str] = set()


def rule(*names: str, reads_results: bool = False) -> Callable[[Rule], Rule]:
    """Register the decorated function as the derivative of operators.

    The function returns one gradient, or None, for each tensor among the arguments. It returns None instead of a tuple
    if it does not support the call.

    Args:
        names: names of the operators.
        reads_results: True if the function reads ``Differentiated.results``.
    """

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        if reads_results:
            _READING_RESULTS.update(names)
        return function

    return register


def reads_results(overload: OpOverload) -> bool:
    """Return True if the derivative of an overload reads the results, which must then be saved."""
    from . import _derivative_rules, _pointwise_derivatives  # noqa: F401  registers the rules

    name = overload._opname.removesuffix("_")
    if overload.namespace != "aten":
        return False
    return name in _READING_RESULTS if name in RULES else _pointwise_derivatives.reads_result(name)


def gradients(call: Differentiated) -> tuple[Any, ...]:
    """Return one gradient, or None, for each tensor among the arguments."""
    from . import _derivative_rules, _pointwise_derivatives, _vjp  # noqa: F401  registers the rules

    name = call.overload._opname.removesuffix("_")
    results = None
    if call.overload.namespace == "aten":
        function = RULES.get(name) or _pointwise_derivatives.rule_of(name)
        results = None if function is None else function(call)
    if results is None:
        return _vjp.gradients(call)
    return tuple(_real_if(tensor, gradient) for tensor, gradient in zip(call.tensors, results, strict=False))


def _real_if(tensor: Tensor, gradient: Any) -> Any:
    """Convert a gradient to a tensor, or to None if it is 0. For a real tensor, take the real part."""
    if isinstance(gradient, (int, float, complex)):  # the derivative is an expression without tensors
        return flambeau.full_like(tensor.detach(), gradient) if gradient else None
    is_wider = gradient is not None and gradient.is_complex() and not tensor.is_complex()
    return gradient.real if is_wider else gradient
