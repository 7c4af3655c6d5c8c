"""Batching rules of operators that draw random numbers.

Depending on the ``randomness`` of the vmap, they raise an error, draw separately for each element, or draw the same
numbers for all elements.
"""

from typing import Any

import flambeau
from flambeau import Tensor
from flambeau._core import _running_maps
from flambeau.func._batching.pointwise import pointwise
from flambeau.func._fallback import loop
from flambeau.func._placeholders import maps, wrapped
from flambeau.func._rules import Call

REJECTED = (
    "vmap: called random operation {name} while in randomness error mode. Please either use the 'same' or 'different' "
    "randomness flags on vmap or perform the randomness operation out of vmap"
)
WRITES_ONE = (
    "vmap: Cannot ask for different inplace randomness on an unbatched tensor: {name} would write the numbers of every "
    "element of the batch to the same memory. Make the tensor inside of the mapped function from one of its arguments."
)


def drawn(callable_: Any, values: tuple[Any, ...], _: int) -> Any:
    """Run an operator that draws random numbers, according to ``randomness`` of the innermost vmap."""
    level = _running_maps(0)
    try:
        _running_maps(level - 1)
        map_ = maps.running[level - 1]
        call = Call(callable_, values, level, map_.size)
        if callable_.__name__.startswith("dropout") and not _drops_at_random(call):
            return wrapped(pointwise(call), level) if call.is_batched(values[0]) else call.run(values)
        if map_.randomness == "error":
            raise RuntimeError(REJECTED.format(name=callable_.__name__))
        if map_.randomness == "same" and not any(call.is_batched(x) for x in values):
            return call.run(values)
        if callable_.__name__.endswith("_"):
            return _in_place(call, map_.randomness)
        return wrapped(
            _draw_per_element(call) if map_.randomness == "different" else _loop_from_same_state(call), level
        )
    finally:
        _running_maps(level)


def _drops_at_random(call: Call) -> bool:
    """Return whether a dropout zeroes some elements but not all. Otherwise, its result is not random."""
    return bool(call.argument("training")) and 0.0 < call.argument("p") < 1.0


def _in_place(call: Call, mode: str) -> Any:
    target = call.values[0]
    if not call.is_batched(target):
        raise RuntimeError(WRITES_ONE.format(name=call.operator.__name__))
    if mode == "same":
        _loop_from_same_state(call)
    elif any(call.is_batched(x) for x in call.values[1:]):
        loop(call)
    else:
        call.run((target.value, *call.values[1:]))
    return target


def _loop_from_same_state(call: Call) -> Any:
    """Run the operator once per element, each time from the same state of the random number generator."""
    generator = call.argument("generator")
    generator = flambeau.default_generator if generator is None else generator
    state = generator.get_state()

    def restarted(*values: Any) -> Any:
        generator.set_state(state)
        return call.run(values)

    restarted.__name__ = call.operator.__name__
    return loop(call._replace(operator=restarted))


def _draw_per_element(call: Call) -> Any:
    """Draw different random numbers for each element of the batch."""
    name = call.operator.__name__
    values = dict(zip(call.operator.parameters, call.values, strict=True))
    if name.endswith("_like"):
        x = values["input"]
        like = x.value if call.is_batched(x) else flambeau.empty(call.size, *x.shape, dtype=x.dtype)
        return call.run({**values, "input": like}.values())
    tensors = [x for x in call.values if isinstance(x, Tensor)]
    if values.get("size") is not None and not tensors:
        size = values["size"]
        sizes = tuple(size) if isinstance(size, (tuple, list)) else (size,)
        return call.run({**values, "size": (call.size, *sizes)}.values())
    if not tensors or name == "multinomial":
        return _multinomial(call) if tensors else loop(call)
    widest = max(tensors, key=lambda t: t.ndim)
    lifted = [_as_batched(call, x) if x is widest else x for x in call.values]
    return pointwise(call._replace(values=tuple(lifted)))


def _as_batched(call: Call, x: Tensor) -> Tensor:
    lifted: Tensor = x if call.is_batched(x) else wrapped(call.batch(x).contiguous(), call.level)
    return lifted


def _multinomial(call: Call) -> Any:
    x, *rest = call.values
    value = call.batch(x)
    drawn = call.run((value.reshape(-1, value.shape[-1]), *rest))
    return drawn.reshape(*value.shape[:-1], drawn.shape[-1])
