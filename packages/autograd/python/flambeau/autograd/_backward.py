"""``backward`` and ``grad`` over several outputs and inputs."""

from collections.abc import Sequence

import flambeau
from flambeau import Tensor
from flambeau.autograd import _engine

# Given where an input of grad() did not take part in the outputs.
UNUSED_INPUT = (
    "One of the differentiated Tensors appears to not have been used in the graph (input {index}, of shape {shape}). "
    "Set allow_unused=True if this is the desired behavior."
)

Tensors = Tensor | Sequence[Tensor]


def _listed(tensors: Tensors) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _gradients(given: Tensor | Sequence[Tensor | None] | None, count: int) -> list[Tensor | None]:
    if given is None:
        return [None] * count
    gradients: list[Tensor | None] = [given] if isinstance(given, Tensor) else list(given)
    if len(gradients) != count:
        raise RuntimeError(f"got {count} tensors and {len(gradients)} gradients")
    return gradients


def backward(
    tensors: Tensors,
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensors | None = None,
) -> None:
    """Adds the gradients of ``tensors`` to ``.grad`` of the leaves (or of ``inputs``).

    Args:
        tensors: what to differentiate; scalars, unless ``grad_tensors`` gives a gradient for each.
        grad_tensors: the gradients to start from, of the tensors' shapes; None means 1 for a scalar.
        retain_graph: keep what the graph saved, for another run; by default as ``create_graph``.
        create_graph: record the run itself, for higher derivatives.
        inputs: only these tensors receive gradients.
    Raises: RuntimeError for a tensor without history, a missing or misshapen gradient, a graph already freed.
    """
    outputs = _listed(tensors)
    keep = create_graph if retain_graph is None else retain_graph
    chosen = None if inputs is None else _listed(inputs)
    if chosen is not None and not chosen:
        raise RuntimeError("'inputs' argument to backward() cannot be empty.")
    _engine.run(outputs, _gradients(grad_tensors, len(outputs)), keep, create_graph, chosen, True)


def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of ``outputs`` with respect to ``inputs``, without touching any ``.grad``.

    Args:
        outputs, grad_outputs, retain_graph, create_graph: as in :func:`backward`.
        inputs: tensors that require grad, leaves or not.
        allow_unused: give None for an input that does not take part, instead of an error.
        materialize_grads: give zeros instead of None.
    Returns: one gradient for each input.

    >>> import flambeau
    >>> x = flambeau.tensor(3.0, requires_grad=True)
    >>> flambeau.autograd.grad(x * x, x)
    (tensor(6.),)
    """
    if is_grads_batched:
        raise NotImplementedError("grad(is_grads_batched=True) is not implemented.")
    if allow_unused is False and materialize_grads:
        raise ValueError("Expected allow_unused to be True or not passed when materialize_grads=True, but got False.")
    results, sources = _listed(outputs), _listed(inputs)
    if not sources:
        raise ValueError("grad requires non-empty inputs.")
    keep = create_graph if retain_graph is None else retain_graph
    found: tuple[Tensor | None, ...] = _engine.run(
        results, _gradients(grad_outputs, len(results)), keep, create_graph, sources, False
    )
    if materialize_grads:
        return tuple(flambeau.zeros_like(t) if g is None else g for g, t in zip(found, sources, strict=True))
    if not allow_unused:
        for index, g in enumerate(found):
            if g is None:
                raise RuntimeError(UNUSED_INPUT.format(index=index, shape=list(sources[index].shape)))
    return found
