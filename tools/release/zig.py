"""Zig's C++ compiler, from the Python package `ziglang`."""

from __future__ import annotations

import importlib.util
import shlex
import subprocess
import tempfile
from pathlib import Path

RUNTIME = ("-c", "-fPIC", "-std=c++23", "-D_LIBCXXABI_BUILDING_LIBRARY", "-D_LIBCPP_BUILDING_LIBRARY")


def find() -> Path:
    """Return the path of Zig's executable."""
    spec = importlib.util.find_spec("ziglang")
    if spec is None or spec.origin is None:
        raise SystemExit("wheels for this platform need the package ziglang: pip install ziglang")
    return Path(spec.origin).with_name("zig")


def write_compiler(script: Path, target: str, options: str, cases: str) -> None:
    """Write a script that calls Zig's C++ compiler.

    Args:
        script: path of the script. Its folder is created if it does not exist.
        target: Zig's name of the platform.
        options: options that are passed before the caller's options.
        cases: branches of a shell ``case`` statement that change or skip ``$each``, an argument of the caller.
    """
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(f"""#!/bin/sh
for each; do
  shift
  case "$each" in
    {cases}
  esac
  set -- "$@" "$each"
done
exec {shlex.quote(str(find()))} c++ -target {target} {options} "$@"
""")
    script.chmod(0o755)


def write_runtime(compiler: Path, archive: Path, pattern: str) -> None:
    """Compile the part of the C++ runtime that throws and catches exceptions into an archive.

    Args:
        compiler: script of ``write_compiler``.
        archive: path of the archive.
        pattern: pattern of the names of the source files in LLVM's ``libcxxabi``.
    """
    library = find().with_name("lib")
    sources = sorted(path for path in (library / "libcxxabi/src").glob(pattern) if path.stem != "cxa_noexception")
    includes = [f"-I{library / each}" for each in ("libcxxabi/include", "libcxx/src", "libunwind/include")]
    with tempfile.TemporaryDirectory() as folder:
        for source in sources:  # for Windows, Zig compiles only one file at a time
            subprocess.run([compiler, *RUNTIME, *includes, source], cwd=folder, check=True)
        archive.unlink(missing_ok=True)
        subprocess.run([find(), "ar", "rcs", archive, *sorted(Path(folder).iterdir())], check=True)
