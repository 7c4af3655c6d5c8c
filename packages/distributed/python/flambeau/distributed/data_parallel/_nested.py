"""Tensors in nested arguments and results: tuples, lists, dictionaries and dataclasses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from flambeau import Tensor

__all__ = ["moved", "tensors_in"]


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in a nested value."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from tensors_in(each)
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))
    elif dataclasses.is_dataclass(value):
        yield from tensors_in([getattr(value, field.name) for field in dataclasses.fields(value)])


def moved(value: Any, device: Any) -> Any:
    """Return a nested value with all tensors moved to a device. Dataclasses are copied; other values are unchanged."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, tuple):
        made: Callable[[Any], Any] = getattr(type(value), "_make", type(value))
        return made(moved(each, device) for each in value)
    if isinstance(value, list):
        return type(value)(moved(each, device) for each in value)
    if isinstance(value, dict):
        return type(value)((key, moved(each, device)) for key, each in value.items())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field.name for field in dataclasses.fields(value) if field.init]
        return dataclasses.replace(value, **{name: moved(getattr(value, name), device) for name in fields})
    return value
