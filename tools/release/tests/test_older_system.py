"""Libraries that are linked against the stubs of an older system."""

import ctypes
import platform
import re
import shutil
import subprocess

import pytest

from tools.release.older_system import LIMITS, Compiler, is_older, read_dynamic_symbols, symbols, write

pytestmark = pytest.mark.skipif(
    platform.system() != "Linux" or shutil.which("g++") is None,
    reason="needs GCC on Linux",
)

# Each function uses symbols that are newer than the limits on a system with glibc 2.36 and GCC 12.
PROGRAM = r"""
#include <charconv>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <filesystem>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <dlfcn.h>
#include <sys/stat.h>

extern "C" double waited(double seconds) {
  std::mutex mutex;
  std::condition_variable changed;
  std::unique_lock lock(mutex);
  auto start = std::chrono::steady_clock::now();
  changed.wait_for(lock, std::chrono::duration<double>(seconds));
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

extern "C" double parsed(const char* text) {
  double value = 0;
  std::from_chars(text, text + std::strlen(text), value);
  std::ostringstream stream;
  stream << std::hypot(std::exp(value), std::pow(value, 2.0));
  return std::stod(std::move(stream).str());
}

extern "C" long size_of(const char* path) {
  struct stat found;
  if (stat((std::filesystem::path(path) / "file").c_str(), &found)) return -1;
  return found.st_size;
}

extern "C" int caught() {
  try {
    throw std::out_of_range("text");
  } catch (...) {
    try {
      std::rethrow_exception(std::current_exception());
    } catch (const std::logic_error&) {
      return dlsym(RTLD_DEFAULT, "malloc") != nullptr;
    }
  }
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stubs")
    flags = write(Compiler("g++"), folder / "stubs")
    (folder / "program.cpp").write_text(PROGRAM)
    built = folder / "program.so"
    options = ["-std=c++20", "-O2", "-fPIC", "-shared", "-pthread"]
    subprocess.run(["g++", *options, str(folder / "program.cpp"), "-o", str(built), *flags], check=True)
    return built


def test_libraries_need_only_symbol_versions_of_the_older_system(library):
    shown = read_dynamic_symbols(library)
    needed = set(re.findall(r" UND \S+@@?((?:GLIBC|GLIBCXX|CXXABI)_\S+)", shown))
    assert needed and all(is_older(version) for version in needed)


def test_replacements_of_newer_libc_functions_work(library, tmp_path):
    program = ctypes.CDLL(str(library))
    program.waited.argtypes, program.waited.restype = [ctypes.c_double], ctypes.c_double
    program.parsed.argtypes, program.parsed.restype = [ctypes.c_char_p], ctypes.c_double
    program.size_of.argtypes, program.size_of.restype = [ctypes.c_char_p], ctypes.c_long
    (tmp_path / "file").write_bytes(bytes(1234))
    assert 0.05 <= program.waited(0.05) < 5
    assert program.parsed(b"1.5") == pytest.approx(5.0148, abs=1e-4)  # hypot(exp(1.5), 1.5 ** 2)
    assert program.size_of(str(tmp_path).encode()) == 1234
    assert program.size_of(str(tmp_path / "absent").encode()) == -1
    assert program.caught() == 1


def test_the_newest_allowed_symbol_version_is_selected():
    found = {symbol.name: symbol.version for symbol in symbols(Compiler("g++").library("libm.so.6"))}
    assert is_older(found["hypot"]) and is_older(found["exp"])
    assert is_older(f"GLIBC_2.{LIMITS['GLIBC'][1]}")
    assert not is_older(f"GLIBC_2.{LIMITS['GLIBC'][1] + 1}") and not is_older("GLIBC_PRIVATE")


def test_a_missing_compiler_is_named():
    with pytest.raises(SystemExit, match="the compiler riscv64-none-g\\+\\+ is not installed"):
        Compiler("riscv64-none-g++")
