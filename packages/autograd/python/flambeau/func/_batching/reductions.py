"""Batching rules of reductions. Without ``dim``, they reduce all dimensions except the batch dimension."""

from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.func._batching.dimensions import shifted
from flambeau.func._placeholders import map_results
from flambeau.func._rules import Call, batching


@batching(
    "nanmean var std var_mean std_mean max min argmax argmin aminmax median nanmedian logsumexp linalg.vector_norm"
)
def reduction(call: Call) -> Any:
    """Apply a reduction over one, several or all dimensions to a batch."""
    names, x = call.operator.parameters, call.values[0]
    values = dict(zip(names, call.value(call.values), strict=True))
    if isinstance(values["dim"], bool):  # var(input, unbiased)
        values.update(unbiased=values["dim"], dim=None)
    if call.is_batched(values.get("dim")) or isinstance(values.get("dim"), Tensor):
        return _elementwise_extreme(call)
    every = values["dim"] is None or (isinstance(values["dim"], (tuple, list)) and len(values["dim"]) == 0)
    keepdim = values.get("keepdim", False)
    value, rank = x.value, x.ndim
    if rank == 0 or every:
        if not every:
            shifted(values["dim"], rank)
        single = every
        value = value.reshape(call.size, -1)
        values.update({names[0]: value, "dim": 1} | ({"keepdim": False} if "keepdim" in values else {}))
        result = call.run(values.values())
        if single and call.operator.__name__ in ("max", "min", "median", "nanmedian"):
            result = result[0]
        return map_results(result, lambda t: t.reshape(call.size, *(1,) * rank)) if keepdim else result
    values.update({names[0]: value, "dim": shifted(values["dim"], rank)})
    return call.run(values.values())


def _elementwise_extreme(call: Call) -> Any:
    """Compute ``max(input, other)`` as ``maximum(input, other)``, and ``min`` as ``minimum``."""
    from flambeau.func._batching.pointwise import pointwise

    row = flambeau.maximum if call.operator.__name__ == "max" else flambeau.minimum
    return pointwise(call._replace(operator=row, values=call.values[:2]))
