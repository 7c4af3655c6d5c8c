"""Creation of arrays."""

from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.array_api._promotion import Scalar, promoted

Shape = int | tuple[int, ...]


def arange(
    start: float, /, stop: float | None = None, step: float = 1, *, dtype: Any = None, device: Any = None
) -> Tensor:
    """Return evenly spaced values in [start, stop), or in [0, start) if ``stop`` is None.

    >>> fb.array_api.arange(1, 7, 2)
    tensor([1, 3, 5])
    """
    if stop is None:
        start, stop = 0, start
    if step == 0:
        raise ValueError("arange(): step must not be 0")
    if (stop - start) * step <= 0:
        dtype = dtype or (flambeau.arange(0, step, step).dtype if isinstance(start + stop, int) else None)
        return flambeau.empty(0, dtype=dtype or flambeau.get_default_dtype(), device=device)
    return flambeau.arange(start, stop, step, dtype=dtype, device=device)


def asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Tensor:
    """Create an array from a number, a nested sequence, an array, or an object with ``__dlpack__`` or a buffer.

    Args:
        copy: True always copies. False never copies and raises ValueError if a copy is required. None copies if
            required.

    >>> fb.array_api.asarray([[1, 2], [3, 4]], dtype=fb.float32)
    tensor([[1., 2.],
            [3., 4.]])
    """
    if isinstance(obj, Tensor):
        if copy is False and dtype is not None and obj.dtype is not dtype:
            raise ValueError(f"asarray(): {obj.dtype} cannot be converted to {dtype} without a copy")
        return obj.to(obj.device if device is None else device, dtype or obj.dtype, copy=bool(copy))
    if copy is False and not (hasattr(obj, "__dlpack__") or hasattr(obj, "__array_interface__") or _has_buffer(obj)):
        raise ValueError(f"asarray(): a {type(obj).__name__} cannot become an array without a copy")
    make = flambeau.tensor if copy else flambeau.as_tensor
    return make(obj, dtype=dtype, device=device)


def _has_buffer(obj: Any) -> bool:
    try:
        memoryview(obj)
    except TypeError:
        return False
    return True


