"""Batching rules of pointwise operators: the batch dimension comes first, the other dimensions are right-aligned."""

from typing import Any

import flambeau
from flambeau import Tensor, _core
from flambeau.func._rules import Call, batching, composition

IN_PLACE = (
    "vmap: inplace arithmetic(self, *extra_args) is not possible because there exists a Tensor `other` in extra_args "
    "that has more elements than `self`. This happened due to `other` being vmapped over but `self` not being vmapped "
    "over in a vmap. Please try to use out-of-place operators instead of inplace arithmetic ({name}). If said operator "
    "is being called inside the framework, please file a bug report instead."
)


def aligned(value: Tensor, rank: int) -> Tensor:
    """Insert dimensions of size 1 after the batch dimension, so that each element has ``rank`` dimensions."""
    missing = rank + 1 - value.ndim
    return value if missing <= 0 else value.reshape(value.shape[0], *(1,) * missing, *value.shape[1:])


def _common_dtype(tensors: list[Tensor]) -> flambeau.dtype:
    """Return the promoted dtype of tensors. The batch dimension does not count as a dimension in the promotion."""
    common = flambeau.empty((0,) * min(tensors[0].ndim, 1), dtype=tensors[0].dtype)
    for t in tensors[1:]:
        other = flambeau.empty((0,) * min(t.ndim, 1), dtype=t.dtype)
        dtype = flambeau.result_type(common, other)
        common = flambeau.empty((0,) * max(common.ndim, other.ndim), dtype=dtype)
    return common.dtype


def pointwise(call: Call) -> Any:
    """Apply an operator that broadcasts its operands to batched operands."""
    tensors = [x for x in call.values if isinstance(x, Tensor)]
    rank = max(t.ndim for t in tensors)
    batched_scalar = any(call.is_batched(t) and t.ndim == 0 for t in tensors)
    # 0-D tensors have a lower priority in type promotion. With the batch dimension, they would have a higher one.
    dtype = _common_dtype(tensors) if batched_scalar and len({t.dtype for t in tensors}) > 1 else None

    return call.run([_operand(call, x, rank, dtype) for x in call.values])


def _operand(call: Call, x: Any, rank: int, dtype: Any) -> Any:
    if not call.is_batched(x):
        return x
    value = aligned(x.value, rank)
    keeps = dtype is None or x.ndim > 0 or value.dtype is flambeau.bool
    return value if keeps else value.to(dtype)


def in_place(call: Call) -> Any:
    """Apply a pointwise operator that writes to its first operand to batched operands."""
    target = call.values[0]
    if not call.is_batched(target):
        raise RuntimeError(IN_PLACE.format(name=call.operator.__name__))
    for x in call.values[1:]:
        if isinstance(x, Tensor) and x.ndim > target.ndim:
            wider = flambeau.broadcast_shapes(target.shape, x.shape)
            raise RuntimeError(
                f"output with shape {list(target.shape)} doesn't match the broadcast shape {list(wider)}"
            )
    rank = target.ndim
    call.run([target.value, *(_operand(call, x, rank, None) for x in call.values[1:])])
    return target


@batching("to type_as clone contiguous")
def converted(call: Call) -> Any:
    """Apply a conversion to a batch. Ignore a channels-last ``memory_format``, which applies to single elements."""
    names = call.operator.parameters
    supported = (None, flambeau.contiguous_format, flambeau.preserve_format)
    input, *others = call.values  # if only the tensor with the dtype is batched, the input is repeated
    values = (call.batch(input), *call.value(others))
    return call.run(
        [None if n == "memory_format" and v not in supported else v for n, v in zip(names, values, strict=True)]
    )


@batching("view_as_complex")
def view_as_complex(call: Call) -> Any:
    """Apply ``view_as_complex`` to a batch. If the pairs are not adjacent in memory, copy them first."""
    value = call.values[0].value
    return call.run((value if value.stride()[-1] == 1 else value.contiguous(),))


@composition("fill")
def fill(input: Tensor, value: Any) -> Tensor:
    """Return a tensor filled with a value, which can be batched."""
    if not isinstance(value, Tensor):
        return flambeau.full_like(input, value)
    if value.ndim:
        raise RuntimeError(
            f"fill only supports a 0-dimension value tensor but got tensor with {value.ndim} dimensions."
        )
    return value.to(input.dtype).expand(input.shape).clone()


@batching("fill_")
def fill_(call: Call) -> Any:
    """Apply ``fill_`` to a batch. ``copy_`` replaces it, because the value can be batched."""
    target, value = call.values
    return in_place(call._replace(operator=flambeau.Tensor.copy_, values=(target, value, False)))


def _rows() -> list[str]:
    """Return the names and aliases of the pointwise operators in the operator table of tensor-core."""
    names = [name for row in _core.pointwise_rows() for name in (row["name"], *row["aliases"])]
    return [name.replace("special_", "special.", 1) if name.startswith("special_") else name for name in names]


_COMPOSITES = (
    "add sub subtract div divide pow float_power clamp clip square positive rsub bitwise_not round logit ldexp frexp "
    "nan_to_num isclose lerp addcmul addcdiv gelu celu softshrink complex polar view_as_real real imag conj "
    "resolve_conj resolve_neg isreal polygamma mvlgamma where float double half bfloat16 long int "
    "short char byte bool cfloat cdouble cpu detach detach_copy alias_copy empty_like zeros_like "
    "ones_like full_like _binary_cross_entropy _binary_cross_entropy_with_logits _absolute_error _huber"
)
_WRITING = (
    "add sub subtract div divide pow float_power clamp clip square bitwise_not round logit ldexp nan_to_num lerp "
    "addcmul addcdiv celu softshrink mvlgamma polygamma zero copy"
)

batching(*_rows(), _COMPOSITES)(pointwise)
batching(*(f"{name}_" for name in (*_rows(), *_WRITING.split())))(in_place)
