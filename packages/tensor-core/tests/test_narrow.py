"""Elements of one or two bytes: the rows over them as they lie in memory, and reductions that convert as they read."""

import itertools

import numpy as np
import pytest
from scipy import special

import flambeau as fb

LENGTHS = (1, 15, 33, 64, 1000, 5003)  # parts of a vector, vectors and a part, several blocks
INTEGERS = ("int8", "uint8", "int16")
# What an operator gives modulo 2**n, with NumPy in 64 bits.
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
def test_integers_of_the_whole_range(dtype, length):
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
def test_shifts_by_any_count(dtype):
    bits = np.iinfo(dtype).bits
    x = whole_range(dtype, 4096, 3)
    for count in range(bits + 3):
        wide = x.astype("int64")
        got = (fb.from_numpy(x) << count, fb.from_numpy(x) >> count)
        np.testing.assert_array_equal(got[0].numpy(), (wide << count).astype(dtype))
        np.testing.assert_array_equal(got[1].numpy(), (wide >> count).astype(dtype))


@pytest.mark.parametrize("length", LENGTHS)
def test_any_byte_but_zero_is_true(length):
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
    """float32 values as elements of a half dtype: to the nearest, ties to even, in NumPy or by their bits."""
    if dtype == "float16":
        with np.errstate(over="ignore"):
            return values.astype("float16").view("uint16")
    bits = values.view("uint32")
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("uint16")


def halves(dtype, length, seed):
    """A tensor with numbers of every size, and the same in float32."""
    rng = np.random.default_rng(seed)
    values = (rng.standard_normal(length) * 10.0 ** rng.integers(-7, 4, length)).astype("float32")
    tensor = fb.from_numpy(values).to(getattr(fb, dtype))
    return tensor, tensor.to(fb.float32).numpy()


def bits_of(tensor):
    return tensor.view(fb.int16).numpy().view("uint16")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("length", LENGTHS)
def test_halves_are_computed_in_float32_and_rounded_once(dtype, length):
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
        ):
            np.testing.assert_array_equal(bits_of(got), rounded(want, dtype))
    np.testing.assert_array_equal(fb.maximum(a, b).to(fb.float32).numpy(), np.maximum(x, y))
    np.testing.assert_array_equal((a < b).numpy(), x < y)
    np.testing.assert_array_equal((a > 0.1).numpy(), x > np.float32(0.1))
    a += b
    np.testing.assert_array_equal(bits_of(a), rounded(x + y, dtype))


def test_every_float16_there_and_back():
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
def test_functions_of_many_bytes(dtype):
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


FUNCTIONS = {  # of one tensor, with what NumPy or SciPy gives in double precision
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
def test_values_of_many_elements_are_those_of_each(dtype, name):
    function, reference = FUNCTIONS[name]
    bits = 8 if dtype.endswith("8") else 16
    every = fb.from_numpy(np.arange(1 << bits, dtype=f"uint{bits}")[::-1].copy()).view(getattr(fb, dtype))
    many, values = every.repeat(5 if bits == 16 else 20), every.to(fb.float64).numpy()
    with np.errstate(all="ignore"):
        want = reference(values)
    got = function(many)
    assert got.dtype == (many.dtype if many.dtype.is_floating_point else fb.float32)
    usual = np.resize(np.abs(values) < 1000, len(many))  # beyond, references differ in what is not a number
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
def test_reductions_of_halves(dtype, shape, dim):
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


@pytest.mark.parametrize("dtype", [*INTEGERS, "bool"])
@pytest.mark.parametrize("shape", [(7, 700), (700, 7), (33, 65), (3, 4000), (600, 300)])
def test_extremes_of_narrow_integers(dtype, shape):
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
def test_full(dtype):
    made = fb.full((3, 700), 1, dtype=getattr(fb, dtype))
    assert bool((made == 1).all())
    made[:, ::3].fill_(0)
    assert bool((made[:, ::3] == 0).all()) and bool((made[:, 1::3] == 1).all())


@pytest.mark.parametrize("dtype", ["int8", "int16", "float16"])
def test_short_rows_of_a_larger_tensor(dtype):
    values = whole_range("int8", 60 * 10, 9).reshape(60, 10).astype(dtype)
    tensor = fb.from_numpy(values)
    for columns in (slice(0, 3), slice(1, 10, 3), slice(9, None)):
        part = fb.as_strided(
            tensor, values[:, columns].shape, [s // values.itemsize for s in values[:, columns].strides], columns.start
        )
        np.testing.assert_array_equal((part + 1).numpy(), values[:, columns] + values.dtype.type(1))
        np.testing.assert_array_equal((part < part.flip(0)).numpy(), values[:, columns] < values[::-1, columns])
