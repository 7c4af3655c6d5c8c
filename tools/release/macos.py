"""Cross compiler for macOS, and checks of libraries in the Mach-O format."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from macholib.mach_o import LC_BUILD_VERSION, LC_CODE_SIGNATURE, LC_LOAD_DYLIB
from macholib.MachO import MachO
from macholib.SymbolTable import SymbolTable

from . import zig

SYSTEM = (12, 0)  # oldest version of macOS on which the libraries run
PLATFORM = f"macosx-{SYSTEM[0]}.{SYSTEM[1]}-arm64"
# Zig 0.17 crashes when it links a bundle, the format that CMake uses for Python modules. Python also loads dynamic
# libraries.
CASES = "-bundle) each=-dynamiclib ;;"
DYNAMIC_LOOKUP = 0xFE  # library number of a symbol for which the loader searches all libraries


def write_compiler(folder: Path) -> Path:
    """Write a script that calls Zig's C++ compiler for macOS, and return its path.

    Args:
        folder: folder for the script. It is created if it does not exist.
    """
    script = folder / "macos-clang++"
    zig.write_compiler(script, f"aarch64-macos.{SYSTEM[0]}.{SYSTEM[1]}", "", CASES)
    return script


class Library(NamedTuple):
    """Properties of a shared library, from its load commands and its table of symbols.

    Attributes:
        system: oldest version of macOS on which the library runs.
        needed: paths of the libraries that it loads.
        exported: symbols that other libraries can use.
        looked_up: symbols that the loader searches in all libraries.
        is_signed: True if the library has a signature, without which macOS does not load it on Apple's processors.
    """

    system: tuple[int, int]
    needed: list[str]
    exported: list[str]
    looked_up: list[str]
    is_signed: bool


def read_library(path: Path) -> Library:
    """Read the load commands and symbols of a library."""
    binary = MachO(str(path))
    (header,) = binary.headers
    system, needed, is_signed = (0, 0), [], False
    for load, command, data in header.commands:
        if load.cmd == LC_BUILD_VERSION:
            system = (command.minos >> 16, command.minos >> 8 & 255)
        elif load.cmd == LC_LOAD_DYLIB:
            needed.append(data.rstrip(b"\0").decode())
        is_signed |= load.cmd == LC_CODE_SIGNATURE
    symbols = SymbolTable(binary)
    exported = [name_of(name) for _, name in symbols.extdefsyms]
    looked_up = [name_of(name) for symbol, name in symbols.undefsyms if symbol.n_desc >> 8 & 255 == DYNAMIC_LOOKUP]
    return Library(system, needed, exported, looked_up, is_signed)


def name_of(symbol: bytes) -> str:
    """Return the name of a function in C, which is its symbol without the first underscore."""
    return symbol.decode().removeprefix("_")


def libraries(wheel: Path) -> dict[str, Library]:
    """Return the shared libraries in a wheel by name."""
    by_name = {}
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        for name in archive.namelist():
            if name.endswith((".so", ".dylib")):
                by_name[name] = read_library(Path(archive.extract(name, folder)))
    return by_name


def check_wheel(wheel: Path) -> None:
    """Exit with a message if a library in a wheel would not load on macOS."""
    for name, library in libraries(wheel).items():
        wrong = []
        if library.system > SYSTEM:
            wrong.append(f"needs macOS {library.system[0]}.{library.system[1]}")
        if not library.is_signed:
            wrong.append("has no signature")
        foreign = [each for each in library.needed if not each.startswith(("/usr/lib/", "@rpath/libflambeau"))]
        if foreign:
            wrong.append(f"loads {', '.join(foreign)}")
        if unknown := [each for each in library.looked_up if not each.startswith(("Py", "_Py"))]:
            wrong.append(f"uses functions of no library: {', '.join(unknown)}")
        if wrong:
            raise SystemExit(f"{wheel.name}: {name} {'; '.join(wrong)}")
