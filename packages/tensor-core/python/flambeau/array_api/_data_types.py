"""Data type functions: conversion, limits, kinds, promotion."""

from dataclasses import dataclass
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.array_api._promotion import DTYPES, KINDS, promoted, scalar_dtype


def astype(x: Tensor, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Tensor:
    """Convert the elements to ``dtype``. With ``copy=False``, return the array itself if no change is needed.

    Raise TypeError for a conversion from complex to real. Use ``real(x)`` or ``abs(x)`` instead.

    >>> fb.array_api.astype(fb.tensor([1.7, -1.7]), fb.int64)
    tensor([ 1, -1])
    """
    if x.dtype.is_complex and not dtype.is_complex:
        raise TypeError(f"casting {x.dtype} to {dtype} is not permitted; use real(x) or abs(x)")
    return x.to(device, dtype, copy=copy) if device is not None else x.to(dtype, copy=copy)


def can_cast(from_: Any, to: Any, /) -> bool:
    """Return True if ``from_`` (an array or a dtype) can be converted to ``to`` by promotion.

    >>> fb.array_api.can_cast(fb.int32, fb.int64), fb.array_api.can_cast(fb.float32, fb.int64)
    (True, False)
    """
    source = from_.dtype if isinstance(from_, Tensor) else from_
    same_kind = any(source in KINDS[kind] and to in KINDS[kind] for kind in ("bool", "integral"))
    inexact = any(source in KINDS[kind] for kind in ("real floating", "complex floating"))
    return (same_kind or inexact) and promoted(source, to) is to


@dataclass(frozen=True)
class finfo_object:
    """Limits of a floating dtype."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: Any


@dataclass(frozen=True)
class iinfo_object:
    """Limits of an integer dtype."""

    bits: int
    max: int
    min: int
    dtype: Any


def finfo(type: Any, /) -> finfo_object:
    """Return the limits of a floating-point dtype. For a complex dtype, return the limits of its real component.

    >>> fb.array_api.finfo(fb.float32).eps
    1.1920928955078125e-07
    """
    dtype = type.dtype if isinstance(type, Tensor) else type
    if dtype.is_complex:
        dtype = flambeau.float32 if dtype is flambeau.complex64 else flambeau.float64
    limits = flambeau.finfo(dtype)
    return finfo_object(limits.bits, limits.eps, limits.max, limits.min, limits.smallest_normal, dtype)


def iinfo(type: Any, /) -> iinfo_object:
    """Return the limits of an integer dtype.

    >>> fb.array_api.iinfo(fb.int16).max
    32767
    """
    dtype = type.dtype if isinstance(type, Tensor) else type
    limits = flambeau.iinfo(dtype)
    return iinfo_object(limits.bits, limits.max, limits.min, dtype)


def isdtype(dtype: Any, kind: Any) -> bool:
    """Return True if ``dtype`` belongs to ``kind``: a kind name of the standard, a dtype, or a tuple of these.

    >>> fb.array_api.isdtype(fb.uint8, "integral"), fb.array_api.isdtype(fb.uint8, ("bool", fb.int8))
    (True, False)
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, each) for each in kind)
    if isinstance(kind, str):
        if kind not in KINDS:
            raise ValueError(f"unknown kind {kind!r}; expected one of {', '.join(map(repr, KINDS))}")
        return dtype in KINDS[kind]
    if not isinstance(kind, flambeau.dtype):
        raise TypeError(f"kind must be a string, a dtype or a tuple of them, not {type(kind).__name__}")
    return bool(dtype is kind)


def result_type(*arrays_and_dtypes: Any) -> flambeau.dtype:
    """Return the promoted dtype of arrays, dtypes and Python scalars. At least one must not be a scalar.

    >>> fb.array_api.result_type(fb.uint8, fb.int8), fb.array_api.result_type(fb.ones(2), 1j)
    (flambeau.int16, flambeau.complex64)
    """
    dtypes = [x.dtype if isinstance(x, Tensor) else x for x in arrays_and_dtypes]
    result = [x for x in dtypes if isinstance(x, flambeau.dtype)]
    scalars = [x for x in dtypes if not isinstance(x, flambeau.dtype)]
    if not result:
        raise ValueError("result_type() needs at least one array or dtype")
    dtype = promoted(*result)
    for value in scalars:
        if not isinstance(value, bool | int | float | complex):
            raise TypeError(f"result_type() takes arrays, dtypes and Python scalars, not {type(value).__name__}")
        dtype = scalar_dtype(value, dtype)
    return dtype


class __array_namespace_info__:
    """Description of the namespace: capabilities, devices and dtypes.

    >>> fb.array_api.__array_namespace_info__().default_dtypes()["real floating"]
    flambeau.float32
    """

    def capabilities(self) -> dict[str, Any]:
        """Return the supported optional features and the largest number of dimensions."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> flambeau.device:
        """Return the default device."""
        return flambeau.device("cpu")

    def default_dtypes(self, *, device: Any = None) -> dict[str, Any]:
        """Return the default dtype of each kind."""
        real = flambeau.get_default_dtype()
        return {
            "real floating": real,
            "complex floating": flambeau.complex128 if real is flambeau.float64 else flambeau.complex64,
            "integral": flambeau.int64,
            "indexing": flambeau.int64,
        }

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, Any]:
        """Return a dictionary from names to dtypes, optionally only of one kind."""
        return {name: dtype for name, dtype in DTYPES.items() if kind is None or isdtype(dtype, kind)}

    def devices(self) -> tuple[Any, ...]:
        """Return the supported devices."""
        return (self.default_device(),)
