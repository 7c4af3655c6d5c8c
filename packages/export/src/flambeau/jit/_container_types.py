"""Type checks with generic types: ``torch.jit.isinstance``."""

from __future__ import annotations

import types
import typing
from typing import Any


def has_type(obj: Any, target_type: Any) -> bool:
    """Return True if ``obj`` is an instance of ``target_type``, including the types of its elements.

    Args:
        obj: any value.
        target_type: a type, ``List[T]``, ``Tuple[T, ...]``, ``Dict[K, V]``, ``Optional[T]``, a union of these, or a
            tuple of alternatives. An empty container matches any element type.

    >>> import flambeau
    >>> from typing import Dict, List
    >>> flambeau.jit.isinstance([1, 2], List[int]), flambeau.jit.isinstance({"a": 1}, Dict[str, str])
    (True, False)
    """
    if isinstance(target_type, tuple):
        return any(has_type(obj, each) for each in target_type)
    origin, inner = typing.get_origin(target_type), typing.get_args(target_type)
    if target_type is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(has_type(obj, each) for each in inner)
    if origin is None:
        return obj is None if target_type is None else isinstance(obj, target_type)
    if not isinstance(obj, origin):
        return False
    if origin is dict:
        return all(has_type(key, inner[0]) and has_type(value, inner[1]) for key, value in obj.items())
    if origin is tuple and inner[-1:] != (Ellipsis,):
        return len(obj) == len(inner) and all(map(has_type, obj, inner))
    return all(has_type(each, inner[0]) for each in obj)
