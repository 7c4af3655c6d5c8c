"""Handles that take hooks off again."""

from collections.abc import Callable
from typing import Any, Self


class RemovableHandle:
    """Returned by the functions that register hooks; ``remove()`` takes the hook off, as does leaving its ``with``."""

    __slots__ = ("_owner", "_remove", "id")

    def __init__(self, remove: Callable[[Any, int], None], owner: Any, identifier: int) -> None:
        self._remove, self._owner, self.id = remove, owner, identifier

    def remove(self) -> None:
        """Takes the hook off; a second call does nothing."""
        owner, self._owner = self._owner, None
        if owner is not None:
            self._remove(owner, self.id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()
