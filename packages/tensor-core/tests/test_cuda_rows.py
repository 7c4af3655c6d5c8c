"""Tests that the GPU's expressions of the operator table give the same results as the CPU's kernels.

The headers that NVRTC compiles are compiled here for the host instead, with the host's standard library.
"""

import ctypes
import os
import platform
import shutil
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import special

import flambeau as fb

COMPILER = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler")

INCLUDE = Path(fb._core.__file__).parent / "include"  # folder of the installed headers
SOURCES = INCLUDE.with_name("gpu")  # folder of the kernels' sources
ROWS = {row["name"]: row for row in fb._core.pointwise_rows()}
FAMILIES = sorted(path.stem for path in (INCLUDE / "flambeau" / "pointwise").glob("*.def"))
assert FAMILIES, "the families of pointwise operators have moved"
INTEGERS = ["uint8", "int32", "int64", "uint64"]
FLOATS = ["float32", "float64"]
COMPLEX = ["complex64", "complex128"]

UNIT = """
#define FLAMBEAU_FAMILY %s
#include "device/elementwise/pointwise_operators.h"

namespace flambeau::device {

template <class Row, class V>
int values(int64_t n, void* out, const V* const* x) {
  if constexpr (takes<Row, V>) {
    auto* to = static_cast<Result<Row, V>*>(out);
    for (int64_t i = 0; i < n; ++i) {
      if constexpr (Row::kArity == 1) to[i] = value_of<Row>(x[0][i]);
      if constexpr (Row::kArity == 2) to[i] = value_of<Row>(x[0][i], x[1][i]);
      if constexpr (Row::kArity == 3) to[i] = value_of<Row>(x[0][i], x[1][i], x[2][i]);
    }
    return int(sizeof(*to));
  }
  return 0;
}

template <class Row, int I, class V>
bool derivative(V* out, const V* x) {
  if constexpr (differentiates<Row, I, V>) {
    if constexpr (Row::kArity == 1) out[I] = derivative_of<Row, I>(x[0], x[1], x[2]);
    if constexpr (Row::kArity == 2) out[I] = derivative_of<Row, I>(x[0], x[1], x[2], x[3]);
    if constexpr (Row::kArity == 3) out[I] = derivative_of<Row, I>(x[0], x[1], x[2], x[3], x[4]);
    return true;
  }
  return false;
}
// Of all operands, x being the gradient, the operands and the result; which there are as bits.
template <class Row, class V>
int derivatives(V* out, const V* x) {
  return derivative<Row, 0>(out, x) | derivative<Row, 1>(out, x) << 1 | derivative<Row, 2>(out, x) << 2;
}

#define TYPE(name, dtype, V)                                                              \\
  extern "C" int name##_##dtype(int64_t n, void* out, const V* const* x) {                \\
    return values<name##_row, V>(n, out, x);                                              \\
  }                                                                                       \\
  extern "C" int d_##name##_##dtype(V* out, const V* x) { return derivatives<name##_row>(out, x); }
#define TYPES(name)                    \\
  TYPE(name, uint8, uint8_t)           \\
  TYPE(name, int32, int32_t)           \\
  TYPE(name, int64, int64_t)           \\
  TYPE(name, uint64, uint64_t)         \\
  TYPE(name, float32, float)           \\
  TYPE(name, float64, double)          \\
  TYPE(name, complex64, Complex<float>) \\
  TYPE(name, complex128, Complex<double>)
#define UNARY(name, ...) TYPES(name)
#define BINARY(name, ...) TYPES(name)
#define TERNARY(name, ...) TYPES(name)
#include "flambeau/pointwise.def"

}  // namespace flambeau::device
"""


@pytest.fixture(scope="module", params=FAMILIES)
def library(request, tmp_path_factory):
    """Compile the rows of a family (a file of the operator table) into a library of functions over arrays."""
    family, folder = request.param, tmp_path_factory.mktemp("rows")
    source, library = folder / f"{family}.cpp", folder / f"{family}.so"
    source.write_text(UNIT % family)
    fused = ["-mfma"] if platform.machine() == "x86_64" and fb._core.instruction_set() != "baseline" else []
    command = [COMPILER, "-std=c++20", "-O1", "-fwrapv", "-ffp-contract=fast", *fused, "-shared", "-fPIC"]
    command += ["-DFLAMBEAU_EMULATED", "-DFLAMBEAU_ISA=gpu", f"-I{INCLUDE}", f"-I{SOURCES}", source, "-o", library]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return ctypes.CDLL(str(library))


