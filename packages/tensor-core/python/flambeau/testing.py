"""Comparison of values with PyTorch's tolerances and messages, and random tensors of every dtype."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import flambeau
from flambeau import Tensor

__all__ = ["assert_allclose", "assert_close", "make_tensor"]

# Default relative and absolute tolerances.
_TOLERANCES = {
    flambeau.float16: (1e-3, 1e-5),
    flambeau.bfloat16: (1.6e-2, 1e-5),
    flambeau.float32: (1.3e-6, 1e-5),
    flambeau.float64: (1e-7, 1e-7),
    flambeau.complex64: (1.3e-6, 1e-5),
    flambeau.complex128: (1e-7, 1e-7),
}

_ALLCLOSE_TOLERANCES = {
    flambeau.float16: (1e-3, 1e-3),
    flambeau.float32: (1e-4, 1e-5),
    flambeau.float64: (1e-5, 1e-8),
}


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Assert that two values are close: ``|actual - expected| <= atol + rtol * |expected|`` for every element.

    Args:
        actual, expected: tensors, numbers, other values that ``flambeau.as_tensor`` accepts, or sequences and mappings
            of these. Sparse tensors are compared by their indices and values, or by all elements if their layouts
            differ.
        allow_subclasses: if True, a tensor and an instance of a subclass can be compared. If False, the types must be
            identical.
        rtol, atol: relative and absolute tolerance, numbers or tensors with one element. Give both or neither. The
            defaults depend on the dtype (float32: 1.3e-6 and 1e-5). For two different dtypes, the larger tolerances
            apply. Python numbers have the tolerances of float64 and complex128 (1e-7 and 1e-7).
        equal_nan: if True, two NaNs are equal.
        check_device, check_dtype, check_layout, check_stride: if True, this attribute must be equal.
        msg: an error message, or a function that maps the generated message to the final message.
    Raises: AssertionError with the number of mismatched elements and the largest differences and their positions;
        TypeError for values that cannot be compared; ValueError if only one tolerance is given.

    >>> flambeau.testing.assert_close(flambeau.tensor([1.0, 2.0]), flambeau.tensor([1.0, 2.0000001]))
    """
    if (rtol is None) != (atol is None):
        raise ValueError(f"rtol and atol must both be specified or both be unspecified, but got {rtol=} and {atol=}")
    if rtol is not None and atol is not None:
        rtol, atol = float(rtol), float(atol)  # the tolerances may be tensors
    attributes = {"device": check_device, "dtype": check_dtype, "layout": check_layout, "stride": check_stride}
    problem = _Comparison(rtol, atol, equal_nan, allow_subclasses, attributes).difference(actual, expected, "")
    if problem is not None:
        raise AssertionError(msg(problem) if callable(msg) else msg or problem)


def assert_allclose(
    actual: Any,
    expected: Any,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = True,
    msg: str = "",
) -> None:
    """Assert that two tensors or values are close, for any dtypes. New programs should use `assert_close`.

    Args:
        actual, expected: tensors, or values that ``flambeau.tensor`` accepts.
        rtol, atol: relative and absolute tolerance. Give both or neither. The defaults depend on the dtype (float32:
            1e-4 and 1e-5). For two different dtypes, the larger tolerances apply.
        equal_nan: if True, two NaNs are equal.
        msg: an error message; the default describes the differences.
    Raises: AssertionError if the values or shapes differ; ValueError if only one tolerance is given.

    >>> flambeau.testing.assert_allclose(flambeau.tensor([1.0, 2.0]), [1.0, 2.00001])
    """
    actual = actual if isinstance(actual, Tensor) else flambeau.tensor(actual)
    expected = expected if isinstance(expected, Tensor) else flambeau.tensor(expected, dtype=actual.dtype)
    if rtol is None and atol is None:
        defaults = [_ALLCLOSE_TOLERANCES.get(t.dtype, (0.0, 0.0)) for t in (actual, expected)]
        rtol, atol = (max(values) for values in zip(*defaults, strict=True))
    assert_close(actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=False, msg=msg or None)


