"""Source locations of the traced program, without frames of this package."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from types import FrameType

_OWN = str(Path(__file__).parent)
_NN = str(Path(__file__).parent.parent / "nn")


def caller() -> FrameType | None:
    """Return the innermost frame outside this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_OWN):
        frame = frame.f_back
    return frame


def source_line(frame: FrameType) -> str:
    """Return ``file:line, in function: source``."""
    entry = traceback.FrameSummary(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
    return f"{entry.filename}:{entry.lineno}, in {entry.name}: {entry.line}"


def user_stack() -> list[traceback.FrameSummary]:
    """Return the frames from the outermost ``forward`` inwards, without frames of this package and flambeau.nn."""
    stack = traceback.extract_stack()
    start = next((i for i, entry in enumerate(stack) if entry.name == "forward"), len(stack))
    return [entry for entry in stack[start:] if not entry.filename.startswith((_OWN, _NN))]
