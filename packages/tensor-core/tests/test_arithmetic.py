"""Tests of Python's operators, and of what test_pointwise.py does not cover: integers, extremes, numbers, promotion."""

import operator

import numpy as np
import pytest
from scipy import special

import flambeau as fb

FLOATS = ["float32", "float64"]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOAT_OPERATORS = ["add", "sub", "mul", "truediv", "floordiv", "mod", "lt", "le", "gt", "ge", "eq", "ne"]
INTEGER_OPERATORS = ["and_", "or_", "xor", "lshift", "rshift", "floordiv", "mod", "pow"]


@pytest.mark.parametrize(
    ("names", "a", "b"),
    [
        (FLOAT_OPERATORS, np.array([7, -7, 3.5], np.float32), np.array([2, 2, -2], np.float32)),
        (INTEGER_OPERATORS, np.array([6, -5, 12]), np.array([3, 4, 1])),
    ],
)
def test_python_operators_of_tensors_match_numpy(names, a, b):
    x, y = fb.tensor(a), fb.tensor(b)
    for name in names:
        function = getattr(operator, name)
        assert np.array_equal(function(x, y).numpy(), function(a, b)), name
        assert np.array_equal(function(x, 3).numpy(), function(a, 3)), name
        if name not in ("lshift", "rshift", "pow"):  # shifts and powers by a negative number are undefined
            assert np.array_equal(function(3, x).numpy(), function(3, a)), name
        in_place = getattr(operator, "i" + name.rstrip("_"), None)
        if in_place:
            changed, want = x.clone(), a.copy()
            assert in_place(changed, y) is changed, name
            assert np.array_equal(changed.numpy(), in_place(want, b)), name
    assert np.array_equal((-x).numpy(), -a)
    assert np.array_equal((~(x > 0)).numpy(), ~(a > 0))
    assert np.array_equal(abs(x).numpy(), abs(a))
    assert +x is x
    if a.dtype.kind == "i":
        assert np.array_equal((~x).numpy(), ~a)


def test_integer_arithmetic_wraps():
    for dtype in INTEGERS:
        info = np.iinfo(dtype)
        x = fb.tensor(np.array([info.max, info.min], dtype))
        assert (x + 1).numpy()[0] == info.min
        assert (x - 1).numpy()[1] == info.max
        assert np.array_equal((x * 3).numpy(), np.array([info.max, info.min], dtype) * np.array(3, dtype))


