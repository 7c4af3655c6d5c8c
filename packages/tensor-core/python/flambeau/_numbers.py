"""Limits of the numeric types: ``finfo`` and ``iinfo``."""

from typing import Any, Self

from flambeau import _core

# number of bits, mantissa bits (without the hidden bit), largest exponent
_FLOATS = {
    _core.float16: (16, 10, 15),
    _core.bfloat16: (16, 7, 127),
    _core.float32: (32, 23, 127),
    _core.float64: (64, 52, 1023),
}
# Limits of the one-byte dtypes: epsilon, the smallest and the largest number, the smallest normal number.
SMALL_FLOATS = {
    _core.float8_e4m3fn: (0.125, -448.0, 448.0, 2.0**-6),
    _core.float8_e4m3fnuz: (0.125, -240.0, 240.0, 2.0**-7),
    _core.float8_e5m2: (0.25, -57344.0, 57344.0, 2.0**-14),
    _core.float8_e5m2fnuz: (0.125, -57344.0, 57344.0, 2.0**-15),
    _core.float8_e8m0fnu: (1.0, 2.0**-127, 2.0**127, 2.0**-127),
}


def _name(dtype: _core.dtype) -> str:
    return str(dtype).rpartition(".")[2]


def _require_dtype(function: str, dtype: object) -> None:
    if not isinstance(dtype, _core.dtype):
        raise TypeError(
            f"{function}(): argument 'type' (position 1) must be {_core._library_name()}.dtype, "
            f"not {dtype.__class__.__name__}"
        )


def _as_dtype(value: Any) -> Any:
    """Return the dtype for a Python number type. Return other values unchanged."""
    python_types = {int: _core.int64, float: _core.float64, complex: _core.complex128}
    return python_types.get(value, value) if isinstance(value, type) else value


_CACHE: dict[Any, Any] = {}


class finfo:
    """Limits of a floating-point dtype, or of the components of a complex dtype.

    The attributes are bits, eps, max, min, tiny, smallest_normal and resolution.

    >>> import flambeau
    >>> flambeau.finfo(flambeau.float32).eps
    1.1920928955078125e-07
    """

    bits: int
    eps: float
    max: float
    min: float
    tiny: float
    smallest_normal: float
    resolution: float
    dtype: str

    def __new__(cls, type: _core.dtype | type[float | complex] | None = None) -> Self:
        """Return the cached object of a dtype, because finfo is often used in inner loops."""
        try:
            made: Self = _CACHE[type]
        except (KeyError, TypeError):  # TypeError: an unhashable object, which is not a dtype
            made = cls._make(_core.get_default_dtype() if type is None else type)
        return made

    @classmethod
    def _make(cls, type: Any) -> Self:
        type = _as_dtype(type)
        _require_dtype("finfo", type)
        if not (type.is_floating_point or type.is_complex):
            raise TypeError(f"finfo() requires a floating point input type, got {type}; use iinfo for integers")
        made = _CACHE[type] = object.__new__(cls)
        made._set_limits(type.to_real())
        return made

    def _set_limits(self, real: _core.dtype) -> None:
        self.dtype = _name(real)
        if real in SMALL_FLOATS:
            self.eps, self.min, self.max, self.tiny = SMALL_FLOATS[real]
            self.smallest_normal, self.resolution, self.bits = self.tiny, 1.0, 8
            return
        self.bits, mantissa, exponent = _FLOATS[real]
        self.eps = 2.0**-mantissa
        self.max = (2.0 - self.eps) * 2.0**exponent
        self.min = -self.max
        self.tiny = self.smallest_normal = 2.0 ** (1 - exponent)
        self.resolution = float(f"1e-{int(mantissa * 0.30103)}")

    def __reduce__(self) -> tuple[Any, ...]:
        return finfo, (getattr(_core, self.dtype),)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, finfo) and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash(self.dtype)

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
            f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )


class iinfo:
    """Limits of an integer dtype: the attributes are bits, max and min.

    >>> import flambeau
    >>> flambeau.iinfo(flambeau.int8).max
    127
    """

    def __init__(self, type: _core.dtype | type[int]) -> None:
        dtype = _as_dtype(type)
        _require_dtype("iinfo", dtype)
        if dtype.is_floating_point or dtype.is_complex or type is _core.bool:
            raise TypeError(f"iinfo() requires an integer input type, got {dtype}; use finfo for floating-point ones")
        self.bits = 8 * dtype.itemsize
        self.min = -(2 ** (self.bits - 1)) if dtype.is_signed else 0
        self.max = 2 ** (self.bits - 1) - 1 if dtype.is_signed else 2**self.bits - 1
        self.dtype = _name(dtype)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, iinfo) and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash(self.dtype)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"
