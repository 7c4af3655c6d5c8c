"""Tests of the C++ interface: a program built with sanitizers against the installed headers and CMake package."""

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import flambeau as fb


def tool(name):
    """Return the path of a program in this environment or on the system's PATH."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


def prefix():
    """Return the folder of the installed package, which for an editable install is not the source folder."""
    return Path(fb._core.__file__).parent


INCLUDE = prefix() / "include"
COMPILER = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
DEFINITIONS = ["-DFLAMBEAU_ISA=baseline", "-DFLAMBEAU_BASELINE"]  # as for the first instruction set of a kernel source
needs_cmake = pytest.mark.skipif(tool("cmake") is None, reason="CMake is not installed")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler")


def run(*command, **environment):
    """Run a program, which has to succeed, and return what it prints."""
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def configure(source, build, build_type):
    """Configure a CMake project that uses the installed package."""
    generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}"] if tool("ninja") else []
    options = [f"-DCMAKE_BUILD_TYPE={build_type}", f"-DCMAKE_PREFIX_PATH={prefix()}"]
    run(tool("cmake"), *generator, "-S", str(source), "-B", str(build), *options)


@needs_cmake
def test_the_cpp_tests_of_the_library_pass(tmp_path):
    configure(Path(__file__).with_name("cpp"), tmp_path, "Debug")
    run(tool("cmake"), "--build", str(tmp_path))
    # Blocks in the allocator's caches are reachable until the process ends.
    for test in ("library_test", "geometry_test"):
        assert run(str(tmp_path / test), ASAN_OPTIONS="detect_leaks=0") == "ok\n"
    for instruction_set in ("baseline", "avx2", "avx512"):
        environment = {"ASAN_OPTIONS": "detect_leaks=0", "FLAMBEAU_ISA": instruction_set}
        assert run(str(tmp_path / "elementwise_test"), **environment) == "ok\n"


KERNEL_PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(kernels LANGUAGES CXX)
set(FLAMBEAU_INSTRUCTION_SETS avx2)
find_package(flambeau CONFIG REQUIRED)
file(WRITE ${CMAKE_BINARY_DIR}/empty.cpp "")
add_library(kernels SHARED ${CMAKE_BINARY_DIR}/empty.cpp)
flambeau_add_kernels(kernels kernels.cpp)
"""
# Kernel sources, and the function that the build names when it rejects one. Note [One definition]
KERNEL_SOURCES = {
    "a function of its instruction set": (
        """namespace FLAMBEAU_ISA { __attribute__((noinline)) inline int f(int n) { return n; } }
        namespace FLAMBEAU_ISA { int g() { return f(1); } }""",
        None,
    ),
    "a function for everybody": (
        """__attribute__((noinline)) inline int f(int n) { return n; }
        namespace FLAMBEAU_ISA { int g() { return f(1); } }""",
        "f(int)",
    ),
    "a function of the standard library that is not inlined": (
        """#include <vector>
        namespace FLAMBEAU_ISA { auto f = &std::vector<float>::reserve; }""",
        "std::vector<float",
    ),
}


@needs_cmake
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="there is one instruction set")
@pytest.mark.parametrize(("source", "rejected"), KERNEL_SOURCES.values(), ids=KERNEL_SOURCES)
def test_the_build_rejects_kernel_sources_with_external_functions(tmp_path, source, rejected):
    (tmp_path / "CMakeLists.txt").write_text(KERNEL_PROJECT)
    (tmp_path / "kernels.cpp").write_text(source)
    configure(tmp_path, tmp_path / "build", "Release")
    command = [tool("cmake"), "--build", str(tmp_path / "build")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    output = " ".join((done.stdout + done.stderr).split())  # CMake breaks lines
    assert (done.returncode != 0) == (rejected is not None), output
    if rejected:
        assert "functions that the linker may use in code for every processor" in output
        assert rejected in output


# Invalid functions, such as ones that cannot be vectorised, and the compiler's error messages.
REJECTED_FUNCTIONS = {
    "[](auto x) { return x > 0 ? x : -x; }": "operator bool",
    "[](auto x) { if (x > 0) return x; return -x; }": "operator bool",
    "[](auto x) { return std::exp(x); }": "exp(",
    "[](auto x) { return x > 0; }": "an elementwise function returns a number for each element",
    "[](auto x) { return bitwise_not(x); }": "this operator takes integers only",
    "[](auto x, auto, auto, auto, auto, auto) { return x; }": "an elementwise function takes one to five lanes",
}


@needs_compiler
@pytest.mark.parametrize(("function", "reason"), REJECTED_FUNCTIONS.items())
def test_unsuitable_elementwise_functions_fail_to_compile(function, reason, tmp_path):
    source = tmp_path / "source.cpp"
    source.write_text(f"#include <flambeau/elementwise_kernels.h>\nFLAMBEAU_ELEMENTWISE(name, {function})\n")
    command = [COMPILER, "-std=c++20", "-fsyntax-only", f"-I{INCLUDE}", *DEFINITIONS, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode != 0
    assert reason in done.stderr


# Excludes two headers that other headers include as templates.
HEADERS = sorted(
    str(path.relative_to(INCLUDE))
    for path in INCLUDE.rglob("flambeau/**/*.h")
    if path.name not in ("pointwise_functions.h", "pointwise_structs.h")
)


@needs_compiler
@pytest.mark.parametrize("header", HEADERS)
def test_installed_headers_are_self_contained(header, tmp_path):
    source = tmp_path / "source.cpp"
    source.write_text(f'#include "{header}"\n')
    python = f"-I{sysconfig.get_path('include')}"
    run(COMPILER, "-std=c++20", "-fsyntax-only", "-Wall", f"-I{INCLUDE}", python, *DEFINITIONS, str(source))
