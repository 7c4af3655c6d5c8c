"""Builds of native packages: with ccache, incremental, editable, and with sanitizers."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

import nox

from tools.workspace.packages import NATIVE, PACKAGES, PROJECTS, ROOT, group, packages_in, sources

CACHED_BUILD = {  # ccache reuses results in all clones, also with precompiled headers
    "CCACHE_BASEDIR": str(ROOT),
    "CCACHE_NOHASHDIR": "1",
    "CCACHE_SLOPPINESS": "pch_defines,time_macros",
    # GCC uses a precompiled header only if the texts of its headers are unchanged, including comments. Without this
    # option, ccache ignores comments, and returns precompiled headers that GCC does not use.
    "CCACHE_COMMENTS": "1",
    "CCACHE_NAMESPACE": "comments",  # separate from results that were stored without that option
}


def fingerprint(package: str) -> str:
    """Return a hash of the inputs of a package's build: its files, the interpreter, and the headers of dependencies."""
    folder = ROOT / "packages" / package
    files = list(sources(folder))
    for below in packages_in(PROJECTS[package]["build-system"]["requires"]):
        files += sources(folder.parent / below / "include")
    digest = hashlib.sha256(sys.version.encode())
    for path in files:
        digest.update(f"{path.relative_to(ROOT)} {path.stat().st_size} ".encode() + path.read_bytes())
    return digest.hexdigest()


def outdated(stamps: Path) -> dict[str, str]:
    """Return the packages that changed since their last build in a folder of stamps, and their fingerprints.

    Their stamps are removed, so that a failed build is not considered complete.
    """
    stamps.mkdir(parents=True, exist_ok=True)
    current = {package: fingerprint(package) for package in PACKAGES}
    recorded = {path.name: path.read_text() for path in stamps.iterdir()}
    found = {package: value for package, value in current.items() if recorded.get(package) != value}
    for package in found:
        (stamps / package).unlink(missing_ok=True)
    return found


def delete_outdated_headers(session: nox.Session, build: Path) -> None:
    """Delete the precompiled headers of a build folder that are older than a header that they contain.

    If a precompiled header exists, ccache reads it in place of the headers, so that it would return the outdated one.
    """
    for path in build.rglob("cmake_pch.hxx.gch"):
        target = str(path.relative_to(build))
        listed = str(session.run("ninja", "-C", str(build), "-t", "deps", target, silent=True)).splitlines()
        contained = [build / line.strip() for line in listed if line.startswith("    ")]
        if any(not header.exists() or header.stat().st_mtime > path.stat().st_mtime for header in contained):
            path.unlink()


# Clang compiles with sanitizers in a quarter of GCC's time. Its warnings are errors, except those about GCC's pragmas
# and attributes, and about bitwise operators on booleans, which save branches. These are still warnings, since the
# build's -Wall comes after these flags.
CLANG_FLAGS = (
    "-stdlib=libstdc++ -shared-libsan -Werror -Wno-ignored-optimization-argument -Wno-error=unknown-pragmas "
    "-Wno-error=unknown-attributes -Wno-error=bitwise-instead-of-logical -Wno-error=bitwise-conditional-parentheses "
    "-Wno-error=missing-field-initializers -Wno-error=deprecated-declarations "
    "-Wno-error=unneeded-internal-declaration -fno-omit-frame-pointer -D_GLIBCXX_ASSERTIONS"
)


