"""Every pointwise row against its own reference text, in every form Python can call it.

The rows come from the registry, so an operator is tested as soon as its row exists.
"""

import operator
import warnings

import numpy as np
import pytest
from scipy import special

import flambeau as fb

# Their functions take numbers where the row takes operands: see test_composites.
COMPOSITES = {"celu", "softshrink"}
# test_special.py has the polynomials, whose degrees must be small.
ROWS = [
    row
    for row in fb._core.pointwise_rows()
    if row["name"] not in COMPOSITES and row["name"][0] != "_" and "polynomial" not in row["name"]
]
BY_NAME = {row["name"]: row for row in ROWS}
ROWS_ACCURACY = {row["name"]: max(row["accuracy"][:2]) for row in ROWS}
FLOATS = ["float32", "float64"]
UNSIGNED = ["uint8", "uint16", "uint32", "uint64"]
INTEGERS = ["int8", "int16", "int32", "int64", *UNSIGNED]
DTYPES = {
    "Floating": FLOATS,
    "Real": FLOATS,
    "Number": FLOATS + INTEGERS,
    "Any": FLOATS + INTEGERS + ["bool"],
    "Integral": INTEGERS + ["bool"],
    "Whole": INTEGERS,
    "Comparison": FLOATS + INTEGERS + ["bool"],
    "Logical": FLOATS + INTEGERS + ["bool"],
    "Select": FLOATS + INTEGERS + ["bool"],
}
NO_ZERO_DIVISOR = {"floor_divide", "remainder", "fmod"}
INEXACT_REFERENCE = {"special_ndtr": 300, "special_log_ndtr": 300, "digamma": 300}  # SciPy's own errors, in ULP
OWN_LIMITS = {"erfinv", "i0", "igamma", "igammac"}  # as every special function's: see test_special.py
SPECIAL_ONLY = [row["name"] for row in ROWS if row["name"].startswith("special_")]  # functions of flambeau.special
CASES = [(row["name"], dtype) for row in ROWS for dtype in DTYPES[row["domain"]]]
FLOAT_CASES = [(row["name"], dtype) for row in ROWS for dtype in FLOATS if dtype in DTYPES[row["domain"]]]


def draw(name, k, dtype, shape):
    """Operand k: the whole line for floats, small integers without what the operator refuses."""
    rng = np.random.default_rng([ord(ch) for ch in name] + [k])
    if dtype == "bool":
        values = rng.integers(0, 2, shape).astype(bool)
    elif dtype in INTEGERS:
        power_or_shift = name in ("pow", "bitwise_left_shift", "bitwise_right_shift")
        low = 0 if dtype in UNSIGNED or (k == 1 and power_or_shift) else -9
        values = rng.integers(low, 7, shape).astype(dtype)
    else:
        values = (rng.standard_normal(shape) * 3).astype(dtype)
    if name in NO_ZERO_DIVISOR and k == 1:
        values = np.where(values == 0, np.array(3, dtype), values)
    return np.asarray(values)


def reference(name, operands):
    """The row's text over NumPy arrays: floats in double precision unless it is exact, integers in their own type."""
    row = BY_NAME[name]
    exact = row["accuracy"][0] == 0
    wide = [
        a.astype(np.float64) if (a.dtype.kind == "f" and not exact) or row["domain"] == "Floating" else a
        for a in operands
    ]
    return evaluate(row["reference"], wide)


def evaluate(text, operands):
    names = dict(zip("xyz", operands, strict=False))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(eval(text, {"np": np, "special": special}, names))


def allowed(name, operands, want, dtype):
    """What the row allows, and what its reference may be off in double precision: an absolute error an element."""
    single, double, scale = BY_NAME[name]["accuracy"]
    units = single if dtype == np.float32 else double + INEXACT_REFERENCE.get(name, 4)
    size = np.abs(want)
    if scale:
        size = np.fmax(size, np.abs(evaluate(scale, [a.astype(np.float64) for a in operands])))
    with np.errstate(all="ignore"):
        return np.where(np.isfinite(size), (units + 0.5) * np.finfo(dtype).eps * size, 0) + 1e-45


