"""Comparison of a result with PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tools.parity.bridge import flat, to_numpy

# PyTorch's own tolerances (torch.testing.assert_close): relative, absolute.
TOLERANCES = {
    "float16": (1e-3, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
    "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7),
    "complex64": (1.3e-6, 1e-5),
    "complex128": (1e-7, 1e-7),
}


def name_of(dtype: Any) -> str:
    """Return the name of a dtype of either library."""
    return str(dtype).rpartition(".")[2]


def difference(expected: Any, got: Any, exact: Any = None, values: bool = True) -> str | None:
    """Return a description of the difference between PyTorch's result and flambeau's, or None if they are equal.

    ``exact`` is the result in double precision. A result that differs from PyTorch's by more than PyTorch's tolerances
    is accepted if its error is at most twice the error of PyTorch's result.
    """
    wanted, actual = flat(expected), flat(got)
    if len(wanted) != len(actual):
        return f"{len(actual)} results instead of {len(wanted)}"
    precise = flat(exact) if exact is not None else [None] * len(wanted)
    if len(precise) != len(wanted):
        precise = [None] * len(wanted)
    for i, (a, b, c) in enumerate(zip(wanted, actual, precise, strict=True)):
        where = f"result {i}: " if len(wanted) > 1 else ""
        if problem := _difference(a, b, c, values):
            return where + problem
    return None


def _difference(a: Any, b: Any, exact: Any, values: bool) -> str | None:
    if not isinstance(a, torch.Tensor):
        same = a == b or (a != a and b != b) or _close_numbers(a, b)
        kinds = type(a) is type(b) or isinstance(a, (tuple, torch.dtype))
        return None if not values or (same and kinds) else f"{b!r} instead of {a!r}"
    if not hasattr(b, "dtype") or not hasattr(b, "numpy"):
        return f"a {type(b).__name__} instead of a Tensor"
    if tuple(a.shape) != tuple(b.shape):
        return f"shape {tuple(b.shape)} instead of {tuple(a.shape)}"
    if name_of(a.dtype) != name_of(b.dtype):
        return f"dtype {name_of(b.dtype)} instead of {name_of(a.dtype)}"
    if not values or a.numel() == 0:
        return None
    return _array_difference(to_numpy(a), to_numpy(b), exact, name_of(a.dtype))


def _close_numbers(a: Any, b: Any) -> bool:
    return isinstance(a, (float, complex)) and type(a) is type(b) and abs(a - b) <= 1e-5 + 1.3e-6 * abs(a)


def _array_difference(a: np.ndarray, b: np.ndarray, exact: Any, dtype: str) -> str | None:
    """Return how two arrays differ by more than the tolerance, or None.

    An element that is at most twice as far from the exact result as PyTorch's also counts as equal.
    """
    relative, absolute = TOLERANCES.get(dtype, (0, 0))
    wide = np.complex128 if a.dtype.kind == "c" else np.float64 if a.dtype.kind == "f" else a.dtype
    x, y = a.astype(wide), b.astype(wide)
    if relative == 0:
        good = x == y
    else:
        with np.errstate(all="ignore"):
            error = np.abs(y - x)
            good = (x == y) | (np.isnan(x) & np.isnan(y)) | (error <= absolute + relative * np.abs(x))
            if not good.all() and isinstance(exact, torch.Tensor) and tuple(exact.shape) == a.shape:
                truth = to_numpy(exact).astype(wide)
                good |= np.abs(y - truth) <= 2 * np.abs(x - truth)
                good |= np.abs(y - truth) <= absolute + relative * np.abs(truth)
    if good.all():
        return None
    at = tuple(int(i) for i in np.argwhere(~np.atleast_1d(good))[0])
    bad = int((~good).sum())
    return f"{bad} of {good.size} values differ, at {at}: {np.atleast_1d(b)[at]!r} instead of {np.atleast_1d(a)[at]!r}"
