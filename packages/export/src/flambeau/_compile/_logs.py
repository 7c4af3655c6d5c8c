"""The compiler's exception and its log, which ``FLAMBEAU_LOGS=graph,fusion,guards`` selects."""

from __future__ import annotations

import os
import sys


class UnsupportedError(RuntimeError):
    """A function that cannot be captured as one program, with the reason and the line."""


def log(topic: str, text: str) -> None:
    """Print a text to stderr if ``FLAMBEAU_LOGS`` names the topic: graph, fusion or guards."""
    if topic in os.environ.get("FLAMBEAU_LOGS", "").split(","):
        print(f"[{topic}] {text.rstrip()}", file=sys.stderr)
