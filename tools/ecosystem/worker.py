"""``python -m tools.ecosystem.worker FRAMEWORK LIBRARY FILE [REGEX]``: run a library's cases.

The worker writes a pickled dictionary to FILE, which maps the names of the cases to their outcomes.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import pickle
import re
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

Outcome = dict[str, Any]  # "values" by their paths in the result, and "seconds"; or only "error"


def plain(value: Any, path: str = "") -> dict[str, Any]:
    """Flatten the result of a case to a dictionary from paths in it to arrays, numbers and strings."""
    if isinstance(value, dict):
        return {key: leaf for name, child in value.items() for key, leaf in plain(child, f"{path}.{name}").items()}
    if isinstance(value, (list, tuple)):
        return {key: leaf for i, child in enumerate(value) for key, leaf in plain(child, f"{path}[{i}]").items()}
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value.float() if str(value.dtype).endswith(".bfloat16") else value).numpy()
    elif not isinstance(value, (str, bool, int, float, complex, np.ndarray, np.generic, type(None))):
        raise TypeError(
            f"a case returned {type(value).__name__} at {path or 'its top'}: give tensors, numbers and texts"
        )
    return {path: value}


def cases(program: ModuleType, pattern: str) -> dict[str, Callable[[], Any]]:
    """Return the public functions that a program defines."""
    found = inspect.getmembers(program, inspect.isfunction)
    of_program = [(name, case) for name, case in found if case.__module__ == program.__name__]
    return {name: case for name, case in of_program if not name.startswith("_") and re.search(pattern, name)}


def outcome(case: Callable[[], Any]) -> Outcome:
    """Run a case twice, and return its values and the time of the faster run in seconds, or its error."""
    try:
        values, seconds = {}, []
        for _ in range(2):
            start = time.perf_counter()
            values = plain(case())
            seconds.append(time.perf_counter() - start)
    except Exception:
        return {"error": traceback.format_exc()}
    return {"values": values, "seconds": min(seconds)}


def declare_operators_of_torchvision() -> None:
    """Declare the operators that torchvision needs for its import if its compiled part cannot be loaded.

    The torchvision on PyPI is built for CUDA, and its compiled part does not load with PyTorch's CPU build. The Python
    part works without the compiled part, but registers shape functions for two operators, which must therefore exist.
    """
    import torch

    with contextlib.suppress(ImportError):
        try:
            importlib.import_module("torchvision")
        except RuntimeError:
            torch.library.define("torchvision::nms", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            torch.library.define("torchvision::qnms", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            importlib.import_module("torchvision")


def main(framework: str, library: str, file: str, pattern: str = "") -> None:
    """Run the cases of one library with flambeau or PyTorch and write their results to ``file``."""
    warnings.simplefilter("ignore")  # mostly deprecation warnings of the libraries
    if framework == "flambeau":
        import flambeau.torch

        flambeau.torch.install()
    else:
        declare_operators_of_torchvision()
    import torch

    torch.set_num_threads(2)
    try:
        program = importlib.import_module(f"tools.ecosystem.programs.{library}")
        results = {name: outcome(case) for name, case in cases(program, pattern).items()}
    except Exception:
        results = {"import": {"error": traceback.format_exc()}}
    Path(file).write_bytes(pickle.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
