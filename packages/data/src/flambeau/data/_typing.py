"""Type variables with defaults (PEP 696): a bare ``Dataset`` means ``Dataset[Any]``."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # type checkers know typing_extensions even if it is not installed
    from typing import Any

    from typing_extensions import TypeVar

    T_co = TypeVar("T_co", covariant=True, default=Any)
else:
    from typing import TypeVar

    T_co = TypeVar("T_co", covariant=True)
