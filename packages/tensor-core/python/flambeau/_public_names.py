"""The names that ``dir()`` lists for the modules of flambeau."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from flambeau import _naming


def public_names(namespace: Mapping[str, Any], further: Iterable[str] = ()) -> list[str]:
    """Return a module's names without those that it imports from other packages.

    Args:
        namespace: the module's variables.
        further: names that are always listed, such as names that load on first use.
    """
    defined = (name for name, value in namespace.items() if name != "TYPE_CHECKING" and _is_own(value))
    return sorted({*defined, *further})


def _is_own(value: Any) -> bool:
    """Return True if a value is not a module, class or function of another package."""
    home = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    return not isinstance(home, str) or _naming.own_name(home).partition(".")[0] == "flambeau"
