"""``backward`` and ``grad`` over several outputs and inputs."""

import sys
import warnings
from collections.abc import Sequence
from typing import Any, Literal, overload

import flambeau
from flambeau import Tensor, strided
from flambeau._overridable import overridable
from flambeau.autograd import _engine
from flambeau.autograd._nodes import GradientEdge

# Error for an input of grad() on which the outputs do not depend.
UNUSED_INPUT = (
    "One of the differentiated Tensors appears to not have been used in the graph (input {index}, of shape {shape}). "
    "Set allow_unused=True if this is the desired behavior."
)

Tensors = Tensor | GradientEdge | Sequence[Tensor | GradientEdge]
Gradients = Tensor | Sequence[Tensor | None] | None


def _as_list(tensors: Tensors) -> list[Any]:
    return [tensors] if isinstance(tensors, (Tensor, GradientEdge)) else list(tensors)


def _gradients(given: Gradients, count: int) -> list[Tensor | None]:
    """Return initial gradients as a list with one gradient or None for each of ``count`` outputs."""
    if given is None:
        return [None] * count
    gradients: list[Tensor | None] = [given] if isinstance(given, Tensor) else list(given)
    if len(gradients) != count:
        raise RuntimeError(f"got {count} tensors and {len(gradients)} gradients")
    for gradient in gradients:
        if gradient is not None and not isinstance(gradient, Tensor):
            raise TypeError(f"gradients can be either Tensors or None, but got {type(gradient).__name__}")
    return gradients


def _shape(source: Any) -> tuple[int, ...]:
    return source.node._output_sizes[source.output_nr][0] if isinstance(source, GradientEdge) else tuple(source.shape)


def backward(
    tensors: Tensors,
    grad_tensors: Gradients = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Gradients = None,
    inputs: Tensors | None = None,
) -> None:
    """Accumulate the gradients of ``tensors`` into ``.grad`` of the leaves or, if given, of ``inputs``.

    Args:
        tensors: tensors or gradient edges to differentiate. They must be scalars unless ``grad_tensors`` is given.
        grad_tensors: initial gradients, with the shapes of ``tensors``. None means 1 for a scalar. ``grad_variables``
            is a deprecated name of this argument.
        retain_graph: if True, keep the saved tensors for another backward pass. None means ``create_graph``.
        create_graph: if True, record the backward pass, for higher derivatives.
        inputs: tensors or gradient edges. If given, only these receive gradients. A non-leaf tensor keeps its gradient,
            as after ``retain_grad()``.
    Raises: RuntimeError for a tensor that does not require grad, a gradient that is missing or has the wrong shape, or
        a graph that was already freed. If the pass fails, no ``.grad`` is changed.

    >>> w = fb.tensor([1.0, 2.0], requires_grad=True)
    >>> y = w * w
    >>> fb.autograd.backward(y, fb.tensor([1.0, 10.0]))
    >>> w.grad
    tensor([ 2., 40.])
    """
    if grad_variables is not None:
        warnings.warn("`grad_variables` is deprecated. Use `grad_tensors` instead.", FutureWarning, stacklevel=2)
        if grad_tensors is not None:
            raise RuntimeError(
                "`grad_tensors` and `grad_variables` (deprecated) arguments both passed to `backward()`. "
                "Please only use `grad_tensors`."
            )
        grad_tensors = grad_variables
    outputs = _as_list(tensors)
    create_graph = bool(create_graph)
    keep = create_graph if retain_graph is None else bool(retain_graph)
    chosen = None if inputs is None else _as_list(inputs)
    if chosen is not None and not chosen:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    outputs, seeds = _values_of_outputs(outputs, _gradients(grad_tensors, len(outputs)))
    _engine.run(outputs, seeds, keep, create_graph, None if chosen is None else _values_of(chosen), True)


@overload
def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Gradients = ...,
    retain_graph: bool | None = ...,
    create_graph: bool = ...,
    only_inputs: bool = ...,
    allow_unused: Literal[False] | None = ...,
    is_grads_batched: bool = ...,
    materialize_grads: bool = ...,
) -> tuple[Tensor, ...]: ...
@overload
def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Gradients = ...,
    retain_graph: bool | None = ...,
    create_graph: bool = ...,
    only_inputs: bool = ...,
    allow_unused: bool | None = ...,
    is_grads_batched: bool = ...,
    materialize_grads: bool = ...,
) -> tuple[Tensor | None, ...]: ...
@overridable
def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Gradients = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """Return the gradients of ``outputs`` with respect to ``inputs``. No ``.grad`` is changed.

    Args:
        outputs, grad_outputs, retain_graph, create_graph: see :func:`backward`.
        inputs: tensors that require grad, leaves or not, or gradient edges.
        only_inputs: must be True.
        allow_unused: if True, return None for an input on which the outputs do not depend. Otherwise raise
            RuntimeError.
        is_grads_batched: if True, ``grad_outputs`` have an additional first dimension. One backward pass runs for each
            index along this dimension, and the gradients are stacked.
        materialize_grads: if True, return zeros instead of None.
    Returns: a tuple with one gradient per input.

    >>> import flambeau
    >>> x = flambeau.tensor(3.0, requires_grad=True)
    >>> flambeau.autograd.grad(x * x, x)
    (tensor(6.),)
    """
    if not only_inputs:
        raise ValueError("only_inputs=False is not supported: grad() never adds to the .grad of other leaves")
    if allow_unused is False and materialize_grads:
        raise ValueError("Expected allow_unused to be True or not passed when materialize_grads=True, but got False.")
    results, sources = _as_list(outputs), _as_list(inputs)
    if not sources:
        raise ValueError("grad requires non-empty inputs.")
    if materialize_grads and any(isinstance(source, GradientEdge) for source in sources):
        raise RuntimeError("materialize_grads cannot be used when the given input is a GradientEdge")
    results, seeds = _values_of_outputs(results, _gradients(grad_outputs, len(results)))
    create_graph = bool(create_graph)
    keep = create_graph if retain_graph is None else bool(retain_graph)
    given, sources = sources, _values_of(sources)
    if (level := _vmap_level_of(seeds)) and not is_grads_batched:
        gradients = _gradients_in_vmap(level, results, sources, seeds, keep, create_graph)
    elif is_grads_batched:
        gradients = _batched_gradients(results, sources, seeds, keep, create_graph)
    else:
        gradients = _engine.run(results, seeds, keep, create_graph, sources, False)
    if materialize_grads:
        return tuple(
            flambeau.zeros_like(t, requires_grad=create_graph) if g is None else _to_layout_of(t, g)
            for g, t in zip(gradients, given, strict=True)
        )
    if not allow_unused:
        for index, g in enumerate(gradients):
            if g is None:
                raise RuntimeError(UNUSED_INPUT.format(index=index, shape=list(_shape(given[index]))))
    return gradients if sources is given else tuple(_to_layout_of(t, g) for g, t in zip(gradients, given, strict=True))