def on_device(library, row, operands, dtype):
    """Return the result in its dtype, or None if the row has no kernel for the operands' dtype."""
    call = getattr(library, f"{row['name']}_{dtype}")
    pointers = (ctypes.c_void_p * len(operands))(*(a.ctypes.data for a in operands))
    out = np.empty(operands[0].size, np.complex128)  # large enough for every dtype
    size = call(ctypes.c_int64(operands[0].size), ctypes.c_void_p(out.ctypes.data), pointers)
    if not size:
        return None
    if row["domain"] in ("Comparison", "Logical"):
        result = np.dtype(bool)
    elif dtype in COMPLEX and size < np.dtype(dtype).itemsize:
        result = np.empty(0, dtype).real.dtype
    else:
        result = np.dtype(dtype)
    assert size == result.itemsize
    return out.view(result)[: operands[0].size]


def numbers(dtype, limits):
    """Return values of every magnitude, zeros, infinities and NaN; with ``limits`` also the extremes."""
    rng = np.random.default_rng(0)
    if dtype in INTEGERS:
        info = np.iinfo(dtype)
        edges = np.array([0, 1, 2, 3, 5, 7, 31, 63, info.max, info.max - 1, info.min], dtype)
        return np.concatenate([edges, rng.integers(0 if info.min == 0 else -100, 100, 12).astype(dtype)])
    info = np.finfo(dtype)
    edges = [0.0, 1, 0.5, 2, 3, 10, 20, 88.5, 709.5, 1e5, 3e7, 1e15, np.inf]
    few = np.concatenate([rng.uniform(0, 4, 10), np.exp(rng.uniform(-30, 30, 12))])
    values = np.concatenate([edges, few, [info.max, info.tiny, info.smallest_subnormal] if limits else []])
    return np.concatenate([values, -values, [np.nan]]).astype(info.dtype)


def grid(row, dtype):
    """Return every combination of the numbers for one or two operands, and many combinations for three.

    The largest and smallest numbers are included only for a single real operand. Otherwise, a fused multiply-add could
    decide whether a sum overflows or underflows, and the kernels may differ in this.
    """
    arity = row["arity"]
    values = numbers(dtype, limits=arity == 1 and dtype not in COMPLEX)
    if dtype in COMPLEX:
        real, imaginary = (a.ravel() for a in np.meshgrid(values, values))
        first = real.astype(dtype)
        first.imag = imaginary
        first = first[~(np.isinf(first) & (np.isnan(real) | np.isnan(imaginary)))]
        return [np.roll(first, 1007 * k) for k in range(arity)]
    if arity < 3:
        operands = [a.ravel() for a in np.meshgrid(*[values] * arity)]
    else:
        operands = list(np.random.default_rng(1).choice(values, (arity, 4000)))
    if row["name"] == "_binary_cross_entropy":
        operands[1] = np.clip(operands[1], 0, 1)  # a probability
    if dtype in INTEGERS and row["name"] in ("floor_divide", "remainder", "fmod", "_trunc_divide"):
        operands = [a[operands[1] != 0] for a in operands]
    return [np.ascontiguousarray(a) for a in operands]


def allowed(row, operands, want):
    """Return the tolerance of each element: twice the row's accuracy, because both kernels may have this error.

    The accuracy is in units of the result or of the row's scale.
    """
    single, double, scale = row["accuracy"]
    units = 2 * (single if want.dtype in (np.float32, np.complex64) else double)
    wide = [a.astype(np.complex128 if a.dtype.kind == "c" else np.float64) for a in operands]
    size = np.abs(want)
    if scale:
        size = np.fmax(size, np.abs(eval(scale, {"np": np, "special": special}, dict(zip("xyz", wide, strict=False)))))
    if wide[0].dtype.kind == "c":  # rows do not state an accuracy for complex numbers
        units = max(units, 16)
        if row["name"] == "pow":
            size = size * (1 + np.abs(wide[1] * np.log(wide[0])))
    limits = np.finfo(want.dtype)
    return units * (limits.eps * size + limits.smallest_subnormal)


