"""Modes of a thread that change what operators compute."""

from __future__ import annotations

from typing import Any

import flambeau
from flambeau import _core


def thread_modes() -> dict[str, Any]:
    """Return the modes of this thread by name."""
    return {
        "autocast mode": _core._autocast_state(),
        "grad mode": flambeau.is_grad_enabled(),
        "default dtype": flambeau.get_default_dtype(),
    }


def changed_mode(modes: dict[str, Any]) -> str | None:
    """Return the name of a mode that differs from ``modes``, an earlier result of `thread_modes`; None if none does."""
    return next((name for name, mode in thread_modes().items() if mode != modes[name]), None)
