"""The dtypes uint16, uint32 and uint64 over their whole range, against NumPy."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

import flambeau as fb

WIDE = ["uint16", "uint32", "uint64"]
INTEGERS = ["uint8", "int8", "int16", "int32", "int64", *WIDE]
FEW = settings(max_examples=50)


def dtype(name):
    return getattr(fb, name)


def assert_same(got, want):
    """Check that a tensor has the dtype, shape and elements of an array."""
    want = np.asarray(want)
    assert got.dtype is (fb.bool if want.dtype == bool else dtype(want.dtype.name))
    assert got.shape == want.shape
    np.testing.assert_array_equal(got.numpy(), want)


def elements(name):
    """Return a strategy for all values that prefers small numbers and numbers near the limits."""
    limits = np.iinfo(name)
    near = [limits.min, limits.min + 1, limits.max, limits.max - 1, 0, 1, 2, limits.max // 2, limits.max // 2 + 1]
    return st.one_of(st.sampled_from(near), st.integers(int(limits.min), int(limits.max)))


@st.composite
def arrays(draw, count, names=tuple(WIDE)):
    name, shape = draw(st.sampled_from(names)), draw(hnp.array_shapes(max_dims=2, max_side=20))
    return tuple(draw(hnp.arrays(name, shape, elements=elements(name))) for _ in range(count))


BINARY = ["add", "sub", "mul", "eq", "ne", "lt", "le", "gt", "ge", "maximum", "minimum", "fmax", "fmin"]
BINARY += ["bitwise_and", "bitwise_or", "bitwise_xor", "floor_divide", "remainder", "fmod", "gcd", "logical_xor"]
NAMES = {"sub": "subtract", "mul": "multiply", "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal"}
NAMES |= {"gt": "greater", "ge": "greater_equal"}


@pytest.mark.parametrize("function", BINARY)
@FEW
@given(arrays(2))
def test_binary_operators_of_unsigned_integers_match_numpy(function, operands):
    x, y = operands
    if function in ("floor_divide", "remainder", "fmod"):
        y = np.maximum(y, 1)
    want = getattr(np, NAMES.get(function, function))(x, y)
    assert_same(getattr(fb, function)(fb.tensor(x), fb.tensor(y)), want)
    number = int(y.flat[0])
    assert_same(
        getattr(fb, function)(fb.tensor(x), fb.tensor(number, dtype=dtype(x.dtype.name))),
        getattr(np, NAMES.get(function, function))(x, y.flat[0]),
    )
    if function in ("add", "mul", "eq", "lt", "bitwise_xor", "floor_divide"):
        assert_same(getattr(fb.tensor(x), function)(number), getattr(np, NAMES.get(function, function))(x, y.flat[0]))


@FEW
@given(arrays(1), st.integers(0, 70))
def test_shifts_and_powers_of_unsigned_integers_wrap(operands, count):
    (x,) = operands
    bits, values = 8 * x.itemsize, [int(v) for v in x.flat]
    t = fb.tensor(x)
    assert (t << count).reshape(-1).tolist() == [(v << count) % 2**bits for v in values]
    assert (t >> count).reshape(-1).tolist() == [v >> count for v in values]
    assert (t**count).reshape(-1).tolist() == [pow(v, count, 2**bits) for v in values]


@FEW
@given(arrays(1))
def test_unary_operators_of_unsigned_integers_match_numpy(operands):
    (x,) = operands
    t = fb.tensor(x)
    assert_same(~t, ~x)
    assert_same(abs(t), x)
    assert_same(-t, -x)
    assert_same(t.sign(), np.sign(x))
    assert_same(t.square(), x * x)
    assert_same(t.relu(), x)
    assert_same(t.signbit(), x < 0)
    assert_same(t.logical_not(), x == 0)
    assert_same(t.clone().clamp_(1, 5), np.clip(x, 1, 5))
    assert_same(fb.where(t > 3, t, 3), np.where(x > 3, x, x.dtype.type(3)))


@FEW
@given(arrays(1))
def test_reductions_of_unsigned_integers_match_numpy(operands):
    (x,) = operands
    t, values = fb.tensor(x), [int(v) for v in x.flat]
    for axis in range(x.ndim):
        assert_same(t.amax(axis), x.max(axis))
        assert_same(t.amin(axis), x.min(axis))
        assert_same(t.argmax(axis), x.argmax(axis))
        assert_same(t.argmin(axis), x.argmin(axis))
        assert_same(t.max(axis).values, x.max(axis))
        assert_same(t.any(axis), x.any(axis))
        assert_same(t.all(axis), x.all(axis))
        assert_same(t.sum(axis), x.sum(axis, dtype="int64"))
        assert_same(t.sum(axis, dtype=fb.uint64), x.sum(axis, dtype="uint64"))
        assert_same(t.prod(axis, dtype=fb.uint64), x.prod(axis, dtype="uint64"))
        assert_same(t.cumsum(axis, dtype=fb.uint64), x.cumsum(axis, dtype="uint64"))
        assert_same(t.cumprod(axis), x.cumprod(axis, dtype="int64"))
        assert_same(t.cummax(axis).values, np.maximum.accumulate(x, axis))
        assert_same(t.cummin(axis).values, np.minimum.accumulate(x, axis))
    assert t.max().item() == max(values) and t.min().item() == min(values)
    assert t.count_nonzero().item() == np.count_nonzero(x)
    mean = t.mean(dtype=fb.float64).item()
    assert mean == pytest.approx(sum(values) / len(values), rel=1e-14)


@FEW
@given(arrays(1))
def test_sorting_of_unsigned_integers_matches_numpy(operands):
    (x,) = operands
    t, flat = fb.tensor(x), np.sort(x.reshape(-1))
    assert_same(t.sort(-1).values, np.sort(x, -1))
    assert_same(t.argsort(-1, stable=True), np.argsort(x, -1, stable=True))
    assert_same(t.sort(-1, descending=True).values, np.sort(x, -1)[..., ::-1])
    assert_same(t.topk(1).values, x.max(-1, keepdims=True))
    assert_same(t.reshape(-1).kthvalue(1).values, flat[0])
    assert_same(t.median(), flat[(len(flat) - 1) // 2])
    assert_same(fb.unique(t), np.unique(x))
    assert_same(fb.searchsorted(fb.tensor(flat), t), np.searchsorted(flat, x))
    assert_same(fb.isin(t, t[..., :1]), np.isin(x, x[..., :1]))


@FEW
@given(arrays(1), st.data())
def test_indexing_of_unsigned_integers_matches_numpy(operands, data):
    (x,) = operands
    t = fb.tensor(x)
    index = data.draw(hnp.arrays("int64", 4, elements=st.integers(0, len(x) - 1)))
    assert_same(t[fb.tensor(index)], x[index])
    assert_same(t[t > 5], x[x > 5])
    assert_same(t.index_select(0, fb.tensor(index)), x[index])
    order = np.argsort(x, 0, stable=True)
    assert_same(t.gather(0, fb.tensor(order)), np.take_along_axis(x, order, 0))
    assert_same(fb.cat([t, t]), np.concatenate([x, x]))
    assert_same(t.flip(0).roll(1, 0), np.roll(np.flip(x, 0), 1, 0))
    for reduce, function in (("sum", np.add), ("prod", np.multiply), ("amax", np.maximum), ("amin", np.minimum)):
        want = x.copy()
        function.at(want, index, x[:1])
        source = fb.tensor(np.broadcast_to(x[:1], (len(index), *x.shape[1:])).copy())
        rows = fb.tensor(index).reshape(-1, *[1] * (x.ndim - 1)).expand(source.shape)
        assert_same(t.scatter_reduce(0, rows, source, reduce), want)


@FEW
@given(arrays(1, tuple(INTEGERS)), st.sampled_from(INTEGERS))
def test_conversions_between_unsigned_and_signed_integers_match_numpy(operands, target):
    (x,) = operands
    assert_same(fb.tensor(x).to(dtype(target)), x.astype(target))
    assert_same(fb.tensor(x).t().to(dtype(target)), x.T.astype(target))
    assert_same(fb.tensor(x).bool(), x != 0)


@FEW
@given(arrays(1))
def test_conversions_between_unsigned_integers_and_floats_match_numpy(operands):
    (x,) = operands
    t = fb.tensor(x)
    for name in ("float32", "float64", "complex64", "complex128"):
        assert_same(t.to(dtype(name)), x.astype(name))
    exact = x.astype("float64")
    exact = exact[exact < 2.0 ** (8 * x.itemsize)]
    assert_same(fb.tensor(exact).to(dtype(x.dtype.name)), exact.astype(x.dtype))
    assert fb.tensor([-1.0, -3.7]).to(t.dtype).tolist() == [2 ** (8 * x.itemsize) - 1, 2 ** (8 * x.itemsize) - 3]


@pytest.mark.parametrize("name", WIDE)
def test_unsigned_dtypes_accept_their_limits_and_reject_larger_numbers(name):
    limits, kind = np.iinfo(name), dtype(name)
    info = fb.iinfo(kind)
    assert (info.min, info.max, info.bits, info.dtype) == (0, int(limits.max), limits.bits, name)
    assert not kind.is_signed and not kind.is_floating_point and kind.itemsize == np.dtype(name).itemsize
    largest = int(limits.max)
    for made in (
        fb.tensor(largest, dtype=kind),
        fb.tensor([largest], dtype=kind)[0],
        fb.full((), largest, dtype=kind),
        fb.scalar_tensor(largest, dtype=kind),
        fb.zeros(1, dtype=kind).fill_(largest)[0],
        fb.zeros(1, dtype=kind).sub_(1)[0],
        fb.tensor(np.array(largest, name)),
    ):
        assert made.item() == made.tolist() == int(made) == largest and made.dtype is kind
        assert repr(made) == f"tensor({largest}, dtype=flambeau.{name})" and f"{made}" == str(largest)
    assert [1, 2, 3][fb.tensor(1, dtype=kind)] == 2
    assert fb.zeros(1).type(kind).type() == f"flambeau.UInt{limits.bits}Tensor"
    assert fb.zeros(1).type(f"flambeau.UInt{limits.bits}Tensor").dtype is kind
    assert fb.arange(largest - 3, largest, dtype=kind).tolist() == [largest - 3, largest - 2, largest - 1]
    assert fb.randint(5, (100,), dtype=kind).max().item() < 5
    with pytest.raises(TypeError, match=name):
        fb.set_default_dtype(kind)
    with pytest.raises((RuntimeError, OverflowError)):
        fb.tensor(largest + 1, dtype=kind)
    with pytest.raises((RuntimeError, OverflowError)):
        fb.full((), largest + 1, dtype=kind)


def test_uint64_tensors_accept_python_integers_beyond_int64():
    x = fb.tensor([1, 2**64 - 1], dtype=fb.uint64)
    assert (x * (2**64 - 1)).tolist() == [2**64 - 1, 1]
    assert (x == 2**64 - 1).tolist() == [False, True] and (x < 2**63).tolist() == [True, False]
    assert (x > -1).tolist() == [True, True] and (x == -1).tolist() == [False, False]
    assert (x >= -1).tolist() == [True, True] and (x <= -1).tolist() == [False, False]
    assert (fb.tensor([1.0]) + 2**63).tolist() == [2.0**63 + 1]
    assert fb.tensor([1.5, 2**64 - 1]).tolist() == [1.5, 2.0**64]
    for call in (
        lambda: fb.tensor([1]) + 2**63,
        lambda: fb.tensor([1]).lt(2**63),
        lambda: fb.zeros(1, dtype=fb.int64).fill_(2**63),
        lambda: fb.full((1,), 2**63),
        lambda: fb.arange(2**63, 2**63 + 2),
    ):
        with pytest.raises(RuntimeError, match="9223372036854775808 cannot be converted to type int64"):
            call()
    with pytest.raises(ValueError, match="64 bits"):
        fb.tensor(2**63)
    for call in (lambda: x + 2**64, lambda: fb.tensor(-1, dtype=fb.uint64), lambda: x - 2**65):
        with pytest.raises(OverflowError):
            call()
    with pytest.raises(IndexError, match=r"2\*\*63"):
        fb.arange(3)[x]


PROMOTABLE = ["float16", "bfloat16", "float32", "float64"]
OTHERS = ["bool", "uint8", "int8", "int16", "int32", "int64", *WIDE]


@pytest.mark.parametrize(("a", "b"), list(itertools.product(WIDE, [*PROMOTABLE, *OTHERS, "complex64"])))
def test_unsigned_integers_promote_only_to_floating_point_dtypes(a, b):
    x, y = fb.ones(2, dtype=dtype(a)), fb.ones(2, dtype=dtype(b))
    if a == b or b in PROMOTABLE:
        assert fb.promote_types(x.dtype, y.dtype) is fb.promote_types(y.dtype, x.dtype) is dtype(b)
        assert (x + y).dtype is (y * x).dtype is fb.cat([x, y]).dtype is dtype(b)
        return
    for call in (
        lambda: fb.promote_types(x.dtype, y.dtype),
        lambda: fb.promote_types(y.dtype, x.dtype),
        lambda: x + y,
        lambda: y == x,
        lambda: fb.cat([x, y]),
        lambda: fb.where(fb.tensor([True, False]), x, y),
        lambda: x.mul_(y),
    ):
        with pytest.raises(RuntimeError, match=f"Promotion for uint16.* to promote .*{a}"):
            call()
    assert x.tolist() == [1, 1]


@pytest.mark.parametrize("name", WIDE)
def test_numbers_and_scalar_tensors_do_not_change_an_unsigned_dtype(name):
    x = fb.ones(2, dtype=dtype(name))
    for other in (1, True, fb.tensor(1), fb.tensor(True)):
        assert (x * other).dtype is (other * x).dtype is x.dtype
    assert (x * 1.5).dtype is (x / x).dtype is x.sqrt().dtype is fb.float32
    assert (x * 1j).dtype is fb.complex64
    assert (fb.ones(2) * x).dtype is fb.float32 and (fb.tensor([1]) * fb.tensor(1, dtype=x.dtype)).dtype is fb.int64
    assert fb.result_type(x, -3) is x.dtype
    assert x.sum().dtype is x.cumsum(0).dtype is fb.int64 and x.any().dtype is fb.bool


@pytest.mark.parametrize("name", ["bool", *INTEGERS, "float16", "bfloat16", "float32", "float64"])
def test_hash_tensor_is_the_xor_of_the_elements(name):
    x = np.random.default_rng(0).integers(0, 100, (3, 400, 5)) - (0 if name in ("bool", "uint8", *WIDE) else 50)
    t = fb.tensor(x).to(dtype(name))
    wide = t.to(fb.float64 if t.is_floating_point() else fb.int64).numpy().view("uint64")
    for axis in (0, 1, 2):
        assert_same(fb.hash_tensor(t, axis), np.bitwise_xor.reduce(wide, axis))
        assert_same(
            t.transpose(0, 1).hash_tensor(axis, keepdim=True),
            np.bitwise_xor.reduce(wide.swapaxes(0, 1), axis, keepdims=True),
        )
    assert_same(t.hash_tensor((0, 2)), np.bitwise_xor.reduce(wide, (0, 2)))
    assert_same(t.hash_tensor(), np.bitwise_xor.reduce(wide, None))
    assert_same(t[0, 0, 0].hash_tensor(), wide[0, 0, 0])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: fb.hash_tensor(x, mode=1), RuntimeError, "mode: 1"),
        (lambda x: fb.hash_tensor(x, 5), IndexError, "5"),
        (lambda x: fb.hash_tensor(x, (0, 0)), RuntimeError, "multiple times"),
        (lambda x: fb.hash_tensor(fb.empty(0)), RuntimeError, "numel"),
        (lambda x: fb.hash_tensor(fb.empty(2, 0), 1), IndexError, "non-zero size"),
        (lambda x: fb.hash_tensor(x * 1j), NotImplementedError, "complex64"),
    ],
)
def test_hash_tensor_rejects_invalid_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call(fb.ones(2, 3))
