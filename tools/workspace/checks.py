"""Checks of style and types, of all files or of those that changed."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import nox

from tools.workspace.packages import NATIVE, ROOT


def git(*arguments: str) -> list[str]:
    """Return the words that a git command prints, or none if it fails."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.split() if done.returncode == 0 else []


def changed_sources() -> list[str]:
    """Return the C++ sources that differ from the main branch, or, on the main branch, from the commit before."""
    (head,) = git("rev-parse", "HEAD") or [""]
    base = git("merge-base", "HEAD", "origin/main") or git("merge-base", "HEAD", "main")
    since = base[0] if base and base[0] != head else "HEAD~1"
    changed = git("diff", "--name-only", since, "--", *(f"packages/{package}/*.cpp" for package in NATIVE))
    return [path for path in changed if "/tests/" not in path and (ROOT / path).exists()]


def compiler_options(session: nox.Session) -> list[str]:
    """Return the compiler options to parse the sources of native packages without a build."""
    code = "import pybind11, sysconfig; print(pybind11.get_include(), sysconfig.get_path('include'))"
    system = str(session.run("python", "-c", code, silent=True)).split()
    core = "packages/tensor-core"
    engine = "packages/autograd"
    own = [f"{core}/include", f"{core}/src", f"{core}/bindings", f"{engine}/include", f"{engine}/src"]
    defined = ["-DFLAMBEAU_ISA=baseline", "-DPY_SSIZE_T_CLEAN="]
    # Some kernels call functions for these instructions.
    extensions = ("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512bf16", "amx-tile", "amx-bf16")
    if platform.machine() == "x86_64":
        defined += [f"-m{extension}" for extension in extensions]
    return ["-std=c++20", "-fwrapv", *defined, *(f"-I{path}" for path in own), *(f"-isystem{path}" for path in system)]


def merge_sources(folder: Path) -> None:
    """Copy the packages' Python sources to a folder: type checkers see them as they see installed packages."""
    shutil.rmtree(folder / "flambeau", ignore_errors=True)
    for top in (*ROOT.glob("packages/*/src/flambeau"), *ROOT.glob("packages/*/python/flambeau")):
        shutil.copytree(top, folder / "flambeau", dirs_exist_ok=True)  # some folders are shared: flambeau.utils


def check_programs(session: nox.Session) -> None:
    """Check the types of the examples and of the programs in the documentation, as a strict user would."""
    folder = Path(session.create_tmp())
    for earlier in folder.glob("*.py"):
        earlier.unlink()
    session.run("python", "-m", "tools.documentation", str(folder))
    examples = [*ROOT.glob("docs/examples/*.py"), *ROOT.glob("docs/examples/deployment/*.py")]
    programs = [str(path) for path in sorted([*examples, *folder.glob("*.py")])]
    session.run("mypy", "--strict", "--config-file=", "--scripts-are-modules", *programs)
    # pyright skips hidden folders such as .nox, even for files on its command line, unless a project excludes nothing.
    project = {"include": [os.path.relpath(program, folder) for program in programs], "exclude": []}
    (folder / "pyrightconfig.json").write_text(json.dumps(project))
    session.run("pyright", "--project", str(folder))


def run_in_dev(session: nox.Session, module: str, *arguments: str, **options: Any) -> None:
    """Run a Python module with the interpreter of .nox/dev."""
    session.run(str(ROOT / ".nox/dev/bin/python"), "-m", module, *arguments, external=True, **options)


def check_changed_files(session: nox.Session) -> None:
    """Check the style and the types of the files that differ from the last commit."""
    changed = [*git("diff", "--name-only", "HEAD"), *git("ls-files", "--others", "--exclude-standard")]
    changed = [path for path in changed if (ROOT / path).exists()]
    python = [path for path in changed if path.endswith((".py", ".pyi"))]
    if python:
        run_in_dev(session, "ruff", "check", *python)
        run_in_dev(session, "ruff", "format", "--diff", *python)
    if cpp := [path for path in changed if path.endswith((".h", ".cpp"))]:
        session.run(str(ROOT / ".nox/dev/bin/clang-format"), "--dry-run", "-Werror", *cpp, external=True)
    if modules := sorted({name for path in python if (name := module_of(path))}):
        merged = session.create_tmp()
        merge_sources(Path(merged))
        run_in_dev(session, "mypy", *(f"--module={name}" for name in modules), env={"MYPYPATH": merged})
    if any(path == "noxfile.py" or path.startswith("tools/workspace/") for path in python):
        run_in_dev(session, "mypy", "noxfile.py")


def module_of(path: str) -> str:
    """Return the dotted module name of a Python file in a package's sources, or an empty string for other files."""
    match = re.fullmatch(r"packages/[^/]+/(?:src|python)/(flambeau.*?)(?:/__init__)?\.pyi?", path)
    return match[1].replace("/", ".") if match else ""