def test_division_of_the_smallest_integers_wraps():
    for dtype in ("int32", "int64"):
        low = np.iinfo(dtype).min
        x = fb.tensor(np.array([low], dtype))
        assert (x // -1).item() == low
        assert (x % -1).item() == 0
        assert (x // 2).item() == low // 2


@pytest.mark.parametrize(
    ("function", "arguments", "want"),
    [
        (fb.add, (fb.tensor([1.0]), fb.tensor([2.0])), [6.0]),
        (fb.sub, (fb.tensor([1.0]), fb.tensor([2.0])), [-4.0]),
    ],
)
def test_alpha_scales_the_second_operand(function, arguments, want):
    assert function(*arguments, alpha=2.5).tolist() == want


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("low", [None, -3.0, 0.0, np.inf])
@pytest.mark.parametrize("high", [None, 5.0, 3.0, -np.inf])
@pytest.mark.parametrize("nan", [0.0, 7.0, np.inf])
def test_nan_to_num_matches_numpy(nan, high, low, dtype):
    values = np.array([1, -np.inf, np.nan, np.inf, -2, np.inf, -np.inf, 0, np.nan], dtype)
    got = fb.nan_to_num(fb.tensor(values), nan=nan, posinf=high, neginf=low)
    assert np.array_equal(got.numpy(), np.nan_to_num(values, nan=nan, posinf=high, neginf=low))


def test_clamp_and_other_composite_operators_match_numpy():
    x = fb.tensor([-3.0, -0.5, 0.5, 7.0])
    a = x.numpy().astype(np.float64)
    assert fb.clamp(x, -1, 1).tolist() == [-1, -0.5, 0.5, 1]
    assert fb.clamp(x, max=0).tolist() == [-3, -0.5, 0, 0]
    assert fb.clamp(x, min=fb.zeros(4)).tolist() == [0, 0, 0.5, 7]
    assert fb.div(x, 2, rounding_mode="floor").tolist() == np.floor(a / 2).tolist()
    assert fb.div(x, 2, rounding_mode="trunc").tolist() == np.trunc(a / 2).tolist()
    assert fb.round(fb.tensor([1.234, -5.678]), decimals=1).tolist() == pytest.approx([1.2, -5.7])
    np.testing.assert_allclose(fb.gelu(x).numpy(), a * special.ndtr(a), rtol=1e-6, atol=1e-6)
    tanh = 0.5 * a * (1 + np.tanh(np.sqrt(2 / np.pi) * (a + 0.044715 * a**3)))
    np.testing.assert_allclose(fb.gelu(x, approximate="tanh").numpy(), tanh, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(fb.softplus(x).numpy(), np.log1p(np.exp(a)), rtol=1e-6)
    np.testing.assert_allclose(
        fb.softplus(x, beta=2, threshold=3).numpy(), np.where(2 * a > 3, a, np.log1p(np.exp(2 * a)) / 2), rtol=1e-6
    )
    np.testing.assert_allclose(fb.leaky_relu(x, 0.2).numpy(), np.where(a > 0, a, 0.2 * a), rtol=1e-6)
    assert fb.addcmul(x, x, x, value=2).tolist() == pytest.approx((a + 2 * a * a).tolist())
    assert fb.addcdiv(x, x, fb.full((4,), 4.0), value=2).tolist() == pytest.approx((a + a / 2).tolist())
    assert fb.where(x > 0, x, 0.0).tolist() == [0, 0, 0.5, 7]
    assert x.masked_fill(x > 0, -1).tolist() == [-3, -0.5, -1, -1]
    assert fb.tensor([1, 2]).masked_fill(fb.tensor([True, False]), 9).tolist() == [9, 2]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["fmod", "remainder", "floor_divide"])
def test_remainders_and_floor_division_match_numpy(name, dtype):
    """Test quotients of all sizes and near integers, including those that are too large for the fast loop."""
    rng = np.random.default_rng(5)
    y = rng.standard_normal(3000)
    x = y * rng.integers(-(2**20), 2**20, 3000) + rng.choice([0, 1e-6, -1e-6, 0.3], 3000)
    x[1500:2000] = np.ldexp(rng.standard_normal(500), rng.integers(-30, 60, 500))
    limits = np.finfo(dtype)
    edges = np.array([0.0, 1, 3, np.inf, np.nan, limits.max, limits.tiny, limits.smallest_subnormal])
    edges = np.concatenate([edges, -edges])
    pairs = np.meshgrid(edges, edges[edges != 0])
    x, y = (np.concatenate([a, edge.ravel()]).astype(dtype) for a, edge in zip((x, y), pairs, strict=True))
    with np.errstate(all="ignore"):
        want = {"fmod": np.fmod, "remainder": np.remainder, "floor_divide": np.floor_divide}[name](x, y)
    got = getattr(fb, name)(fb.from_numpy(x), fb.from_numpy(y)).numpy()
    finite = np.isfinite(y)  # for infinite divisors, NumPy's and PyTorch's remainders differ
    np.testing.assert_array_equal(got[finite], want[finite])


@pytest.mark.parametrize("dtype", FLOATS)
def test_nextafter_matches_numpy(dtype):
    limits = np.finfo(dtype)
    values = [0.0, 1, 1.5, np.inf, np.nan, limits.max, limits.tiny, limits.smallest_subnormal, -1 / 3]
    values = np.array(values + [-v for v in values], dtype)
    x, y = np.meshgrid(values, values)
    with np.errstate(all="ignore"):
        want = np.nextafter(x, y)
    got = fb.nextafter(fb.from_numpy(x), fb.from_numpy(y)).numpy()
    np.testing.assert_array_equal(got, want)
    numbers = ~np.isnan(want)  # the sign of NaN is not specified
    np.testing.assert_array_equal(np.signbit(got)[numbers], np.signbit(want)[numbers])


@pytest.mark.parametrize("name", ["sign", "sgn"])
@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.float16, fb.bfloat16])
def test_the_sign_of_nan_is_zero(name, dtype):
    x = fb.tensor([float("nan"), -float("nan"), -2.0, 0.0, 3.0] * 20, dtype=dtype)
    assert getattr(fb, name)(x).tolist() == [0, 0, -1, 0, 1] * 20


def test_addcmul_of_integers_truncates_its_factor():
    x = fb.tensor([1, 2, 3], dtype=fb.int32)
    got = fb.addcmul(x, x, x, value=2.7)
    assert got.dtype == fb.int32
    assert got.tolist() == [3, 10, 21]


