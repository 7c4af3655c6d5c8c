"""Immutable lists and dictionaries for the arguments of nodes."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

from flambeau.utils._pytree import register_pytree_node

__all__ = ["immutable_dict", "immutable_list"]

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

NO_MUTATION = """\
{name!r} object does not support mutation. If you are attempting to modify the kwargs or args of a fx.Node object,
instead create a new copy of it and assign the copy to the node:

    new_args = ...  # copy and mutate args
    node.args = new_args
"""


def _reject(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
    raise TypeError(NO_MUTATION.format(name=type(self).__name__))


class immutable_list(list[T]):
    """Immutable and hashable list. Methods that change it raise TypeError.

    >>> from flambeau.fx.immutable_collections import immutable_list
    >>> immutable_list([1, 2]).append(3)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    TypeError: 'immutable_list' object does not support mutation...
    """

    __delitem__ = __iadd__ = __imul__ = __setitem__ = _reject
    append = clear = extend = insert = pop = remove = reverse = sort = _reject

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (tuple(self),)


class immutable_dict(dict[K, V]):
    """Immutable and hashable dictionary. Methods that change it raise TypeError.

    >>> from flambeau.fx.immutable_collections import immutable_dict
    >>> immutable_dict(dim=1)["dim"] = 2  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    TypeError: 'immutable_dict' object does not support mutation...
    """

    __delitem__ = __ior__ = __setitem__ = _reject
    clear = pop = popitem = setdefault = update = _reject

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (tuple(self.items()),)


register_pytree_node(immutable_list, lambda tree: (list(tree), None), lambda children, _: immutable_list(children))
register_pytree_node(
    immutable_dict,
    lambda tree: (list(tree.values()), list(tree)),
    lambda children, keys: immutable_dict(zip(keys, children, strict=True)),
)
