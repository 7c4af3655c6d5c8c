"""Checks of wheels for macOS."""

import struct
import zipfile

import pytest

pytest.importorskip("macholib", reason="needs macholib")

from tools.release.macos import SYSTEM, check_wheel, libraries


def padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 8)


def library(system=SYSTEM, needed=("/usr/lib/libSystem.B.dylib",), looked_up=("PyLong_AsLong",), is_signed=True):
    """Return the bytes of a dynamic library for arm64 with only load commands and a table of symbols.

    It defines one symbol, `_answer`. The format is that of Apple's mach-o/loader.h and mach-o/nlist.h.
    """
    names, symbols = b"\0", b""
    for name, kind, description in [("answer", 0x0F, 0), *((each, 0x01, 0xFE00) for each in looked_up)]:
        symbols += struct.pack("<IBBHQ", len(names), kind, 0, description, 0)
        names += f"_{name}\0".encode()

    def commands(end):
        table = end + len(symbols)
        yield struct.pack("<IIIIII", 0x32, 24, 1, system[0] << 16 | system[1] << 8, 0, 0)  # LC_BUILD_VERSION
        for path in needed:
            text = padded(path.encode() + b"\0")
            yield struct.pack("<IIIIII", 0x0C, 24 + len(text), 24, 0, 0, 0) + text  # LC_LOAD_DYLIB
        yield struct.pack("<IIIIII", 0x02, 24, end, 1 + len(looked_up), table, len(names))  # LC_SYMTAB
        yield struct.pack("<IIIIIIII", 0x0B, 80, 0, 0, 0, 1, 1, len(looked_up)) + bytes(48)  # LC_DYSYMTAB
        if is_signed:
            yield struct.pack("<IIII", 0x1D, 16, table + len(names), 0)  # LC_CODE_SIGNATURE

    size = len(b"".join(commands(0)))
    count = len(list(commands(0)))
    header = struct.pack("<IIIIIIII", 0xFEEDFACF, 0x0100000C, 0, 6, count, size, 0, 0)
    return header + b"".join(commands(len(header) + size)) + symbols + names


def wheel(folder, content):
    path = folder / "example-1.0-cp311-cp311-macosx_12_0_arm64.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("example/_core.cpython-311-darwin.so", content)
    return path


def test_dependencies_and_exports_of_a_macos_library_are_read(tmp_path):
    path = wheel(tmp_path, library(needed=["/usr/lib/libc++.1.dylib", "@rpath/libflambeau.dylib"]))
    check_wheel(path)
    (found,) = libraries(path).values()
    assert found == (
        SYSTEM,
        ["/usr/lib/libc++.1.dylib", "@rpath/libflambeau.dylib"],
        ["answer"],
        ["PyLong_AsLong"],
        True,
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"system": (14, 2)}, "needs macOS 14.2"),
        ({"needed": ["/opt/homebrew/lib/libomp.dylib"]}, "loads /opt/homebrew/lib/libomp.dylib"),
        ({"looked_up": ["pthread_setname"]}, "uses functions of no library: pthread_setname"),
        ({"is_signed": False}, "has no signature"),
    ],
)
def test_a_library_that_macos_cannot_load_is_rejected(tmp_path, wrong, message):
    with pytest.raises(SystemExit, match=message):
        check_wheel(wheel(tmp_path, library(**wrong)))
