"""Test ``torch.utils.cpp_extension``: C++ extensions that were written for PyTorch compile against flambeau."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import flambeau as fb
from flambeau.torch import cpp_extension

HERE = Path(__file__).parent
pytestmark = [
    pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler"),
    # On free-threaded Python, importing an extension that does not declare its support enables the GIL and warns.
    pytest.mark.filterwarnings("ignore:The global interpreter lock:RuntimeWarning"),
]


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Return a temporary folder that all processes of this test run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def values(folder):
    (folder / "values").mkdir(exist_ok=True)
    source, where = str(HERE / "cpp" / "values.cpp"), str(folder / "values")
    return cpp_extension.load("values", source, extra_cflags=["-O0", "-Wall", "-Werror"], build_directory=where)


def check(results, expected):
    """Compare tensors with arrays: elements, shapes, and whether the dtypes are integer, floating-point or bool."""
    assert len(results) == len(expected)
    for i, (result, value) in enumerate(zip(results, expected, strict=True)):
        assert result.numpy().dtype.kind == np.asarray(value).dtype.kind, i
        np.testing.assert_allclose(result.numpy(), value, rtol=2e-6, atol=1e-6, err_msg=str(i))


def test_arithmetic_in_an_extension_equals_numpy(values):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3, 2)).astype(np.float32), rng.uniform(0.5, 2, size=(3, 2)).astype(np.float32)
    changed = (x + y) * 2
    changed[0], changed[1, 0] = 7, y[0, 0]
    expected = [x + y * 2 - 1 / y, x @ y.T, (x > 0) & (y < 1), -x, 2**x, changed, 1 - np.tanh(x) ** 2]
    check(values.arithmetic(fb.from_numpy(x), fb.from_numpy(y)), expected)


def test_reductions_in_an_extension_equal_numpy(values):
    x = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    softmax = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    expected = [x.sum(), x.sum(0, keepdims=True), x.sum(), x.mean(-1), x.std(ddof=1), x.std(1), np.linalg.norm(x)]
    expected += [x.max(1), x.argmax(1), -np.sort(-x, 0), x.argmax(1), x.cumsum(1), softmax, x.sum(dtype=np.float64)]
    results = values.reductions(fb.from_numpy(x))
    check(results, expected)
    assert results[-1].dtype == fb.float64


def test_shapes_and_indexing_in_an_extension_equal_numpy(values):
    x = np.random.default_rng(2).normal(size=(2, 3, 4)).astype(np.float32)
    expected = [x.reshape(-1, 4), x.transpose(2, 0, 1), x.reshape(-1), x, x.swapaxes(0, 1), np.concatenate([x, x], 1)]
    expected += [np.stack([x, x]), x[:, 1:], x[..., :2], x[:, 1], x[0, None, 1:], x[..., 1:3], x[:, -1]]
    expected += [x.reshape(2, 12), np.tile(x, (1, 2, 1)), np.broadcast_to(x, (2, 2, 3, 4)), x.astype(np.int32)]
    check(values.shapes(fb.from_numpy(x)), [*expected, np.roll(x, 1, 0)])


def test_factories_in_an_extension_create_the_requested_tensors(values):
    filled = np.full((2, 3), 3.0, np.float32)
    filled[:, 0], filled[1, 1] = -1, 5
    expected = [np.zeros((2, 3), np.float32), np.ones(4, np.int64), np.full(2, 1.5, np.float32), np.arange(5)]
    expected += [np.arange(1, 2, 0.25), np.eye(3), np.linspace(0, 1, 5), np.zeros((2, 3), np.float16)]
    expected += [np.array([1.5, 2.5], np.float32), np.array(7), np.zeros(2), np.full(2, 9.0), filled]
    results = values.made(fb.zeros(2, 3))
    check(results, expected)
    dtypes = [fb.float32, fb.int64, fb.float32, fb.int64, fb.float64, fb.float32, fb.float32, fb.float16, fb.float32]
    assert [x.dtype for x in results] == [*dtypes, fb.int64, fb.float32, fb.float32, fb.float32]


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.float16, fb.int64, fb.uint8], ids=str)
def test_accessors_read_elements_of_every_dispatched_dtype(values, dtype):
    x = fb.arange(6).reshape(2, 3).to(dtype).t()
    result = values.row_sums(x)
    assert result.dtype == dtype and result.tolist() == [3, 5, 7]


def test_dtypes_that_are_not_dispatched_raise_not_implemented(values):
    with pytest.raises(NotImplementedError, match="\"row_sums\" not implemented for 'Bool'"):
        values.row_sums(fb.ones(2, 2, dtype=fb.bool))
    with pytest.raises(NotImplementedError, match="'ComplexFloat'"):
        values.row_sums(fb.ones(2, 2, dtype=fb.complex64))


@pytest.mark.parametrize("threads", [1, 3])
def test_parallel_loops_cover_every_index_once(values, threads):
    x, former = np.random.default_rng(3).normal(size=100_001), fb.get_num_threads()
    fb.set_num_threads(threads)
    try:
        np.testing.assert_array_equal(values.square_in_parallel(fb.from_numpy(x)).numpy(), x * x)
        np.testing.assert_allclose(values.sum_in_parallel(fb.from_numpy(x)), x.sum(), rtol=1e-12)
    finally:
        fb.set_num_threads(former)


def test_from_blob_wraps_memory_of_the_extension(values):
    assert values.owned_elsewhere().tolist() == [[1, 2], [3, 4]]


def test_an_extension_receives_arguments_of_every_type(values):
    text = values.described(fb.ones(2, 3), None, fb.int32, fb.device("meta"), [4, 5], 2.5)
    assert text == "[2, 3][3, 1]Floatcpu10Intmeta[4, 5]2.5"
    text = values.described(fb.ones(2, 3).t(), fb.ones(1), fb.bool, fb.device("cpu"), (), True)
    assert text == "[3, 2][1, 3]Floatcpu01Boolcpu[]1"


def test_wrong_arguments_of_an_extension_raise_type_error(values):
    with pytest.raises(TypeError, match="incompatible function arguments"):
        values.row_sums(3)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        values.row_sums(None)


@pytest.mark.parametrize(
    ("kind", "error", "text"),
    [(0, IndexError, "index"), (1, ValueError, "value"), (2, TypeError, "type"), (3, NotImplementedError, "absent"),
     (4, RuntimeError, "kind 4")],
)  # fmt: skip
def test_failed_checks_raise_the_exceptions_of_their_names(values, kind, error, text):
    with pytest.raises(error, match=text):
        getattr(values, "raise")(kind)


def test_errors_of_operators_propagate_through_the_extension(values):
    with pytest.raises(RuntimeError, match=r"row_sums expects a matrix, got \[2\]"):
        values.row_sums(fb.ones(2))
    with pytest.raises(RuntimeError, match=r"shape|size"):
        values.arithmetic(fb.ones(3, 2), fb.ones(4, 2))


# A module that includes only Python's header, so that it compiles quickly.
ANSWER = """
#include <Python.h>
static PyObject* answer(PyObject*, PyObject*) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {}};
static PyModuleDef definition = {PyModuleDef_HEAD_INIT, "answer", "", -1, methods, {}, {}, {}, {}};
#define INIT_(name) PyInit_##name
#define INIT(name) INIT_(name)
PyMODINIT_FUNC INIT(TORCH_EXTENSION_NAME)() { return PyModule_Create(&definition); }
"""


def test_only_changed_sources_are_compiled_again(tmp_path):
    arguments = {"no_implicit_headers": True, "build_directory": str(tmp_path)}
    first = cpp_extension.load_inline("answer", ANSWER, **arguments)
    assert first.answer() == 42
    written = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.suffix in (".o", ".so")}
    assert len(written) == 2 and cpp_extension.load_inline("answer", ANSWER, **arguments).answer() == 42
    assert written == {path: path.stat().st_mtime_ns for path in written}
    changed = cpp_extension.load_inline("answer", ANSWER.replace("42", "43"), **arguments)
    assert changed.answer() == 43 and first.answer() == 42


def test_a_changed_header_is_compiled_again(tmp_path):
    (tmp_path / "value.h").write_text("#define VALUE 1\n")
    source = '#include "value.h"\n' + ANSWER.replace("42", "VALUE")
    (tmp_path / "module.cpp").write_text(source)
    cpp_extension.load("headed", str(tmp_path / "module.cpp"), build_directory=str(tmp_path))
    first = (tmp_path / "headed.so").read_bytes()
    (tmp_path / "value.h").write_text("#define VALUE 2\n")
    cpp_extension.load("headed", str(tmp_path / "module.cpp"), build_directory=str(tmp_path))
    assert (tmp_path / "headed.so").read_bytes() != first


def test_load_inline_binds_functions_given_as_text(tmp_path):
    source = "torch::Tensor twice(torch::Tensor x) { return x + x; }"
    module = cpp_extension.load_inline(
        "twice", source, functions={"twice": "Double."}, build_directory=str(tmp_path), extra_cflags=["-O0"]
    )
    assert module.twice(fb.ones(2)).tolist() == [2, 2] and "Double." in module.twice.__doc__


def test_the_exception_contains_the_errors_of_the_compiler(tmp_path):
    with pytest.raises(RuntimeError, match=r"(?s)Error building extension 'broken'.*undeclared_name") as caught:
        cpp_extension.load_inline(
            "broken", "int f() { return undeclared_name; }", build_directory=str(tmp_path), no_implicit_headers=True
        )
    assert "-DTORCH_EXTENSION_NAME=broken" in str(caught.value)


def test_unsupported_functions_fail_to_compile(tmp_path):
    source = """
    torch::nn::Module<int> m;
    #include <ATen/cuda/CUDAContext.h>
    void f(at::Tensor x) { x.data_ptr<std::string>(); }
    void g(torch::Library& m) { m.def("f", [](std::mutex*) {}); }
    """
    with pytest.raises(RuntimeError, match="Error building extension 'absent'") as caught:
        cpp_extension.load_inline("absent", source, build_directory=str(tmp_path), extra_cflags=["-fsyntax-only"])
    for sentence in (
        "flambeau has no torch::nn in C++: write modules in Python",
        "flambeau compiles C++ extensions for the CPU only",
        "no dtype of flambeau has elements of this C++ type",
        "an operator takes and returns tensors, numbers, strings",
    ):
        assert sentence in str(caught.value)


def test_cuda_sources_are_rejected_with_a_reason(tmp_path):
    pytest.importorskip("setuptools")
    assert cpp_extension.CUDA_HOME is None
    for ask in (
        lambda: cpp_extension.CUDAExtension("name", ["a.cu"]),
        lambda: cpp_extension.load("name", ["a.cpp", "a.cu"]),
        lambda: cpp_extension.load_inline("name", "", cuda_sources="__global__ void f() {}"),
        lambda: cpp_extension.include_paths("cuda"),
    ):
        with pytest.raises(OSError, match="CUDA_HOME environment variable is not set"):
            ask()


def test_compilation_on_windows_is_rejected(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(NotImplementedError, match="cannot compile C\\+\\+ extensions on Windows"):
        cpp_extension.load("example", ["example.cpp"])


def test_standalone_programs_are_rejected():
    with pytest.raises(NotImplementedError, match="is_standalone"):
        cpp_extension.load("name", ["a.cpp"], is_standalone=True)


SETUP = """
from setuptools import setup
import torch
from torch.utils.cpp_extension import BuildExtension, CppExtension

