"""Handles that take hooks off again."""

from typing import Self

from flambeau.autograd import _engine


class RemovableHandle:
    """Returned by the functions that register hooks; ``remove()`` takes the hook off, as does leaving its ``with``.

    It keeps neither the tensor nor the graph alive.
    """

    __slots__ = ("id",)

    def __init__(self, identifier: int) -> None:
        self.id = identifier

    def remove(self) -> None:
        """Takes the hook off; a second call does nothing."""
        _engine.remove_hook(self.id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()
