"""The C++ interface: a program built against the installed headers, library and CMake package, with sanitizers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import flambeau as fb


def tool(name):
    """A program of this environment, or else of the system."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


def prefix():
    """The folder of the installed package: of an editable install, not the one of the Python sources."""
    return Path(fb._core.__file__).parent


@pytest.mark.skipif(tool("cmake") is None, reason="CMake is not installed")
def test_library(tmp_path):
    def run(*command, **environment):
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=280)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}"] if tool("ninja") else []
    run(
        tool("cmake"),
        *generator,
        "-S",
        str(Path(__file__).with_name("cpp")),
        "-B",
        str(tmp_path),
        "-DCMAKE_BUILD_TYPE=Debug",
        f"-DCMAKE_PREFIX_PATH={prefix()}",
    )
    run(tool("cmake"), "--build", str(tmp_path))
    # Blocks in the allocator's caches are reachable until the process ends.
    for test in ("library_test", "geometry_test"):
        assert run(str(tmp_path / test), ASAN_OPTIONS="detect_leaks=0") == "ok\n"
