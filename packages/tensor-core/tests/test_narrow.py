"""Elements of one or two bytes: pointwise operators without conversion, and reductions that convert while reading."""

import itertools
import operator

import numpy as np
import pytest
from scipy import special

import flambeau as fb

LENGTHS = (1, 15, 33, 64, 1000, 5003)  # less than a vector, several vectors with a remainder, several blocks
INTEGERS = ("int8", "uint8", "int16")
# NumPy references in 64 bits, whose results are then reduced modulo 2**n.
WRAPPING = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "bitwise_and": np.bitwise_and,
    "bitwise_or": np.bitwise_or,
    "bitwise_xor": np.bitwise_xor,
}
UNARY = {"neg": np.negative, "abs": np.abs, "sign": np.sign, "square": np.square, "bitwise_not": np.invert}
COMPARISONS = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater}
LOGICAL = {"logical_and": np.logical_and, "logical_or": np.logical_or, "logical_xor": np.logical_xor}


def whole_range(dtype, length, seed):
    info = np.iinfo(dtype)
    return np.random.default_rng(seed).integers(info.min, info.max + 1, length).astype(dtype)


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("length", LENGTHS)
def test_functions_of_narrow_integers_match_numpy(dtype, length):
    x, y = whole_range(dtype, length, 1), whole_range(dtype, length, 2)
    wide_x, wide_y = x.astype("int64"), y.astype("int64")
    a, b = fb.from_numpy(x), fb.from_numpy(y)
    for name, reference in (WRAPPING | COMPARISONS | LOGICAL).items():
        want = reference(wide_x, wide_y)
        got = getattr(fb, name)(a, b).numpy()
        np.testing.assert_array_equal(got, want if want.dtype == bool else want.astype(dtype), name)
    for name, reference in UNARY.items():
        np.testing.assert_array_equal(getattr(fb, name)(a).numpy(), reference(wide_x).astype(dtype), name)
    limits = np.iinfo(dtype)
    for low, high in ((3, 90), (limits.min, limits.max), (-1000, 70000)):
        np.testing.assert_array_equal(fb.clamp(a, low, high).numpy(), np.clip(wide_x, low, high).astype(dtype))
    for number in (1, 100, limits.max, limits.min, -3, 300, 40000):
        np.testing.assert_array_equal((a + number).numpy(), (wide_x + number).astype(dtype))
        np.testing.assert_array_equal((a * number).numpy(), (wide_x * number).astype(dtype))
        np.testing.assert_array_equal((a > number).numpy(), wide_x > number)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_shifts_by_any_count_match_numpy(dtype):
    bits = np.iinfo(dtype).bits
    x = whole_range(dtype, 4096, 3)
    for count in range(bits + 3):
        wide = x.astype("int64")
        got = (fb.from_numpy(x) << count, fb.from_numpy(x) >> count)
        np.testing.assert_array_equal(got[0].numpy(), (wide << count).astype(dtype))
        np.testing.assert_array_equal(got[1].numpy(), (wide >> count).astype(dtype))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_shifts_by_elementwise_counts_match_numpy(dtype):
    bits = np.iinfo(dtype).bits
    x, count = whole_range(dtype, 5003, 10), np.random.default_rng(11).integers(0, bits + 3, 5003)
    wide, shifts = x.astype("int64"), fb.from_numpy(count.astype(dtype))
    np.testing.assert_array_equal((fb.from_numpy(x) << shifts).numpy(), (wide << count).astype(dtype))
    np.testing.assert_array_equal((fb.from_numpy(x) >> shifts).numpy(), (wide >> count).astype(dtype))
    if dtype != "uint8":  # negative counts shift out all bits
        np.testing.assert_array_equal((fb.from_numpy(x) << -1 - shifts).numpy(), 0)
        np.testing.assert_array_equal((fb.from_numpy(x) >> -1 - shifts).numpy(), -(wide < 0).astype(dtype))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integer_powers_wrap(dtype):
    info = np.iinfo(dtype)
    x = np.unique(np.concatenate([np.arange(max(info.min, -9), 10), whole_range(dtype, 200, 12), [info.min, info.max]]))
    y = np.arange(-3 if info.min < 0 else 0, 100)
    base, exponent = (a.ravel() for a in np.meshgrid(x, y))

    def power(a, b):
        return pow(a, b, 1 << info.bits) if b >= 0 else {1: 1, -1: (-1) ** -b}.get(a, 0)

    want = np.array([power(int(a), int(b)) for a, b in zip(base, exponent, strict=True)], dtype="int64").astype(dtype)
    got = fb.from_numpy(base.astype(dtype)) ** fb.from_numpy(exponent.astype(dtype))
    np.testing.assert_array_equal(got.numpy(), want)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_numbers_outside_the_range_of_a_narrow_dtype_wrap(dtype):
    x, y = whole_range(dtype, 1000, 13), whole_range(dtype, 1000, 14)
    a, b = fb.from_numpy(x), fb.from_numpy(y)
    for factor in (2, -2, 300, -40000):
        want = x.astype("int64") + factor * y.astype("int64")
        np.testing.assert_array_equal(fb.add(a, b, alpha=factor).numpy(), want.astype(dtype))
        np.testing.assert_array_equal(fb.sub(a, b, alpha=-factor).numpy(), want.astype(dtype))
        np.testing.assert_array_equal((b * factor).numpy(), (factor * y.astype("int64")).astype(dtype))
        np.testing.assert_array_equal((b == factor).numpy(), y.astype("int64") == factor)


