"""Build the wheel of a package without an index and install it: ``PACKAGE WORK INSTRUCTION_SETS``.

Object files are kept in WORK, so that a build that was cut off can continue. Pure Python packages are built with
setuptools if hatchling is not installed.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

WITH_SETUPTOOLS = """[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[tool.setuptools]
include-package-data = false

[tool.setuptools.packages.find]
where = ["src"]
namespaces = true

[tool.setuptools.package-data]
"*" = ["*", "**/*"]
"""


def with_setuptools(package: Path, folder: Path) -> Path:
    """Copy a package whose build uses hatchling to ``folder``, with settings for a build with setuptools."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(package, folder, ignore=shutil.ignore_patterns("tests", "build", "__pycache__"))
    settings = (folder / "pyproject.toml").read_text(encoding="utf-8")
    remaining = re.sub(r"(?ms)^\[(build-system|tool\.hatch[^\]]*)\]\n.*?(?=^\[|\Z)", "", settings)
    remaining = re.sub(r"(?m)^license(-files)? = .*\n", "", remaining)  # setuptools before 77 does not know this form
    (folder / "src").mkdir(exist_ok=True)  # the metapackage has no code
    (folder / "pyproject.toml").write_text(f"{WITH_SETUPTOOLS}\n{remaining}", encoding="utf-8")
    return folder


def build(package: Path, work: Path, instruction_sets: str) -> Path:
    """Build a wheel and return its path."""
    options = ["--no-build-isolation", "--no-deps", "--no-index", "--no-cache-dir", "--disable-pip-version-check"]
    source, objects, wheels = package, work / "build" / package.name, work / "wheels" / package.name
    if "scikit_build_core" in (package / "pyproject.toml").read_text(encoding="utf-8"):
        options += ["--verbose", f"-Cbuild-dir={objects}"]  # the log then shows the progress of a build
        options.append(f"-Ccmake.define.FLAMBEAU_INSTRUCTION_SETS={instruction_sets}")
    elif importlib.util.find_spec("hatchling") is None:
        source = with_setuptools(package, objects)
    shutil.rmtree(wheels, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, "-w", str(wheels), str(source)], check=True)
    (wheel,) = wheels.glob("*.whl")
    return wheel


def main() -> None:
    package, work, instruction_sets = sys.argv[1:]
    wheel = build(Path(package), Path(work), instruction_sets)
    install = ["--no-deps", "--no-index", "--force-reinstall", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "install", *install, str(wheel)], check=True)
    print(f"installed {wheel.name}, {wheel.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
