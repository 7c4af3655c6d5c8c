"""Checks of wheels for Linux with musl."""

import platform
import re
import shutil
import subprocess
import zipfile

import pytest

pytest.importorskip("macholib", reason="needs macholib, which tools.release.checking imports")

from tools.release import zig
from tools.release.building import PYTHON_TAGS
from tools.release.checking import needed_system, wheels_for_host
from tools.release.musl import CASES, LIBC, OPTIONS, PLATFORM, TARGET, check_wheel

needs_gcc = pytest.mark.skipif(
    platform.system() != "Linux" or shutil.which("gcc") is None,
    reason="needs GCC on Linux",
)


EMPTY = ["gcc", "-shared", "-nostdlib", "-x", "c", "/dev/null", "-x", "none"]  # a command that links nothing


def link(path, *needed):
    """Write an empty library that loads others with these names."""
    stubs = [path.with_name(f"stub-{name}") for name in needed]
    for stub, name in zip(stubs, needed, strict=True):
        subprocess.run([*EMPTY, f"-Wl,-soname,{name}", "-o", stub], check=True)
    subprocess.run([*EMPTY, "-Wl,--no-as-needed", *stubs, "-o", path], check=True)


def wheel(folder, *needed):
    library = folder / "library.so"
    link(library, *needed)
    path = folder / f"example-1.0-cp311-cp311-{PLATFORM}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(library, "example/_core.cpython-311-x86_64-linux-musl.so")
    return path


@needs_gcc
def test_a_library_may_load_musl_and_flambeau(tmp_path):
    check_wheel(wheel(tmp_path, LIBC, "libflambeau.so", "libflambeau-autograd.so"))


@needs_gcc
@pytest.mark.parametrize("name", ["libc.so.6", "libstdc++.so.6"])
def test_a_library_with_other_dependencies_is_rejected(tmp_path, name):
    with pytest.raises(SystemExit, match=re.escape(f"linux-musl.so loads {name}")):
        check_wheel(wheel(tmp_path, LIBC, name))


def test_musl_wheels_are_not_tested_on_a_glibc_host(tmp_path):
    machine = platform.machine()
    names = [
        f"flambeau_tensor_core-0.1.0-{PYTHON_TAGS}-{system}_{machine}.whl"
        for system in ("manylinux_2_27", "musllinux_1_2")
    ]
    for name in names:
        (tmp_path / name).touch()
    assert wheels_for_host(["tensor-core"], tmp_path) == [tmp_path / names[0]]


def test_the_report_names_the_system_of_a_wheel():
    assert needed_system(f"example-1.0-cp311-cp311-{PLATFORM}.whl") == "musl 1.2"
    assert needed_system("example-1.0-cp311-cp311-macosx_12_0_arm64.whl") == "macOS 12.0"
    assert needed_system("example-1.0-cp311-cp311-manylinux_2_27_x86_64.whl") == ""


def test_the_compiler_gets_options_that_zig_knows(tmp_path, monkeypatch):
    zig_path = tmp_path / "zig"
    zig_path.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    zig_path.chmod(0o755)
    monkeypatch.setattr(zig, "find", lambda: zig_path)
    script = tmp_path / "compiler"
    zig.write_compiler(script, TARGET, OPTIONS, CASES.format(runtime="runtime.a"))

    def passed(*options):
        printed = subprocess.run([script, *options], stdout=subprocess.PIPE, text=True, check=True).stdout
        return printed.split()[3 + len(OPTIONS.split()) :]

    assert passed("-O3", "-mtune=haswell", "-mavx2") == ["-O3", "-mavx2"]
    assert passed("-Xlinker", "-Bsymbolic-functions") == ["-Xlinker", "-Bsymbolic"]  # how CMake passes it to Clang
    assert passed("-Wl,-soname,libflambeau.so", "a.o") == ["runtime.a", "-Wl,-soname,libflambeau.so", "a.o"]
    assert passed("-Wl,-soname,libflambeau-autograd.so") == ["-Wl,-soname,libflambeau-autograd.so"]
