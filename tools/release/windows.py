"""Cross compiler for Windows on x86-64, the headers and functions of its Python, and checks of DLLs."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pefile

from . import zig

TARGET = "x86_64-windows-gnu"
PLATFORM = "win-amd64"
OPTIONS = "-O2"  # by default, Zig compiles its libraries without optimisation
PYTHON_DLL = f"python{sys.version_info.major}{sys.version_info.minor}.dll"
# DLLs of Windows 10 and later: the kernel and the C library.
SYSTEM_DLLS = re.compile(r"(kernel32|ntdll|advapi32|ucrtbase|api-ms-win-crt-[a-z]+-l1-1-0)\.dll", re.IGNORECASE)
# -mtune: Zig interprets it as -mcpu, which would allow instructions that a set of kernels must not use. CMake sets
# versions in the headers of DLLs, which have no use, and links the libraries of this machine's Python, -ldl and -lutil.
# libflambeau exports the part of the C++ runtime that throws and catches exceptions, as on musl.
CASES = """-mtune=* | -Wl,--m*-image-version* | -ldl | -lutil) continue ;;
    *,--out-implib,*libflambeau.dll.a*) set -- "$@" {runtime} {hidden} ;;
    *,--out-implib,*) set -- "$@" {hidden} ;;"""
# Functions of the C runtime, which every DLL contains and the linker would export.
HIDDEN = """.section .drectve,"yni"
.ascii " -exclude-symbols:atexit,_CRT_INIT,__mingw_module_is_dll,unw_getcontext,__unw_getcontext"
"""
# Settings of Python for Windows that its headers read on every compiler: PC/pyconfig.h in CPython's sources.
PYCONFIG = """#pragma once
#define MS_WINDOWS
#define MS_WIN32
#define MS_WIN64
#define NT_THREADS
#define Py_ENABLE_SHARED 1
#define HAVE_PY_SSIZE_T 1
typedef long long Py_ssize_t;
#define PY_SSIZE_T_MAX 0x7fffffffffffffffLL
#define SIZEOF_VOID_P 8
#define SIZEOF_SIZE_T 8
#define SIZEOF_SHORT 2
#define SIZEOF_INT 4
#define SIZEOF_LONG 4
#define SIZEOF_LONG_LONG 8
#define SIZEOF_FLOAT 4
#define SIZEOF_DOUBLE 8
#define SIZEOF_WCHAR_T 2
#define SIZEOF_TIME_T 8
#define SIZEOF_OFF_T 4
#define SIZEOF_FPOS_T 8
#define SIZEOF_PID_T 4
#define ALIGNOF_LONG 4
#define ALIGNOF_SIZE_T 8
#define ALIGNOF_MAX_ALIGN_T 16
#define DOUBLE_IS_LITTLE_ENDIAN_IEEE754 1
#define WITH_PYMALLOC 1
#define WITH_DOC_STRINGS 1
"""


def write_compiler(folder: Path) -> Path:
    """Write a script that calls Zig's C++ compiler for Windows, and return its path.

    Args:
        folder: folder for the script and for the objects that it links into DLLs. It is created if it does not exist.
    """
    script, runtime, hidden = (folder / name for name in ("windows-clang++", "libruntime.a", "hidden.obj"))
    cases = CASES.format(runtime=shlex.quote(str(runtime)), hidden=shlex.quote(str(hidden)))
    zig.write_compiler(script, TARGET, OPTIONS, cases)
    source = folder / "hidden.s"
    source.write_text(HIDDEN)
    subprocess.run([script, "-c", source, "-o", hidden], check=True)
    # Other parts contain variables. An import library cannot replace those in the C++ library that Zig links.
    zig.write_runtime(script, runtime, "cxa_exception*.cpp")
    return script


def write_headers(folder: Path) -> Path:
    """Copy this Python's headers with the settings of Python for Windows into a folder, and return its path."""
    headers = folder / "include"
    shutil.copytree(sysconfig.get_path("include"), headers, dirs_exist_ok=True)
    (headers / "pyconfig.h").write_text(PYCONFIG)
    return headers


def write_import_library(folder: Path) -> Path:
    """Write the library with which modules are linked to Python's DLL, and return its path.

    Python for Windows exports the same functions and variables as this machine's Python, except for those of its
    operating system.
    """
    shared = Path(sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("INSTSONAME") or "")
    program = shared if sysconfig.get_config_var("Py_ENABLE_SHARED") else Path(sys.executable).resolve()
    listed = subprocess.run(
        ["nm", "--dynamic", "--defined-only", program], stdout=subprocess.PIPE, text=True, check=True
    )
    symbols = re.findall(r" ([A-Z]) (_?Py\w+)$", listed.stdout, re.MULTILINE)
    lines = [name if kind == "T" else f"{name} DATA" for kind, name in symbols]
    definition, library = folder / "python.def", folder / f"lib{PYTHON_DLL}.a"
    definition.write_text("\n".join([f"LIBRARY {PYTHON_DLL}", "EXPORTS", *lines]) + "\n")
    subprocess.run([zig.find(), "dlltool", "-m", "i386:x86-64", "-d", definition, "-l", library], check=True)
    return library


def needed(content: bytes) -> list[str]:
    """Return the names of the DLLs that a DLL loads.

    Args:
        content: the file of the DLL.
    """
    image = pefile.PE(data=content, fast_load=True)
    image.parse_data_directories([pefile.DIRECTORY_ENTRY["IMAGE_DIRECTORY_ENTRY_IMPORT"]])
    return [entry.dll.decode() for entry in getattr(image, "DIRECTORY_ENTRY_IMPORT", [])]


def exported(wheel: Path) -> set[str]:
    """Return the symbols that the DLLs in a wheel export."""
    names: set[str] = set()
    for content in libraries(wheel).values():
        image = pefile.PE(data=content, fast_load=True)
        image.parse_data_directories([pefile.DIRECTORY_ENTRY["IMAGE_DIRECTORY_ENTRY_EXPORT"]])
        symbols = getattr(image, "DIRECTORY_ENTRY_EXPORT", None)
        names.update(each.name.decode() for each in (symbols.symbols if symbols else ()))
    return names


def libraries(wheel: Path) -> dict[str, bytes]:
    """Return the DLLs in a wheel by name, including extension modules."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.endswith((".dll", ".pyd"))}


def check_wheel(wheel: Path) -> None:
    """Exit with a message if a DLL in a wheel loads DLLs other than those of Windows, Python and flambeau."""
    for name, content in libraries(wheel).items():
        others = [each for each in needed(content) if not SYSTEM_DLLS.fullmatch(each)]
        if wrong := [each for each in others if each != PYTHON_DLL and not each.startswith("libflambeau")]:
            raise SystemExit(f"{wheel.name}: {name} loads {', '.join(wrong)}")
