"""Handles that remove hooks. Every function that registers a hook returns a handle."""

from __future__ import annotations

import itertools
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Self

__all__ = ["RemovableHandle"]

Hooks = OrderedDict[int, Callable[..., Any]]


class RemovableHandle:
    """Handle that removes a hook from its dictionary, by ``remove()`` or at the end of a ``with`` block.

    The handle refers to the dictionary weakly, so it does not keep the owner of the hooks alive.

    Args:
        hooks_dict: hooks by the ``id`` of their handles. It must be an ``OrderedDict``, because a plain dict does not
            support weak references.
        extra_dict: one or several other dictionaries from which the ``id`` is also removed.

    >>> from collections import OrderedDict
    >>> from flambeau.utils.hooks import RemovableHandle
    >>> hooks = OrderedDict()
    >>> handle = RemovableHandle(hooks)
    >>> hooks[handle.id] = print
    >>> handle.remove()
    >>> len(hooks)
    0
    """

    _next_id = itertools.count()

    def __init__(self, hooks_dict: Any, *, extra_dict: Any = None) -> None:
        self.id = next(RemovableHandle._next_id)
        extra = extra_dict if isinstance(extra_dict, list) else [] if extra_dict is None else [extra_dict]
        self._dictionaries = tuple(map(weakref.ref, (hooks_dict, *extra)))

    @property
    def hooks_dict_ref(self) -> weakref.ref[Any]:
        """A weak reference to the dictionary."""
        return self._dictionaries[0]

    def remove(self) -> None:
        """Remove the hook. A second call does nothing."""
        for reference in self._dictionaries:
            dictionary = reference()
            if dictionary is not None:
                dictionary.pop(self.id, None)

    def __getstate__(self) -> tuple[Any, ...]:
        return self.id, [reference() for reference in self._dictionaries]

    def __setstate__(self, state: Any) -> None:
        self.id, dictionaries = state
        self._dictionaries = tuple(weakref.ref(each) for each in dictionaries if each is not None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


def new_handle(hooks: OrderedDict[int, Any], hook: Any, prepend: bool = False) -> RemovableHandle:
    """Register ``hook`` as the last hook or, with ``prepend``, as the first."""
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def replaced_arguments(
    kind: str, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call after a hook: the hook's result, or the original arguments if it is None.

    Raises: RuntimeError with the type of the hook, ``kind``, if the hook returned another value.
    """
    if result is None:
        return args, kwargs
    if not (isinstance(result, tuple) and len(result) == 2):
        raise RuntimeError(f"{kind} must return None or a tuple of (new_args, new_kwargs), but got {result}.")
    return result