@pytest.mark.parametrize("dtype", [*INTEGERS, "int32", "int64"])
def test_fractional_powers_of_integers_are_computed_in_float32(dtype):
    x = whole_range(dtype, 3000, 15)
    t = fb.from_numpy(x)
    with np.errstate(all="ignore"):
        for exponent in (0.5, -0.5, -1.0):
            got = t**exponent
            assert got.dtype == fb.float32
            np.testing.assert_allclose(got.numpy(), x.astype("float64") ** exponent, rtol=1e-6)


@pytest.mark.parametrize("length", LENGTHS)
def test_nonzero_bytes_are_true(length):
    bytes_ = np.random.default_rng(4).choice(np.array([0, 1, 2, 128, 255], "uint8"), (2, length))
    a, b = (fb.from_numpy(row.view(bool)) for row in bytes_)
    x, y = bytes_ != 0
    for got, want in (
        (a & b, x & y),
        (a | b, x | y),
        (a ^ b, x ^ y),
        (~a, ~x),
        (a + b, x | y),
        (a * b, x & y),
        (a == b, x == y),
        (a < b, x < y),
        (fb.maximum(a, b), x | y),
        (fb.where(a, b, ~b), np.where(x, y, ~y)),
    ):
        assert got.dtype == fb.bool
        np.testing.assert_array_equal(got.numpy().view("uint8"), want.view("uint8"))


def rounded(values, dtype):
    """Return the bits of float32 values rounded to a half-precision dtype, to the nearest with ties to even."""
    if dtype == "float16":
        with np.errstate(over="ignore"):
            return values.astype("float16").view("uint16")
    bits = values.view("uint32")
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("uint16")


def halves(dtype, length, seed):
    """Return a half-precision tensor with values of every magnitude, and its values in float32."""
    rng = np.random.default_rng(seed)
    values = (rng.standard_normal(length) * 10.0 ** rng.integers(-7, 4, length)).astype("float32")
    tensor = fb.from_numpy(values).to(getattr(fb, dtype))
    return tensor, tensor.to(fb.float32).numpy()


def bits_of(tensor):
    return tensor.view(fb.int16).numpy().view("uint16")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("length", LENGTHS)
