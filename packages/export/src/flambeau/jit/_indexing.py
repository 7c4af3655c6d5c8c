"""Translation of index keys to views and selections."""

from __future__ import annotations

from typing import Any

import flambeau
from flambeau import Tensor
from flambeau._tracing._numbers import TRACED, Number, plain
from flambeau._tracing._structure import leaves

from ._trace import Trace, rule

_MASKS = (flambeau.bool, flambeau.uint8)


@rule("__getitem__")
def _get_item(trace: Trace, func: Any, **arguments: Any) -> Tensor:
    tensor, key = arguments.values()
    func(tensor, _plain_key(key))  # an invalid key raises an error
    view, indices = _apply_basic_key(trace, tensor, key)
    if indices is not None:
        return trace.note("index", [view, indices], view[_key_of(indices)])
    if view is tensor:
        return trace.note("alias", [tensor], tensor[...])
    return view


@rule("__setitem__")
def _set_item(trace: Trace, func: Any, **arguments: Any) -> None:
    """Perform and record an assignment to elements: a copy to a view, or ``index_put_`` if the key contains tensors."""
    tensor, key, value = arguments.values()
    view, indices = _apply_basic_key(trace, tensor, key)
    if not isinstance(value, Tensor | Number | bool | int | float | complex):
        value = flambeau.tensor(value, dtype=tensor.dtype, device=tensor.device)
    if indices is None:
        trace.effect("set_at", [view, value])
        view[...] = plain(value)
        return
    if not isinstance(value, Tensor):
        with trace:
            value = flambeau.full((), value, dtype=tensor.dtype, device=tensor.device)
    elif value.dtype != tensor.dtype:
        with trace:
            value = value.to(tensor.dtype)
    trace.effect("index_put_", [view, indices, value, False])
    view[_key_of(indices)] = value
    return


def _plain_key(key: Any) -> Any:
    if isinstance(key, tuple):
        return tuple(map(_plain_key, key))
    if isinstance(key, slice):
        return slice(plain(key.start), plain(key.stop), plain(key.step))
    return plain(key)


def _key_of(indices: list[Any]) -> tuple[Any, ...]:
    return tuple(slice(None) if index is None else index for index in indices)


def _consumed(key: Any) -> int:
    """Return the number of tensor dimensions that a part of a key indexes."""
    if key is None or key is Ellipsis or isinstance(key, bool):
        return 0
    return key.dim() if isinstance(key, Tensor) and key.dtype in _MASKS else 1


def _is_number(key: Any) -> bool:
    if isinstance(key, Tensor):
        return key.dim() == 0 and key.dtype not in _MASKS and not key.is_floating_point()
    return not isinstance(key, bool) and hasattr(key, "__index__")


def _apply_basic_key(trace: Trace, tensor: Tensor, key: Any) -> tuple[Tensor, list[Any] | None]:
    """Apply the slices, ints and None in ``key`` as views.

    Returns: the view, and a list with an index tensor or None for each dimension of the view. Instead of the list, None
        if ``key`` contains no index tensors.
    """
    keys = list(key) if isinstance(key, tuple) else [key]
    keys = [_index_list(trace, k) if isinstance(k, list) else k for k in keys]
    keys = [flambeau.tensor(k) if type(k).__module__ == "numpy" else k for k in keys]
    rest = tensor.dim() - sum(map(_consumed, keys))
    view, dim = tensor, 0
    indices: list[Any] = []
    for part in keys:
        if part is Ellipsis:
            dim += rest
        elif isinstance(part, slice):
            view, dim = trace.sliced(view, dim, part), dim + 1
        else:
            with trace:
                if part is None:
                    view, dim = view.unsqueeze(dim), dim + 1
                elif _is_number(part):
                    view = view.select(dim, part)
                else:
                    view, dim = _advanced(view, dim, part, indices)
    return view, indices or None


def _index_list(trace: Trace, key: list[Any]) -> Tensor:
    if leaves(key, (Tensor, *TRACED)):
        with trace:
            return flambeau.tensor(key)
    return trace.constant(flambeau.tensor(key))


def _advanced(view: Tensor, dim: int, part: Any, indices: list[Any]) -> tuple[Tensor, int]:
    if isinstance(part, bool) or (part.dtype in _MASKS and part.dim() == 0):
        view = view.unsqueeze(dim)
        part = flambeau.tensor([part]) if isinstance(part, bool) else part.reshape(1)
    if part.dtype == flambeau.uint8:
        part = part.to(flambeau.bool)
    taken = sum(index.dim() if index is not None and index.dtype == flambeau.bool else 1 for index in indices)
    indices.extend([None] * (dim - taken))
    indices.append(part)
    return view, dim + (part.dim() if part.dtype == flambeau.bool else 1)
