"""Weak references and dictionaries that compare tensors by identity, because `==` on tensors compares elements."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Generic, TypeVar
from weakref import ref as WeakRef

__all__ = ["TensorWeakRef", "WeakIdKeyDictionary", "WeakIdRef", "WeakRef", "WeakTensorKeyDictionary"]

K = TypeVar("K")
V = TypeVar("V")


class WeakIdRef(weakref.ref[K]):
    """Weak reference that compares by identity: it equals other references to the same object while the object exists.

    Args:
        key: the object.
        callback: called with the reference when the object is deleted.

    >>> import flambeau
    >>> from flambeau.utils.weak import WeakIdRef
    >>> x, y = flambeau.ones(2), flambeau.ones(2)
    >>> WeakIdRef(x) == WeakIdRef(x), WeakIdRef(x) == WeakIdRef(y)
    (True, False)
    """

    __slots__ = ("_id",)

    def __init__(self, key: K, callback: Any = None) -> None:
        super().__init__(key, callback)  # type: ignore[call-arg]
        self._id = id(key)

    def __call__(self) -> K | None:
        return super().__call__()

    def __hash__(self) -> int:
        return self._id

    def __eq__(self, other: object) -> bool:
        mine = self()
        if mine is not None and isinstance(other, WeakIdRef):
            return mine is other()
        return self is other

    def __ne__(self, other: object) -> bool:  # weakref.ref.__ne__ would compare the objects
        return not self == other


class WeakIdKeyDictionary(MutableMapping[K, V], Generic[K, V]):
    """A dictionary that holds its keys weakly and compares them by identity.

    Args:
        dict: a mapping to copy.

    >>> import flambeau
    >>> from flambeau.utils.weak import WeakIdKeyDictionary
    >>> x = flambeau.ones(2)
    >>> names = WeakIdKeyDictionary({x: "x"})
    >>> names[x], flambeau.ones(2) in names
    ('x', False)
    >>> del x
    >>> len(names)
    0
    """

    data: dict[WeakIdRef[K], V]

    def __init__(self, dict: Mapping[K, V] | None = None) -> None:
        self.data = {}
        owner = weakref.ref(self)

        def forget(reference: WeakIdRef[K]) -> None:
            if (dictionary := owner()) is not None:
                dictionary.data.pop(reference, None)

        self._forget = forget
        self.update(dict or {})

    def __getitem__(self, key: K) -> V:
        return self.data[WeakIdRef(key)]

    def __setitem__(self, key: K, value: V) -> None:
        self.data[WeakIdRef(key, self._forget)] = value

    def __delitem__(self, key: K) -> None:
        del self.data[WeakIdRef(key)]

    def __contains__(self, key: object) -> bool:
        try:
            return WeakIdRef(key) in self.data
        except TypeError:  # objects without weak references, such as integers, cannot be keys
            return False

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[K]:
        for reference in list(self.data):
            if (key := reference()) is not None:
                yield key

    def __eq__(self, other: object) -> bool:
        """Compare by identity of keys and equality of values."""
        if not isinstance(other, Mapping):
            return NotImplemented
        return {id(key): value for key, value in self.items()} == {id(key): value for key, value in other.items()}

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {id(self):#x}>"

    def __copy__(self) -> WeakIdKeyDictionary[K, V]:
        return type(self)(self)

    copy = __copy__

    def keyrefs(self) -> list[WeakIdRef[K]]:
        """Return the references to the keys. A reference to a deleted key returns None when called."""
        return list(self.data)


WeakTensorKeyDictionary = WeakIdKeyDictionary


class TensorWeakRef:
    """Weak reference to a tensor. It equals other references to the same tensor.

    >>> import flambeau
    >>> from flambeau.utils.weak import TensorWeakRef
    >>> x = flambeau.ones(2)
    >>> reference = TensorWeakRef(x)
    >>> reference() is x
    True
    """

    __slots__ = ("ref",)

    def __init__(self, tensor: Any) -> None:
        self.ref: WeakIdRef[Any] = WeakIdRef(tensor)

    def __call__(self) -> Any:
        return self.ref()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorWeakRef) and self.ref == other.ref

    def __hash__(self) -> int:
        return hash(self.ref)
