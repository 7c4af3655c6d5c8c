"""Functions of ``torch._prims_common``, PyTorch's private module: comparison of tensors without their elements."""

import sys

from flambeau import Tensor

__all__ = ["compare_tensor_meta", "utils"]

utils = sys.modules[__name__]  # torch._prims.utils is torch._prims_common


def compare_tensor_meta(a: Tensor, b: Tensor, check_strides: bool = False) -> None:
    """Compare two tensors except for their elements.

    Args:
        a, b: the tensors.
        check_strides: if True, also compare strides and storage offsets.
    Raises: AssertionError for other objects and different shapes or dtypes; RuntimeError for different devices,
        strides or offsets.
    """
    for tensor in (a, b):
        if not isinstance(tensor, Tensor):
            raise AssertionError(f"Expected Tensor, got {type(tensor)}")
    if a.shape != b.shape:
        raise AssertionError(f"Shapes {a.shape} and {b.shape} are not equal!")
    if a.dtype != b.dtype:
        raise AssertionError(f"Dtypes {a.dtype} and {b.dtype} are not equal!")
    if a.device != b.device:
        raise RuntimeError(f"Devices {a.device} and {b.device} are not equal!")
    if check_strides and a.stride() != b.stride():
        raise RuntimeError(f"Stride mismatch! Strides are {a.stride()} and {b.stride()}!")
    if check_strides and a.storage_offset() != b.storage_offset():
        raise RuntimeError(
            f"Storage offset mismatch! Storage offsets are {a.storage_offset()} and {b.storage_offset()}!"
        )
