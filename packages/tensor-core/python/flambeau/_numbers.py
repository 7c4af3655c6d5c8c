"""Limits of the numeric types: ``finfo`` and ``iinfo``."""

from flambeau import _core

# bits, mantissa bits (without the hidden one), largest exponent
_FLOATS = {
    _core.float16: (16, 10, 15),
    _core.bfloat16: (16, 7, 127),
    _core.float32: (32, 23, 127),
    _core.float64: (64, 52, 1023),
}


class finfo:
    """Limits of a floating dtype or a complex one's parts: bits, eps, max, min, tiny, smallest_normal, resolution.

    >>> import flambeau
    >>> flambeau.finfo(flambeau.float32).eps
    1.1920928955078125e-07
    """

    def __init__(self, dtype: _core.dtype | None = None) -> None:
        dtype = _core.get_default_dtype() if dtype is None else dtype.to_real()
        if dtype not in _FLOATS:
            raise TypeError(f"finfo() requires a floating point input type, got {dtype}; use iinfo for integers")
        self.bits, mantissa, exponent = _FLOATS[dtype]
        self.eps = 2.0**-mantissa
        self.max = (2.0 - self.eps) * 2.0**exponent
        self.min = -self.max
        self.tiny = self.smallest_normal = 2.0 ** (1 - exponent)
        self.resolution = 10.0 ** -int(mantissa * 0.30103)
        self.dtype = str(dtype).removeprefix("flambeau.")

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
            f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )


class iinfo:
    """Limits of an integer dtype: bits, max, min."""

    def __init__(self, dtype: _core.dtype) -> None:
        if dtype.is_floating_point or dtype.is_complex or dtype is _core.bool:
            raise TypeError(f"iinfo() requires an integer input type, got {dtype}; use finfo for floating-point ones")
        self.bits = 8 * dtype.itemsize
        self.min = -(2 ** (self.bits - 1)) if dtype.is_signed else 0
        self.max = 2 ** (self.bits - 1) - 1 if dtype.is_signed else 2**self.bits - 1
        self.dtype = str(dtype).removeprefix("flambeau.")

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"
