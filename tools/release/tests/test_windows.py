"""Checks of wheels for Windows."""

import re
import struct
import subprocess
import zipfile

import pytest

pytest.importorskip("macholib", reason="needs macholib, which tools.release.checking imports")
pytest.importorskip("pefile", reason="needs pefile")

from tools.release import windows, zig
from tools.release.checking import exported, needed_system
from tools.release.windows import CASES, OPTIONS, PYTHON_DLL, TARGET, check_wheel, needed


def dll(needed=(), exported=()):
    """Return the bytes of a DLL for x86-64 whose only section contains the tables of imports and exports.

    The format is that of Microsoft's "PE Format".
    """
    address, offset = 0x1000, 0x200  # of the section, in memory and in the file
    content = bytearray(20 * (len(needed) + 1))
    for i, name in enumerate(needed):
        end = address + len(content)
        struct.pack_into("<IIIII", content, 20 * i, end, 0, 0, end + 16, end)
        content += struct.pack("<QQ", 1 << 63 | 1, 0) + name.encode() + b"\0"  # the function has number 1, not a name
    table, count = len(content), len(exported)
    texts = table + 40 + 10 * count  # the table is followed by addresses, pointers to names, and numbers
    names, pointers = b"own.dll\0", []
    for name in exported:
        pointers.append(address + texts + len(names))
        names += name.encode() + b"\0"
    places = [address + table + 40 + each * count for each in (0, 4, 8)]
    content += struct.pack("<IIHHIIIIIII", 0, 0, 0, 0, address + texts, 1, count, count, *places)
    content += struct.pack(f"<{count}I{count}I{count}H", *[address] * count, *pointers, *range(count)) + names
    content += bytes(-len(content) % 0x200)

    header = struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 112 + 16 * 8, 0x2022)
    optional = struct.pack("<HBBIIIII", 0x20B, 0, 0, 0, len(content), 0, 0, 0x1000)
    optional += struct.pack("<QIIHHHHHHIIIIHH", 1 << 32, 0x1000, 0x200, 6, 0, 0, 0, 6, 0, 0, 0x2000, offset, 0, 3, 0)
    optional += struct.pack("<QQQQII", 0, 0, 0, 0, 0, 16)
    optional += struct.pack("<IIII", address + table, texts - table, address, table) + bytes(14 * 8)
    section = struct.pack("<8sIIIIIIHHI", b".rdata", len(content), address, len(content), offset, 0, 0, 0, 0, 1 << 30)
    start = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + header + optional + section
    return start.ljust(offset, b"\0") + content


def wheel(folder, *needed, exported=()):
    path = folder / "example-1.0-cp311-cp311-win_amd64.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("example/_core.cp311-win_amd64.pyd", dll(needed, exported))
    return path


def test_a_dll_may_load_windows_python_and_flambeau(tmp_path):
    names = [
        "KERNEL32.dll",
        "api-ms-win-crt-heap-l1-1-0.dll",
        PYTHON_DLL,
        "libflambeau.dll",
        "libflambeau-autograd.dll",
    ]
    assert needed(dll(names)) == names
    check_wheel(wheel(tmp_path, *names))


@pytest.mark.parametrize("name", ["libstdc++-6.dll", "libwinpthread-1.dll", "python27.dll", "VCRUNTIME140.dll"])
def test_a_dll_with_other_dependencies_is_rejected(tmp_path, name):
    with pytest.raises(SystemExit, match=re.escape(f"win_amd64.pyd loads {name}")):
        check_wheel(wheel(tmp_path, "KERNEL32.dll", name))


def test_the_report_names_the_exported_symbols_and_the_system(tmp_path):
    path = wheel(tmp_path, "KERNEL32.dll", exported=["PyInit__core", "answer"])
    assert exported(path) == {"PyInit__core", "answer"}
    assert needed_system(path.name) == "Windows 10"


def test_the_compiler_gets_options_that_zig_knows(tmp_path, monkeypatch):
    zig_path = tmp_path / "zig"
    zig_path.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    zig_path.chmod(0o755)
    monkeypatch.setattr(zig, "find", lambda: zig_path)
    script = tmp_path / "compiler"
    zig.write_compiler(script, TARGET, OPTIONS, CASES.format(runtime="runtime.a", hidden="hidden.obj"))

    def passed(*options):
        printed = subprocess.run([script, *options], stdout=subprocess.PIPE, text=True, check=True).stdout
        return printed.split()[3 + len(OPTIONS.split()) :]

    assert passed("-O3", "-mtune=haswell", "-mavx2") == ["-O3", "-mavx2"]
    assert passed("-Wl,--major-image-version,0,--minor-image-version,0", "-ldl", "a.obj") == ["a.obj"]
    library = "-Wl,--out-implib,libflambeau.dll.a"
    assert passed(library, "a.obj") == ["runtime.a", "hidden.obj", library, "a.obj"]
    library = "-Wl,--out-implib,libflambeau-autograd.dll.a"
    assert passed(library, "a.obj") == ["hidden.obj", library, "a.obj"]


def test_the_settings_of_python_for_windows_describe_its_types(tmp_path):
    settings = (windows.write_headers(tmp_path) / "pyconfig.h").read_text()
    assert "#define MS_WIN64" in settings
    assert "#define SIZEOF_LONG 4" in settings
    assert (tmp_path / "include/Python.h").exists()
