"""Progress bar of tqdm, or lines of text if stderr is not a terminal or tqdm is not installed."""

from __future__ import annotations

import sys
import time
from importlib import import_module
from typing import Any, Protocol


class Bar(Protocol):
    """Progress display that counts steps on stderr."""

    def step(self, what: str) -> None: ...
    def close(self) -> None: ...


def bar(total: int) -> Bar:
    """Create a bar of ``total`` steps."""
    if not sys.stderr.isatty():
        return Lines(total)
    try:
        tqdm = import_module("tqdm").tqdm
    except ImportError:
        return Lines(total)
    return TqdmBar(tqdm(total=total, unit="reading", dynamic_ncols=True))


class TqdmBar:
    def __init__(self, meter: Any) -> None:
        self._meter = meter

    def step(self, what: str) -> None:
        self._meter.set_postfix_str(what, refresh=False)
        self._meter.update()

    def close(self) -> None:
        self._meter.set_postfix_str("")
        self._meter.close()


class Lines:
    """Progress display that prints one line every few seconds."""

    SECONDS = 5.0

    def __init__(self, total: int) -> None:
        self._total, self._done, self._last = total, 0, 0.0

    def step(self, what: str) -> None:
        self._done += 1
        if self._done == self._total or time.monotonic() - self._last >= self.SECONDS:
            self._last = time.monotonic()
            print(f"{self._done}/{self._total} {what}", file=sys.stderr, flush=True)

    def close(self) -> None:
        pass