def _is_sparse(source: Any) -> bool:
    return getattr(source, "layout", strided) is not strided


def _values_of(sources: list[Any]) -> list[Any]:
    """Replace sparse tensors with their values. Return the same list object if no tensor is sparse."""
    if "flambeau.sparse" not in sys.modules or not any(map(_is_sparse, sources)):
        return sources
    return [source._val if _is_sparse(source) else source for source in sources]


def _values_of_outputs(outputs: list[Any], seeds: list[Tensor | None]) -> tuple[list[Any], list[Tensor | None]]:
    """Replace sparse outputs with their values, and the gradients of outputs with the gradients of the values."""
    if "flambeau.sparse" not in sys.modules or not any(map(_is_sparse, (*outputs, *seeds))):
        return outputs, seeds
    from flambeau.autograd._saved_sparse import gradient_of_values

    pairs = zip(outputs, seeds, strict=True)
    return _values_of(outputs), [gradient_of_values(output, seed) for output, seed in pairs]


def _to_layout_of(source: Any, gradient: Tensor | None) -> Tensor | None:
    """Convert a gradient to the layout of its source."""
    if gradient is None or not _is_sparse(source):
        return gradient
    converted: Tensor = source._as_gradient(gradient)
    return converted


def _vmap_level_of(seeds: list[Tensor | None]) -> int:
    """Return the innermost level of `vmap` at which a gradient is batched, or 0 if no gradient is batched."""
    placeholders = sys.modules.get("flambeau.func._placeholders")
    return placeholders.highest_level(seeds) if placeholders and placeholders.maps.running else 0


def _gradients_in_vmap(
    level: int,
    results: list[Any],
    sources: list[Any],
    seeds: list[Tensor | None],
    keep: bool,
    create_graph: bool,
) -> tuple[Tensor | None, ...]:
    """Return the gradients inside `vmap` for batched ``seeds``. One backward pass runs per element of the batch."""
    from flambeau.func import _placeholders

    if _placeholders.highest_level([*results, *sources]) >= level:
        raise NotImplementedError(
            "autograd.grad inside of vmap supports mapped grad_outputs, but not mapped outputs or inputs; use "
            "func.grad or func.vjp instead"
        )
    size = _placeholders.maps.running[level - 1].size
    stacked: list[Tensor | None] = []
    for seed in seeds:
        if seed is not None:
            mapped: Any = seed
            seed = mapped.value if _placeholders.is_batched_at(seed, level) else seed.expand(size, *seed.shape)
        stacked.append(seed)
    gradients = _batched_gradients(results, sources, stacked, keep, create_graph)
    return tuple(_placeholders.wrapped(each, level) for each in gradients)


def _batched_gradients(
    results: list[Any], sources: list[Any], seeds: list[Tensor | None], keep: bool, create_graph: bool
) -> tuple[Tensor | None, ...]:
    """Run one backward pass for each index of the first dimension of ``seeds``, and stack the gradients."""
    sizes = {None if seed is None else seed.shape[0] if seed.dim() else 0 for seed in seeds}
    if len(sizes) != 1 or not (size := sizes.pop()):
        raise RuntimeError(
            "If `is_grads_batched=True`, every grad_output must be given and have the same first dimension, which "
            f"must not be empty; got shapes {[None if s is None else list(s.shape) for s in seeds]}"
        )
    for i, (seed, result) in enumerate(zip(seeds, results, strict=True)):
        if seed is not None and (given := tuple(seed.shape)[1:]) != _shape(result):
            raise RuntimeError(
                "If `is_grads_batched=True`, we interpret the first dimension of each grad_output as the batch "
                "dimension. The sizes of the remaining dimensions are expected to match the shape of corresponding "
                f"output, but a mismatch was detected: grad_output[{i}] has a shape of {list(given)} and output[{i}] "
                f"has a shape of {list(_shape(result))}."
            )
    rows = []
    for i in range(size):
        row = [seed[i] for seed in seeds if seed is not None]
        rows.append(_engine.run(results, row, keep or i + 1 < size, create_graph, sources, False))
    return tuple(None if column[0] is None else flambeau.stack(column) for column in zip(*rows, strict=True))
