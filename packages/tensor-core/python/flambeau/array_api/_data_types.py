"""Data types: conversion, limits, kinds, promotion."""

from dataclasses import dataclass
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.array_api._promotion import DTYPES, KINDS, promoted, scalar_dtype


def astype(x: Tensor, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Tensor:
    """The elements converted to ``dtype``; with ``copy=False`` the array itself where nothing has to change.

    Raises TypeError for complex numbers to real ones: take ``real(x)`` or ``abs(x)``.
    """
    if x.dtype.is_complex and not dtype.is_complex:
        raise TypeError(f"casting {x.dtype} to {dtype} is not permitted; use real(x) or abs(x)")
    return x.to(device, dtype, copy=copy) if device is not None else x.to(dtype, copy=copy)


def can_cast(from_: Any, to: Any, /) -> bool:
    """Whether ``from_`` (an array or a dtype) becomes ``to`` by promotion."""
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
    """Limits of a floating dtype, for complex numbers of their parts."""
    dtype = type.dtype if isinstance(type, Tensor) else type
    if dtype.is_complex:
        dtype = flambeau.float32 if dtype is flambeau.complex64 else flambeau.float64
    limits = flambeau.finfo(dtype)
    return finfo_object(limits.bits, limits.eps, limits.max, limits.min, limits.smallest_normal, dtype)


def iinfo(type: Any, /) -> iinfo_object:
    """Limits of an integer dtype."""
    dtype = type.dtype if isinstance(type, Tensor) else type
    limits = flambeau.iinfo(dtype)
    return iinfo_object(limits.bits, limits.max, limits.min, dtype)


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether ``dtype`` is of a kind: a name of the standard's, a dtype, or a tuple of such."""
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
    """The dtype that promotion gives for arrays, dtypes and Python scalars, of which one is not a scalar."""
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
    """What the namespace can do, and its devices and dtypes."""

    def capabilities(self) -> dict[str, Any]:
        """Boolean indexing, shapes that depend on data, and the largest number of dimensions."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> flambeau.device:
        """The device of arrays that are created without one."""
        return flambeau.device("cpu")

    def default_dtypes(self, *, device: Any = None) -> dict[str, Any]:
        """The dtypes of arrays that are created without one."""
        real = flambeau.get_default_dtype()
        return {
            "real floating": real,
            "complex floating": flambeau.complex128 if real is flambeau.float64 else flambeau.complex64,
            "integral": flambeau.int64,
            "indexing": flambeau.int64,
        }

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, Any]:
        """The dtypes by name, or those of a kind."""
        return {name: dtype for name, dtype in DTYPES.items() if kind is None or isdtype(dtype, kind)}

    def devices(self) -> tuple[Any, ...]:
        """The devices there are."""
        return (self.default_device(),)