def same(row, operands, got, want):
    """Return where results agree: bit for bit except NaN if the row is exact, otherwise within its accuracy."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if want.dtype.kind == "c":  # if one part is NaN or infinite, the other is unspecified
            parts = [(got.real, want.real), (got.imag, want.imag)]
            unusual = [(np.isnan(a) == np.isnan(b)) & (np.isinf(a) == np.isinf(b)) for a, b in parts]
            near = (got == want) | (np.abs(got - want) <= allowed(row, operands, want))
            return near | (~np.isfinite(want) & unusual[0] & unusual[1])
        equal = got == want
        if want.dtype.kind != "f":
            return equal
        equal = (equal & ((want != 0) | (np.signbit(got) == np.signbit(want)))) | (np.isnan(got) & np.isnan(want))
        return equal | ((np.abs(got - want) <= allowed(row, operands, want)) & np.isfinite(want) & (want != 0))


def differences(library, row, dtype):
    """Return some operands for which the CPU and GPU kernels of a row differ, with both results."""
    operands = grid(row, dtype)
    got = on_device(library, row, operands, dtype)
    assert (got is not None) == row["complex"] or dtype not in COMPLEX
    if got is None:
        return []
    want = fb._core._rows[row["name"]](*map(fb.from_numpy, operands)).numpy()
    assert got.dtype == want.dtype
    wrong = np.flatnonzero(~same(row, operands, got, want))
    return [(row["name"], dtype, [a[i] for a in operands], got[i], want[i]) for i in wrong[:4]]


def test_device_code_of_pointwise_functions_equals_the_cpu(library):
    own = [row for row in ROWS.values() if hasattr(library, f"{row['name']}_float32")]
    assert own
    dtypes = INTEGERS + FLOATS + COMPLEX
    assert [found for row in own for dtype in dtypes for found in differences(library, row, dtype)] == []


def slope(row, point, k):
    """Return the derivative by operand k from central differences. For complex operands: Note [Complex derivatives]."""

    def values(step):
        moved = [np.array([a + (step if j == k else 0)], a.dtype) for j, a in enumerate(point)]
        return fb._core._rows[row["name"]](*map(fb.from_numpy, moved)).numpy().real[0]

    steps = [1e-6, 1e-6j] if point[k].dtype.kind == "c" else [1e-6]
    return sum((values(h) - values(-h)) / 2e-6 * (h / abs(h)) for h in steps)


POINTS = {"_polygamma": [(2.5, 2.0), (0.7, 1.0)], "special_zeta": [(2.5, 0.7), (4.0, 3.1)]}
USUAL = [
    (0.31, 0.72, 1.4),
    (0.83, 0.27, 0.4),
    (2.3, 1.7, 0.61),
    (-0.47, 0.35, 0.9),
    (-2.6, 1.37, -0.7),
    (1.2, -1.9, 2.2),
]


def test_device_code_of_pointwise_derivatives_equals_the_cpu(library):
    for row in ROWS.values():
        if not hasattr(library, f"{row['name']}_float64"):
            continue
        for dtype in ("float64", "complex128") if row["complex"] else ("float64",):
            for numbers in POINTS.get(row["name"], USUAL):
                point = list(np.array(numbers[: row["arity"]], dtype))
                if dtype == "complex128":
                    point = [a + (0.3 - 0.7 * k) * 1j for k, a in enumerate(point)]
                check_derivatives(library, row, point, dtype)


def check_derivatives(library, row, point, dtype):
    operands = [np.array([a]) for a in point]
    result = on_device(library, row, operands, dtype)
    if result is None or not np.isfinite(result[0]):
        return
    given = np.array([1, *point, result[0]], dtype)
    out = np.full(3, np.nan, dtype)
    call = getattr(library, f"d_{row['name']}_{dtype}")
    exist = call(ctypes.c_void_p(out.ctypes.data), ctypes.c_void_p(given.ctypes.data))
    stated = sum(1 << k for k, text in enumerate(row["derivatives"]) if text != "none")
    assert exist == stated or (dtype == "complex128" and exist & ~stated == 0), row["name"]
    for k in range(row["arity"]):
        if exist >> k & 1:
            assert out[k] == pytest.approx(slope(row, point, k), rel=2e-5, abs=2e-7), (row["name"], point, k)


@pytest.mark.parametrize("library", ["elementary"], indirect=True)
def test_device_derivatives_of_trigonometric_functions_are_accurate_at_large_angles(library):
    for name, expected in (("sin", np.cos), ("cos", lambda x: -np.sin(x)), ("tan", lambda x: 1 / np.cos(x) ** 2)):
        for x in (1e8, 3e15, -1e300):
            given = np.array([1, x, np.tan(x)])
            out = np.empty(3)
            getattr(library, f"d_{name}_float64")(ctypes.c_void_p(out.ctypes.data), ctypes.c_void_p(given.ctypes.data))
            assert out[0] == pytest.approx(expected(x), rel=1e-14)
