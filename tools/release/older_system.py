"""Stub libraries to link for Linux systems that are older than the system that compiles.

A shared library records which versions of the symbols of the C and C++ libraries it needs. On a current system these
are the newest versions, so that the library does not load on an older system. This program writes stubs of the system's
libraries that contain only the symbols and versions of an older system. A library that is linked against the stubs
loads on the older system. Functions of the C++ library that are missing in its older version come from the static
library ``libstdc++.a``, as in the compilers of the manylinux images.

Usage: ``python -m tools.release.older_system FOLDER [--compiler g++]``. It prints the flags for the linker.
"""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# Highest versions in manylinux_2_28: https://github.com/pypa/auditwheel/tree/main/src/auditwheel/policy
LIMITS = {"GLIBC": (2, 28), "GLIBCXX": (3, 4, 24), "CXXABI": (1, 3, 11)}
LOADERS = {"x86_64": "ld-linux-x86-64.so.2", "aarch64": "ld-linux-aarch64.so.1"}

# Functions that the system's headers declare, but an older C library lacks. They are implemented with functions of the
# older library. Their symbols are hidden, so each library that needs them contains a copy.
COMPATIBLE = r"""
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>

#define HIDDEN __attribute__((visibility("hidden")))

/* Since glibc 2.32: whether the process has one thread. False is always right. */
HIDDEN char __libc_single_threaded = 0;

/* Since glibc 2.33. Before, headers translated these calls to calls with a version of the structure. */
#ifdef __x86_64__
enum { kVersion = 1 };
#else
enum { kVersion = 0 };
#endif
extern int __xstat(int, const char*, struct stat*);
extern int __lxstat(int, const char*, struct stat*);
extern int __fxstat(int, int, struct stat*);
extern int __fxstatat(int, int, const char*, struct stat*, int);
HIDDEN int stat(const char* path, struct stat* found) { return __xstat(kVersion, path, found); }
HIDDEN int lstat(const char* path, struct stat* found) { return __lxstat(kVersion, path, found); }
HIDDEN int fstat(int file, struct stat* found) { return __fxstat(kVersion, file, found); }
HIDDEN int fstatat(int folder, const char* path, struct stat* found, int flags) {
  return __fxstatat(kVersion, folder, path, found, flags);
}

/* Since glibc 2.38, whose headers replace these functions by ones that also read binary numbers such as 0b1. */
#define ALIAS(type, name)                                                             \
  extern type older_##name(const char*, char**, int) __asm__(#name);                  \
  HIDDEN type __isoc23_##name(const char* text, char** end, int base) {               \
    return older_##name(text, end, base);                                             \
  }
ALIAS(long, strtol)
ALIAS(unsigned long, strtoul)
ALIAS(long long, strtoll)
ALIAS(unsigned long long, strtoull)

/* Since glibc 2.30: waits until a time of any clock. Before, a wait could only end at a time of the real-time clock. */
HIDDEN int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                                  const struct timespec* end) {
  struct timespec now, until;
  clock_gettime(clock, &now);
  clock_gettime(CLOCK_REALTIME, &until);
  long seconds = end->tv_sec - now.tv_sec, nanoseconds = until.tv_nsec + end->tv_nsec - now.tv_nsec;
  until.tv_sec += seconds + (nanoseconds >= 1000000000) - (nanoseconds < 0);
  until.tv_nsec = (nanoseconds + 1000000000) % 1000000000;
  return pthread_cond_timedwait(condition, mutex, &until);
}
"""