def empty(shape: Shape, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Return an array with uninitialised values.

    >>> fb.array_api.empty((2, 3)).shape
    flambeau.Size([2, 3])
    """
    return flambeau.empty(shape, dtype=dtype, device=device)


def empty_like(x: Tensor, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Return an uninitialised array with the shape and, by default, the dtype of ``x``.

    >>> fb.array_api.empty_like(fb.tensor([1, 2]), dtype=fb.float64).dtype
    flambeau.float64
    """
    return flambeau.empty(x.shape, dtype=dtype or x.dtype, device=device)


def eye(n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None) -> Tensor:
    """Return a matrix with ones on the k-th diagonal and zeros elsewhere.

    >>> fb.array_api.eye(2, 3, k=1)
    tensor([[0., 1., 0.],
            [0., 0., 1.]])
    """
    rows = flambeau.arange(n_rows).unsqueeze(1)
    columns = flambeau.arange(n_rows if n_cols is None else n_cols)
    return (columns - rows == k).to(dtype or flambeau.get_default_dtype())


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """Return an array that shares memory with an array of another library, unless a copy is requested.

    >>> import numpy
    >>> fb.array_api.from_dlpack(numpy.arange(3.0))
    tensor([0., 1., 2.], dtype=flambeau.float64)
    """
    shared = flambeau.from_dlpack(x)
    return shared.to(shared.device if device is None else device, copy=bool(copy))


def full(shape: Shape, fill_value: Scalar, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Return an array filled with one value. The type of the value determines the default dtype.

    >>> fb.array_api.full((2,), 7)
    tensor([7, 7])
    """
    return flambeau.full((shape,) if isinstance(shape, int) else shape, fill_value, dtype=dtype, device=device)


def full_like(x: Tensor, /, fill_value: Scalar, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Return a filled array with the shape and, by default, the dtype of ``x``.

    >>> fb.array_api.full_like(fb.tensor([1.0, 2.0]), 7)
    tensor([7., 7.])
    """
    return flambeau.full(x.shape, fill_value, dtype=dtype or x.dtype, device=device)


def linspace(
    start: Scalar, stop: Scalar, /, num: int, *, dtype: Any = None, device: Any = None, endpoint: bool = True
) -> Tensor:
    """Return ``num`` evenly spaced values from start to stop. ``stop`` is included if ``endpoint``.

    >>> fb.array_api.linspace(0, 1, 4, endpoint=False)
    tensor([0.0000, 0.2500, 0.5000, 0.7500])
    """
    if num < 0:
        raise ValueError(f"linspace(): the number of values must not be negative, got {num}")
    if dtype is None:
        dtype = flambeau.get_default_dtype()
        if isinstance(start, complex) or isinstance(stop, complex):
            dtype = promoted(dtype, flambeau.complex64)
    exact = flambeau.complex128 if dtype.is_complex else flambeau.float64
    intervals = max(num - 1 if endpoint else num, 1)
    first, last = flambeau.tensor(start, dtype=exact), flambeau.tensor(stop, dtype=exact)
    values = first + (last - first) * (flambeau.arange(num, dtype=flambeau.float64) / intervals)
    if endpoint and num > 1:
        values[-1] = last
    return values.to(dtype)


def meshgrid(*arrays: Tensor, indexing: str = "xy") -> tuple[Tensor, ...]:
    """Return coordinate grids of 1-D arrays. With ``"xy"``, the first two dimensions are swapped.

    Raise ValueError for another ``indexing`` or for arrays of different dtypes.

    >>> fb.array_api.meshgrid(fb.tensor([1, 2]), fb.tensor([3, 4]))
    (tensor([[1, 2],
            [1, 2]]), tensor([[3, 3],
            [4, 4]]))
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid(): indexing must be 'xy' or 'ij', not {indexing!r}")
    if len({x.dtype for x in arrays}) > 1:
        raise ValueError(f"meshgrid(): the arrays must have one dtype, got {[str(x.dtype) for x in arrays]}")
    return tuple(flambeau.meshgrid(*arrays, indexing=indexing)) if arrays else ()


def ones(shape: Shape, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Return an array of ones.

    >>> fb.array_api.ones((2,), dtype=fb.int32)
    tensor([1, 1], dtype=flambeau.int32)
    """
    return flambeau.ones(shape, dtype=dtype, device=device)


def ones_like(x: Tensor, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Return an array of ones with the shape and, by default, the dtype of ``x``.

    >>> fb.array_api.ones_like(fb.tensor([5, 6]))
    tensor([1, 1])
    """
    return flambeau.ones(x.shape, dtype=dtype or x.dtype, device=device)


def tril(x: Tensor, /, *, k: int = 0) -> Tensor:
    """Return the elements on and below the k-th diagonal of each matrix, with zeros above.

    >>> fb.array_api.tril(fb.tensor([[1, 2], [3, 4]]))
    tensor([[1, 0],
            [3, 4]])
    """
    return flambeau.tril(x, k)


def triu(x: Tensor, /, *, k: int = 0) -> Tensor:
    """Return the elements on and above the k-th diagonal of each matrix, with zeros below.

    >>> fb.array_api.triu(fb.tensor([[1, 2], [3, 4]]))
    tensor([[1, 2],
            [0, 4]])
    """
    return flambeau.triu(x, k)


def zeros(shape: Shape, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Return an array of zeros.

    >>> fb.array_api.zeros(2)
    tensor([0., 0.])
    """
    return flambeau.zeros(shape, dtype=dtype, device=device)


def zeros_like(x: Tensor, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Return an array of zeros with the shape and, by default, the dtype of ``x``.

    >>> fb.array_api.zeros_like(fb.tensor([5, 6]))
    tensor([0, 0])
    """
    return flambeau.zeros(x.shape, dtype=dtype or x.dtype, device=device)
