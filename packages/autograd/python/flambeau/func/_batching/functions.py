"""``autograd.Function`` inside vmap: call its ``vmap`` method, or map its other methods over the batch."""

import inspect
import itertools
from typing import Any, NamedTuple

from flambeau import Tensor
from flambeau._core import _running_maps
from flambeau.autograd import Function
from flambeau.func._placeholders import highest_level, is_batched_at, maps, wrapped
from flambeau.func._rules import composition
from flambeau.func._vmap import vmap

VMAP_RULE_AND_METHOD = (
    "You tried to vmap over {name}, but it has both generate_vmap_rule=True and an overridden vmap staticmethod. "
    "Please set generate_vmap_rule=False or delete the overridden vmap staticmethod to avoid ambiguity."
)
NO_VMAP_RULE = (
    "You tried to vmap over {name}, but it does not have vmap support. Please override and implement the vmap "
    "staticmethod or set generate_vmap_rule=True."
)
SETUP = "vmap: {name} must define a setup_context staticmethod, and its forward must not take ctx."
DIMENSIONS = (
    "Expected the vmap staticmethod of {name} to return an (outputs, out_dims) tuple of the results and the "
    "position of the batch dimension in each of them, got {got}."
)


class VmapInfo(NamedTuple):
    """Batch size and randomness of a vmap, which the ``vmap`` method of a Function receives."""

    batch_size: int
    randomness: str


@composition("autograd._engine.apply")
def apply(cls: type[Function], *args: Any, **kwargs: Any) -> Any:
    """Apply a Function to a batch: call its ``vmap`` method, or map its other methods over the batch."""
    if kwargs:
        bound = inspect.signature(cls.forward).bind(*args, **kwargs)
        bound.apply_defaults()
        args = bound.args
    has_own = getattr(cls, "vmap", None) is not getattr(Function, "vmap", None)
    generates = getattr(cls, "generate_vmap_rule", False)
    if has_own and generates:
        raise RuntimeError(VMAP_RULE_AND_METHOD.format(name=cls.__name__))
    if not has_own and not generates:
        raise RuntimeError(NO_VMAP_RULE.format(name=cls.__name__))
    if cls.setup_context is None:
        raise RuntimeError(SETUP.format(name=cls.__name__))
    level = highest_level(args)
    map_ = maps.running[level - 1]
    dims = tuple(0 if is_batched_at(a, level) else None for a in args)
    values = [a.value if d == 0 else a for a, d in zip(args, dims, strict=True)]
    former = _running_maps(level - 1)
    try:
        info = VmapInfo(map_.size, map_.randomness)
        if has_own:
            return _with_batch_dims(cls, cls.vmap(info, dims, *values), level)
        return wrapped(_batched_function(cls, info, dims).apply(*values), level)
    finally:
        _running_maps(former)


def _with_batch_dims(cls: type[Function], returned: Any, level: int) -> Any:
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise RuntimeError(DIMENSIONS.format(name=cls.__name__, got=type(returned)))
    outputs, dims = returned
    if not isinstance(outputs, (tuple, list)):
        return _wrap_at(outputs, dims, level)
    each = dims if isinstance(dims, (tuple, list)) else [dims] * len(outputs)
    if len(each) != len(outputs):
        raise RuntimeError(
            DIMENSIONS.format(name=cls.__name__, got=f"{len(outputs)} results and {len(each)} dimensions")
        )
    return tuple(_wrap_at(t, d, level) for t, d in zip(outputs, each, strict=True))


def _wrap_at(t: Any, dim: int | None, level: int) -> Any:
    if dim is None or not isinstance(t, Tensor):
        return t
    return wrapped(t if dim == 0 else t.movedim(dim, 0), level)


class _Context:
    """The ``ctx`` object that the methods of the Function receive for one element of the batch."""

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self.saved_tensors: tuple[Any, ...] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        self.saved_tensors = tensors

    save_for_forward = save_for_backward

    def mark_dirty(self, *tensors: Any) -> None:
        raise RuntimeError("vmap: a Function with generate_vmap_rule=True cannot mark inputs dirty")

    def mark_non_differentiable(self, *tensors: Any) -> None:
        pass

    def set_materialize_grads(self, value: bool) -> None:
        pass


def _batched_function(cls: type[Function], info: VmapInfo, dims: tuple[int | None, ...]) -> type[Function]:
    """Return a Function that takes batched values. Its methods map the methods of ``cls`` over the batch."""

    class BatchedFunction(Function):
        @staticmethod
        def forward(*values: Any) -> Any:
            return vmap(cls.forward, in_dims=dims, randomness=info.randomness)(*values)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            ctx.element = _Context(ctx.needs_input_grad)

            def saved(inputs: Any, output: Any) -> Any:
                cls.setup_context(ctx.element, inputs, output)
                return ctx.element.saved_tensors

            ctx.save_for_backward(*_vmap_with_none(info, saved, (dims, 0), tuple(inputs), output))

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
            def backward(saved: Any, gradients: Any) -> tuple[Any, ...]:
                ctx.element.saved_tensors = saved
                results = cls.backward(ctx.element, *gradients)
                return results if isinstance(results, tuple) else (results,)

            saved = tuple(ctx.saved_tensors)
            batched = _first_dims(saved), _first_dims(gradients)
            results = _vmap_with_none(info, backward, batched, saved, gradients)
            # The gradient of an input without a batch dimension is summed over the batch. The engine raises an error
            # if there are too many gradients.
            of_each = itertools.chain(dims, itertools.repeat(0))
            return tuple(r if r is None or d == 0 else r.sum(0) for r, d in zip(results, of_each, strict=False))

    BatchedFunction.__name__ = cls.__name__
    return BatchedFunction


def _first_dims(values: tuple[Any, ...]) -> tuple[int | None, ...]:
    return tuple(None if v is None else 0 for v in values)


def _vmap_with_none(info: VmapInfo, function: Any, in_dims: Any, *args: Any) -> list[Any]:
    """Map a function over the batch that returns a tuple. An item that is None must be None for every element."""
    present: list[bool] = []

    def without_none(*args: Any) -> tuple[Any, ...]:
        results = function(*args)
        present[:] = [r is not None for r in results]
        return tuple(r for r in results if r is not None)

    values = iter(vmap(without_none, in_dims=in_dims, randomness=info.randomness)(*args))
    return [next(values) if there else None for there in present]