def test_half_precision_functions_compute_in_float32_and_round_once(dtype, length):
    (a, x), (b, y) = halves(dtype, length, 5), halves(dtype, length, 6)
    np.testing.assert_array_equal(bits_of(fb.from_numpy(x).to(getattr(fb, dtype))), rounded(x, dtype))
    with np.errstate(over="ignore"):
        for got, want in (
            (a + b, x + y),
            (a * b, x * y),
            (a / fb.where(b == 0, 1, b), x / np.where(y == 0, np.float32(1), y)),
            (a + 0.1, x + np.float32(0.1)),
            (a * 1e-3, x * np.float32(1e-3)),
            (fb.clamp(a, 0.1, 2), np.clip(x, np.float32(0.1), np.float32(2))),
            (fb.sqrt(abs(a)), np.sqrt(np.abs(x))),
            (fb.floor(a), np.floor(x)),
            (-a, -x),
            (fb.add(a, b, alpha=0.3), np.float32(np.float64(x) + np.float64(np.float32(0.3)) * y)),
            (
                fb.div(a, fb.where(b == 0, 1, b), rounding_mode="trunc"),
                np.trunc(x / np.where(y == 0, np.float32(1), y)),
            ),
        ):
            np.testing.assert_array_equal(bits_of(got), rounded(want, dtype))
    np.testing.assert_array_equal(fb.maximum(a, b).to(fb.float32).numpy(), np.maximum(x, y))
    np.testing.assert_array_equal((a < b).numpy(), x < y)
    np.testing.assert_array_equal((a > 0.1).numpy(), x > fb.tensor(0.1, dtype=getattr(fb, dtype)).float().numpy())
    a += b
    np.testing.assert_array_equal(bits_of(a), rounded(x + y, dtype))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("offset", [1, 2, 3])
def test_half_precision_vectors_may_start_at_any_memory_offset(dtype, offset):
    (a, x), (b, y) = halves(dtype, 1000, 20), halves(dtype, 1000, 21)
    product, less = a[offset:] * b[:-offset], a[offset:] < b[:-offset]
    np.testing.assert_array_equal(bits_of(product), rounded(x[offset:] * y[:-offset], dtype))
    np.testing.assert_array_equal(less.numpy(), x[offset:] < y[:-offset])
    before = bits_of(a)[:offset].copy()
    a[offset:] += 0.5
    np.testing.assert_array_equal(bits_of(a)[:offset], before)
    np.testing.assert_array_equal(bits_of(a)[offset:], rounded(x[offset:] + np.float32(0.5), dtype))


def test_nan_results_in_bfloat16_have_one_bit_pattern():
    x, y = fb.ones(2, 100, dtype=fb.bfloat16)
    x[::3], y[::3] = float("inf"), -float("inf")
    want = np.full(100, 0x4000)  # 2
    want[::3] = 0x7FC0
    np.testing.assert_array_equal(bits_of(x + y), want)


def test_every_float16_converts_exactly():
    bits = np.arange(1 << 16, dtype="uint16")
    numbers = bits.view("float16")
    tensor = fb.from_numpy(numbers)
    np.testing.assert_array_equal(tensor.to(fb.float32).numpy(), numbers.astype("float32"))
    np.testing.assert_array_equal(tensor.to(fb.float64).numpy(), numbers.astype("float64"))
    finite = np.isfinite(numbers)
    back = bits_of(tensor.to(fb.float32).to(fb.float16))
    np.testing.assert_array_equal(back[finite], bits[finite])
    assert fb.isnan(tensor).sum() == np.isnan(numbers).sum()


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8"])
def test_functions_of_long_byte_vectors_match_numpy(dtype):
    few = (
        fb.from_numpy(np.arange(256, dtype="uint8")).view(getattr(fb, dtype))
        if dtype != "bool"
        else fb.tensor([False, True])
    )
    many = few.repeat(40)[: 2 * 2500]
    for name in ("sin", "exp", "sqrt", "sigmoid", "lgamma", "erf"):
        got, want = getattr(fb, name)(many), getattr(fb, name)(few)
        assert got.dtype == fb.float32
        np.testing.assert_array_equal(got.numpy(), np.resize(want.numpy(), len(got)))
    np.testing.assert_allclose(fb.sin(many).numpy(), np.sin(many.numpy().astype("float64")), atol=1e-6)
    out = fb.empty(len(many), dtype=fb.float64)
    np.testing.assert_allclose(fb.cos(many, out=out).numpy(), np.cos(many.numpy().astype("float32")), atol=1e-6)