extension = CppExtension("package.doubled", ["doubled.cpp"], extra_compile_args={"cxx": ["-O0", "-std=c++17"]})
setup(
    name="doubled",
    version="1.0",
    packages=["package"],
    ext_modules=[extension],
    install_requires=["torch"],
    cmdclass={"build_ext": BuildExtension.with_options(no_python_abi_suffix=True, use_ninja=NINJA)},
)
"""
DOUBLED = """
#include <torch/extension.h>
static torch::Tensor twice(torch::Tensor x) { return x * 2; }
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("twice", &twice, "twice the tensor"); }
"""


def written_project(folder, ninja):
    (folder / "setup.py").write_text(SETUP.replace("NINJA", str(ninja)))
    (folder / "doubled.cpp").write_text(DOUBLED)
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").write_text("")


def run(folder, *arguments, **environment):
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("ninja", [True, False])
def test_setuptools_builds_an_extension_in_place(tmp_path, ninja):
    pytest.importorskip("setuptools")
    written_project(tmp_path, ninja)
    run(tmp_path, "-m", "flambeau.torch", "setup.py", "build_ext", "--inplace")
    assert (tmp_path / "package" / "doubled.so").exists()
    code = "import torch; from package import doubled; print(doubled.twice(torch.ones(2)).tolist())"
    assert run(tmp_path, "-m", "flambeau.torch", "-c", code) == "[2.0, 2.0]\n"


def test_pip_installs_a_project_that_imports_torch(tmp_path):
    pytest.importorskip("setuptools")
    written_project(tmp_path, True)
    where = tmp_path / "installed"
    pip = ["-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--target", str(where), "."]
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode:
        pytest.skip("needs pip")
    path = run(tmp_path, "-m", "flambeau.torch", "--path").strip()
    run(tmp_path, *pip, PYTHONPATH=path)
    code = textwrap.dedent("""
        import torch
        from package import doubled
        print(doubled.twice(torch.ones(2)).tolist(), torch.linalg is not None, doubled.__file__)
    """)
    printed = run(tmp_path.parent, "-c", code, PYTHONPATH=os.pathsep.join([path, str(where)]))
    assert printed.startswith("[2.0, 2.0] True") and str(where) in printed