def expected_dtype(name, dtype):
    domain = BY_NAME[name]["domain"]
    if domain in ("Comparison", "Logical"):
        return fb.bool
    return getattr(fb, dtype)


def check(name, actual, operands):
    want = reference(name, operands)
    got = actual.numpy()
    assert got.shape == want.shape
    if got.dtype.kind == "f":
        with np.errstate(all="ignore"):
            error = np.abs(got.astype(np.float64) - want)
            same = (got == want.astype(got.dtype)) | (np.isnan(got) & np.isnan(want))
        assert np.all(same | (error <= allowed(name, operands, want, got.dtype))), (operands, got, want)
    else:
        np.testing.assert_array_equal(got, want.astype(got.dtype))


def tensors(operands):
    return [fb.tensor(a) for a in operands]


def operands_of(name, dtype, shape=(4, 5), second=None, third=None):
    arity = BY_NAME[name]["arity"]
    shapes = [shape, second or shape, third or second or shape]
    return [draw(name, k, "bool" if name == "where" and k == 0 else dtype, shapes[k]) for k in range(arity)]


def call(name, *args, **kwargs):
    return getattr(fb._core if name in SPECIAL_ONLY else fb, name)(*args, **kwargs)


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_function(name, dtype):
    if (name, dtype) in (("sign", "bool"), ("sgn", "bool"), ("square", "bool")):  # NumPy refuses, or keeps bool
        operands = operands_of(name, dtype)
        assert np.array_equal(call(name, fb.tensor(operands[0])).numpy(), operands[0])
        return
    operands = operands_of(name, dtype)
    result = call(name, *tensors(operands))
    assert result.dtype is expected_dtype(name, dtype)
    check(name, result, operands)


@pytest.mark.parametrize("name", [row["name"] for row in ROWS if row["domain"] == "Floating"])
@pytest.mark.parametrize("dtype", ["int32", "bool", "int64", "uint8"])
def test_integers_are_computed_in_the_default_dtype(name, dtype):
    operands = operands_of(name, dtype)
    if name == "addcdiv":
        with pytest.raises(RuntimeError, match=f"Integer division.*{dtype}"):
            call(name, *tensors(operands))
        return
    if name == "atan2":
        operands = [a | np.ones(1, a.dtype) for a in operands]
    result = call(name, *tensors(operands))
    assert result.dtype is fb.float32
    with np.errstate(all="ignore"):
        want = reference(name, [a.astype(np.float64) for a in operands])
    np.testing.assert_allclose(result.numpy(), want.astype(np.float32), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize(("name", "dtype"), FLOAT_CASES)
def test_method_in_place_and_out(name, dtype):
    operands = operands_of(name, dtype)
    given = tensors(operands)
    want = call(name, *given)
    if name in SPECIAL_ONLY:
        assert not hasattr(fb.Tensor, name)
        assert np.array_equal(
            call(name, *given, out=fb.empty(0, dtype=want.dtype)).numpy(), want.numpy(), equal_nan=True
        )
        return
    method = given[1].where(given[0], given[2]) if name == "where" else getattr(given[0], name)(*given[1:])
    assert np.array_equal(method.numpy(), want.numpy(), equal_nan=True)
    out = fb.empty(4, 5, dtype=want.dtype)
    assert call(name, *given, out=out) is out
    assert np.array_equal(out.numpy(), want.numpy(), equal_nan=True)
    strided = fb.zeros(5, 8, dtype=want.dtype).t()[::2]
    call(name, *given, out=strided)
    assert np.array_equal(strided.numpy(), want.numpy(), equal_nan=True)
    resized = fb.empty(0, dtype=want.dtype)
    assert call(name, *given, out=resized).shape == (4, 5)
    if name == "where":
        return
    changed = given[0]
    assert getattr(changed, name + "_")(*given[1:]) is changed
    assert np.array_equal(changed.numpy(), want.numpy().astype(dtype), equal_nan=True)


@pytest.mark.parametrize(("name", "dtype"), FLOAT_CASES)
def test_non_contiguous_operands(name, dtype):
    operands = operands_of(name, dtype, (6, 8))
    views = [a.T[::2, 1::2] for a in operands]
    given = [t.t()[::2, 1::2] for t in tensors(operands)]
    assert not given[0].is_contiguous()
    want = call(name, *[fb.tensor(np.ascontiguousarray(v)) for v in views])
    # The last elements of a loop may be rounded otherwise than those before them.
    slack = 2 * ROWS_ACCURACY[name] * np.finfo(dtype).eps
    np.testing.assert_allclose(call(name, *given).numpy(), want.numpy(), rtol=slack)
    if name != "where" and name not in SPECIAL_ONLY:
        getattr(given[0], name + "_")(*given[1:])
        assert np.array_equal(given[0].numpy(), want.numpy().astype(dtype), equal_nan=True)


@pytest.mark.parametrize(("name", "dtype"), [case for case in FLOAT_CASES if BY_NAME[case[0]]["arity"] > 1])
@pytest.mark.parametrize(
    "shapes", [((4, 1), (5,), (1, 1)), ((), (2, 3), (3,)), ((2, 1, 3), (4, 1), ()), ((0, 3), (1, 3), (3,))]
)
def test_broadcasting(name, dtype, shapes):
    operands = operands_of(name, dtype, *shapes)
    check(name, call(name, *tensors(operands)), operands)


@pytest.mark.parametrize("name", [row["name"] for row in ROWS if "float32" in DTYPES[row["domain"]]])
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1,), (1025,), (3, 1031)])
def test_shapes(name, shape):
    operands = operands_of(name, "float32", shape)
    check(name, call(name, *tensors(operands)), operands)


SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 5e-324, 1e308, -1e308, 0.5, 2.5, -2.5])


@pytest.mark.parametrize(
    ("name", "dtype"),
    [case for case in FLOAT_CASES if case[0] not in {*SPECIAL_ONLY, *OWN_LIMITS} - {"special_xlog1py"}],
)
def test_nan_and_infinity(name, dtype):
    with np.errstate(over="ignore"):
        values = SPECIAL.astype(dtype)
    if BY_NAME[name]["arity"] == 1:
        got = call(name, fb.tensor(values)).numpy()
        with np.errstate(all="ignore"):
            want = reference(name, [values])
    elif BY_NAME[name]["arity"] == 2:
        x, y = (a.ravel() for a in np.meshgrid(values, values))
        got = call(name, fb.tensor(x), fb.tensor(y)).numpy()
        with np.errstate(all="ignore"):
            want = reference(name, [x.astype(dtype), y.astype(dtype)])
        # The reference computes in double: what only single precision makes infinite or zero is left out.
        if dtype == "float32" and name in ("mul", "square", "pow", "div", "floor_divide", "fmod", "remainder"):
            keep = (np.abs(x) < 1e30) & (np.abs(y) < 1e30)
            got, want = got[keep], want[keep]
    else:
        return
    if got.dtype == bool:
        assert np.array_equal(got, want)
        return
    slack = 0 if BY_NAME[name]["arity"] == 1 else np.finfo(dtype).eps
    with np.errstate(all="ignore"):
        near = np.abs(got - want) <= (1e-5 if dtype == "float32" else 1e-14) * np.abs(want) + slack
        same = (got == want.astype(dtype)) | (np.isnan(got) & np.isnan(want))
    assert np.all(near | same)


@pytest.mark.parametrize(
    "name", [row["name"] for row in ROWS if "float32" in DTYPES[row["domain"]] and row["name"] != "where"]
)
@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_half_types_compute_in_float32_and_round_once(name, half):
    operands = operands_of(name, "float32", (300,))
    given = [fb.tensor(a).to(getattr(fb, half)) for a in operands]
    result = call(name, *given)
    want = call(name, *[t.float() for t in given])
    assert result.dtype is (fb.bool if want.dtype is fb.bool else getattr(fb, half))
    assert fb.equal(result.float(), want.to(result.dtype).float()) or np.array_equal(
        result.float().numpy(), want.to(result.dtype).float().numpy(), equal_nan=True
    )


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        (row["name"], d)
        for row in ROWS
        for d in FLOATS + ["bool"]
        if d not in DTYPES[row["domain"]] and row["domain"] != "Floating"
    ],
)
def test_refused_dtypes(name, dtype):
    operands = operands_of(name, dtype)
    with pytest.raises(RuntimeError, match=f"bool|{dtype}"):
        call(name, *tensors(operands))


