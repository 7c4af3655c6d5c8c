"""The standard's functions over the whole range of every integer dtype, alone and mixed, against NumPy."""

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from flambeau import array_api as xp

INTEGERS = list(xp.__array_namespace_info__().dtypes(kind="integral"))
SHAPES = [((5,), (5,)), ((), (5,)), ((5,), ()), ((3, 1), (2,)), ((), ())]
FEW = settings(max_examples=25)


def same(got, want):
    want = np.asarray(want)
    assert got.dtype == getattr(xp, want.dtype.name)
    assert got.shape == want.shape
    np.testing.assert_array_equal(got.numpy(), want)


def values(name, shape):
    limits = np.iinfo(name)
    low, high = int(limits.min), int(limits.max)
    near = [low, low + 1, -1, 0, 1, 2, high // 2, high // 2 + 1, high - 1, high]
    near = [v for v in near if v >= low]
    return hnp.arrays(name, shape, elements=st.one_of(st.sampled_from(near), st.integers(low, high)))


@st.composite
def pairs(draw):
    names, shapes = (draw(st.sampled_from(INTEGERS)), draw(st.sampled_from(INTEGERS))), draw(st.sampled_from(SHAPES))
    assume(np.result_type(*names).kind != "f")  # excludes uint64 with a signed dtype
    return tuple(draw(values(name, shape)) for name, shape in zip(names, shapes, strict=True))


ANY = ["add", "subtract", "multiply", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal"]
ANY += ["maximum", "minimum", "bitwise_and", "bitwise_or", "bitwise_xor"]


@pytest.mark.parametrize("function", ANY)
@FEW
@given(pairs())
def test_binary_functions_of_different_integer_dtypes_match_numpy(function, operands):
    x1, x2 = operands
    with np.errstate(over="ignore"):
        want = getattr(np, function)(x1, x2)
    same(getattr(xp, function)(xp.asarray(x1), xp.asarray(x2)), want)


@pytest.mark.parametrize("function", ["floor_divide", "remainder"])
@FEW
@given(pairs())
def test_integer_division_and_remainder_match_numpy(function, operands):
    x1, x2 = operands
    x2 = np.where(x2 == 0, x2.dtype.type(1), x2)
    with np.errstate(over="ignore"):  # the smallest number divided by -1 overflows
        want = getattr(np, function)(x1, x2)
    same(getattr(xp, function)(xp.asarray(x1), xp.asarray(x2)), want)


@pytest.mark.parametrize("function", ["bitwise_left_shift", "bitwise_right_shift", "pow"])
@FEW
@given(pairs())
def test_integer_powers_and_shifts_match_numpy(function, operands):
    x1, x2 = operands
    x2 = (x2 % x2.dtype.type(8)).astype(x2.dtype)
    same(getattr(xp, function)(xp.asarray(x1), xp.asarray(x2)), getattr(np, function)(x1, x2))


@FEW
@given(pairs())
def test_where_concat_and_searchsorted_of_different_integer_dtypes_match_numpy(operands):
    x1, x2 = operands
    s, t = map(xp.asarray, operands)
    same(xp.where(xp.asarray(True), s, t), np.where(True, x1, x2))
    same(xp.concat([s, t], axis=None), np.concat([x1, x2], axis=None))
    flat = np.sort(x1.reshape(-1))
    same(xp.searchsorted(xp.asarray(flat), t), np.searchsorted(flat, x2))
    same(xp.isin(s, t), np.isin(x1, x2))
    same(xp.clip(s, t), np.clip(x1, x2, None).astype(x1.dtype))
    same(xp.linalg.outer(xp.reshape(s, (-1,)), xp.reshape(t, (-1,))), np.linalg.outer(x1.reshape(-1), x2.reshape(-1)))
    if x1.shape == x2.shape == (5,):
        same(xp.stack([s, t]), np.stack([x1, x2]))
        same(xp.vecdot(s, t), np.vecdot(x1, x2))
        same(xp.matmul(s, t), np.matmul(x1, x2))
        same(xp.tensordot(s, t, axes=1), np.tensordot(x1, x2, axes=1))


@pytest.mark.parametrize("name", ["int8", "int16", "int32", "int64"])
def test_dtypes_without_a_common_dtype_raise(name):
    x1, x2 = xp.ones((2,), dtype=xp.uint64), xp.ones((2,), dtype=getattr(xp, name))
    for call in (
        lambda: xp.result_type(x1, x2),
        lambda: xp.add(x1, x2),
        lambda: xp.equal(x2, x1),
        lambda: xp.concat([x1, x2]),
        lambda: xp.where(xp.asarray(True), x1, x2),
        lambda: xp.can_cast(x2, xp.uint64),
    ):
        with pytest.raises(TypeError, match=f"uint64.*{name}|{name}.*uint64"):
            call()


@settings(max_examples=100)
@given(st.sampled_from(INTEGERS), st.sampled_from(INTEGERS), st.data())
def test_conversions_between_integer_dtypes_match_numpy(name, target, data):
    x = data.draw(values(name, (3, 2)))
    t, kind = xp.asarray(x), getattr(xp, target)
    same(xp.astype(t, kind), x.astype(target))
    for function in ("sum", "prod", "cumulative_sum", "cumulative_prod"):
        same(getattr(xp, function)(t, axis=0, dtype=kind), getattr(np, function)(x, axis=0, dtype=target))


@pytest.mark.parametrize("name", INTEGERS)
@FEW
@given(data=st.data())
def test_elementwise_functions_and_reductions_of_integers_match_numpy(name, data):
    x = data.draw(values(name, (3, 4)))
    t = xp.asarray(x)
    with np.errstate(over="ignore"):
        for function in ("abs", "negative", "square", "sign", "round", "bitwise_invert"):
            same(getattr(xp, function)(t), getattr(np, function)(x))
    for function in ("sum", "prod", "max", "min", "argmax", "argmin"):
        same(getattr(xp, function)(t, axis=1), getattr(np, function)(x, axis=1))
        same(getattr(xp, function)(t), getattr(np, function)(x))
    same(xp.sort(t), np.sort(x))
    same(xp.sort(t, descending=True), np.sort(x)[:, ::-1])
    same(xp.argsort(t, axis=0), np.argsort(x, axis=0, stable=True))
    for got, want in zip(xp.unique_all(t), np.unique_all(x), strict=True):
        same(got, want)
    same(xp.linalg.trace(t), np.linalg.trace(x))
    same(xp.diff(t), np.diff(x))
    scalar = int(x[0, 0])
    for function in ("add", "multiply", "less", "maximum", "equal"):
        same(getattr(xp, function)(t, scalar), getattr(np, function)(x, x[0, 0]))
        same(getattr(xp, function)(scalar, t), getattr(np, function)(x[0, 0], x))


@pytest.mark.parametrize("name", INTEGERS)
def test_functions_accept_the_limits_of_integer_dtypes(name):
    kind, limits = getattr(xp, name), np.iinfo(name)
    low, high = int(limits.min), int(limits.max)
    same(xp.arange(high - 3, high, dtype=kind), np.arange(high - 3, high, dtype=name))
    same(xp.arange(high, high - 5, -2, dtype=kind), np.array([high, high - 2, high - 4], name))
    same(xp.full((2,), high, dtype=kind), np.full(2, high, name))
    same(xp.asarray([low, high], dtype=kind), np.array([low, high], name))
    x = np.array([low, 0, 1, high], name)
    for bounds in [(-3, 10**30), (-(10**30), 1), (high, None), (None, low), (None, None)]:
        want = x if bounds == (None, None) else np.array([bounded(int(v), *bounds) for v in x], name)
        same(xp.clip(xp.asarray(x), *bounds), want)
    same(xp.from_dlpack(x), x)
    same(xp.asarray(np.from_dlpack(xp.asarray(x))), x)


def bounded(value, low, high):
    value = value if low is None else max(value, low)
    return value if high is None else min(value, high)


@pytest.mark.parametrize("name", INTEGERS)
def test_index_arrays_may_have_every_integer_dtype(name):
    x = np.arange(12.0).reshape(4, 3)
    t, index = xp.asarray(x), np.array([0, 2], name)
    same(xp.take(t, xp.asarray(index), axis=0), np.take(x, index, axis=0))
    same(
        xp.take_along_axis(t[:2], xp.asarray(index[:, None]), axis=1), np.take_along_axis(x[:2], index[:, None], axis=1)
    )
    same(xp.repeat(t[:2], xp.asarray(index), axis=0), np.repeat(x[:2], index.astype("int64"), axis=0))
    if name == "uint64":
        with pytest.raises(IndexError, match="18446744073709551615"):
            xp.take(t, xp.asarray([2**64 - 1], dtype=xp.uint64), axis=0)
