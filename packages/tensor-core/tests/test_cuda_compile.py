"""Tests that each row of the operator table compiles for GPUs without warnings, for each of its dtypes."""

import ctypes
import glob
import os
import site
import sys
from pathlib import Path

import pytest

import flambeau as fb


def candidates():
    """Yield possible paths of NVRTC: NVIDIA's wheel, then CUDA toolkits."""
    for folder in dict.fromkeys([*site.getsitepackages(), *sys.path]):
        yield from sorted(glob.glob(f"{folder}/nvidia/**/libnvrtc.so.*", recursive=True), reverse=True)
    for toolkit in (os.environ.get("CUDA_HOME"), "/usr/local/cuda"):
        if toolkit:
            yield from sorted(glob.glob(f"{toolkit}/lib64/libnvrtc.so.*"), reverse=True)
    yield from ("libnvrtc.so.13", "libnvrtc.so.12")


def load_nvrtc():
    """Load NVRTC, or return None if it is not installed. It needs neither a GPU nor a driver."""
    for path in candidates():
        try:
            return ctypes.CDLL(path)
        except OSError:
            continue
    return None


INCLUDE = Path(fb._core.__file__).parent / "include"  # folder of the installed headers
SOURCES = INCLUDE.with_name("gpu")  # folder of the kernels' sources
OPTIONS = [
    "-std=c++20",
    "-default-device",
    "-DFLAMBEAU_ISA=gpu",
    "-D__FMA__",
    f"-I{INCLUDE}",
    f"-I{SOURCES}",
    f"-I{SOURCES / 'device' / 'standard'}",
]


def module_source(header, kernels):
    """Return the source of a CUDA module with kernels of ``device/*/<header>.h``."""
    (path,) = SOURCES.glob(f"device/*/{header}.h")
    return f'#include "{path.relative_to(SOURCES)}"\n{kernels}\n'


def compile(library, source, architecture):
    """Compile for `sm_80` (machine code) or `compute_80` (PTX) and return the log, empty on success."""
    options = [f"--gpu-architecture={architecture}", *OPTIONS]
    program = ctypes.c_void_p()
    library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"module.cu", 0, None, None)
    try:
        failed = library.nvrtcCompileProgram(
            program, len(options), (ctypes.c_char_p * len(options))(*map(str.encode, options))
        )
        size = ctypes.c_size_t()
        library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        library.nvrtcGetProgramLog(program, log)
        return log.value.decode().strip() or ("failed with an empty log" if failed else "")
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


LIBRARY = load_nvrtc()
pytestmark = pytest.mark.skipif(LIBRARY is None, reason="NVRTC is not installed (pip install nvidia-cuda-nvrtc)")

FAMILIES = sorted(path.stem for path in (INCLUDE / "flambeau" / "pointwise").glob("*.def"))
assert FAMILIES, "the families of pointwise operators have moved"
# The device code depends on the compute capability (`__CUDA_ARCH__`): there is separate code below 8.0 and, in kernels
# that use tensor cores, from 9.0 on. Code for 8.0 is compiled to machine code. Code for 7.5 and 9.0 is compiled to PTX,
# which takes a third of the time.
ARCHITECTURES = ["compute_75", "sm_80", "compute_90"]