FUNCTIONS = {  # functions of one tensor, and their references in NumPy or SciPy (double precision)
    "sin": (fb.sin, np.sin),
    "sigmoid": (fb.sigmoid, special.expit),
    "lgamma": (fb.lgamma, special.gammaln),
    "erf": (fb.erf, special.erf),
    "pow": (lambda x: x**0.7, lambda x: np.power(x, 0.7)),
    "number": (lambda x: fb.pow(0.7, x), lambda x: np.power(0.7, x)),
    "polynomial": (lambda x: fb.special.chebyshev_polynomial_t(x, 3), lambda x: special.eval_chebyt(3, x)),
}


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "float16", "bfloat16"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_long_vectors_give_the_same_values_as_single_elements(dtype, name):
    function, reference = FUNCTIONS[name]
    bits = 8 if dtype.endswith("8") else 16
    every = fb.from_numpy(np.arange(1 << bits, dtype=f"uint{bits}")[::-1].copy()).view(getattr(fb, dtype))
    many, values = every.repeat(5 if bits == 16 else 20), every.to(fb.float64).numpy()
    with np.errstate(all="ignore"):
        want = reference(values)
    got = function(many)
    assert got.dtype == (many.dtype if many.dtype.is_floating_point else fb.float32)
    usual = np.resize(np.abs(values) < 1000, len(many))  # beyond this range, the references differ in NaN
    wanted = fb.from_numpy(np.resize(want, len(many))).to(got.dtype).to(fb.float64).numpy()
    tolerance = {"float16": 2**-9, "bfloat16": 2**-6}.get(dtype, 2e-5)
    np.testing.assert_allclose(got.to(fb.float64).numpy()[usual], wanted[usual], rtol=tolerance, atol=2**-23)
    threads = fb.get_num_threads()
    try:
        fb.set_num_threads(3)
        np.testing.assert_array_equal(function(many).to(fb.float64).numpy(), got.to(fb.float64).numpy())
    finally:
        fb.set_num_threads(threads)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(
    ("shape", "dim"), [*itertools.product([(7, 700), (700, 7), (33, 65), (3, 40000)], [0, 1, None])]
)
def test_reductions_of_half_precision_match_float64(dtype, shape, dim):
    tensor, values = halves(dtype, shape[0] * shape[1], 7)
    tensor, values = tensor.reshape(shape), values.reshape(shape).astype("float64")
    sums = fb.sum(tensor, dim, dtype=fb.float32) if dim is not None else fb.sum(tensor, dtype=fb.float32)
    np.testing.assert_allclose(sums.numpy(), values.sum(dim), atol=1e-6 * np.abs(values).sum(dim).max())
    dims = () if dim is None else (dim,)
    for name, reference in (("amax", np.max), ("amin", np.min)):
        got = getattr(fb, name)(tensor, dims)
        np.testing.assert_array_equal(got.to(fb.float64).numpy(), reference(values, dim))
    for name, reference in (("argmax", np.argmax), ("argmin", np.argmin)):
        np.testing.assert_array_equal(getattr(fb, name)(tensor, *dims).numpy(), reference(values, dim))
    deviation = fb.std(tensor, *dims).to(fb.float64).numpy()
    np.testing.assert_allclose(deviation, values.std(dim, ddof=1), rtol=2**-7, atol=2**-24)


