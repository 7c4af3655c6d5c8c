"""Measured errors of the pointwise operators against the bounds in the operator table.

float32 is compared with double precision, over its full range and for every instruction set; float64 with extended
precision.
"""

import math
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from scipy import special

import flambeau as fb

ROWS = {
    row["name"]: row
    for row in fb._core.pointwise_rows()
    if row["accuracy"][0] > 0 and row["domain"] not in ("Integral", "Whole")
}
# Ranges of the samples of binary and ternary operators that do not accept all numbers: for each operand, the smallest
# and the largest magnitude, and True if negative numbers are included.
USUAL = (1e-30, 1e30, True)
DOMAINS = {
    "pow": [(1e-6, 1e6, False), (1e-3, 20, True)],
    "_polygamma": [(1e-3, 50, False), (1, 8, False)],
    "igamma": [(1e-2, 1e4, False), (1e-2, 1e4, False)],
    "igammac": [(1e-2, 1e4, False), (1e-2, 1e4, False)],
    "special_zeta": [(1.01, 30, False), (1e-2, 1e3, False)],
    "_round_decimals": [(1e-3, 1e3, True), (10, 1e3, False)],
    "_round_tens": [(1e-3, 1e6, True), (10, 1e3, False)],
    "softplus": [(1e-3, 50, True), (0.5, 3, False), (20, 20.5, False)],
    "_gate": [(1e-3, 1e3, True), (1e-3, 50, True)],
    "celu": [(1e-3, 50, True), (0.5, 3, False)],
    "elu": [(1e-3, 50, True), (0.5, 3, False), (0.5, 3, False)],
    "_binary_cross_entropy": [(1e-3, 0.999, False), (1e-3, 1, False)],
    "_binary_cross_entropy_with_logits": [(1e-3, 30, True), (1e-3, 1, False)],
    "_norm_limit": [(1e-30, 1e30, False), (1e-30, 1e30, False)],
    "lerp": [(1e-3, 1e3, True), (1e-3, 1e3, True), (1e-3, 2, True)],
}
OSCILLATING = ("special_bessel", "special_airy")  # SciPy's phase is inaccurate for large arguments
POLYNOMIAL = [(1e-2, 3, True), (1, 12, False)]
INDEX = {"_polygamma": 1}  # the operand that is truncated to an integer; of polynomials the second


def operand(domain, dtype, count, generator):
    low, high, negative = domain
    values = np.exp(generator.uniform(np.log(low), np.log(high), count))
    return (values * (generator.choice([-1, 1], count) if negative else 1)).astype(dtype)


def operands_of(name, dtype, count):
    row = ROWS[name]
    generator = np.random.default_rng(len(name))
    if row["arity"] == 1:
        samples = unary_samples(dtype, count, generator)
        if name.startswith(OSCILLATING):
            samples = samples[np.abs(samples) < 1000]
        return [samples[~np.isinf(samples)] if "special." in row["reference"] else samples]
    domains = DOMAINS.get(name) or (POLYNOMIAL if "polynomial" in name else [USUAL] * row["arity"])
    operands = [operand(domain, dtype, count, generator) for domain in domains]
    if name in INDEX or "polynomial" in name:
        operands[1] = np.trunc(operands[1])
    if name in ("logaddexp", "logaddexp2", "hypot", "add", "sub", "atan2"):
        # Errors are larger where the operands are of similar size.
        operands[1][::2] = (operands[0] * generator.uniform(-2, 2, count)).astype(dtype)[::2]
    return operands


def unary_samples(dtype, count, generator):
    """Return numbers with all exponents, and more numbers in common ranges."""
    integer = np.uint32 if dtype == np.float32 else np.uint64
    every = generator.integers(0, np.iinfo(integer).max, count, dtype=integer).view(dtype)
    edges = [0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 1e-45, -1e-45, 88.72283, -103.97208, -87.336]
    dense = [
        generator.uniform(-20, 20, count),
        generator.uniform(-1.2, 1.2, count),
        generator.uniform(-800, 800, count),
    ]
    return np.concatenate([every[np.isfinite(every)], *dense, edges]).astype(dtype)


def evaluate(text, operands, functions=special, numbers=np):
    names = dict(zip("xyz", operands, strict=False))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(eval(text, {"np": numbers, "special": functions}, names))


def largest_error(name, dtype, count):
    row = ROWS[name]
    operands = operands_of(name, dtype, count)
    wide = [a.astype(np.float64 if dtype == np.float32 else np.longdouble) for a in operands]
    exact = evaluate(row["reference"], wide)
    result = fb._core._rows[name](*map(fb.from_numpy, operands)).numpy()
    with np.errstate(all="ignore"):
        rounded = exact.astype(dtype)
    assert np.array_equal(np.isnan(result), np.isnan(rounded))
    finite = np.isfinite(rounded) & np.isfinite(result)
    infinite = ~finite & ~np.isnan(rounded)
    late = np.abs(exact[infinite]) > 0.9999 * np.finfo(dtype).max  # an overflow may occur half a unit early or late
    assert np.all((result[infinite] == rounded[infinite]) | late)
    size = np.abs(rounded)
    if row["accuracy"][2]:
        with np.errstate(over="ignore"):
            size = np.fmax(size, np.abs(evaluate(row["accuracy"][2], wide)).astype(dtype))
    unit = np.spacing(np.minimum(size[finite], dtype(0.9 * np.finfo(dtype).max)))
    return float(np.max(np.abs(result[finite].astype(exact.dtype) - exact[finite]) / np.abs(unit), initial=0))