POINTWISE_MODULE = """
#define FLAMBEAU_FAMILY %s
#include "device/elementwise/pointwise_operators.h"

namespace flambeau::device {

template <class Row, class V>
void value(void* out, const V* x) {
  if constexpr (takes<Row, V>) {
    auto& to = *static_cast<Result<Row, V>*>(out);
    if constexpr (Row::kArity == 1) to = value_of<Row>(x[0]);
    if constexpr (Row::kArity == 2) to = value_of<Row>(x[0], x[1]);
    if constexpr (Row::kArity == 3) to = value_of<Row>(x[0], x[1], x[2]);
  }
}
template <class Row, int I, class V>
void derivative(V* out, const V* x) {
  if constexpr (differentiates<Row, I, V>) {
    if constexpr (Row::kArity == 1) out[I] = derivative_of<Row, I>(x[0], x[1], x[2]);
    if constexpr (Row::kArity == 2) out[I] = derivative_of<Row, I>(x[0], x[1], x[2], x[3]);
    if constexpr (Row::kArity == 3) out[I] = derivative_of<Row, I>(x[0], x[1], x[2], x[3], x[4]);
  }
}

#define KERNEL(name, number, V)                                                                              \\
  extern "C" __global__ void name##_##number(void* out, const V* x) { value<name##_row>(out, x); }           \\
  extern "C" __global__ void d_##name##_##number(V* out, const V* x) {                                       \\
    derivative<name##_row, 0>(out, x), derivative<name##_row, 1>(out, x), derivative<name##_row, 2>(out, x); \\
  }
#define KERNELS(name)             \\
  KERNEL(name, u8, uint8_t)       \\
  KERNEL(name, i32, int32_t)      \\
  KERNEL(name, i64, int64_t)      \\
  KERNEL(name, u64, uint64_t)     \\
  KERNEL(name, f32, float)        \\
  KERNEL(name, f64, double)       \\
  KERNEL(name, c64, Complex<float>) \\
  KERNEL(name, c128, Complex<double>)
#define UNARY(name, ...) KERNELS(name)
#define BINARY(name, ...) KERNELS(name)
#define TERNARY(name, ...) KERNELS(name)
#include "flambeau/pointwise.def"

}  // namespace flambeau::device
"""


def supported(library):
    """Return the architectures that the compiler supports: 80, 90, ..."""
    count = ctypes.c_int()
    library.nvrtcGetNumSupportedArchs(ctypes.byref(count))
    numbers = (ctypes.c_int * count.value)()
    library.nvrtcGetSupportedArchs(numbers)
    return list(numbers)


@pytest.mark.parametrize("architecture", ARCHITECTURES[:2])
@pytest.mark.parametrize("family", FAMILIES)
def test_pointwise_functions_compile_for_every_architecture(family, architecture):
    if int(architecture.partition("_")[2]) not in supported(LIBRARY):
        pytest.skip(f"this NVRTC knows no {architecture}")
    assert compile(LIBRARY, POINTWISE_MODULE % family, architecture) == ""


KERNELS = [  # family; function, type of computation, of the result and of the operands
    ("basic", "VALUE(add), float, flambeau::float16, flambeau::float16, flambeau::cuda::Number"),
    ("basic", "DERIVATIVE(div, 1, 6), double, double, double, double, double"),
    ("elementary", "VALUE(pow), flambeau::Complex<float>, flambeau::Complex<float>, bool, flambeau::Complex<float>"),
    ("basic", "VALUE(lt), uint64_t, bool, uint64_t, int8_t"),
    ("basic", "VALUE(where), flambeau::Complex<double>, flambeau::Complex<double>, bool, double, int64_t"),
    ("special_scalar", "DERIVATIVE(digamma, 0, 1), float, flambeau::bfloat16, flambeau::bfloat16, float"),
]


@pytest.mark.parametrize(("family", "kernel"), KERNELS)
def test_pointwise_loops_compile(family, kernel):
    source = f"""
#define FLAMBEAU_FAMILY {family}
#include "device/elementwise/pointwise.h"
FLAMBEAU_POINTWISE({kernel})
"""
    assert compile(LIBRARY, source, "sm_80") == ""


CHAIN = """
#include "device/elementwise/chain.h"
namespace flambeau::cuda {
struct Chain {
  template <class V>
  static auto call(V v0, V v1, V v2) {
    const V v3 = V(device::value_of<device::lt_row>(v0, v1));
    const V v4 = rounded<%s>(device::derivative_of<device::pow_row, 1>(v0, v1, v2, v0));
    const V v5 = rounded<%s>(device::value_of<device::lgamma_row>(v4));
    return rounded<%s>(device::value_of<device::where_row>(v3, v4, v5));
  }
};
}
FLAMBEAU_POINTWISE(flambeau::cuda::Chain, %s, %s, %s, %s, flambeau::cuda::Number)
"""


@pytest.mark.parametrize(("stored", "computed"), [("float", "float"), ("double", "double"), ("bfloat16", "float")])
def test_fused_chains_of_operators_compile(stored, computed):
    stored = f"::flambeau::{stored}" if stored == "bfloat16" else stored
    assert compile(LIBRARY, CHAIN % (*[stored] * 3, computed, *[stored] * 3), "sm_80") == ""


