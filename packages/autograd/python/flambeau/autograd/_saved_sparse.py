"""Support for sparse tensors in `Function.save_for_backward` and as outputs of `backward`.

The graph saves the values; the indices are stored separately. This module is imported when both `flambeau.sparse` and
`flambeau.autograd` are imported.
"""

from __future__ import annotations

from typing import Any

from flambeau import Tensor, _extension_points
from flambeau.autograd import _engine
from flambeau.autograd._backward import backward
from flambeau.autograd._engine import FunctionCtx
from flambeau.sparse._tensor import SparseTensor, implements

_save_dense = FunctionCtx.save_for_backward
_saved_dense = FunctionCtx.saved_tensors


def save_for_backward(self: Any, *tensors: Any) -> None:
    """Save tensors or None for the backward pass, which reads them from ``saved_tensors``."""
    if any(isinstance(tensor, SparseTensor) for tensor in tensors):
        self._patterns = [_pattern_of(tensor) for tensor in tensors]
        tensors = tuple(tensor._val if isinstance(tensor, SparseTensor) else tensor for tensor in tensors)
    _save_dense(self, *tensors)


def _pattern_of(tensor: Any) -> SparseTensor | None:
    """Return a sparse tensor with the same indices and with expanded zeros as values, which need no memory.

    Return None for a dense tensor.
    """
    if not isinstance(tensor, SparseTensor):
        return None
    values = tensor._val.detach()
    return tensor._like(values.new_zeros(()).expand(values.shape))


def saved_tensors(self: Any) -> tuple[Tensor | None, ...]:
    """Return the tensors that ``save_for_backward`` saved."""
    saved: tuple[Any, ...] = _saved_dense.__get__(self)
    patterns = self.__dict__.get("_patterns")
    if patterns is None:
        return saved
    return tuple(
        values if pattern is None else pattern._like(values) for values, pattern in zip(saved, patterns, strict=True)
    )


for _name, _member in (("save_for_backward", save_for_backward), ("saved_tensors", property(saved_tensors))):
    setattr(FunctionCtx, _name, _member)


def _expect_sparse_gradients(leaf: Tensor) -> None:
    from flambeau.autograd._sparse_gradients import observe  # imported on first use

    observe(leaf)


_extension_points.expect_sparse_gradients = _expect_sparse_gradients


@implements("apply")
def _apply(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Call ``Function.apply`` with arguments of which some are sparse. Sparse arguments must not require grad."""
    if any(isinstance(each, SparseTensor) and each.requires_grad for each in (*args, *kwargs.values())):
        raise NotImplementedError(
            f"{function.__name__}.apply: gradients of sparse arguments are not supported; pass their values() instead"
        )
    return _engine.apply(function, *args, **kwargs)


def gradient_of_values(output: Any, gradient: Tensor | None) -> Tensor | None:
    """Return the gradient of the values of ``output``. ``output`` and its ``gradient`` may be sparse or dense."""
    if not isinstance(output, SparseTensor):
        return gradient.to_dense() if isinstance(gradient, SparseTensor) else gradient
    if gradient is None:
        raise RuntimeError("grad can be implicitly created only for scalar outputs")
    if tuple(gradient.shape) != tuple(output.shape):
        raise RuntimeError(
            f"Mismatch in shape: a gradient has a shape of {list(gradient.shape)} and its output has a shape of "
            f"{list(output.shape)}."
        )
    masked: Any = gradient.sparse_mask(output.detach())
    values: Tensor = masked._val
    return values


@implements("backward")
def _backward(
    tensor: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Accumulate gradients, as `flambeau.autograd.backward` does."""
    backward(tensor, gradient, retain_graph, create_graph, inputs=inputs)


@implements("register_hook")
def _register_hook(tensor: SparseTensor, hook: Any) -> Any:
    """Call ``hook(grad)`` with the sparse gradient. If it returns a tensor, this replaces the gradient."""
    pattern: Any = tensor.detach()  # detached, so that the hook does not refer to the tensor that owns it

    def of_values(gradient: Tensor | None) -> Tensor | None:
        result = hook(None if gradient is None else pattern._as_gradient(gradient))
        return None if result is None else gradient_of_values(pattern, result)

    return tensor._val.register_hook(of_values)
