"""Dtype rules of the standard: kinds, and promotion of arrays and Python scalars.

Note [Promotion in the standard]
In the standard, the dtype of a result depends only on the dtypes of the arrays. In PyTorch's rules, which the functions
in ``flambeau`` follow, an array without dimensions has a lower priority than an array with dimensions. Therefore this
namespace first converts the operands to one dtype. A signed and an unsigned integer dtype are promoted to the signed
dtype that can hold both; PyTorch rejects most of these pairs. A Python scalar is converted to the dtype of the array,
unless its kind is higher.
"""

import operator
from collections.abc import Callable
from functools import reduce
from typing import Any, TypeVar

import flambeau
from flambeau import Tensor

_Function = TypeVar("_Function", bound=Callable[..., Any])

Scalar = bool | int | float | complex

KINDS = {
    "bool": (flambeau.bool,),
    "signed integer": (flambeau.int8, flambeau.int16, flambeau.int32, flambeau.int64),
    "unsigned integer": (flambeau.uint8, flambeau.uint16, flambeau.uint32, flambeau.uint64),
    "real floating": (flambeau.float32, flambeau.float64),
    "complex floating": (flambeau.complex64, flambeau.complex128),
}
KINDS["integral"] = KINDS["signed integer"] + KINDS["unsigned integer"]
KINDS["numeric"] = KINDS["integral"] + KINDS["real floating"] + KINDS["complex floating"]
DTYPES = {str(dtype).rpartition(".")[2]: dtype for dtype in KINDS["bool"] + KINDS["numeric"]}


def promoted(*dtypes: flambeau.dtype) -> flambeau.dtype:
    """Return the dtype to which all dtypes can be promoted. Raise TypeError if no such dtype exists."""
    return reduce(_promoted_pair, dtypes)


def _promoted_pair(a: flambeau.dtype, b: flambeau.dtype) -> flambeau.dtype:
    if a not in KINDS["integral"] or b not in KINDS["integral"]:
        return b if a is flambeau.bool else a if b is flambeau.bool else flambeau.promote_types(a, b)
    if a.is_signed is b.is_signed:
        return a if a.itemsize >= b.itemsize else b
    signed, unsigned = (a, b) if a.is_signed else (b, a)
    for dtype in KINDS["signed integer"]:
        if dtype.itemsize >= signed.itemsize and dtype.itemsize > unsigned.itemsize:
            return dtype
    raise TypeError(f"no integer dtype holds the values of {a} and of {b}; convert one of them with astype()")


def scalar_dtype(value: Scalar, dtype: flambeau.dtype) -> flambeau.dtype:
    """Return the dtype of a scalar that is combined with an array: ``dtype``, unless the scalar's kind is higher."""
    if isinstance(value, bool):
        return dtype
    if isinstance(value, int):
        return flambeau.int64 if dtype is flambeau.bool else dtype
    if isinstance(value, float):
        return dtype if dtype.is_floating_point or dtype.is_complex else flambeau.get_default_dtype()
    if dtype.is_complex:
        return dtype
    return flambeau.complex128 if promoted(dtype, flambeau.float32) is flambeau.float64 else flambeau.complex64


def operands(name: str, x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    """Convert two operands to arrays of one dtype. Note [Promotion in the standard].

    Raise TypeError unless one operand is an array and the other operand is an array or a scalar.
    """
    first, second = isinstance(x1, Tensor), isinstance(x2, Tensor)
    if first and second:
        if x1.dtype is x2.dtype:
            return x1, x2
        dtype = promoted(x1.dtype, x2.dtype)
        return x1.to(dtype), x2.to(dtype)
    if first and isinstance(x2, Scalar):
        dtype = scalar_dtype(x2, x1.dtype)
        return x1.to(dtype), flambeau.tensor(x2, dtype=dtype)
    if second and isinstance(x1, Scalar):
        dtype = scalar_dtype(x1, x2.dtype)
        return flambeau.tensor(x1, dtype=dtype), x2.to(dtype)
    raise TypeError(
        f"{name}() takes two arrays, or an array and a Python scalar, not {type(x1).__name__} and {type(x2).__name__}"
    )


def positions(indices: Tensor) -> Tensor:
    """Convert indices of any integer dtype to int64. Raise IndexError for values that do not fit."""
    result = indices.to(flambeau.int64)
    if indices.dtype is flambeau.uint64 and bool((result < 0).any()):
        raise IndexError(f"index {indices.max().item()} is out of bounds: no array has so many elements")
    return result


def promote_all(arrays: Any) -> list[Tensor]:
    """Convert the arrays to their promoted dtype."""
    arrays = list(arrays)
    dtype = promoted(*(x.dtype for x in arrays))
    return [x.to(dtype) for x in arrays]


def axes(axis: int | tuple[int, ...] | None, ndim: int) -> tuple[int, ...]:
    """Return non-negative axes; None means all. Raise IndexError if one is out of bounds, ValueError if repeated."""
    listed = range(ndim) if axis is None else (axis,) if not isinstance(axis, tuple) else axis
    result = tuple(normal(a, ndim) for a in listed)
    if len(set(result)) < len(result):
        raise ValueError(f"repeated axis in {axis}")
    return result


def normal(axis: int, ndim: int) -> int:
    """Return the axis as a non-negative number. Raise IndexError if it is out of bounds."""
    axis = operator.index(axis)
    if not -ndim <= axis < ndim:
        raise IndexError(f"axis {axis} is out of bounds for an array with {ndim} dimensions")
    return axis % ndim


def broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the common shape to which the shapes broadcast. Raise ValueError if they do not match."""
    result = [1] * max(map(len, shapes), default=0)
    for shape in shapes:
        for position, size in enumerate(shape, len(result) - len(shape)):
            if size != 1 and result[position] not in (1, size):
                raise ValueError(f"the shapes {', '.join(str(list(s)) for s in shapes)} cannot be broadcast together")
            result[position] = size if result[position] == 1 else result[position]
    return tuple(result)


def implemented_by(
    operator: Any, name: str, *, module: str = "", summary: str = ""
) -> Callable[[_Function], _Function]:
    """Return a decorator that sets the name and the docstring of a function that calls an operator of flambeau.

    Args:
        operator: the operator. The docstring is its docstring without the signature. Of its examples, only the first
            is used, because the others show options that the standard lacks.
        name: name of the function.
        module: module of the operator and of the function, such as ``"fft."``.
        summary: text that replaces the description in the operator's docstring.
    """

    def set_names(function: _Function) -> _Function:
        function.__name__ = function.__qualname__ = name
        text, *examples = operator.__doc__.partition("\n\n")[2].split(">>> ")
        example = examples[0].replace(f".{module}{operator.__name__}(", f".array_api.{module}{name}(", 1)
        function.__doc__ = f"{summary or text.rstrip()}\n\n>>> {example.rstrip()}"
        function.__module__ = "flambeau.array_api"
        return function

    return set_names