# SciPy computes these references in float64, so they are not more exact than the results. See test_special.py.
NO_WIDE_REFERENCE = {name for name, row in ROWS.items() if "special." in row["reference"]}


@pytest.mark.parametrize("name", ROWS)
def test_float32_functions_are_within_their_error_bound(name):
    assert largest_error(name, np.float32, 20_000) <= ROWS[name]["accuracy"][0]


@pytest.mark.parametrize("name", [name for name in ROWS if name not in NO_WIDE_REFERENCE])
def test_float64_functions_are_within_their_error_bound(name):
    assert largest_error(name, np.float64, 20_000) <= ROWS[name]["accuracy"][1]


@pytest.mark.parametrize("name", ["erf", "erfc"])
def test_float64_functions_of_the_c_library_are_within_their_error_bound(name):
    samples = unary_samples(np.float64, 20_000, np.random.default_rng(0))
    exact = np.array([getattr(math, name)(x) for x in samples])
    result = fb._core._rows[name](fb.from_numpy(samples)).numpy()
    assert np.array_equal(np.isnan(result), np.isnan(exact))
    normal = np.abs(exact) > np.finfo(np.float64).tiny  # below, the C library's own error is larger than one unit
    errors = np.abs(result - exact)[normal] / np.spacing(np.abs(exact[normal]))
    assert np.max(errors) <= ROWS[name]["accuracy"][1] + 1
    assert np.nanmax(np.abs(result)) == (1 if name == "erf" else 2)


@pytest.mark.parametrize("isa", ["baseline", "avx2"])
def test_functions_are_accurate_with_every_instruction_set(isa):
    if fb._core.instruction_set() == "baseline" and isa != "baseline":
        pytest.skip("this processor has no AVX2")
    script = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("accuracy", {__file__!r})
accuracy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(accuracy)
assert accuracy.fb._core.instruction_set() == {isa!r}, accuracy.fb._core.instruction_set()
accuracy.check_rows(2_000)
accuracy.check_other_kernels()
"""
    environment = {**os.environ, "FLAMBEAU_ISA": isa}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


def check_rows(count):
    single = {name: largest_error(name, np.float32, count) for name in ROWS}
    double = {name: largest_error(name, np.float64, count) for name in ROWS if name not in NO_WIDE_REFERENCE}
    assert not {name: error for name, error in single.items() if error > ROWS[name]["accuracy"][0]}
    assert not {name: error for name, error in double.items() if error > ROWS[name]["accuracy"][1]}


def check_other_kernels():
    """Check reductions, products, sorting, conversions and random numbers with the current instruction set."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((37, 53)).astype(np.float32), rng.standard_normal((53, 41)).astype(np.float32)
    np.testing.assert_allclose((fb.tensor(a) @ fb.tensor(b)).numpy(), a @ b, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(fb.tensor(a).sum(0).numpy(), a.sum(0), rtol=1e-5, atol=1e-5)
    assert np.array_equal(fb.tensor(a).argmax(1).numpy(), a.argmax(1))
    for numbers in (a, a.astype(np.float64)):
        assert np.array_equal(fb.argsort(fb.tensor(numbers), 1).numpy(), numbers.argsort(1))
    mean, deviation = a.mean(1, keepdims=True), a.std(1, keepdims=True)
    np.testing.assert_allclose(fb.layer_norm(fb.tensor(a), (53,)).numpy(), (a - mean) / deviation, atol=1e-4)
    np.testing.assert_allclose(fb.softmax(fb.tensor(a), 1).numpy(), special.softmax(a, 1), rtol=1e-5)
    assert np.array_equal(fb.tensor(a).half().numpy(), a.astype(np.float16))
    words = fb.randint(-(2**62), 2**62, (5,), generator=fb.Generator().manual_seed(3))
    assert words.tolist() == SAME_EVERYWHERE


SAME_EVERYWHERE = fb.randint(-(2**62), 2**62, (5,), generator=fb.Generator().manual_seed(3)).tolist()


def test_reductions_products_and_other_kernels_are_accurate():
    check_other_kernels()


@pytest.mark.parametrize("name", ["tanh", "sin", "tan", "asin", "atan", "sinh", "asinh", "atanh", "erf", "erfinv"])
@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.bfloat16], ids=str)
def test_odd_functions_are_exactly_odd(name, dtype):
    x = fb.linspace(0, 1 if name in ("asin", "atanh", "erfinv") else 10, 2000, dtype=fb.float64).to(dtype)
    function = getattr(fb, name)
    assert fb.equal(function(-x), -function(x))