class _Comparison:
    def __init__(
        self, rtol: float | None, atol: float | None, equal_nan: bool, subclasses: bool, attributes: dict[str, bool]
    ) -> None:
        self.rtol, self.atol, self.equal_nan, self.subclasses = rtol, atol, equal_nan, subclasses
        self.attributes = [name for name, checked in attributes.items() if checked]

    def difference(self, actual: Any, expected: Any, path: str) -> str | None:
        """Return a description of the first difference, or None."""
        if isinstance(expected, Mapping) and isinstance(actual, Mapping):
            return self._of_mappings(actual, expected, path)
        if _is_sequence(expected) and _is_sequence(actual):
            return self._of_sequences(actual, expected, path)
        problem = self._of_values(actual, expected)
        return None if problem is None else problem + (f"\n\nThe failure occurred for item {path}" if path else "")

    def _of_mappings(self, actual: Mapping[Any, Any], expected: Mapping[Any, Any], path: str) -> str | None:
        if actual.keys() != expected.keys():
            missing, additional = (sorted(a.keys() - b.keys(), key=str) for a, b in _both_orders(expected, actual))
            return (
                "The keys of the mappings do not match:\n"
                f"Missing keys in the actual mapping: {missing}\nAdditional keys in the actual mapping: {additional}"
            )
        pairs = ((k, actual[k], expected[k]) for k in expected)
        return next(filter(None, (self.difference(a, e, f"{path}[{k!r}]") for k, a, e in pairs)), None)

    def _of_sequences(self, actual: Sequence[Any], expected: Sequence[Any], path: str) -> str | None:
        if len(actual) != len(expected):
            return f"The length of the sequences mismatch: {len(actual)} != {len(expected)}"
        pairs = enumerate(zip(actual, expected, strict=True))
        return next(filter(None, (self.difference(a, e, f"{path}[{i}]") for i, (a, e) in pairs)), None)

    def _of_values(self, actual: Any, expected: Any) -> str | None:
        """Return the difference of two leaves (numbers, None or anything that converts to a tensor), or None."""
        if actual is expected is None:
            return None
        if (actual is None) != (expected is None):
            return f"{'Expected None' if expected is None else 'None'} mismatch: {actual!r} is not {expected!r}"
        if not self.subclasses and type(actual) is not type(expected):
            return f"Except for subclasses, the types must be identical: {type(actual)} != {type(expected)}"
        numbers = (int, float, complex, np.generic)
        if isinstance(actual, numbers) and isinstance(expected, numbers):
            return self._of_numbers(*(v.item() if isinstance(v, np.generic) else v for v in (actual, expected)))
        first, second = _as_tensor(actual, expected), _as_tensor(expected, actual)
        problem = self._attribute(first, second)
        if problem is None and first.layout is not second.layout:
            first, second = first.to_dense(), second.to_dense()
        if problem is None and first.layout is not flambeau.strided:
            return self._of_sparse(first, second)
        return problem or self._elements(first, second)

    def _of_numbers(self, actual: Any, expected: Any) -> str | None:
        """Compare Python numbers with the tolerances of their precision, which is that of float64 and complex128."""
        if type(actual) is not type(expected) and "dtype" in self.attributes:
            return f"The types of the numbers do not match: {type(actual).__name__} != {type(expected).__name__}"
        if isinstance(actual, bool) and isinstance(expected, bool):
            return None if actual is expected else f"Booleans mismatch: {actual} is not {expected}"
        dtypes = {float: flambeau.float64, complex: flambeau.complex128}
        return self._elements(*(flambeau.tensor(v, dtype=dtypes.get(type(v))) for v in (actual, expected)))

    def _of_sparse(self, actual: Any, expected: Any) -> str | None:
        """Compare the indices and values of sparse tensors of one layout."""
        is_coo = actual.layout is flambeau.sparse_coo
        if is_coo and actual.is_coalesced() != expected.is_coalesced():
            actual, expected = actual.coalesce(), expected.coalesce()
        counts = [(t.sparse_dim(), t._nnz()) for t in (actual, expected)]
        if counts[0] != counts[1]:
            return (
                "The numbers of sparse dimensions or of specified values in sparse tensors do not match: "
                f"{counts[0]} != {counts[1]}"
            )
        for name in ("_indices", "_values") if is_coo else (*actual.part_names, "values"):
            problem = self._elements(getattr(actual, name)(), getattr(expected, name)())
            if problem is not None:
                return f"The {name.lstrip('_')} of sparse tensors do not match. {problem}"
        return None

    def _attribute(self, actual: Tensor, expected: Tensor) -> str | None:
        if actual.shape != expected.shape:
            return f"The values for attribute 'shape' do not match: {actual.shape} != {expected.shape}."
        for name in self.attributes:
            a, b = (getattr(t, name)() if name == "stride" else getattr(t, name) for t in (actual, expected))
            if a != b:
                return f"The values for attribute '{name}' do not match: {a} != {b}."
        return None

    def _elements(self, actual: Tensor, expected: Tensor) -> str | None:
        """Return a report of the elements that differ by more than the tolerances, or None."""
        exact = (0.0, 0.0)
        defaults = [_TOLERANCES.get(t.dtype, exact) for t in (actual, expected)]
        rtol = max(d[0] for d in defaults) if self.rtol is None else self.rtol
        atol = max(d[1] for d in defaults) if self.atol is None else self.atol
        a, b = _array(actual), _array(expected)
        with np.errstate(all="ignore"):
            difference = np.abs(a - b)
            finite = True if b.dtype == object else np.isfinite(b)
            good = np.asarray(((a == b) | (finite & (difference <= atol + rtol * np.abs(b)))).astype(bool))
            if self.equal_nan:
                good |= (a != a) & (b != b)
            if good.all():
                return None
            difference, size = (np.asarray(values, float) for values in (difference, np.abs(b)))
            relative = difference / size
        return (_report if a.ndim else _scalar_report)(a, b, good, difference, relative, atol, rtol)


