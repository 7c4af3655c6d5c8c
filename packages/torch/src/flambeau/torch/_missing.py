"""What a program asked of ``torch`` that flambeau lacks: remembered, and answered with the nearest there is."""

import difflib
import importlib
import opcode
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import flambeau

_OWN_FOLDER = str(Path(__file__).parent)
_IMPORT_FROM = opcode.opmap["IMPORT_FROM"]

# Where a name that is not where the program looked may stand, most likely first.
_ELSEWHERE = {
    "torch": "flambeau",
    "torch.nn.functional": "flambeau.nn.functional",
    "torch.nn": "flambeau.nn",
    "torch.linalg": "flambeau.linalg",
    "torch.special": "flambeau.special",
    "torch.optim": "flambeau.optim",
    "torch.optim.lr_scheduler": "flambeau.optim.lr_scheduler",
    "torch.autograd": "flambeau.autograd",
    "torch.utils.data": "flambeau.data",
}


@dataclass(frozen=True)
class Missing:
    """A name that flambeau lacks, the line that first asked for it, and the names nearest to it."""

    name: str
    place: str
    nearest: tuple[str, ...]

    def __str__(self) -> str:
        nearest = f"; the nearest there is: {', '.join(self.nearest)}" if self.nearest else ""
        return f"flambeau has no {self.name}{nearest}"


_found: dict[str, Missing] = {}


def missing() -> list[Missing]:
    """The names this process asked of ``torch`` and did not find, in the order in which they were first asked for."""
    return list(_found.values())


def forget() -> None:
    """Empty the list of missing names."""
    _found.clear()


def _names(place: str) -> list[str]:
    """The names of a module; of one whose distribution is absent, none."""
    try:
        return dir(importlib.import_module(place))
    except ModuleNotFoundError:
        return []


def nearest(owner: Any, path: str, name: str) -> tuple[str, ...]:
    """Up to three names like ``path.name``: the same one elsewhere, then the most alike of ``owner``'s own."""
    same = [other for other, place in _ELSEWHERE.items() if other != path and name in _names(place)]
    same = [f"{other}.{name}" for other in same] or [f"torch.Tensor.{name}"] * hasattr(flambeau.Tensor, name)
    own = {other.lower(): other for other in dir(owner) if not other.startswith("_")}
    alike = difflib.get_close_matches(name.lower(), own, n=3, cutoff=0.65)
    return (*same, *(f"{path}.{own[other]}" for other in alike))[:3]


def _asker() -> FrameType | None:
    """The frame of the program that asked: the innermost that is neither of this package nor of the import system."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith((_OWN_FOLDER, "<frozen importlib")):
            return frame
        frame = frame.f_back
    return None


def remember(owner: Any, path: str, name: str, place: str | None = None) -> Missing:
    """Note that ``path.name`` was asked for in vain, at ``place`` or else by the program that is running."""
    full = f"{path}.{name}"
    if full not in _found:
        if place is None:
            frame = _asker()
            place = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "?"
        _found[full] = Missing(full, place, nearest(owner, path, name) if owner is not None else ())
    return _found[full]


def is_from_import() -> bool:
    """Whether what runs in the asking frame is ``from module import name``, and not an attribute's access."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_OWN_FOLDER):
        frame = frame.f_back
    return frame is not None and frame.f_code.co_code[frame.f_lasti] == _IMPORT_FROM


def attribute_error(module: ModuleType, path: str, name: str) -> Exception:
    """The exception for ``path.name``: an ImportError where it was to be imported, an AttributeError elsewhere."""
    text = str(remember(module, path, name))
    if is_from_import():
        return ImportError(text, name=path)
    return AttributeError(text, name=name)
