"""Create a virtual environment in ``FOLDER`` that also has the packages of the interpreter that runs this program.

``--system-site-packages`` adds only the packages of the base interpreter. If this interpreter itself belongs to a
virtual environment, a .pth file adds the packages of that environment. Those include pip, so pip is not installed.
"""

from __future__ import annotations

import site
import sys
import sysconfig
import venv
from pathlib import Path


def parents() -> list[Path]:
    """Return the folders of this interpreter's packages."""
    folders = [
        *map(Path, site.getsitepackages()),
        Path(sysconfig.get_path("purelib")),
        Path(sysconfig.get_path("platlib")),
    ]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def make(folder: Path) -> Path:
    """Create the environment and return the folder of its packages."""
    venv.EnvBuilder(system_site_packages=True, with_pip=False, symlinks=True, clear=True).create(folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    lines = [f"import site; site.addsitedir({str(parent)!r})" for parent in parents()]
    (packages / "parent_environment.pth").write_text("\n".join(lines) + "\n")
    for parent in parents():  # flambeau searches for NVIDIA's wheels in its own folder of packages
        if (parent / "nvidia").is_dir() and not (packages / "nvidia").exists():
            (packages / "nvidia").symlink_to(parent / "nvidia", target_is_directory=True)
    return packages


if __name__ == "__main__":
    print(f"packages are installed in {make(Path(sys.argv[1]).resolve())}")
