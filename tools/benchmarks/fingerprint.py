"""Fingerprints of results: a few numbers that show if two libraries computed the same values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Fingerprint = list[dict[str, Any]]

RELATIVE_TOLERANCE = 1e-3


def fingerprint(result: Any) -> Fingerprint:
    """Return shape, dtype and mean magnitude of each tensor in ``result``, which is a tensor, a sequence or None.

    >>> fingerprint(np.array([1.0, -3.0], dtype=np.float32))
    [{'shape': [2], 'dtype': 'float32', 'magnitude': 2.0}]
    """
    if isinstance(result, tuple | list):
        return [part for item in result for part in fingerprint(item)]
    if result is None:
        return []
    if hasattr(result, "detach"):
        result = result.detach().cpu()
        # NumPy does not support bfloat16.
        result = result.float() if str(result.dtype).endswith("bfloat16") else result
    array = np.asarray(result)
    magnitude = float(np.abs(array).mean(dtype=np.float64)) if array.size else 0.0
    return [{"shape": list(array.shape), "dtype": str(array.dtype), "magnitude": magnitude}]


def difference(subject: Fingerprint, baseline: Fingerprint) -> str | None:
    """Return a description of how two fingerprints differ, or None if they are equal.

    >>> difference([{"shape": [2], "dtype": "float32", "magnitude": 2.0}], [])
    '1 results instead of 0'
    """
    if len(subject) != len(baseline):
        return f"{len(subject)} results instead of {len(baseline)}"
    for mine, other in zip(subject, baseline, strict=True):
        for quality in ("shape", "dtype"):
            if mine[quality] != other[quality]:
                return f"{quality} {mine[quality]} instead of {other[quality]}"
        # The absolute tolerance allows for rounding errors of losses near zero. NaN always differs.
        if not math.isclose(mine["magnitude"], other["magnitude"], rel_tol=RELATIVE_TOLERANCE, abs_tol=1e-6):
            return f"mean magnitude {mine['magnitude']:.6g} instead of {other['magnitude']:.6g}"
    return None
