"""The array API standard, version 2025.12, for ``flambeau.Tensor``.

A program written for the standard obtains this namespace with ``x.__array_namespace__()``. The functions in this
namespace have the names, arguments and promotion rules of the standard, whereas the functions in ``flambeau`` follow
PyTorch. Methods and operators of tensors follow the standard with two exceptions. ``x.size`` is PyTorch's method; use
``x.numel()`` for the number of elements. Operators such as ``x1 + x2`` use PyTorch's promotion: an array without
dimensions has a lower priority, and uint16, uint32 and uint64 cannot be combined with other integers. The functions,
such as ``add(x1, x2)``, use the promotion of the standard.

Source: Consortium for Python Data API Standards, https://data-apis.org/array-api/2025.12.
"""

from inspect import cleandoc as _cleandoc
from math import e, inf, nan, pi

import flambeau
from flambeau.array_api import fft, linalg
from flambeau.array_api._creation import (
    arange,
    asarray,
    empty,
    empty_like,
    eye,
    from_dlpack,
    full,
    full_like,
    linspace,
    meshgrid,
    ones,
    ones_like,
    tril,
    triu,
    zeros,
    zeros_like,
)
from flambeau.array_api._data_types import (
    __array_namespace_info__,
    astype,
    can_cast,
    finfo,
    iinfo,
    isdtype,
    result_type,
)
from flambeau.array_api._elementwise import (
    abs,
    acos,
    acosh,
    add,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    bitwise_and,
    bitwise_invert,
    bitwise_left_shift,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    ceil,
    clip,
    conj,
    copysign,
    cos,
    cosh,
    divide,
    equal,
    exp,
    expm1,
    floor,
    floor_divide,
    greater,
    greater_equal,
    hypot,
    imag,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    log,
    log1p,
    log2,
    log10,
    logaddexp,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    multiply,
    negative,
    nextafter,
    not_equal,
    positive,
    pow,
    real,
    reciprocal,
    remainder,
    round,
    sign,
    signbit,
    sin,
    sinh,
    sqrt,
    square,
    subtract,
    tan,
    tanh,
    trunc,
)
from flambeau.array_api._linear_algebra import matmul, matrix_transpose, tensordot, vecdot
from flambeau.array_api._manipulation import (
    broadcast_arrays,
    broadcast_shapes,
    broadcast_to,
    concat,
    expand_dims,
    flip,
    moveaxis,
    permute_dims,
    repeat,
    reshape,
    roll,
    squeeze,
    stack,
    take,
    take_along_axis,
    tile,
    unstack,
)
from flambeau.array_api._promotion import DTYPES as _DTYPES
from flambeau.array_api._searching import (
    argmax,
    argmin,
    argsort,
    isin,
    nonzero,
    searchsorted,
    sort,
    unique_all,
    unique_counts,
    unique_inverse,
    unique_values,
    where,
)
from flambeau.array_api._statistics import (
    all,
    any,
    count_nonzero,
    cumulative_prod,
    cumulative_sum,
    diff,
    max,
    mean,
    min,
    prod,
    std,
    sum,
    var,
)

__array_api_version__ = "2025.12"
newaxis = None
bool: flambeau.dtype
complex128: flambeau.dtype
complex64: flambeau.dtype
float32: flambeau.dtype
float64: flambeau.dtype
int16: flambeau.dtype
int32: flambeau.dtype
int64: flambeau.dtype
int8: flambeau.dtype
uint16: flambeau.dtype
uint32: flambeau.dtype
uint64: flambeau.dtype
uint8: flambeau.dtype
globals().update(_DTYPES)

__all__ = [
    name
    for name in sorted(globals())
    if (not name.startswith("_") and name != "flambeau")
    or name in ("__array_api_version__", "__array_namespace_info__")
]


def _link_functions() -> None:
    """Add the address of the description in the standard to the docstring of each function."""
    standard = f"https://data-apis.org/array-api/{__array_api_version__}"
    described = {getattr(linalg, name): f"extensions/generated/array_api.linalg.{name}" for name in linalg.__all__}
    described |= {getattr(fft, name): f"extensions/generated/array_api.fft.{name}" for name in fft.__all__}
    functions = {name: globals()[name] for name in __all__ if callable(globals()[name])}
    described |= {value: f"API_specification/generated/array_api.{name}" for name, value in functions.items()}
    for value, page in described.items():
        value.__doc__ = f"{_cleandoc(value.__doc__)}\n\nSource: {standard}/{page}.html"


_link_functions()
