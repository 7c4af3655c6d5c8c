"""Cross compiler for Linux with musl, such as Alpine, and checks of the libraries that it links."""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
import zipfile
from pathlib import Path

from . import zig

LIBC = "libc.musl-x86_64.so.1"  # musl's name on Alpine, which auditwheel expects
SYSTEM = (1, 2)  # version of musl
PLATFORM = f"musllinux_{SYSTEM[0]}_{SYSTEM[1]}_x86_64"
TARGET = "x86_64-linux-musl"
# Zig links a C++ runtime with hidden symbols into each library, and that runtime compares types by the addresses of
# their descriptions. An exception of one library would have an unknown type in another library. Therefore types are
# compared by name, and libflambeau exports the part of the runtime that throws and catches exceptions. Libraries that
# are linked with libflambeau use this part.
BY_NAME = "-D_LIBCPP_TYPEINFO_COMPARISON_IMPLEMENTATION=2"
# By default, Zig compiles its libraries for static programs, without optimisation and with checks of undefined
# behaviour: CMake's first test would take minutes.
OPTIONS = f"-dynamic -O2 {BY_NAME}"
# Zig 0.17 does not support -Bsymbolic-functions. It is replaced with -Bsymbolic: since types are compared by name, a
# library may also bind data directly. Zig interprets -mtune as -mcpu, which would allow instructions that a set of
# kernels must not use.
CASES = """-Bsymbolic-functions) each=-Bsymbolic ;;
    -mtune=*) continue ;;
    -Wl,-soname,libflambeau.so) set -- "$@" {runtime} ;;"""


def write_compiler(folder: Path) -> Path:
    """Write a script that calls Zig's C++ compiler for musl, and return its path.

    Args:
        folder: folder for the script and for the C++ runtime that it links into libflambeau. It is created if it does
            not exist.
    """
    script, runtime = folder / "musl-clang++", folder / "libruntime.a"
    zig.write_compiler(script, TARGET, OPTIONS, CASES.format(runtime=shlex.quote(str(runtime))))
    zig.write_runtime(script, runtime, "*.cpp")
    return script


def write_libc(compiler: Path, folder: Path) -> Path:
    """Write a stub of musl into a folder, under the name that musl has on Alpine, and return its path.

    Zig's own stub has the name ``libc.so``.

    Args:
        compiler: the script of ``write_compiler``.
        folder: folder for the stub.
    """
    with tempfile.TemporaryDirectory() as work:
        command = [str(compiler), "-shared", "-x", "c++", "/dev/null", "-o", str(Path(work, "empty.so")), "--verbose"]
        log = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=True).stderr
    (stub,) = set(re.findall(r"\S+/libc\.so\b", log))
    renamed = folder / LIBC
    subprocess.run(["patchelf", "--set-soname", LIBC, "--output", renamed, stub], check=True)
    return renamed


def check_wheel(wheel: Path) -> None:
    """Exit with a message if a library in a wheel loads libraries other than musl and flambeau's libraries."""
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        for name in archive.namelist():
            if name.endswith(".so"):
                others = set(needed(Path(archive.extract(name, folder)))) - {LIBC}
                if wrong := sorted(each for each in others if not each.startswith("libflambeau")):
                    raise SystemExit(f"{wheel.name}: {name} loads {', '.join(wrong)}")


def needed(library: Path) -> list[str]:
    """Return the names of the libraries that a library loads."""
    command = ["readelf", "--dynamic", "--wide", str(library)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return re.findall(r"\(NEEDED\) .*\[(.+)\]", done.stdout)
