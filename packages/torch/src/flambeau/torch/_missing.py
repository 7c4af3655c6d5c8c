"""Record of missing names, and suggestions of similar names."""

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

# Modules to search for a misplaced name, most likely first.
_NATIVE_MODULES = {
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


# Replacements of functions that PyTorch no longer has.
_REMOVED = {
    "torch.eig": "torch.linalg.eig(), which returns complex tensors",
    "torch.ifft": "torch.fft.ifft(), which works on complex tensors",
    "torch.irfft": "torch.fft.irfft(), which takes a complex tensor",
    "torch.lstsq": "torch.linalg.lstsq(), which takes the arguments in the opposite order",
    "torch.matrix_rank": "torch.linalg.matrix_rank(), in which the argument symmetric is called hermitian",
    "torch.rfft": "torch.fft.rfft(), which returns a complex tensor",
    "torch.solve": "torch.linalg.solve(), which reverses the arguments and returns only the solution",
    "torch.symeig": "torch.linalg.eigh() or eigvalsh(), which read the lower triangle by default (UPLO='L')",
}


@dataclass(frozen=True)
class Missing:
    """Missing name, the line that first used it, and similar names."""

    name: str
    location: str
    nearest: tuple[str, ...]

    def __str__(self) -> str:
        if self.name in _REMOVED:
            return f"flambeau has no {self.name}; PyTorch removed it. Use {_REMOVED[self.name]}"
        nearest = f"; did you mean: {', '.join(self.nearest)}" if self.nearest else ""
        return f"flambeau has no {self.name}{nearest}"


_found: dict[str, Missing] = {}


def missing() -> list[Missing]:
    """Return the missing names that this process used, in order of first use."""
    return list(_found.values())


def clear_missing() -> None:
    """Clear the list of missing names."""
    _found.clear()


def _names(module_name: str) -> list[str]:
    """Return the names of a module, or an empty list if its distribution is not installed."""
    try:
        return dir(importlib.import_module(module_name))
    except ModuleNotFoundError:
        return []


def nearest(owner: Any, path: str, name: str) -> tuple[str, ...]:
    """Return up to three suggestions: the same name in other modules, then similar names of ``owner``."""
    same = [other for other, module_name in _NATIVE_MODULES.items() if other != path and name in _names(module_name)]
    same = [f"{other}.{name}" for other in same] or [f"torch.Tensor.{name}"] * hasattr(flambeau.Tensor, name)
    by_lower_case = {other.lower(): other for other in dir(owner) if not other.startswith("_")}
    alike = difflib.get_close_matches(name.lower(), by_lower_case, n=3, cutoff=0.65)
    return (*same, *(f"{path}.{by_lower_case[other]}" for other in alike))[:3]


def _calling_frame() -> FrameType | None:
    """Return the innermost frame outside this package and the import system."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith((_OWN_FOLDER, "<frozen importlib")):
            return frame
        frame = frame.f_back
    return None


def record_missing(owner: Any, path: str, name: str, location: str | None = None) -> Missing:
    """Record that the program used the missing name ``path.name``, and return the record.

    Args:
        owner: the module or class in which the name is missing, or None.
        location: file and line; by default, the line of the program that is running.
    """
    full = f"{path}.{name}"
    if full not in _found:
        if location is None:
            frame = _calling_frame()
            location = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "?"
        _found[full] = Missing(full, location, nearest(owner, path, name) if owner is not None else ())
    return _found[full]


def is_from_import() -> bool:
    """Return True if a statement ``from module import name`` looks up the name, False for an attribute access."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_OWN_FOLDER):
        frame = frame.f_back
    return frame is not None and frame.f_code.co_code[frame.f_lasti] == _IMPORT_FROM


def attribute_error(module: ModuleType, path: str, name: str) -> Exception:
    """Return the exception for ``path.name``: ImportError in an import statement, else AttributeError."""
    text = str(record_missing(module, path, name))
    if is_from_import():
        return ImportError(text, name=path)
    return AttributeError(text, name=name)