SHAPES = [(7, 100), (9, 1000), (3, 9001), (1, 20000), (50, 40), (5000, 70), (3, 65, 130)]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("shape", SHAPES)
def test_softmax_of_half_precision_matches_float64(dtype, shape):
    x = fb.from_numpy(np.random.default_rng(16).standard_normal(shape).astype("float32") * 3).to(getattr(fb, dtype))
    values = x.to(fb.float64).numpy()
    unit = {"float16": 2**-11, "bfloat16": 2**-8}[dtype]
    for dim in range(len(shape)):
        np.testing.assert_allclose(
            fb.softmax(x, dim).to(fb.float64).numpy(), special.softmax(values, dim), rtol=1.1 * unit, atol=2**-25
        )
        np.testing.assert_allclose(
            fb.log_softmax(x, dim).to(fb.float64).numpy(), special.log_softmax(values, dim), rtol=1.1 * unit, atol=1e-6
        )


@pytest.mark.parametrize("length", [100, 9001])
def test_softmax_of_half_precision_is_correct_with_infinities(length):
    x = fb.zeros(3, length, dtype=fb.bfloat16)
    x[0, ::2] = x[2] = -float("inf")
    x[1, 7] = float("inf")
    for y in (fb.softmax(x, 1), fb.softmax(x.t().contiguous(), 0).t()):
        assert bool(fb.isnan(y[1:]).all())
        np.testing.assert_array_equal(y[0, ::2].to(fb.float32).numpy(), 0)
        np.testing.assert_allclose(y[0, 1::2].to(fb.float32).numpy(), 1 / (length // 2), rtol=2**-8)
    assert bool(fb.isnan(fb.log_softmax(x, 1)[1:]).all())


@pytest.mark.parametrize("dtype", [*INTEGERS, "bool", "float16", "bfloat16"])
@pytest.mark.parametrize("shape", [(3, 9001), (20, 700), (2, 30), (300, 40)])
def test_cumsum_and_cumprod_of_narrow_dtypes_match_numpy(dtype, shape):
    rng = np.random.default_rng(17)
    whole = rng.integers(0, 2, shape) if dtype == "bool" else rng.integers(1, 4, shape)
    tensor = fb.from_numpy(whole).to(getattr(fb, dtype))
    exact = np.cumsum(whole, 1)
    got = fb.cumsum(tensor, 1)
    if tensor.dtype.is_floating_point:
        assert got.dtype == tensor.dtype
        np.testing.assert_array_equal(bits_of(got), rounded(exact.astype("float32"), dtype))
    else:
        np.testing.assert_array_equal(got.numpy(), exact)
        np.testing.assert_array_equal(fb.cumprod(tensor, 1).numpy(), np.cumprod(whole, 1))
        np.testing.assert_array_equal(fb.cumsum(tensor, 1, dtype=fb.int32).numpy(), exact)


def test_cummax_and_cummin_of_bfloat16_match_numpy():
    values = np.random.default_rng(18).integers(-40, 40, (3, 5000)).astype("float32")
    values[1, 3000], values[2, ::7] = np.nan, -0.0
    tensor = fb.from_numpy(values).to(fb.bfloat16)
    for dim in (0, 1):
        for function, reference in ((fb.cummax, np.maximum), (fb.cummin, np.minimum)):
            running, last = function(tensor, dim)
            want = reference.accumulate(values, dim)
            np.testing.assert_array_equal(running.to(fb.float32).numpy(), want)
            np.testing.assert_array_equal(np.take_along_axis(values, last.numpy(), dim), want)


@pytest.mark.parametrize("dtype", [*INTEGERS, "bool"])
@pytest.mark.parametrize("shape", [(7, 700), (700, 7), (33, 65), (3, 4000), (600, 300)])
def test_max_and_min_of_narrow_integers_match_numpy(dtype, shape):
    count = shape[0] * shape[1]
    values = (whole_range(dtype, count, 8) if dtype != "bool" else whole_range("uint8", count, 8) > 127).reshape(shape)
    tensor = fb.from_numpy(values)
    for dim in (0, 1):
        np.testing.assert_array_equal(fb.argmax(tensor, dim).numpy(), values.argmax(dim))
        np.testing.assert_array_equal(fb.argmin(tensor, dim).numpy(), values.argmin(dim))
        largest, places = fb.max(tensor, dim)
        np.testing.assert_array_equal(largest.numpy(), values.max(dim))
        np.testing.assert_array_equal(
            np.take_along_axis(values, np.expand_dims(places.numpy(), dim), dim).squeeze(dim), values.max(dim)
        )
        running, last = fb.cummax(tensor, dim)
        want = np.maximum.accumulate(values, dim)
        np.testing.assert_array_equal(running.numpy(), want)
        np.testing.assert_array_equal(np.take_along_axis(values, last.numpy(), dim), want)
        assert running.dtype == tensor.dtype
        np.testing.assert_array_equal(fb.cummin(tensor, dim)[0].numpy(), np.minimum.accumulate(values, dim))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "bool", "uint8", "complex64"])