class Compiler:
    """GCC for one machine architecture.

    Args:
        command: name of the C++ compiler, such as ``aarch64-linux-gnu-g++``.
    """

    def __init__(self, command: str) -> None:
        if shutil.which(command) is None:
            raise SystemExit(
                f"the compiler {command} is not installed (Debian's package of aarch64-linux-gnu-g++, for example, is "
                "g++-aarch64-linux-gnu)"
            )
        self.command = command

    def run(self, *arguments: str, text: str | None = None) -> str:
        """Run the compiler, and return what it prints.

        Args:
            text: standard input.
        """
        done = subprocess.run([self.command, *arguments], input=text, stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout.strip()

    def library(self, name: str) -> Path:
        """Return the path of a library file that the compiler links."""
        path = Path(self.run(f"-print-file-name={name}"))
        if not path.is_absolute():
            raise SystemExit(f"{self.command} does not find {name}: install the C++ libraries for its machine")
        return path.resolve()


def is_older(version: str) -> bool:
    """Return True if the older system has a symbol version, such as ``GLIBC_2.14``."""
    name, _, number = version.partition("_")
    if not re.fullmatch(r"[0-9.]+", number):
        return name in LIMITS and number != "PRIVATE"
    return tuple(map(int, number.split("."))) <= LIMITS[name]


class Symbol(NamedTuple):
    """Exported symbol of a library: readelf's type (FUNC, OBJECT, TLS, ...) and its size in bytes."""

    name: str
    version: str
    kind: str
    size: int


def read_dynamic_symbols(library: Path) -> str:
    """Return readelf's table of the dynamic symbols of a library."""
    command = ["readelf", "--dyn-syms", "--wide", str(library)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def symbols(library: Path) -> Iterator[Symbol]:
    """Yield the symbols of a library in the newest versions that the older system has."""
    newest: dict[str, Symbol] = {}
    for line in read_dynamic_symbols(library).splitlines():
        match = re.match(r"\s*\d+: \S+\s+(\S+) (\w+)\s+\w+\s+DEFAULT\s+(?!UND)\w+ ([^@\s]+)@@?(\S+)$", line)
        if match is None or not is_older(match[4]) or match[3] == match[4]:
            continue
        symbol = Symbol(match[3], match[4], match[2], int(match[1], 0))
        if symbol.name not in newest or order(symbol.version) > order(newest[symbol.name].version):
            newest[symbol.name] = symbol
    yield from newest.values()


def order(version: str) -> list[int]:
    """Return a key that sorts versions of one symbol."""
    return [int(number) for number in re.findall(r"\d+", version)]


def write_stub(compiler: Compiler, file: str, folder: Path) -> None:
    """Write a stub of a library file into a folder."""
    sections = {"FUNC": ".text", "IFUNC": ".text", "TLS": '.section .tbss,"awT",%nobits'}
    types = {"FUNC": "function", "IFUNC": "function", "TLS": "tls_object", "NOTYPE": "notype"}
    source, versions = [], set()
    for number, (name, version, kind, size) in enumerate(symbols(compiler.library(file))):
        label = f"stub_{number}"
        source += [sections.get(kind, ".data"), f".globl {label}", f".type {label}, %{types.get(kind, 'object')}"]
        source += [f".size {label}, {size}", f"{label}: .zero {max(size, 1)}", f".symver {label}, {name}@@{version}"]
        versions.add(version)
    script = folder / f"{file}.versions"
    script.write_text("".join(f"{version} {{}};\n" for version in sorted(versions)) + "STUBS { local: stub_*; };\n")
    linked = ["-shared", "-nostdlib", f"-Wl,-soname,{file},--version-script,{script}", "-o", str(folder / file)]
    compiler.run("-x", "assembler", "-", *linked, text="\n".join([*source, ""]))


def write(compiler: Compiler, folder: Path) -> list[str]:
    """Write the stub libraries into a folder, and return the flags with which the compiler links against them."""
    folder.mkdir(parents=True, exist_ok=True)
    loader = LOADERS[compiler.run("-dumpmachine").partition("-")[0]]
    for name in (loader, "libc.so.6", "libm.so.6", "libstdc++.so.6"):
        write_stub(compiler, name, folder)
    compatible = folder / "compatible.o"
    compiler.run("-x", "c", "-O2", "-fPIC", "-c", "-", "-o", str(compatible), text=COMPATIBLE)
    scripts = {
        "libc.so": f"GROUP ( {folder / 'libc.so.6'} {compiler.library('libc_nonshared.a')} {compatible} "
        f"AS_NEEDED ( {folder / loader} ) )",
        "libm.so": f"GROUP ( {folder / 'libm.so.6'} )",
        "libstdc++.so": f"GROUP ( {folder / 'libstdc++.so.6'} {compiler.library('libstdc++.a')} )",
    }
    for name, text in scripts.items():
        (folder / name).write_text(text + "\n")
    # Before glibc 2.34, the functions of these libraries were not in libc.so.6.
    separate = "-Wl,--push-state,--no-as-needed,-l:libdl.so.2,-l:libpthread.so.0,--pop-state"
    return [f"-L{folder}", "-Wl,--exclude-libs,libstdc++.a", separate]


def main() -> None:
    """Write the stub libraries, and print the flags for the linker."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--compiler", default="g++")
    arguments = parser.parse_args()
    print(shlex.join(write(Compiler(arguments.compiler), arguments.folder.resolve())))


if __name__ == "__main__":
    main()
