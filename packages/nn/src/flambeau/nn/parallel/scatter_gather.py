"""Functions that split arguments over GPUs and gather the results. Autograd records both operations."""

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
    """Split tensors over GPUs, also inside tuples, lists and dictionaries. Other values are passed to every GPU.

    Args:
        inputs: a tensor, or a nested structure of tensors.
        target_gpus: the GPUs.
        dim: dimension along which tensors are split.
    Returns: a list with the inputs of each GPU. It may have fewer items than there are GPUs.

    >>> nn.parallel.scatter([1, "two"], [0, 1])
    [[1, 'two'], [1, 'two']]
    """
    if isinstance(inputs, Tensor):
        return comm.scatter(inputs, target_gpus, dim=dim)
    if not inputs or not isinstance(inputs, (tuple, list, dict)):
        return [inputs for _ in target_gpus]
    each = [scatter(item, target_gpus, dim) for item in (inputs.items() if isinstance(inputs, dict) else inputs)]
    rebuild: Callable[[Any], Any] = type(inputs)
    if _is_namedtuple(inputs):
        rebuild = type(inputs)._make  # type: ignore[union-attr]
    return [rebuild(parts) for parts in zip(*each, strict=False)]


def scatter_kwargs(
    inputs: tuple[Any, ...], kwargs: dict[str, Any] | None, target_gpus: Sequence[Any], dim: int = 0
) -> tuple[tuple[Any, ...], tuple[dict[str, Any], ...]]:
    """Split positional and keyword arguments over GPUs into the same number of parts.

    Args:
        inputs: positional arguments.
        kwargs: keyword arguments, or None.
        target_gpus, dim: see `scatter`.
    Returns: the positional arguments of each GPU, and the keyword arguments of each GPU.

    >>> nn.parallel.scatter_gather.scatter_kwargs((1, "two"), {"scale": 3}, [0, 1])
    (((1, 'two'), (1, 'two')), ({'scale': 3}, {'scale': 3}))
    """
    positional = list(scatter(inputs, target_gpus, dim)) if inputs else []
    named = list(scatter(kwargs, target_gpus, dim)) if kwargs else []
    positional += [()] * (len(named) - len(positional))
    named += [{} for _ in range(len(positional) - len(named))]
    return tuple(positional), tuple(named)


def gather(outputs: Sequence[Any], target_device: Any, dim: int = 0) -> Any:
    """Combine the results of several GPUs: concatenate tensors; combine tuples, lists and dictionaries item by item.

    Args:
        outputs: one result for each GPU, all with the same structure.
        target_device: device of the combined result: a GPU or the CPU.
        dim: dimension along which tensors are concatenated; scalars are combined to a vector.
    Raises: ValueError for dictionaries with different keys.

    >>> nn.parallel.gather([{"x": fb.ones(2)}, {"x": fb.zeros(1)}], "cpu")
    {'x': tensor([1., 1., 0.])}
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
