"""Dtypes that exist as names only, for programs that list or compare dtypes. No tensor can have them."""

from __future__ import annotations

from flambeau import _core

__all__ = ["float4_e2m1fn_x2"]


class AbsentDtype:
    """Name of a dtype that no tensor can have. Functions that create tensors reject it with an error message."""

    is_floating_point = True
    is_complex = False
    itemsize = 1
    _unsupported = "is a name only, no tensor can have this dtype: use bfloat16 or float16"  # raised by bindings

    def __init__(self, name: str, is_signed: bool = True) -> None:
        self.name, self.is_signed = name, is_signed

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """The dtype class, so that isinstance() recognises the object as a dtype."""
        return _core.dtype

    def __repr__(self) -> str:
        return f"{_core._library_name()}.{self.name}"

    def __reduce__(self) -> str:
        return self.name


float4_e2m1fn_x2 = AbsentDtype("float4_e2m1fn_x2")
