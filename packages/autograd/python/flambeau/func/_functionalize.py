"""``functionalize``."""

from collections.abc import Callable
from typing import Any, NoReturn


def functionalize(func: Callable[..., Any], *, remove: str = "mutations") -> NoReturn:
    """Would rewrite a function without in-place changes.

    Raises: NotImplementedError; every transform here takes functions with in-place changes as they are.
    """
    raise NotImplementedError(
        "functionalize is not implemented: the transforms of flambeau.func take functions with in-place changes."
    )