def test_full_and_fill_write_narrow_dtypes(dtype):
    made = fb.full((3, 700), 1, dtype=getattr(fb, dtype))
    assert bool((made == 1).all())
    made[:, ::3].fill_(0)
    assert bool((made[:, ::3] == 0).all()) and bool((made[:, 1::3] == 1).all())


@pytest.mark.parametrize("dtype", ["int8", "int16", "float16"])
def test_functions_of_short_strided_rows_match_numpy(dtype):
    values = whole_range("int8", 60 * 10, 9).reshape(60, 10).astype(dtype)
    tensor = fb.from_numpy(values)
    for columns in (slice(0, 3), slice(1, 10, 3), slice(9, None)):
        part = fb.as_strided(
            tensor, values[:, columns].shape, [s // values.itemsize for s in values[:, columns].strides], columns.start
        )
        np.testing.assert_array_equal((part + 1).numpy(), values[:, columns] + values.dtype.type(1))
        np.testing.assert_array_equal((part < part.flip(0)).numpy(), values[:, columns] < values[::-1, columns])


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_digamma_of_long_integer_vectors_matches_scipy(dtype):
    generator = np.random.default_rng(19)
    for least, largest in ((-9, 99), (-40000, 25000), (-(2**31), 2**31 - 1)):
        x = generator.integers(least, largest, 300_000, endpoint=True).astype(dtype)
        x[:300] = generator.integers(0, 3, 300)
        got = fb.digamma(fb.from_numpy(x)).numpy()
        assert got.dtype == np.float32
        want = special.digamma(x.astype("float32").astype("float64"))
        want[x == 0] = -np.inf  # zero counts as positive, as in PyTorch
        np.testing.assert_allclose(got, np.where(x < 0, np.nan, want), rtol=1e-6)


@pytest.mark.parametrize("operation", [operator.sub, operator.mul, operator.truediv])
@pytest.mark.parametrize("number", [1, 0.5, 0.1, 3e5, -0.0, float("inf"), float("nan")])
@pytest.mark.parametrize("shape", [(33,), (5003,), (3, 1, 900)])
def test_operators_with_a_number_before_half_precision_round_once(operation, number, shape):
    """Test that an operation with a number computes in float32 and rounds once, for any number."""
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float16)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = operation(np.float32(number), x.astype(np.float32)).astype(np.float16)
    result = operation(number, fb.tensor(x))
    assert result.dtype == fb.float16
    np.testing.assert_array_equal(result.numpy(), expected)
    assert np.isnan(number) or np.array_equal(np.signbit(result.numpy()), np.signbit(expected))