def build_sanitized(session: nox.Session, flags: str, runtime: str, options: dict[str, str]) -> dict[str, str]:
    """Install Clang and the native packages that it compiles with a sanitizer, and with its warnings as errors.

    Args:
        flags: compiler options that select the sanitizer.
        runtime: the file name of the sanitizer's library.
        options: environment variables that configure the sanitizer.
    Returns: the environment of processes that load these packages.
    """
    session.install("--quiet", *group("build"), *group("clang"), *group("test"))
    # A build imports installed packages that provide CMake configs, and these packages may be outdated or broken.
    names = [PROJECTS[package]["project"]["name"] for package in NATIVE]
    session.run("pip", "uninstall", "--quiet", "--yes", *names)
    # The link clang++ exists, because Python creates it when it first starts with Clang installed, as for pip above.
    compiler = str(Path(session.bin).resolve() / "clang++")
    libraries = [
        str(session.run(compiler, "-stdlib=libstdc++", f"-print-file-name={file}", silent=True)).strip()
        for file in (runtime, "libstdc++.so")  # the runtime looks for symbols of the C++ library
    ]
    environment = {"LD_PRELOAD": " ".join(libraries), **options}
    settings = {
        "CMAKE_CXX_COMPILER": compiler,
        "CMAKE_CXX_FLAGS": f"{CLANG_FLAGS} {flags}",
        "CMAKE_CXX_FLAGS_DEBUG": "-O1 -g1",  # compiles in minutes, and operators are still fast enough
        # By default, Clang's wheel links an unwinding library that the system may not have.
        **{f"CMAKE_{kind}_LINKER_FLAGS": "-rtlib=libgcc --unwindlib=libgcc" for kind in ("EXE", "SHARED", "MODULE")},
        # The compiler runs without the preloaded runtime, which would make it several times as slow.
        "CMAKE_CXX_COMPILER_LAUNCHER": ";".join(["env", "-u", "LD_PRELOAD", *filter(None, [shutil.which("ccache")])]),
        "FLAMBEAU_INSTRUCTION_SETS": "",
    }
    how = ["--no-build-isolation", "--no-deps", "-Ccmake.build-type=Debug"]
    how += [f"-Ccmake.define.{name}={value}" for name, value in settings.items()]
    builds = Path(session.create_tmp()).resolve()
    for package in NATIVE:
        build = ("--verbose", f"-Cbuild-dir={builds / package}", *how, f"packages/{package}")
        needed = {} if package == "tensor-core" else environment  # later builds import tensor-core for its CMake config
        session.install(*build, env={**CACHED_BUILD, **needed}, silent=False)
    return environment


def install_editable(session: nox.Session, package: str) -> None:
    """Install a package from its folder or, if it is installed, compile what changed.

    FLAMBEAU_INSTRUCTION_SETS in the environment, such as `avx512`, chooses the sets that kernels are compiled for. The
    choice is kept until the variable selects others.
    """
    folder, environment = ROOT / "packages" / package, Path(session.virtualenv.location).resolve()
    (site,) = environment.glob("lib/python*/site-packages")
    name = PROJECTS[package]["project"]["name"].replace("-", "_")
    metadata = (folder / "pyproject.toml").stat().st_mtime
    installed = any(path.stat().st_mtime > metadata for path in site.glob(f"{name}-*.dist-info/RECORD"))
    caches = folder.glob("build/editable-*/CMakeCache.txt")
    builds = [str(path.parent) for path in caches if str(environment) in path.read_text()]
    sets = os.environ.get("FLAMBEAU_INSTRUCTION_SETS")
    if not installed or (package in NATIVE and not builds):
        shown = ["--quiet"]
        if package in NATIVE:
            shown = ["--verbose", *([] if sets is None else [f"-Ccmake.define.FLAMBEAU_INSTRUCTION_SETS={sets}"])]
        editable = ("--no-build-isolation", "--no-deps", "--editable", f"packages/{package}")
        session.install(*shown, *editable, env=CACHED_BUILD, silent=False)
    for build in builds if installed else []:
        # CMake runs without pip, which would import tensor-core to find its CMake config, and fail if it is broken.
        if sets is not None:
            session.run("cmake", f"-DFLAMBEAU_INSTRUCTION_SETS={sets}", build, env=CACHED_BUILD, silent=True)
        delete_outdated_headers(session, Path(build))
        session.run("cmake", "--build", build, env=CACHED_BUILD)
        session.run("cmake", "--install", build, "--prefix", str(site / "flambeau"), silent=True)
