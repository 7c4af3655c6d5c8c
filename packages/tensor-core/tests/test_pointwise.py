"""Tests of every pointwise operator against its NumPy reference, in every form that Python can call.

The tests read the operator table, so they cover an operator as soon as it has a row.
"""

import warnings

import numpy as np
import pytest
from scipy import special

import flambeau as fb

# Operators whose functions accept numbers in place of some of the row's operands. See test_arithmetic.py.
COMPOSITES = {"celu", "softshrink"}


# test_special.py tests the polynomials, because their degrees must be small.
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
OWN_LIMITS = {"erfinv", "i0", "igamma", "igammac"}  # limits are tested in test_special.py
SPECIAL_ONLY = [row["name"] for row in ROWS if row["name"].startswith("special_")]  # functions of flambeau.special
CASES = [(row["name"], dtype) for row in ROWS for dtype in DTYPES[row["domain"]]]
FLOAT_CASES = [(row["name"], dtype) for row in ROWS for dtype in FLOATS if dtype in DTYPES[row["domain"]]]


def draw(name, k, dtype, shape):
    """Return random values for operand k: floats, or small integers that the operator accepts."""
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
    """Evaluate the row's NumPy reference, in double precision unless the row is exact."""
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
    """Return the tolerance for each element: the row's accuracy plus the reference's rounding error."""
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
def test_pointwise_functions_equal_numpy(name, dtype):
    if (name, dtype) in (("sign", "bool"), ("sgn", "bool"), ("square", "bool")):  # NumPy raises or returns bool
        operands = operands_of(name, dtype)
        assert np.array_equal(call(name, fb.tensor(operands[0])).numpy(), operands[0])
        return
    operands = operands_of(name, dtype)
    result = call(name, *tensors(operands))
    assert result.dtype is expected_dtype(name, dtype)
    check(name, result, operands)


@pytest.mark.parametrize("name", [row["name"] for row in ROWS if row["domain"] == "Floating"])
@pytest.mark.parametrize("dtype", ["int32", "bool", "int64", "uint8"])
def test_functions_of_integers_compute_in_the_default_dtype(name, dtype):
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
def test_pointwise_methods_work_in_place_and_with_out(name, dtype):
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
def test_pointwise_functions_of_noncontiguous_operands_are_correct(name, dtype):
    operands = operands_of(name, dtype, (6, 8))
    views = [a.T[::2, 1::2] for a in operands]
    given = [t.t()[::2, 1::2] for t in tensors(operands)]
    assert not given[0].is_contiguous()
    want = call(name, *[fb.tensor(np.ascontiguousarray(v)) for v in views])
    # The last elements of a loop may be rounded differently from the others.
    slack = 2 * ROWS_ACCURACY[name] * np.finfo(dtype).eps
    np.testing.assert_allclose(call(name, *given).numpy(), want.numpy(), rtol=slack)
    if name != "where" and name not in SPECIAL_ONLY:
        getattr(given[0], name + "_")(*given[1:])
        assert np.array_equal(given[0].numpy(), want.numpy().astype(dtype), equal_nan=True)


@pytest.mark.parametrize(("name", "dtype"), [case for case in FLOAT_CASES if BY_NAME[case[0]]["arity"] > 1])
@pytest.mark.parametrize(
    "shapes", [((4, 1), (5,), (1, 1)), ((), (2, 3), (3,)), ((2, 1, 3), (4, 1), ()), ((0, 3), (1, 3), (3,))]
)
def test_pointwise_functions_broadcast_their_operands(name, dtype, shapes):
    operands = operands_of(name, dtype, *shapes)
    check(name, call(name, *tensors(operands)), operands)


@pytest.mark.parametrize("name", [row["name"] for row in ROWS if "float32" in DTYPES[row["domain"]]])
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1,), (1025,), (3, 1031)])
def test_pointwise_functions_of_every_shape_match_the_reference(name, shape):
    operands = operands_of(name, "float32", shape)
    check(name, call(name, *tensors(operands)), operands)


SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 5e-324, 1e308, -1e308, 0.5, 2.5, -2.5])


@pytest.mark.parametrize(
    ("name", "dtype"),
    [case for case in FLOAT_CASES if case[0] not in {*SPECIAL_ONLY, *OWN_LIMITS} - {"special_xlog1py"}],
)
def test_pointwise_functions_of_nan_and_infinity_match_the_reference(name, dtype):
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
        # The reference computes in float64. Exclude results that overflow or underflow only in float32.
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
def test_half_precision_functions_compute_in_float32_and_round_once(name, half):
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
def test_pointwise_functions_reject_unsupported_dtypes(name, dtype):
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
def test_pointwise_functions_accept_a_number_as_second_operand(name, scalar):
    x = draw(name, 0, "float32", (7,))
    want = call(name, fb.tensor(x), fb.full((7,), float(scalar)))
    got = call(name, fb.tensor(x), scalar)
    assert got.dtype is want.dtype
    assert np.array_equal(got.numpy(), want.numpy(), equal_nan=True)


@pytest.mark.parametrize(("name", "combine"), [("addcmul", np.multiply), ("addcdiv", np.divide)])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_addcmul_and_addcdiv_of_half_precision_round_once(name, combine, dtype):
    operands = [fb.from_numpy(draw(name, k, "float32", (50,))).to(getattr(fb, dtype)) for k in range(3)]
    x, y, z = (t.to(fb.float64).numpy() for t in operands)
    want = fb.from_numpy(x + 0.37 * combine(y, z)).to(getattr(fb, dtype))
    assert getattr(fb, name)(*operands, value=0.37).tolist() == want.tolist()


@pytest.mark.parametrize(("name", "combine"), [("addcmul", np.multiply), ("addcdiv", np.divide)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [3, 5001])
def test_addcmul_and_addcdiv_are_correct_in_place_and_with_overlapping_operands(name, combine, dtype, n):
    x, y, z = (np.linspace(1 + k, 3 + 2 * k, n + 1, dtype=dtype) for k in range(3))
    want = x + 0.25 * combine(y, z)  # 0.25 scales exactly
    near = {"rtol": 4 * np.finfo(dtype).eps}
    np.testing.assert_allclose(getattr(fb, name)(*map(fb.tensor, (x, y, z)), value=0.25).numpy(), want, **near)
    a, b, c = map(fb.tensor, (x, y, z))
    assert getattr(a, name + "_")(b, c, value=0.25) is a
    np.testing.assert_allclose(a.numpy(), want, **near)
    getattr(b, name + "_")(b, c, value=0.25)  # reads the elements that it writes
    np.testing.assert_allclose(b.numpy(), y + 0.25 * combine(y, z), **near)
    getattr(c[1:], name + "_")(c[:-1], c[:-1], value=0.25)  # reads elements that it writes later
    np.testing.assert_allclose(c[1:].numpy(), z[1:] + 0.25 * combine(z[:-1], z[:-1]), **near)


COMPOSITE = {entry["name"] for entry in fb._core.signatures()}  # they have their own signatures
TWO_OPERANDS = [
    row["name"] for row in ROWS if row["arity"] == 2 and not row["has_parameters"] and row["name"] not in COMPOSITE
]


@pytest.mark.parametrize("name", TWO_OPERANDS)
def test_numbers_are_accepted_where_the_signature_allows_them(name):
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
