"""Comparison of the results of a case on PyTorch and on flambeau."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np

from tools.ecosystem.worker import Outcome


def tolerance(library: str) -> float:
    """Return the value of ``TOLERANCE`` in a program, which is parsed, since its import would import a library."""
    tree = ast.parse(Path(__file__).with_name("programs").joinpath(f"{library}.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "TOLERANCE":
            return float(ast.literal_eval(node.value))
    return 1e-4


def distance(theirs: Any, ours: Any) -> float:
    """Return the largest difference relative to the largest element, or infinity if values cannot be compared."""
    if isinstance(theirs, (str, type(None))) or isinstance(ours, (str, type(None))):
        return 0.0 if theirs == ours else np.inf
    theirs, ours = np.asarray(theirs), np.asarray(ours)
    if theirs.shape != ours.shape or theirs.dtype != ours.dtype or not np.array_equal(np.isnan(theirs), np.isnan(ours)):
        return np.inf
    wide = np.result_type(theirs, np.float64)
    theirs, ours = (np.nan_to_num(array.astype(wide)) for array in (theirs, ours))
    return float(np.abs(theirs - ours).max(initial=0) / (np.abs(theirs).max(initial=0) or 1.0))


def shown(value: Any) -> str:
    """Return a short description of a value."""
    return f"{value.dtype}{list(value.shape)}" if isinstance(value, np.ndarray) else repr(value)[:60]


def compare(library: str, theirs: Outcome, ours: Outcome) -> tuple[bool, str]:
    """Return True if two outcomes agree, else False, and an explanation."""
    for name, result in (("PyTorch", theirs), ("flambeau", ours)):
        if "error" in result:
            return False, f"{name}: " + result["error"].strip().replace("\n", "\n      ")
    expected, found = theirs["values"], ours["values"]
    if expected.keys() != found.keys():
        return False, f"only one has {', '.join(sorted(expected.keys() ^ found.keys()))}"
    distances = {path: distance(expected[path], found[path]) for path in expected}
    path = max(distances, key=lambda each: distances[each], default="")
    ratio = f"{ours['seconds'] / theirs['seconds']:.2f} of PyTorch's {1000 * theirs['seconds']:.0f} ms"
    if distances.get(path, 0) > tolerance(library):
        return False, f"{path}: {distances[path]:.1e} ({shown(expected[path])} against {shown(found[path])})"
    return True, f"{distances.get(path, 0):.1e}  {ratio}"