@pytest.mark.parametrize("scalar", [2, -3, 2.5, True])
@pytest.mark.parametrize(
    "name",
    [
        row["name"]
        for row in ROWS
        if row["arity"] == 2
        and "float32" in DTYPES[row["domain"]]
        and not row["signature"].endswith(": Tensor")
        and row["name"] != "sub"
    ],
)
def test_number_operands(name, scalar):
    x = draw(name, 0, "float32", (7,))
    want = call(name, fb.tensor(x), fb.full((7,), float(scalar)))
    got = call(name, fb.tensor(x), scalar)
    assert got.dtype is want.dtype
    assert np.array_equal(got.numpy(), want.numpy(), equal_nan=True)


FLOAT_OPERATORS = ["add", "sub", "mul", "truediv", "floordiv", "mod", "lt", "le", "gt", "ge", "eq", "ne"]
INTEGER_OPERATORS = ["and_", "or_", "xor", "lshift", "rshift", "floordiv", "mod", "pow"]


@pytest.mark.parametrize(
    ("names", "a", "b"),
    [
        (FLOAT_OPERATORS, np.array([7, -7, 3.5], np.float32), np.array([2, 2, -2], np.float32)),
        (INTEGER_OPERATORS, np.array([6, -5, 12]), np.array([3, 4, 1])),
    ],
)
def test_python_operators(names, a, b):
    x, y = fb.tensor(a), fb.tensor(b)
    for name in names:
        function = getattr(operator, name)
        assert np.array_equal(function(x, y).numpy(), function(a, b)), name
        assert np.array_equal(function(x, 3).numpy(), function(a, 3)), name
        if name not in ("lshift", "rshift", "pow"):  # by a negative number
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


def test_operands_that_overlap_the_output_are_read_first():
    x = fb.arange(6.0)
    fb.add(x[:-1], x[1:], out=x[1:])
    assert x.tolist() == [0, 1, 3, 5, 7, 9]
    y = fb.arange(4.0)
    y[1:].add_(y[:-1])
    assert y.tolist() == [0, 1, 3, 5]


def test_integer_arithmetic_wraps():
    for dtype in INTEGERS:
        info = np.iinfo(dtype)
        x = fb.tensor(np.array([info.max, info.min], dtype))
        assert (x + 1).numpy()[0] == info.min
        assert (x - 1).numpy()[1] == info.max
        assert np.array_equal((x * 3).numpy(), np.array([info.max, info.min], dtype) * np.array(3, dtype))


def test_division_of_extreme_integers():
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
def test_alpha(function, arguments, want):
    assert function(*arguments, alpha=2.5).tolist() == want


def test_composites():
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


@pytest.mark.parametrize(("name", "combine"), [("addcmul", np.multiply), ("addcdiv", np.divide)])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_scaled_sums_of_half_types_round_once(name, combine, dtype):
    operands = [fb.from_numpy(draw(name, k, "float32", (50,))).to(getattr(fb, dtype)) for k in range(3)]
    x, y, z = (t.to(fb.float64).numpy() for t in operands)
    want = fb.from_numpy(x + 0.37 * combine(y, z)).to(getattr(fb, dtype))
    assert getattr(fb, name)(*operands, value=0.37).tolist() == want.tolist()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["fmod", "remainder", "floor_divide"])
def test_what_division_leaves_over(name, dtype):
    """Near whole quotients and of all sizes, those too large for the quick loop among the others and by themselves."""
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
    finite = np.isfinite(y)  # by infinity NumPy's remainder and PyTorch's differ
    np.testing.assert_array_equal(got[finite], want[finite])