def test_operators_accept_a_number_as_first_operand():
    t = fb.tensor([1.0, 2.0, 3.0])
    assert operator.lt(2, t).tolist() == [False, False, True]
    assert operator.eq(2, t).tolist() == [False, True, False]
    assert (2**t).tolist() == [2, 4, 8]
    for rejected in (
        lambda: fb.eq(2, t),
        lambda: fb.clamp_max(2, t),
        lambda: fb.rsub(2, t),
        lambda: fb.pow(2, 3),
        lambda: fb.ldexp(t, 2),
        lambda: t.maximum(2),
        lambda: fb.mul_(2, t),
    ):
        with pytest.raises(TypeError, match="Tensor"):
            rejected()


@pytest.mark.parametrize(
    ("base", "exponent", "dtype"),
    [
        (fb.tensor([2, 3]), 2, fb.int64),
        (fb.tensor([2, 3]), 2.0, fb.float32),
        (fb.tensor([True]), 2, fb.int64),
        (fb.tensor([2.0]), 2, fb.float32),
        (fb.tensor([2, 3], dtype=fb.int8), 2, fb.int8),
        (fb.tensor([4.0]), 0.5, fb.float32),
    ],
)
def test_pow_promotes_like_every_binary_operator(base, exponent, dtype):
    result = base**exponent
    assert result.dtype is dtype
    np.testing.assert_allclose(result.numpy(), base.numpy().astype(float) ** exponent)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["selu", "elu", "celu"])
def test_selu_elu_and_celu_match_numpy_with_few_negative_values(name, dtype):
    x = np.abs(np.random.default_rng(1).standard_normal(3000)).astype(dtype) + dtype(0.1)
    x[[600, 1300, 2999]] = -0.5, np.nan, 0
    row = fb._core._rows[name]
    operands = {"selu": (x,), "elu": (x, np.full_like(x, 0.7), np.full_like(x, 1.3)), "celu": (x, np.full_like(x, 0.7))}
    tensors = [fb.from_numpy(a) for a in operands[name]]
    got = row(*tensors).numpy()
    scale, alpha = {"selu": (1.0507009873554805, 1.6732632423543772), "elu": (1.3, 0.7), "celu": (1, 0.7)}[name]
    inner = x / alpha if name == "celu" else x
    want = scale * np.where(x > 0, x, alpha * np.expm1(inner))
    np.testing.assert_allclose(got, want, rtol=1e-6 if dtype == np.float32 else 1e-14)


def test_uint8_compares_correctly_with_numbers_outside_its_range():
    x = np.arange(256, dtype=np.uint8)
    t = fb.tensor(x)
    for number in (-1, 0, 255, 256, 300):
        for compare in (operator.eq, operator.lt, operator.ge):
            assert np.array_equal(compare(t, number).numpy(), compare(x.astype(int), number))
        assert np.array_equal((t + number).numpy(), (x.astype(int) + number).astype(np.uint8))
        assert np.array_equal(t.maximum(t.flip(0)).numpy(), np.maximum(x, x[::-1]))


def test_nonzero_bytes_of_shared_memory_count_as_true():
    mask = np.array([0, 1, 2, 255], np.uint8).view(bool)
    t, other = fb.from_numpy(mask), fb.tensor([True, True, True, True])
    assert (t & other).tolist() == (t == other).tolist() == [False, True, True, True]
    assert (t ^ other).tolist() == (~t).tolist() == [True, False, False, False]


@pytest.mark.parametrize("dtype", FLOATS)
def test_frexp_matches_numpy_for_numbers_of_every_size(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.array([0.0, -0.0, 1.0, -3.5, 1e-30, tiny, -7 * tiny, np.finfo(dtype).max, np.inf, -np.inf, np.nan], dtype)
    parts = fb.frexp(fb.tensor(x))
    mantissa, exponent = parts.mantissa, parts.exponent
    want, powers = np.frexp(x)
    assert np.array_equal(mantissa.numpy(), want, equal_nan=True)
    assert np.array_equal(exponent.numpy(), np.where(np.isfinite(x), powers, 0))


def test_conj_physical_of_real_numbers_is_the_tensor_itself():
    x = fb.ones(3)
    assert x.conj_physical().data_ptr() == x.data_ptr()


@pytest.mark.parametrize(("dtype", "least", "largest"), [("float32", -103, -87), ("float64", -744, -708)])
def test_sigmoid_underflows_gradually(dtype, least, largest):
    x = np.linspace(least, largest, 3000).astype(dtype)
    want = np.exp(x.astype(np.longdouble))
    got = fb.from_numpy(np.concatenate([x, -x])).sigmoid().numpy()
    assert np.max(np.abs(got[:3000] - want) / np.spacing(want.astype(dtype))) <= 3
    assert np.all(got[3000:] == 1)
    assert fb.tensor([least - 3.0, -np.inf], dtype=getattr(fb, dtype)).sigmoid().tolist() == [0, 0]
