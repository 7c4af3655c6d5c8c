"""Batching rules of queries: inside vmap, shape and dtype are known, but reading elements raises an error."""

from collections.abc import Callable
from typing import Any, NoReturn

from flambeau import Size, Tensor, _core
from flambeau.func._placeholders import without_placeholders
from flambeau.func._rules import Call, UnsupportedByVmapError, batching, composition

ITEM = (
    "vmap: {name} asks for the elements of a tensor that stands for a batch of {size}. Calling .item() (or tolist(), "
    "numpy(), int(), float()) is not possible inside of a mapped function; compute with tensors instead."
)
CONTROL_FLOW = (
    "vmap: a Tensor was used in data-dependent control flow (bool() of a tensor that stands for a batch of {size}). "
    "Choose between values with flambeau.where(condition, a, b) instead of branching."
)
SHAPE = (
    "vmap: {name} gives a result whose shape depends on the elements, which may differ over the batch of {size}. "
    "{instead}"
)
_ALTERNATIVES = {
    "nonzero": "Use nonzero_static(), flambeau.where(mask, a, b) or sums over the mask instead.",
    "argwhere": "Use nonzero_static(), flambeau.where(mask, a, b) or sums over the mask instead.",
    "masked_select": "Use flambeau.where(mask, x, value) instead.",
}
_MEMORY = (
    "vmap: {name} is not possible inside of a mapped function, because the tensor stands for a batch of {size} and has "
    "no memory of its own."
)


def _unsupported(text: str) -> Callable[[Call], NoReturn]:
    def raise_error(call: Call) -> NoReturn:
        name = call.operator.__name__
        instead = _ALTERNATIVES.get(name, "Compute it outside of the mapped function.")
        raise UnsupportedByVmapError(text.format(name=name, size=call.size, instead=instead))

    return raise_error


batching("item", "tolist", "__int__", "__float__", "__index__", "__complex__", "numpy")(_unsupported(ITEM))
batching("__bool__", "is_nonzero", "equal", "allclose", "__contains__")(_unsupported(CONTROL_FLOW))
batching("nonzero argwhere masked_select unique unique_consecutive bincount combinations")(_unsupported(SHAPE))
batching(
    "as_strided as_strided_ as_strided_copy as_strided_scatter data_ptr untyped_storage storage_offset _storage_bytes "
    "set_ resize_ resize_as_ __dlpack__ to_dlpack from_dlpack share_memory_ is_set_to frombuffer from_numpy apply_ "
    "map_ map2_ tensor new_tensor"
)(_unsupported(_MEMORY))
batching("_recorded")(_unsupported("vmap: {name} is an operator with a custom derivative; there is no rule for it."))


@batching("as_tensor", "asarray")
def as_tensor(call: Call) -> Any:
    """Return a batched tensor, converted to ``dtype`` if this is given. Reject other objects."""
    x, dtype = call.values[0], call.argument("dtype")
    if not call.is_batched(x):
        raise UnsupportedByVmapError(_MEMORY.format(name=call.operator.__name__, size=call.size))
    return x if dtype is None else x.value.to(dtype)


@composition("_holds")
def holds(condition: Tensor) -> bool:
    """Return True if all elements of ``condition`` are True, in the whole batch."""
    return bool(without_placeholders(condition).all())


@composition("__len__")
def length(input: Tensor) -> int:
    """Return the size of the first dimension."""
    if input.ndim == 0:
        raise TypeError("len() of a 0-d tensor")
    return input.shape[0]


@composition("size")
def size(input: Tensor, dim: int | None) -> Size | int:
    """Return the shape of one element of the batch, or its size along ``dim``."""
    if dim is None:
        return input.shape
    if not -input.ndim <= dim < input.ndim:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-input.ndim}, {input.ndim - 1}], but got {dim})"
        )
    return input.shape[dim]


@batching("stride")
def stride(call: Call) -> Any:
    """Return the strides of one element of the batch, or its stride along ``dim``."""
    x, dim = call.values
    strides = x.value.stride()[1:]
    return strides if dim is None else strides[dim]


composition("dim", "ndimension")(lambda t: t.ndim)
composition("numel", "nelement")(lambda t: t.shape.numel())
composition("element_size")(lambda t: t.itemsize)
composition("is_floating_point")(lambda t: t.dtype.is_floating_point)
composition("is_complex")(lambda t: t.dtype.is_complex)
composition("is_conj", "is_neg")(lambda t: False)
composition("is_same_size")(lambda t, other: t.shape == other.shape)
composition("result_type")(
    lambda tensor1, tensor2: _core.result_type(
        *(_empty_like_rank(t) if isinstance(t, Tensor) else t for t in (tensor1, tensor2))
    )
)
composition("is_contiguous")(lambda t, memory_format: without_placeholders(t).is_contiguous())


def _empty_like_rank(t: Tensor) -> Tensor:
    return _core.empty((0,) * min(t.ndim, 1), dtype=t.dtype)


@composition("requires_grad.__get__")
def requires_grad(input: Tensor) -> bool:
    """Return True if the value of the placeholder requires grad."""
    return bool(without_placeholders(input).requires_grad)


composition("is_cuda.__get__")(lambda t: without_placeholders(t).is_cuda)
composition("is_leaf.__get__")(lambda t: without_placeholders(t).is_leaf)
composition("output_nr.__get__")(lambda t: without_placeholders(t).output_nr)
composition("grad_fn.__get__")(lambda t: without_placeholders(t).grad_fn)
composition("_version.__get__")(lambda t: without_placeholders(t)._version)
composition("retains_grad.__get__")(lambda t: False)
composition("grad.__get__", "_grad.__get__", "_base.__get__")(lambda t: None)


@batching("data.__get__")
def data(call: Call) -> Any:
    """Return the detached value of a batched tensor."""
    return call.values[0].value.detach()


composition("real.__get__")(lambda t: _core.real(t))
composition("imag.__get__")(lambda t: _core.imag(t))

GRADIENTS = (
    "vmap: {name} is not possible on a tensor inside of a mapped function; differentiate with flambeau.func.grad, "
    "inside of the function or around vmap."
)


def _no_gradients(call: Call) -> NoReturn:
    raise RuntimeError(GRADIENTS.format(name=call.operator.__name__))


batching(
    "requires_grad_ retain_grad register_hook register_post_accumulate_grad_hook backward requires_grad.__set__ "
    "grad.__set__ data.__set__ real.__set__ imag.__set__"
)(_no_gradients)