REDUCTIONS = [*(name for name, _ in fb._core._reduction_rows()), "ArgMax", "ArgMin", "Moments", "Dot"]
LINES = ["Softmax", "LogSoftmax", "SoftmaxBackward", "LogSoftmaxBackward"]
NORMALIZED_ROWS = ["LayerNorm", "RmsNorm", "LayerNormBackward", "RmsNormBackward"]
COMPLEX = "::flambeau::Complex<double>"
MODULES = [  # header; kernels
    *(("reduce", f"FLAMBEAU_REDUCTION({op}<float>)") for op in REDUCTIONS),
    *(
        ("reduce", f"FLAMBEAU_REDUCTION(sum<{t}>)")
        for t in ("bool", "int8_t", "uint64_t", "::flambeau::float16", COMPLEX)
    ),
    *(("reduce", f"FLAMBEAU_REDUCTION({op}<{t}>)") for op in ("amax", "amin") for t in ("int8_t", "int64_t")),
    *(("reduce", f"FLAMBEAU_REDUCTION({op}<{COMPLEX}>)") for op in ("prod", "_abs_max", "Dot")),
    *(("softmax", f"FLAMBEAU_LINES({op}<{t}>)") for op in LINES for t in ("float", "::flambeau::bfloat16")),
    ("softmax", "FLAMBEAU_REDUCTION(LogSumExp<double>)"),
    ("losses", "FLAMBEAU_LOSSES(float)"),
    *(("normalize", f"FLAMBEAU_LINES({op}<{t}>)") for op in NORMALIZED_ROWS for t in ("double", "::flambeau::float16")),
    *(("normalize", f"FLAMBEAU_REDUCTION({op}<float>)") for op in ("RowsWeights", "ChannelMoments", "ChannelSums")),
    ("normalize", "FLAMBEAU_CHANNELS(::flambeau::float16)"),
    *(("scan", f"FLAMBEAU_SCAN({op}<float>)") for op in ("Sum", "Prod", "Max", "Min", "LogSumExp")),
    ("scan", f"FLAMBEAU_SCAN(ComplexLogSumExp<{COMPLEX}>)"),
    ("indexing", "FLAMBEAU_OFFSETS"),
    *[("indexing", f"FLAMBEAU_WORDS({w})") for w in ("uint8_t", "uint32_t", "flambeau::cuda::Word16")],
    *[
        ("indexing", f"FLAMBEAU_COMBINE({t}, Add)")
        for t in ("bool", "float", "flambeau::float16", "flambeau::Complex<double>")
    ],
    *[("indexing", f"FLAMBEAU_COMBINE({t}, Max)") for t in ("uint8_t", "double", "flambeau::bfloat16")],
    ("indexing", "FLAMBEAU_COMBINE(int64_t, Min)"),
    ("indexing", "FLAMBEAU_COMBINE(float, Multiply)"),
    ("indexing", "FLAMBEAU_COMBINE(flambeau::cuda::Word16, Assign)"),
    ("masks", ""),
    ("running_sums", "FLAMBEAU_RUNNING_SUMS"),
    *[("radix", f"FLAMBEAU_RADIX({k})") for k in ("uint32_t", "uint64_t")],
    *[
        ("sorting", f"FLAMBEAU_ORDER({t})")
        for t in ("bool", "int8_t", "flambeau::bfloat16", "float", "double", "uint64_t")
    ],
    *[("sorting", f"FLAMBEAU_SEARCH({t})") for t in ("uint8_t", "int64_t", "float")],
    *[
        ("random", f"FLAMBEAU_DRAW({kind}, {t})")
        for kind in ("Uniform", "Normal", "Exponential", "Cauchy", "LogNormal", "Geometric", "BernoulliOf", "Dropout")
        for t in ("float", "double", "flambeau::float16")
    ],
    *[
        ("random", f"FLAMBEAU_DRAW({kind}, {t})")
        for kind in ("Bernoulli", "Integers")
        for t in ("bool", "int64_t", "float")
    ],
    ("random", "FLAMBEAU_DRAW(Upto, uint32_t)"),
    *(("samplers", kernels) for kernels in ("FLAMBEAU_GAMMA_SLOPES", "FLAMBEAU_BETA_SLOPES", "FLAMBEAU_WEIGHTS")),
    *[("samplers", f"FLAMBEAU_SAMPLE({kind})") for kind in ("Poisson", "Binomial", "Gamma", "LogGamma")],
    *[("bags", f"FLAMBEAU_BAGS({t})") for t in ("float", "double", "flambeau::bfloat16")],
    *[("selection", f"FLAMBEAU_SELECTION({t})") for t in ("bool", "flambeau::float16", "float", "int64_t", "uint8_t")],
    *[("distances", f"FLAMBEAU_DISTANCES({t})") for t in ("float", "double")],
    *[("grid_sample", f"FLAMBEAU_GRID_SAMPLE({t})") for t in ("float", "double")],
    *[("ctc", f"FLAMBEAU_CTC({t})") for t in ("float", "double")],
    ("elimination", "FLAMBEAU_ORDER_OF_ROWS"),
    *[
        (family, f"FLAMBEAU_{family.upper()}({t})")
        for family in ("elimination", "indefinite", "reflectors")
        for t in ("float", "double", "flambeau::Complex<double>")
    ],
    ("permutation", "FLAMBEAU_PERMUTATION"),
    *[("attention_join", f"FLAMBEAU_ATTENTION_JOIN({t})") for t in ("float", "double", "flambeau::bfloat16")],
    *[
        ("recurrent", f"FLAMBEAU_CELL({cell}, {t})")
        for cell in ("TanhCell", "ReluCell", "LstmCell", "GruCell")
        for t in ("float", "double", "flambeau::float16", "flambeau::bfloat16")
    ],
    *[
        ("sequences", f"FLAMBEAU_SEQUENCE({t})")
        for t in ("uint8_t", "int64_t", "flambeau::bfloat16", "flambeau::Complex<float>")
    ],
]