def _both_orders(a: Any, b: Any) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    return (a, b), (b, a)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _as_tensor(value: Any, other: Any) -> Tensor:
    try:
        return value if isinstance(value, Tensor) else flambeau.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(
            f"No comparison pair was able to handle inputs of type {type(value)} and {type(other)}."
        ) from None


def _array(t: Tensor) -> np.ndarray:
    """Return the values in a dtype in which they can be subtracted without overflow."""
    t = t.detach().cpu()
    if t.is_complex():
        return t.to(flambeau.complex128).numpy()
    if t.is_floating_point():
        return t.to(flambeau.float64).numpy()
    # Python integers (dtype object) do not overflow when 64-bit integers are subtracted.
    return t.numpy().astype(object) if t.dtype.itemsize == 8 else t.to(flambeau.int64).numpy()


def _report(a: Any, b: Any, good: Any, difference: Any, relative: Any, atol: float, rtol: float) -> str:
    def largest(values: Any) -> str:
        values = np.where(good, -1.0, values).astype(float)
        at = tuple(int(i) for i in np.unravel_index(int(np.argmax(np.nan_to_num(values, nan=np.inf))), values.shape))
        return f"{values[at]:g} at index {at}"

    total = good.size
    wrong = total - int(good.sum())
    head = "Tensor-likes are not equal!" if not (atol or rtol) else "Tensor-likes are not close!"
    limits = ("", "") if not (atol or rtol) else (f" (up to {atol:g} allowed)", f" (up to {rtol:g} allowed)")
    return (
        f"{head}\n\nMismatched elements: {wrong} / {total} ({100 * wrong / total:.1f}%)\n"
        f"Greatest absolute difference: {largest(difference)}{limits[0]}\n"
        f"Greatest relative difference: {largest(relative)}{limits[1]}"
    )


