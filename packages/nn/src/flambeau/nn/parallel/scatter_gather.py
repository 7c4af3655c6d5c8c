"""Arguments in parts, one for each GPU, and results put together again. Both are recorded."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from flambeau import Tensor
from flambeau.cuda import comm

__all__ = ["gather", "scatter", "scatter_kwargs"]

_SCALARS = (
    "Was asked to gather along dimension 0, but all input tensors were scalars; will instead unsqueeze and return a "
    "vector."
)


def _is_namedtuple(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


def scatter(inputs: Any, target_gpus: Sequence[Any], dim: int = 0) -> Sequence[Any]:
    """Tensors in parts, one for each GPU; in tuples, lists and dictionaries as well. All else is given to each.

    Args:
        inputs: a tensor, or what holds tensors.
        target_gpus: the GPUs.
        dim: along which tensors are cut.
    Returns: for each GPU, of which there may be more than parts, what it gets.

    >>> nn.parallel.scatter([1, "two"], [0, 1])
    [[1, 'two'], [1, 'two']]
    """
    if isinstance(inputs, Tensor):
        return comm.scatter(inputs, target_gpus, dim=dim)
    if not inputs or not isinstance(inputs, (tuple, list, dict)):
        return [inputs for _ in target_gpus]
    each = [scatter(item, target_gpus, dim) for item in (inputs.items() if isinstance(inputs, dict) else inputs)]
    made: Callable[[Any], Any] = type(inputs)
    if _is_namedtuple(inputs):
        made = type(inputs)._make  # type: ignore[union-attr]
    return [made(parts) for parts in zip(*each, strict=False)]


def scatter_kwargs(
    inputs: tuple[Any, ...], kwargs: dict[str, Any] | None, target_gpus: Sequence[Any], dim: int = 0
) -> tuple[tuple[Any, ...], tuple[dict[str, Any], ...]]:
    """Positional and keyword arguments in parts, as many of both."""
    positional = list(scatter(inputs, target_gpus, dim)) if inputs else []
    named = list(scatter(kwargs, target_gpus, dim)) if kwargs else []
    positional += [()] * (len(named) - len(positional))
    named += [{} for _ in range(len(positional) - len(named))]
    return tuple(positional), tuple(named)


def gather(outputs: Sequence[Any], target_device: Any, dim: int = 0) -> Any:
    """Results of several GPUs as one: tensors one after another; tuples, lists and dictionaries item by item.

    Args:
        outputs: one for each GPU, alike.
        target_device: where the whole is to be: a GPU or the CPU.
        dim: along which tensors are put together; scalars make a vector.
    Raises: ValueError for dictionaries of other keys.
    """
    first = outputs[0]
    if isinstance(first, Tensor):
        if all(output.ndim == 0 for output in outputs) and dim == 0:
            warnings.warn(_SCALARS, stacklevel=2)
            outputs = [output.unsqueeze(0) for output in outputs]
        return comm.gather(outputs, dim, target_device)
    if first is None:
        return None
    if isinstance(first, dict):
        if any(output.keys() != first.keys() for output in outputs):
            raise ValueError("All dicts must have the same number of keys")
        pairs = [(key, gather([output[key] for output in outputs], target_device, dim)) for key in first]
        return type(first)(pairs)
    items = [gather(each, target_device, dim) for each in zip(*outputs, strict=True)]
    return type(first)._make(items) if _is_namedtuple(first) else type(first)(items)
