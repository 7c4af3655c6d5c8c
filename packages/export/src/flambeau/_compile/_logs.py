"""The compiler's exception and its log, which ``FLAMBEAU_LOGS=graph,fusion,guards`` selects."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable


class UnsupportedError(RuntimeError):
    """A function that cannot be captured as one program, with the reason and the line."""


_selected: frozenset[str] = frozenset()


def select(topics: Iterable[str]) -> None:
    """Print these topics in addition to those in ``FLAMBEAU_LOGS``."""
    global _selected
    _selected = frozenset(topics)


def log(topic: str, text: str) -> None:
    """Print a text to stderr if the topic (graph, fusion or guards) is selected."""
    if topic in _selected or topic in os.environ.get("FLAMBEAU_LOGS", "").split(","):
        print(f"[{topic}] {text.rstrip()}", file=sys.stderr)
