"""Zig's C++ compiler, from the Python package `ziglang`."""

from __future__ import annotations

import importlib.util
import shlex
from pathlib import Path


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
