"""Operators in PyTorch's table that are skipped, with the reasons."""

from __future__ import annotations

import unittest
from typing import Any

import torch
from torch.testing._internal.opinfo.core import DecorateInfo

DTYPES = (
    "float32",
    "float64",
    "complex64",
    "complex128",
    "int64",
    "int32",
    "uint8",
    "bool",
    "float16",
    "bfloat16",
)

# Prefixes of the names of operators or variants that are skipped, with the reasons.
OUT_OF_SCOPE = {
    "_": "private to PyTorch",
    "torch.ops.": "PyTorch's internal operator namespace",
    "torch._": "private to PyTorch",
    "jiterator": "PyTorch's run-time CUDA compiler",
    "sparse.": "sparse tensors",
    "to_sparse": "sparse tensors",
    "masked.": "masked tensors",
    "bmm.triton": "a CUDA variant",
    "max_pool2d_with_indices_backward": "PyTorch's internal operator namespace",
}

# Operators with unspecified result values.
UNINITIALISED = ("empty", "new_empty")


def title(op: Any) -> str:
    """Return the name of a variant: the operator's name, and the variant's name after a dot."""
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name


def reason_to_skip(op: Any) -> str | None:
    """Return the reason to skip an operator, or None."""
    if isinstance(op.op, torch._ops.OpOverload):
        return OUT_OF_SCOPE["torch.ops."]
    return next((why for start, why in OUT_OF_SCOPE.items() if title(op).startswith(start)), None)


def is_uninitialised(op: Any) -> bool:
    """Return True if the operator's result is uninitialised memory."""
    return op.name.startswith(UNINITIALISED)


def expected_to_fail(op: Any, dtype: torch.dtype, kind: str, skips: bool = False) -> bool:
    """Return True if PyTorch marks its own gradcheck of this derivative as failing.

    If ``skips`` is True, the function also returns True if PyTorch skips that gradcheck.
    """
    test = ("TestBwdGradients", "test_fn_gradgrad" if kind in ("second", "gradgradcheck") else "test_fn_grad")
    marks = [d for d in op.decorators if isinstance(d, DecorateInfo) and d.is_active(*test, "cpu", dtype, {})]
    return any(mark is unittest.expectedFailure or (skips and _skips(mark)) for d in marks for mark in d.decorators)


def _skips(mark: Any) -> bool:
    return getattr(mark, "__qualname__", "").startswith("skip.")  # a mark that unittest.skip returned
