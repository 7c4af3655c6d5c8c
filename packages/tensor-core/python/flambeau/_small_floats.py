"""Names of 8-bit and 4-bit floating dtypes, for programs that list or compare dtypes. No tensor can have them."""

from __future__ import annotations

from flambeau import _core

__all__ = [
    "float4_e2m1fn_x2",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
]


class SmallFloat:
    """The name of a small float dtype. Functions that create tensors reject it with an error message."""

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


float8_e4m3fn = SmallFloat("float8_e4m3fn")
float8_e4m3fnuz = SmallFloat("float8_e4m3fnuz")
float8_e5m2 = SmallFloat("float8_e5m2")
float8_e5m2fnuz = SmallFloat("float8_e5m2fnuz")
float8_e8m0fnu = SmallFloat("float8_e8m0fnu", is_signed=False)
float4_e2m1fn_x2 = SmallFloat("float4_e2m1fn_x2")

# Limits for `finfo`: epsilon, the smallest and the largest number, the smallest normal number.
LIMITS = {
    float8_e4m3fn: (0.125, -448.0, 448.0, 2.0**-6),
    float8_e4m3fnuz: (0.125, -240.0, 240.0, 2.0**-7),
    float8_e5m2: (0.25, -57344.0, 57344.0, 2.0**-14),
    float8_e5m2fnuz: (0.125, -57344.0, 57344.0, 2.0**-15),
    float8_e8m0fnu: (1.0, 2.0**-127, 2.0**127, 2.0**-127),
}
