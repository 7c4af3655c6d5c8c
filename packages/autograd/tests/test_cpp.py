"""The engine in C++ programs, built against the installed headers, libraries and CMake packages."""

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import flambeau as fb

PREFIX = Path(fb._core.__file__).parent  # the folder of the compiled files, also in an editable install


def tool(name):
    """Return the path of a program in this environment or on the system's PATH."""
    path = Path(sys.executable).with_name(name)
    return str(path) if path.exists() else shutil.which(name)


def run(*command, **environment):
    """Run a program and return its output. Raises: AssertionError if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def build(source, folder, build_type):
    """Build a CMake project that uses the installed packages."""
    generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}"] if tool("ninja") else []
    options = [f"-DCMAKE_BUILD_TYPE={build_type}", f"-DCMAKE_PREFIX_PATH={PREFIX}"]
    run(tool("cmake"), *generator, "-S", str(source), "-B", str(folder), *options)
    run(tool("cmake"), "--build", str(folder))


pytestmark = pytest.mark.skipif(tool("cmake") is None, reason="CMake is not installed")


def test_the_cpp_engine_runs_without_python(tmp_path):
    build(Path(__file__).with_name("cpp"), tmp_path, "Debug")
    # Blocks in the allocator's caches are reachable until the process ends.
    assert run(str(tmp_path / "engine_test"), ASAN_OPTIONS="detect_leaks=0") == "ok\n"


def test_the_program_of_the_readme_trains(tmp_path):
    source = Path(__file__).parent.parent / "README.md"
    text = source.read_text() if source.exists() else metadata.metadata("flambeau-autograd")["Description"]
    (program,) = re.findall(r"```cpp\n(.*?)```", text, re.DOTALL)
    (project,) = re.findall(r"```cmake\n(.*?)```", text, re.DOTALL)
    (tmp_path / "train.cpp").write_text(program)
    (tmp_path / "CMakeLists.txt").write_text(project)
    build(tmp_path, tmp_path / "build", "Release")
    (expected,) = re.findall(r"// prints (.*)", program)
    assert run(str(tmp_path / "build" / "train")).strip() == expected
