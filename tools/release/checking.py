"""Checks of the files of a release, and a report about them."""

from __future__ import annotations

import platform
import re
import subprocess
import tempfile
import venv
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from . import macos, musl, windows
from .building import PYTHON_TAGS, distribution, is_native
from .commands import ROOT, run
from .older_system import LIMITS, read_dynamic_symbols

# Warnings of check-wheel-contents that are ignored. W002: several headers with PyTorch's names have equal contents.
# W004: the C++ libraries are not Python modules. W007, W008: the metapackage is empty.
IGNORED = "W002,W004,W007,W008"


def check(packages: Sequence[str], output: Path, previous: Path | None, *, can_run: bool) -> None:
    """Check all files of a release, and write ``report.md``.

    Args:
        packages: names of folders of ``packages/``.
        output: folder with the files.
        previous: folder with the files of the last release, for comparison, or None.
        can_run: True if the wheels for this Python and machine were built. Then try them in a new environment.
    """
    wheels = sorted(output.glob("*.whl"))
    version = changelog_version()
    for path in (*wheels, *output.glob("*.tar.gz")):
        if path.name.split("-")[1].removesuffix(".tar.gz") != version:
            raise SystemExit(f"{path.name} is not of version {version}, the newest in CHANGELOG.md: remove it")
    run("twine", "check", "--strict", *wheels, *sorted(output.glob("*.tar.gz")))
    run("check_wheel_contents", "--ignore", IGNORED, *wheels)
    report = output / "report.md"
    report.write_text("\n".join(report_lines(wheels, previous)) + "\n")
    print(report.read_text())
    if can_run:
        try_in_new_environment(wheels_for_host(packages, output))


def changelog_version() -> str:
    """Return the newest version that CHANGELOG.md describes."""
    match = re.search(r"^## \[?(\d+\.\d+\.\d+\w*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    if match is None:
        raise SystemExit("CHANGELOG.md has no entry such as '## 0.1.0 - 2026-01-31'")
    return match[1]


def wheels_for_host(packages: Iterable[str], output: Path) -> list[Path]:
    """Return one wheel of each package. If the package contains compiled code, it is for this Python and machine."""
    wheels = []
    for package in packages:
        tags = f"{PYTHON_TAGS}-manylinux*_{platform.machine()}" if is_native(package) else "py3-none-any"
        (wheel,) = output.glob(f"{distribution(package)}-*-{tags}.whl")
        wheels.append(wheel)
    return wheels


def try_in_new_environment(wheels: Sequence[Path]) -> None:
    """Install wheels into a new virtual environment, and run ``smoke.py`` there."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder, "bin", "python"))
        subprocess.run([python, "-m", "pip", "install", "--quiet", *map(str, wheels)], check=True)
        # With -I, Python does not search the current folder for modules.
        subprocess.run([python, "-I", str(Path(__file__).with_name("smoke.py"))], cwd=folder, check=True)


def report_lines(wheels: Iterable[Path], previous: Path | None) -> list[str]:
    """Return a report in Markdown, with the sizes of the wheels and the systems that they need."""
    lines = ["| wheel | MB | installed MB | needs | size, and exported symbols, against the last release |"]
    lines.append("|---|---|---|---|---|")
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            installed = sum(item.file_size for item in archive.infolist())
            needed = needed_system(wheel.name) or needed_versions(archive)
        size = wheel.stat().st_size
        columns = [
            wheel.name,
            f"{size / 1e6:.2f}",
            f"{installed / 1e6:.2f}",
            needed,
            compared(wheel, previous),
        ]
        lines.append(f"| {' | '.join(columns)} |")
    return lines


def needed_system(wheel: str) -> str:
    """Return the oldest system on which a wheel for musl, macOS or Windows runs, or an empty string for glibc."""
    if "-musllinux_" in wheel:
        return "musl {}.{}".format(*musl.SYSTEM)
    if wheel.endswith("-win_amd64.whl"):
        return "Windows 10"
    return "macOS {}.{}".format(*macos.SYSTEM) if "-macosx_" in wheel else ""


def needed_versions(archive: zipfile.ZipFile) -> str:
    """Return the highest symbol versions of the C and C++ libraries that the libraries in a wheel need."""
    highest: dict[str, tuple[int, ...]] = {}
    for text in (dynamic_symbols(archive, name) for name in libraries(archive)):
        if missing := [each for each in re.findall(r" UND ([^@\s]+)$", text, re.MULTILINE) if not is_known(each)]:
            raise SystemExit(f"{archive.filename} needs functions that no known library provides: {', '.join(missing)}")
        for name, number in re.findall(r"@@?([A-Z]+)_([0-9.]+)", text):
            if name in LIMITS:
                highest[name] = max(highest.get(name, ()), tuple(map(int, number.split("."))))
    for name, numbers in highest.items():
        if numbers > LIMITS[name]:
            version = ".".join(map(str, numbers))
            raise SystemExit(f"{archive.filename} needs {name}_{version}, which the oldest supported system lacks")
    return ", ".join(f"{name} {'.'.join(map(str, numbers))}" for name, numbers in sorted(highest.items())) or "-"


def is_known(symbol: str) -> bool:
    """Return True if a symbol without a version comes from Python or flambeau, or may be missing."""
    return symbol.startswith(("Py", "_Py", "_ITM_", "__gmon_start__")) or "flambeau" in symbol


def libraries(archive: zipfile.ZipFile) -> list[str]:
    """Return the names of the shared libraries in a wheel."""
    return [name for name in archive.namelist() if name.endswith(".so")]


def dynamic_symbols(archive: zipfile.ZipFile, name: str) -> str:
    """Return readelf's table of the dynamic symbols of a library in a wheel."""
    with tempfile.NamedTemporaryFile(suffix=".so") as file:
        file.write(archive.read(name))
        file.flush()
        return read_dynamic_symbols(Path(file.name))


def exported(wheel: Path) -> set[str]:
    """Return the symbols that the libraries in a wheel export."""
    if "-macosx_" in wheel.name:
        return {symbol for library in macos.libraries(wheel).values() for symbol in library.exported}
    if wheel.name.endswith("-win_amd64.whl"):
        return windows.exported(wheel)
    names: set[str] = set()
    with zipfile.ZipFile(wheel) as archive:
        for name in libraries(archive):
            names.update(re.findall(r" DEFAULT\s+\d+ (\S+)$", dynamic_symbols(archive, name), re.MULTILINE))
    return names


def compared(wheel: Path, previous: Path | None) -> str:
    """Return how a wheel differs in its size and its exported symbols from the wheel of the last release."""
    name, _, *tags = wheel.stem.split("-")
    earlier = sorted(previous.glob(f"{name}-*-{'-'.join(tags)}.whl")) if previous else []
    if not earlier:
        return "-"
    ratio = wheel.stat().st_size / earlier[-1].stat().st_size
    before, now = exported(earlier[-1]), exported(wheel)
    return f"{ratio:.3f}; {len(now - before)} added, {len(before - now)} removed"
