"""The error bounds that src/kernels/math.h claims, measured over the whole float32 range, for every instruction set."""

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import special

import flambeau as fb

# In units in the last place of the correctly rounded result, subnormals included: the table of src/kernels/math.h.
BOUNDS = {
    "sqrt": (np.sqrt, 0.5),
    "log": (np.log, 1.0),
    "exp": (np.exp, 1.5),
    "exp2": (np.exp2, 1.5),
    "log1p": (np.log1p, 2.0),
    "log2": (np.log2, 2.0),
    "log10": (np.log10, 2.0),
    "expm1": (np.expm1, 2.0),
    "sin": (np.sin, 2.0),
    "cos": (np.cos, 2.0),
    "tanh": (np.tanh, 2.0),
    "sigmoid": (special.expit, 3.0),
    "erf": (special.erf, 3.0),
}


def largest_error(name, x):
    reference, _ = BOUNDS[name]
    with np.errstate(all="ignore"):
        exact = reference(x.astype(np.float64))
        rounded = exact.astype(np.float32)
    result = getattr(fb, name)(fb.from_numpy(x)).numpy()
    assert np.array_equal(np.isnan(result), np.isnan(rounded))
    finite = np.isfinite(rounded) & np.isfinite(result)
    np.testing.assert_array_equal(result[~finite & ~np.isnan(rounded)], rounded[~finite & ~np.isnan(rounded)])
    unit = np.spacing(np.minimum(np.abs(rounded[finite]), np.float32(3e38))).astype(np.float64)
    return float(np.max(np.abs(result[finite].astype(np.float64) - exact[finite]) / np.abs(unit), initial=0))


def samples(step):
    """Every `step`-th float32 there is, and the usual arguments densely."""
    bits = np.arange(0, 2**32, step, dtype=np.uint64).astype(np.uint32)
    every = bits.view(np.float32)
    edges = np.array(
        [0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 1e-45, -1e-45, 88.72283, -103.97208, -87.336], np.float32
    )
    return np.concatenate([every[np.isfinite(every)], np.linspace(-20, 20, 300_001, dtype=np.float32), edges])


@pytest.mark.parametrize("name", BOUNDS)
def test_float32(name):
    assert largest_error(name, samples(4999)) <= BOUNDS[name][1]


@pytest.mark.parametrize("isa", ["baseline", "avx2"])
def test_every_instruction_set(isa):
    if fb._core.instruction_set() == "baseline" and isa != "baseline":
        pytest.skip("this processor has no AVX2")
    script = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("accuracy", {__file__!r})
accuracy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(accuracy)
assert accuracy.fb._core.instruction_set() == {isa!r}, accuracy.fb._core.instruction_set()
x = accuracy.samples(40009)
wrong = {{n: e for n in accuracy.BOUNDS if (e := accuracy.largest_error(n, x)) > accuracy.BOUNDS[n][1]}}
assert not wrong, wrong
accuracy.check_other_kernels()
"""
    environment = {**os.environ, "FLAMBEAU_ISA": isa}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr


def check_other_kernels():
    """Reductions, products, conversions and random numbers of the instruction set in use."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((37, 53)).astype(np.float32), rng.standard_normal((53, 41)).astype(np.float32)
    np.testing.assert_allclose((fb.tensor(a) @ fb.tensor(b)).numpy(), a @ b, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(fb.tensor(a).sum(0).numpy(), a.sum(0), rtol=1e-5, atol=1e-5)
    assert np.array_equal(fb.tensor(a).argmax(1).numpy(), a.argmax(1))
    np.testing.assert_allclose(fb.softmax(fb.tensor(a), 1).numpy(), special.softmax(a, 1), rtol=1e-5)
    assert np.array_equal(fb.tensor(a).half().numpy(), a.astype(np.float16))
    words = fb.randint(-(2**62), 2**62, (5,), generator=fb.Generator().manual_seed(3))
    assert words.tolist() == SAME_EVERYWHERE


SAME_EVERYWHERE = fb.randint(-(2**62), 2**62, (5,), generator=fb.Generator().manual_seed(3)).tolist()


def test_other_kernels():
    check_other_kernels()


@pytest.mark.parametrize("name", ["exp", "log", "sin", "cos", "tanh", "erf", "erfc", "expm1", "log1p", "sigmoid"])
def test_float64(name):
    reference = getattr(np, name, None) or {"sigmoid": special.expit}.get(name) or getattr(special, name)
    x = np.random.default_rng(1).standard_normal(20_000) * 5
    with np.errstate(all="ignore"):
        want = reference(x)
    np.testing.assert_allclose(getattr(fb, name)(fb.tensor(x)).numpy(), want, rtol=2e-13 if name == "erfc" else 4e-15)


def test_gelu_error_is_relative_to_its_argument():
    x = samples(4999)
    x = x[np.abs(x) < 1e30]
    exact = x.astype(np.float64) * special.ndtr(x.astype(np.float64))
    error = np.abs(fb.gelu(fb.from_numpy(x)).numpy() - exact)
    assert np.all(error <= 2e-7 * np.abs(x) + 1e-45)