@pytest.mark.parametrize("dtype", FLOATS)
def test_next_after(dtype):
    limits = np.finfo(dtype)
    values = [0.0, 1, 1.5, np.inf, np.nan, limits.max, limits.tiny, limits.smallest_subnormal, -1 / 3]
    values = np.array(values + [-v for v in values], dtype)
    x, y = np.meshgrid(values, values)
    with np.errstate(all="ignore"):
        want = np.nextafter(x, y)
    got = fb.nextafter(fb.from_numpy(x), fb.from_numpy(y)).numpy()
    np.testing.assert_array_equal(got, want)
    numbers = ~np.isnan(want)  # the sign of what is not a number means nothing
    np.testing.assert_array_equal(np.signbit(got)[numbers], np.signbit(want)[numbers])


def test_scaled_sums_of_integers_take_whole_factors():
    x = fb.tensor([1, 2, 3], dtype=fb.int32)
    got = fb.addcmul(x, x, x, value=2.7)
    assert got.dtype == fb.int32
    assert got.tolist() == [3, 10, 21]


COMPOSITE = {entry["name"] for entry in fb._core.signatures()}  # they have their own signatures
TWO_OPERANDS = [
    row["name"] for row in ROWS if row["arity"] == 2 and not row["has_parameters"] and row["name"] not in COMPOSITE
]


@pytest.mark.parametrize("name", TWO_OPERANDS)
def test_numbers_stand_for_tensors_where_the_signature_says_so(name):
    function = getattr(fb.special, name.removeprefix("special_")) if name in SPECIAL_ONLY else getattr(fb, name)
    whole = BY_NAME[name]["domain"] in ("Integral", "Whole")
    t = fb.tensor([2, 3]) if whole else fb.tensor([2.0, 3.0])
    first, second = BY_NAME[name]["signature"].split(", ")
    for operands, allowed in (
        ((2, t), "Number" in first),
        ((t, 2), not second.endswith(": Tensor")),
    ):
        if allowed:
            assert function(*operands).shape == t.shape
        else:
            with pytest.raises(TypeError, match=rf"position {1 + (operands[0] is t)}\) must be Tensor, not int"):
                function(*operands)


def test_numbers_that_are_the_first_operand_by_operator():
    t = fb.tensor([1.0, 2.0, 3.0])
    assert operator.lt(2, t).tolist() == [False, False, True]
    assert operator.eq(2, t).tolist() == [False, True, False]
    assert (2**t).tolist() == [2, 4, 8]
    for refused in (
        lambda: fb.eq(2, t),
        lambda: fb.clamp_max(2, t),
        lambda: fb.rsub(2, t),
        lambda: fb.pow(2, 3),
        lambda: fb.ldexp(t, 2),
        lambda: t.maximum(2),
        lambda: fb.mul_(2, t),
    ):
        with pytest.raises(TypeError, match="Tensor"):
            refused()


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
def test_powers_promote_as_every_binary_operator(base, exponent, dtype):
    result = base**exponent
    assert result.dtype is dtype
    np.testing.assert_allclose(result.numpy(), base.numpy().astype(float) ** exponent)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["selu", "elu", "celu"])
def test_blocks_of_positive_numbers_among_others(name, dtype):
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


@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8", "bool", "complex128"])
@pytest.mark.parametrize(
    "shapes",
    [
        ((700, 1, 5), (11, 5)),
        ((1,), (3000, 5, 1), (1, 5)),
        ((40, 70, 3), (40, 1, 3)),
        ((300, 7), (300, 1)),
        ((2, 65, 130), (65, 1), (130,)),
        ((130, 1), (1, 90)),
        ((5, 700), (5, 1)),
        ((3, 1), (4, 3, 1030), (4, 1, 1)),
    ],
)
def test_broadcast_rows_short_and_long(shapes, dtype):
    operands = [np.random.default_rng(7).integers(0, 90, shape).astype(dtype) for shape in shapes]
    got = fb.add(*tensors(operands)) if len(shapes) == 2 else fb.where(*tensors([operands[0] != 0, *operands[1:]]))
    want = operands[0] + operands[1] if len(shapes) == 2 else np.where(operands[0] != 0, *operands[1:])
    assert np.array_equal(got.numpy(), want)