@pytest.mark.parametrize("architecture", ARCHITECTURES[:2])
@pytest.mark.parametrize("header", sorted({header for header, _ in MODULES}))
def test_cuda_modules_compile(header, architecture):
    if int(architecture.partition("_")[2]) not in supported(LIBRARY):
        pytest.skip(f"this NVRTC knows no {architecture}")
    for name, kernels in MODULES:
        if name == header:
            assert compile(LIBRARY, module_source(header, kernels), architecture) == "", kernels


def test_all_families_of_pointwise_functions_compile_together():
    assert compile(LIBRARY, '#include "device/elementwise/pointwise_operators.h"\n', "compute_80") == ""


def test_compilation_errors_are_reported():
    include = '#include "device/elementwise/pointwise_operators.h"\n'
    wrong = include + "void f() { flambeau::kernels::gpu::no_such_function(1.0f); }\n"
    assert "no_such_function" in compile(LIBRARY, wrong, "compute_80")


FLOAT, DOUBLE, HALF, BRAIN = "float", "double", "::flambeau::float16", "::flambeau::bfloat16"
NETWORK_MODULES = [  # header; kernels
    *(
        ("product", f"FLAMBEAU_PRODUCT({t}, {t}, 64, false)")
        for t in (FLOAT, HALF, "::flambeau::Complex<double>", "int64_t")
    ),
    ("product", f"FLAMBEAU_PRODUCT({FLOAT}, {FLOAT}, 128, false)"),
    ("product", f"FLAMBEAU_PRODUCT({BRAIN}, {FLOAT}, 64, false)"),
    ("product", f"FLAMBEAU_PRODUCT({BRAIN}, {BRAIN}, 128, false)"),
    ("product", f"FLAMBEAU_PRODUCT({FLOAT}, {FLOAT}, 64, true)"),
    ("convolution", f"FLAMBEAU_CONVOLUTION(Forward, {FLOAT}, 128, false)"),
    ("convolution", f"FLAMBEAU_CONVOLUTION(Forward, {BRAIN}, 128, false)"),
    ("convolution", f"FLAMBEAU_CONVOLUTION(WeightGradient, {HALF}, 128, false)"),
    ("convolution", f"FLAMBEAU_CONVOLUTION(WeightGradient, {FLOAT}, 64, true)"),
    ("convolution", f"FLAMBEAU_CONVOLUTION(InputGradient, {HALF}, 64, false)"),
    ("convolution", f"FLAMBEAU_CONVOLUTION(WeightGradient, {DOUBLE}, 64, false)"),
    *(
        ("optimizer", f"FLAMBEAU_OPTIMIZER({rule}, {FLOAT})")
        for rule in ["Adadelta", "Adagrad", "Adam", "Adamax", "Asgd", "Nadam", "Radam", "Rmsprop", "Rprop", "Sgd"]
    ),
    ("optimizer", f"FLAMBEAU_OPTIMIZER(Adam, {BRAIN})"),
    ("optimizer", f"FLAMBEAU_SCALE({DOUBLE})"),
    *(("windows", f"FLAMBEAU_WINDOWS({t})") for t in (FLOAT, BRAIN, "bool")),
    *(("transpose", f"FLAMBEAU_TRANSPOSE({t})") for t in (f"{FLOAT}, {FLOAT}, {HALF}", "bool, bool, bool")),
    *(("pool", f"FLAMBEAU_MAX_POOL({t}, {n}, {n})") for t in (FLOAT, HALF, "int64_t") for n in (0, 3)),
    *(
        ("attention", f"FLAMBEAU_ATTENTION({t}, {d}, {d}, {tile}, {parts})")
        for t, d, tile in ((FLOAT, 64, 32), (BRAIN, 128, 32), (HALF, 256, 16), (DOUBLE, 128, 16))
        for parts in ("false", "true")
    ),
    *(
        ("attention", f"FLAMBEAU_ATTENTION_DERIVATIVE({t}, {d}, {d}, {tile})")
        for t, d, tile in ((FLOAT, 64, 32), (BRAIN, 128, 16), (DOUBLE, 64, 16))
    ),
    *(("resample", f"FLAMBEAU_RESAMPLE({t}, {v})") for t, v in ((FLOAT, FLOAT), (BRAIN, FLOAT), ("bool", "int64_t"))),
]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("header", "kernels"), NETWORK_MODULES)
def test_modules_for_training_networks_compile(header, kernels, architecture):
    if int(architecture.partition("_")[2]) not in supported(LIBRARY):
        pytest.skip(f"this NVRTC knows no {architecture}")
    assert compile(LIBRARY, module_source(header, kernels), architecture) == ""


