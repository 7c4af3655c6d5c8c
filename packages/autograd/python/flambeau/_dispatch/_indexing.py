"""``tensor[key]`` and ``tensor[key] = value``, computed by the operators of ``ops.aten`` that PyTorch calls."""

from __future__ import annotations

from typing import Any

import flambeau
from flambeau import Tensor


def _run(name: str, overload: str, *args: Any) -> Any:
    from ._decompositions import run

    return run(name, overload, *args)


def _items(key: Any) -> list[Any]:
    items = list(key) if isinstance(key, tuple) else [key]
    return [flambeau.tensor(item) if isinstance(item, (list, range)) or _is_array(item) else item for item in items]


def _is_array(item: Any) -> bool:
    return hasattr(item, "__array__") and not isinstance(item, Tensor)


def _consumed(item: Any) -> int:
    """Return the number of dimensions that an index consumes."""
    if item is None or isinstance(item, bool):
        return 0
    if isinstance(item, Tensor) and item.dtype in (flambeau.bool, flambeau.uint8):
        return int(item.dim())
    return 1


def _viewed(input: Tensor, key: Any) -> tuple[Tensor, list[Any]]:
    """Apply the indices that are not tensors. Return the resulting view and, for each dimension, a tensor or None."""
    items = _items(key)
    used = sum(_consumed(item) for item in items if item is not Ellipsis)
    if used > input.dim():
        raise IndexError(f"too many indices for tensor of dimension {input.dim()}")
    view, dim, indices = input, 0, list[Any]()
    for item in items:
        if item is Ellipsis:
            skipped = input.dim() - used
            dim += skipped
            indices += [None] * skipped
        elif item is None or isinstance(item, bool):
            view = flambeau.unsqueeze(view, dim)
            indices.append(None if item is None else flambeau.tensor([item]))
            dim += 1
        elif isinstance(item, slice):
            view = _sliced(view, dim, item)
            indices.append(None)
            dim += 1
        elif isinstance(item, Tensor) and not (item.dim() == 0 and _is_number(item)):
            indices.append(item)
            dim += _consumed(item)
        else:
            view = _run("select", "int", view, dim, int(item))
    while indices and indices[-1] is None:
        indices.pop()
    return view, indices


def _is_number(item: Tensor) -> bool:
    return item.dtype is not flambeau.bool and type(item) is Tensor


def _sliced(view: Tensor, dim: int, item: slice) -> Any:
    if item.step is not None and int(item.step) <= 0:
        raise ValueError("step must be greater than zero")
    size = view.shape[dim]
    start, end, step = item.indices(size)
    if start == 0 and end == size and step == 1:
        return view
    stop = 9223372036854775807 if item.stop is None else int(item.stop)
    args = (view, dim, 0 if item.start is None else int(item.start), stop)
    return _run("slice", "Tensor", *args) if step == 1 else _run("slice", "Tensor", *args, step)


def get(input: Tensor, key: Any) -> Any:
    """Return ``input[key]``."""
    view, indices = _viewed(input, key)
    if indices:
        return _run("index", "Tensor", view, indices)
    return _run("alias", "default", input) if view is input else view


def set_(input: Tensor, key: Any, value: Any) -> None:
    """Run ``input[key] = value``."""
    view, indices = _viewed(input, key)
    if indices:
        if not isinstance(value, Tensor):
            value = flambeau.tensor(value, dtype=input.dtype, device=input.device)
        _run("index_put_", "default", view, indices, value)
    elif isinstance(value, Tensor):
        while value.dim() > view.dim() and value.shape[0] == 1:
            value = value.squeeze(0)
        view.copy_(value)
    elif isinstance(value, (bool, int, float, complex)):
        view.fill_(value)
    else:
        view.copy_(flambeau.tensor(value, dtype=input.dtype))
