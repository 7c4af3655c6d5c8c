"""Batching rules of operators that have a batched form.

In the batched form, every tensor argument and result has an additional first dimension, the batch.
"""

from typing import Any

from flambeau import Tensor, _core
from flambeau.func._fallback import loop
from flambeau.func._rules import Call, Rule


def rule_of(batched: Any) -> Rule:
    """Return a rule that calls ``batched``, the batched form of an operator.

    If calls are intercepted, the rule calls the operator itself. Both have the same name, so that a mode that records
    calls, as traces do, would take the batched form for the operator.
    """

    def rule(call: Call) -> Any:
        if _core._is_intercepting():
            from ._batching.reductions import reduction

            return reduction(call) if "dim" in call.operator.parameters else loop(call)
        return call._replace(operator=batched).run(_each_tensor(call.batch, call.values))

    return rule


def nested(call: Call) -> Any:
    """Call a batched form inside a nested vmap: merge both batch dimensions, call it, and split the results."""
    inner = [x.shape[0] for x in call.values if isinstance(x, Tensor)]
    values = _each_tensor(lambda x: call.batch(x).flatten(0, 1), call.values)
    return _each_tensor(lambda result: result.unflatten(0, (call.size, inner[0])), call.run(values))


def _each_tensor(function: Any, value: Any) -> Any:
    if isinstance(value, Tensor):
        return function(value)
    return type(value)([_each_tensor(function, x) for x in value]) if type(value) in (tuple, list) else value