TENSOR_CORE_MODULES = [  # dtype; header; kernels
    *(
        (t, "matrix_attention", f"FLAMBEAU_MATRIX_ATTENTION({t}, {sizes})")
        for t, sizes in (
            (BRAIN, "128, 128, 4, 2, 32, false, false"),
            (HALF, "128, 128, 4, 2, 32, true, false"),
            (HALF, "64, 64, 4, 1, 64, false, false"),
            (BRAIN, "256, 80, 4, 1, 16, true, false"),
            (BRAIN, "128, 128, 4, 1, 64, false, true"),
            (HALF, "64, 128, 4, 1, 64, true, true"),
            (FLOAT, "64, 64, 4, 2, 32, false, false"),  # float32 is rounded to TF32
            (FLOAT, "128, 128, 4, 1, 32, true, true"),
        )
    ),
    *(
        (t, "matrix_attention_derivative", f"FLAMBEAU_MATRIX_ATTENTION_DERIVATIVE({t}, {sizes})")
        for t, sizes in (
            (BRAIN, "128, 128, 4, 1, 32, false"),
            (HALF, "64, 64, 4, 2, 32, true"),
            (FLOAT, "64, 64, 4, 1, 32, false"),
            (FLOAT, "128, 128, 2, 1, 16, true"),
        )
    ),
]


# Turing (7.5) has tensor cores for float16 only.
TENSOR_CORE_CASES = [
    (a, *module) for a in ARCHITECTURES for module in TENSOR_CORE_MODULES if a != "compute_75" or module[0] == HALF
]


@pytest.mark.parametrize(("architecture", "dtype", "header", "kernels"), TENSOR_CORE_CASES)
def test_tensor_core_kernels_compile(architecture, dtype, header, kernels):
    if int(architecture.partition("_")[2]) not in supported(LIBRARY):
        pytest.skip(f"this NVRTC knows no {architecture}")
    assert compile(LIBRARY, module_source(header, kernels), architecture) == ""