def _scalar_report(a: Any, b: Any, good: Any, difference: Any, relative: Any, atol: float, rtol: float) -> str:
    if not (atol or rtol):
        return (
            f"Scalars are not equal!\n\nExpected {b.item()!r} but got {a.item()!r}.\n"
            f"Absolute difference: {difference.item()}\nRelative difference: {relative.item()}"
        )
    return (
        f"Scalars are not close!\n\nExpected {b.item()!r} but got {a.item()!r}.\n"
        f"Absolute difference: {difference.item()} (up to {atol:g} allowed)\n"
        f"Relative difference: {relative.item()} (up to {rtol:g} allowed)"
    )


def make_tensor(
    *shape: Any,
    dtype: Any,
    device: Any = None,
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """Return a tensor of uniformly distributed random values.

    Args:
        shape: sizes, or one sequence of sizes.
        dtype: dtype of the result.
        low, high: range ``[low, high)`` of the values. The defaults are [-9, 9) for floating and complex dtypes,
            [-9, 10) for signed integers, [0, 10) for unsigned integers and [0, 2) for bool. Only values that the dtype
            can represent are drawn.
        requires_grad, device: properties of the result.
        noncontiguous: if True, return a tensor that is not contiguous.
        exclude_zero: if True, replace 0 by 1 (integers) or by the smallest positive normal number (other dtypes).
        memory_format: memory format of the result. Cannot be combined with ``noncontiguous``.
    Raises: ValueError for a range without values, or for a memory format together with ``noncontiguous``.

    >>> x = fb.testing.make_tensor(2, 3, dtype=fb.int64, low=1, high=4)
    >>> x.shape, x.min() >= 1, x.max() < 4
    (flambeau.Size([2, 3]), tensor(True), tensor(True))
    """
    sizes = list(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else list(shape)
    if noncontiguous and memory_format is not None:
        raise ValueError(f"The parameters `noncontiguous` and `memory_format` are mutually exclusive: {memory_format=}")
    integral = not (dtype.is_floating_point or dtype.is_complex)
    first, last = (0, 2) if dtype is flambeau.bool else (-9 if dtype.is_signed else 0, 10 if integral else 9)
    low, high = first if low is None else low, last if high is None else high
    if low >= high:
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    drawn = [*sizes[:-1], 2 * sizes[-1]] if noncontiguous and sizes else sizes
    if integral:
        values = flambeau.randint(*_integer_range(low, high, dtype), drawn).to(dtype)
    elif dtype.is_complex:
        part = dtype.to_real()
        values = flambeau.complex(*(flambeau.empty(drawn, dtype=part).uniform_(low, high) for _ in range(2)))
    else:
        values = flambeau.empty(drawn, dtype=dtype).uniform_(low, high)
    if noncontiguous and sizes:
        values = values[..., ::2]
    if exclude_zero:
        values[values == 0] = 1 if integral else flambeau.finfo(dtype).tiny
    if memory_format is not None:
        values = values.contiguous(memory_format=memory_format)
    values = values if device is None else values.to(device)
    return values.requires_grad_() if requires_grad else values


def _integer_range(low: float, high: float, dtype: Any) -> tuple[int, int]:
    """Return the part of the range ``[low, high)`` that an integral dtype can represent."""
    info = None if dtype is flambeau.bool else flambeau.iinfo(dtype)
    least, end = (0, 2) if info is None else (info.min, min(info.max + 1, 2**63 - 1))
    if high <= least or low >= end:
        raise ValueError(
            f"The value interval specified by `low` and `high` is [{low}, {high}), but {dtype} only supports "
            f"[{least}, {end})"
        )
    return max(math.ceil(low), least), min(math.ceil(high), end)