def test_columns_of_another_dtype():
    x, column = np.random.default_rng(7).standard_normal((4, 900)), np.arange(4, dtype=np.int32)[:, None]
    t = fb.tensor(x)
    assert np.array_equal((t * fb.tensor(column)).numpy(), x * column)
    assert np.array_equal((t.half() + fb.tensor(column)).numpy(), x.astype(np.float16) + column.astype(np.float16))
    t.t()[:, :2].sub_(fb.tensor(column[:2]).t())
    assert np.array_equal(t.numpy(), np.concatenate([x[:2] - column[:2], x[2:]]))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "uint8", "complex64"])
def test_strides_of_every_kind(dtype):
    x = np.random.default_rng(3).integers(0, 60, (150, 90, 4)).astype(dtype)
    t = fb.tensor(x)
    for view, own in (
        (lambda a: a[::2], t[::2]),
        (lambda a: a[:, ::2, 1:], t[:, ::2, 1:]),
        (lambda a: a[:, :, ::-1], t.flip(2)),
        (lambda a: a.transpose(2, 1, 0), t.permute(2, 1, 0)),
        (lambda a: a.transpose(1, 0, 2)[::3], t.transpose(0, 1)[::3]),
        (lambda a: a[:, 0], t[:, 0]),
    ):
        assert np.array_equal((own + 1).numpy(), view(x) + np.array(1, dtype))
        assert np.array_equal((own + own.clone(memory_format=fb.contiguous_format)).numpy(), view(x) + view(x))
        changed = own.clone()
        changed.mul_(2)
        assert np.array_equal(changed.numpy(), view(x) * np.array(2, dtype))


def test_in_place_on_parts_of_rows():
    x = np.arange(4000.0).reshape(400, 10)
    t = fb.tensor(x)
    t[:, 2:5] *= fb.tensor([[2.0], [3.0]] * 200)
    t.t()[7:] += fb.tensor(x).t()[7:]
    x[:, 2:5] *= np.array([[2.0], [3.0]] * 200)
    x[:, 7:] *= 2
    assert np.array_equal(t.numpy(), x)


def test_numbers_that_no_byte_holds():
    x = np.arange(256, dtype=np.uint8)
    t = fb.tensor(x)
    for number in (-1, 0, 255, 256, 300):
        for compare in (operator.eq, operator.lt, operator.ge):
            assert np.array_equal(compare(t, number).numpy(), compare(x.astype(int), number))
        assert np.array_equal((t + number).numpy(), (x.astype(int) + number).astype(np.uint8))
        assert np.array_equal(t.maximum(t.flip(0)).numpy(), np.maximum(x, x[::-1]))


def test_a_foreign_true_may_be_any_byte():
    mask = np.array([0, 1, 2, 255], np.uint8).view(bool)
    t, other = fb.from_numpy(mask), fb.tensor([True, True, True, True])
    assert (t & other).tolist() == (t == other).tolist() == [False, True, True, True]
    assert (t ^ other).tolist() == (~t).tolist() == [True, False, False, False]


def test_a_result_lies_in_memory_as_its_first_operand():
    x = fb.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1)
    column, row = fb.ones(2, 1), fb.ones(())
    for result in (x.exp(), x + 1, x * x, x + column, x.clamp(1, 2), x > row):
        assert result.stride() == x.stride()
    assert x[::2].neg().stride() == (1, 6, 2)
    assert (x + x.contiguous()).is_contiguous()
    assert fb.ones(3, 1).expand(3, 4).neg().is_contiguous()
    assert np.array_equal(x.neg().numpy(), -x.numpy())


@pytest.mark.parametrize("dtype", FLOATS)
def test_frexp_of_every_size(dtype):
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
def test_sigmoid_underflows_step_by_step(dtype, least, largest):
    x = np.linspace(least, largest, 3000).astype(dtype)
    want = np.exp(x.astype(np.longdouble))
    got = fb.from_numpy(np.concatenate([x, -x])).sigmoid().numpy()
    assert np.max(np.abs(got[:3000] - want) / np.spacing(want.astype(dtype))) <= 3
    assert np.all(got[3000:] == 1)
    assert fb.tensor([least - 3.0, -np.inf], dtype=getattr(fb, dtype)).sigmoid().tolist() == [0, 0]
