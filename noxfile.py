"""Tasks of this repository; `nox -l` lists them.

If nox is not installed, `python3 noxfile.py` takes the same arguments as nox: it installs nox in a private environment
and runs it there.
"""

from __future__ import annotations

import contextlib
import graphlib
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
NOX = "nox>=2025.5.1"


def run_in_private_environment() -> None:
    """Replace this process with nox from `.nox/bootstrap`, which the first run creates."""
    if sys.version_info < (3, 11):  # noqa: UP036, an older python3 may run this file
        sys.exit(f"flambeau needs Python 3.11 or later; this is {sys.version.split()[0]} ({sys.executable})")
    folder = ROOT / ".nox" / "bootstrap"
    python, ready = folder / "bin" / "python", folder / "ready"
    if not (python.exists() and ready.exists() and ready.read_text() == NOX):
        print(f"Installing {NOX} into {folder.relative_to(ROOT)} (once)", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", NOX], check=True)
        ready.write_text(NOX)
    os.execv(python, [str(python), "-m", "nox", "--noxfile", __file__, *sys.argv[1:]])


if __name__ == "__main__":
    run_in_private_environment()

import nox  # noqa: E402

nox.needs_version = NOX.removeprefix("nox")
nox.options.sessions = ["lint", "tests"]
nox.options.default_venv_backend = "virtualenv"

DIST = ROOT / "dist"
RECORDS = ROOT / ".nox" / "executed"  # which tests ran, one file for each run of pytest (tools/executed)
PROJECTS = {path.parent.name: nox.project.load_toml(path) for path in sorted(ROOT.glob("packages/*/pyproject.toml"))}
CACHED_BUILD = {  # ccache reuses results in all clones, also with precompiled headers
    "CCACHE_BASEDIR": str(ROOT),
    "CCACHE_NOHASHDIR": "1",
    "CCACHE_SLOPPINESS": "pch_defines,time_macros",
    # GCC uses a precompiled header only if the texts of its headers are unchanged, including comments. Without this
    # option, ccache ignores comments, and returns precompiled headers that GCC does not use.
    "CCACHE_COMMENTS": "1",
    "CCACHE_NAMESPACE": "comments",  # separate from results that were stored without that option
}
# A process for each core, as most tests run on one thread. With "logical" instead of a number, --pdb uses one process.
IN_PARALLEL = ("--numprocesses=logical", "--maxprocesses=8", "--dist=worksteal")


def group(name: str) -> list[str]:
    """Return the requirements of a dependency group of the top-level pyproject.toml."""
    return list(nox.project.dependency_groups(nox.project.load_toml(ROOT / "pyproject.toml"), name))


def extra(name: str) -> list[str]:
    """Return the requirements of an extra of the metapackage."""
    return list(PROJECTS["flambeau"]["project"]["optional-dependencies"][name])


def packages_in(requirements: Sequence[str]) -> list[str]:
    """Return the folders of this repository's packages that the requirements name."""
    folder_of = {project["project"]["name"]: folder for folder, project in PROJECTS.items()}
    names = (requirement.partition("==")[0] for requirement in requirements)
    return [folder_of[name] for name in names if name in folder_of]


def dependencies(package: str) -> list[str]:
    """Return the folders of the declared dependencies of a package in this repository."""
    return packages_in(PROJECTS[package]["project"].get("dependencies", ()))


PACKAGES = tuple(graphlib.TopologicalSorter({name: dependencies(name) for name in PROJECTS}).static_order())
NATIVE = [name for name in PACKAGES if PROJECTS[name]["build-system"]["build-backend"] == "scikit_build_core.build"]


def with_dependencies(*packages: str) -> list[str]:
    """Return packages with their dependencies in this repository, in order of dependency."""
    needed = set(packages)
    for package in reversed(PACKAGES):
        if package in needed:
            needed.update(dependencies(package))
    return [package for package in PACKAGES if package in needed]


def sources(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder, except build outputs and caches."""
    for path in sorted(folder.iterdir()):
        if path.name not in ("build", "__pycache__") and not path.name.startswith("."):
            yield from sources(path) if path.is_dir() else [path]


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


def files_of(package: str, pattern: str = "*") -> list[Path]:
    """Return the wheel and the sdist of a package in dist/, relative to the repository."""
    name = PROJECTS[package]["project"]["name"].replace("-", "_")
    return sorted(path.relative_to(ROOT) for path in DIST.glob(f"{name}-{pattern}"))


def install_alone(session: nox.Session, *packages: str) -> list[str]:
    """Install packages from their wheels in dist/ by path, so that no package index is asked for their names.

    Return these paths. Only dependencies in this repository are installed.
    """
    paths = [str(path) for package in with_dependencies(*packages) for path in files_of(package, "*.whl")]
    session.install("--quiet", "--no-deps", "--force-reinstall", *paths)
    return paths


def install(session: nox.Session, *packages: str, requirements: Sequence[str] = ()) -> None:
    """Install packages from their wheels in dist/ with all dependencies, and further requirements."""
    session.install(*install_alone(session, *packages), *requirements)


@nox.session(reuse_venv=True)
def wheels(session: nox.Session) -> None:
    """Build the wheel and the sdist of each package whose sources changed into dist/, and check them."""
    stamps = DIST / ".fingerprints"
    for package in PACKAGES:
        if len(files_of(package)) != 2:
            (stamps / package).unlink(missing_ok=True)
    packages = outdated(stamps)
    if not packages:
        session.log("dist/ is up to date")
        return
    session.log(f"To build: {', '.join(packages)}")
    session.install("--quiet", *group("build"))
    for package, built_from in packages.items():
        for path in files_of(package):
            (ROOT / path).unlink()
        if below := packages_in(PROJECTS[package]["build-system"]["requires"]):
            install_alone(session, *below)
        for build in (ROOT / "packages" / package / "build").glob("*/build.ninja"):
            delete_outdated_headers(session, build.parent)
        # Without isolation, the compiler's command lines stay the same, so that only changed files are compiled. The
        # dependency check is skipped: build tools are installed above, and run-time dependencies are not needed here.
        how = ("--no-isolation", "--skip-dependency-check", "--sdist", "--wheel", "--outdir", "dist")
        session.run("python", "-m", "build", *how, f"packages/{package}", env=CACHED_BUILD)
        session.run("twine", "check", "--strict", *map(str, files_of(package)))
        (stamps / package).write_text(built_from)


@nox.session(python=["3.11", "3.12", "3.13"], reuse_venv=True)
def release(session: nox.Session) -> None:
    """Build the wheels of a release for one Python into dist/release, check and try them: tools/release.

    `-- --platform linux-x86_64 --platform macos-arm64` also compiles for another platform of tools/release/targets.py.
    """
    by_zig = {"macos-arm64", "musllinux-x86_64", "windows-x86_64"}
    cross_compiler = group("zig") if by_zig & set(session.posargs) else []
    session.install("--quiet", *group("build"), *group("release"), *cross_compiler)
    folders = ["--output", str(DIST / "release"), "--work", session.create_tmp()]
    session.run("python", "-m", "tools.release", *PACKAGES, *folders, *session.posargs, env=CACHED_BUILD)


@nox.session(requires=["wheels"])
@nox.parametrize("package", [nox.param(name, id=name) for name in (*PACKAGES[:-1], "together", "rest")])
def tests(session: nox.Session, package: str) -> None:
    """Test one package with only its declared dependencies, all packages together, or the remaining tests.

    `rest` runs the tests that were skipped in all other sessions, with all packages and optional dependencies.
    """
    if package == "rest":
        test_the_rest(session)
    elif package == "together":
        install(session, *PACKAGES, requirements=[*group("together"), *extra("examples")])
        # data is tested twice: its batches are arrays without tensor-core, and tensors with it.
        run_tests(session, "together", "tests", "packages/data/tests", "tools", "--ignore=tests/parity")
    else:
        install(session, package, requirements=nox.project.dependency_groups(PROJECTS[package], "test"))
        run_tests(session, package, f"packages/{package}/tests")


def test_requirements() -> list[str]:
    """Return the requirements of all tests."""
    of_packages = [nox.project.dependency_groups(PROJECTS[package], "test") for package in PACKAGES[:-1]]
    return [*sum(of_packages, ()), *group("everything"), *extra("examples")]


def test_the_rest(session: nox.Session) -> None:
    """Run the tests that no other session of tests has run."""
    install(session, *PACKAGES, requirements=test_requirements())
    for earlier in RECORDS.glob("rest-*.json"):
        earlier.unlink()
    for package in (*PACKAGES[:-1], "together"):
        folder = "tests" if package == "together" else f"packages/{package}/tests"
        others = ["--ignore=tests/parity", f"--not-executed-in={RECORDS}"]
        run_tests(session, f"rest-{package}", folder, *others, may_be_empty=True)


def run_tests(session: nox.Session, name: str, *arguments: str, may_be_empty: bool = False) -> None:
    """Run the tests of some folders, and GPU tests on an emulated GPU; record the executed tests under a name."""
    folder, *others = arguments
    of_gpus = f"{folder}/cuda"
    # 5: no test was selected, which -k can cause for some packages.
    allowed = [0, 5] if session.posargs or may_be_empty else [0]

    def run(suffix: str, *arguments: str) -> None:
        # A partial record would replace the complete one.
        record = [] if session.posargs else [f"--record-executed={RECORDS / f'{name}{suffix}.json'}"]
        session.run("pytest", *arguments, *record, *IN_PARALLEL, *session.posargs, success_codes=allowed)

    run("", folder, *others, f"--ignore={of_gpus}")
    if (ROOT / of_gpus).exists():  # in separate processes, which use the emulated GPU throughout
        options = [argument for argument in others if argument.startswith("--")]
        run("-cuda", of_gpus, "--emulated-gpu", *options)


@nox.session(venv_backend="none")
def executed(session: nox.Session) -> None:
    """Fail if a test ran neither in `tests` nor in `extension`, according to their records: tools/executed."""
    session.run(sys.executable, "-m", "tools.executed", str(RECORDS), external=True)


@nox.session(requires=["wheels"], reuse_venv=True)
def train(session: nox.Session) -> None:
    """Train LeNet on real images: docs/examples/lenet.py, with the arguments after --."""
    install(session, *PACKAGES, requirements=extra("examples"))
    session.run("python", "docs/examples/lenet.py", *session.posargs)


@nox.session(requires=["wheels"])
def extension(session: nox.Session) -> None:
    """Build docs/examples/extension against the installed headers, in isolation, and test it."""
    built = session.create_tmp()
    own_wheels = {"PIP_FIND_LINKS": f"{os.environ.get('PIP_FIND_LINKS', '')} {DIST}"}
    session.run("pip", "wheel", "--no-deps", "--no-cache-dir", "-w", built, "docs/examples/extension", env=own_wheels)
    install(session, *PACKAGES, requirements=[*group("test"), *map(str, Path(built).glob("*.whl"))])
    run_tests(session, "extension", "docs/examples/extension/tests")


@nox.session(reuse_venv=True)
def lint(session: nox.Session) -> None:
    """Check style, language and types: ruff, codespell, the glossary, clang-format, clang-tidy, mypy, pyright.

    `-- --fix` fixes some findings.
    """
    session.install("--quiet", *group("lint"), *extra("examples"))
    fix = "--fix" in session.posargs
    cpp = [str(path) for top in ("packages", "docs") for path in sources(ROOT / top) if path.suffix in (".h", ".cpp")]
    session.run("ruff", "check", *(["--fix"] if fix else []))
    session.run("ruff", "format", *([] if fix else ["--diff"]))
    session.run("codespell", *git("ls-files"), silent=False)
    session.run("python", "-m", "tools.prose")
    if cpp:
        session.run("clang-format", *(["-i"] if fix else ["--dry-run", "-Werror"]), *cpp, silent=False)
    if changed := changed_sources():
        session.run("clang-tidy", "--quiet", *changed, "--", *compiler_options(session))
    (site,) = Path(session.virtualenv.location).glob("lib/python*/site-packages")
    merge_sources(site)
    session.run("mypy", "-p", "flambeau")
    # Other systems lack some functions of Python. flambeau.distributed does not support Windows.
    session.run("mypy", "-p", "flambeau", "--platform=darwin", "--no-warn-unreachable")
    on_windows = ("--platform=win32", "--no-warn-unreachable", "--follow-imports=silent", "--exclude=/distributed/")
    merged = Path(session.create_tmp(), "merged")  # mypy rejects paths below site-packages
    merge_sources(merged)
    session.run("mypy", str(merged / "flambeau"), *on_windows, env={"MYPYPATH": str(merged)})
    session.run("mypy", "noxfile.py")
    check_programs(session)


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


@contextlib.contextmanager
def recorded_run(session: nox.Session, requirements: Sequence[str]) -> Iterator[None]:
    """Run the block and record the date, versions and result in docs/checks.toml, if the session has no arguments."""
    result = "failed"
    try:
        yield
        result = "passed"
    finally:
        if not session.posargs:
            session.run("python", "-m", "tools.last_runs", session.name, result, *requirements)


@nox.session(requires=["wheels"], reuse_venv=True)
def parity(session: nox.Session) -> None:
    """Compare with PyTorch on the samples in PyTorch's test tables: tools/parity, with the arguments after --.

    Downloads PyTorch.
    """
    install(session, *PACKAGES, requirements=group("parity"))
    with recorded_run(session, group("parity")):
        if not session.posargs:
            session.run("pytest", "tests/parity")
            session.run("python", "-m", "tools.parity.modules", "--at-least", "99.5")
            session.run("python", "-m", "tools.parity.names", "--at-least", "99.5")
        session.run("python", "-m", "tools.parity", *(session.posargs or ("--at-least", "99")))


@nox.session(requires=["wheels"], reuse_venv=True)
def overhead(session: nox.Session) -> None:
    """Measure the cost of a small call of every operator, relative to PyTorch (downloads PyTorch)."""
    install(session, *PACKAGES, requirements=group("parity"))
    session.run("python", "-m", "tools.parity.overhead", *session.posargs)


@nox.session(requires=["wheels"], reuse_venv=True)
def ecosystem(session: nox.Session) -> None:
    """Compare libraries written for PyTorch on PyTorch and on flambeau: tools/ecosystem, with the arguments after --.

    Downloads these libraries and PyTorch.
    """
    listed = "tools/ecosystem/requirements.txt"
    install(session, *PACKAGES, requirements=[*group("pytorch"), "-r", listed])
    with recorded_run(session, [*group("pytorch"), *(ROOT / listed).read_text().splitlines()]):
        session.run("python", "-m", "tools.ecosystem", *session.posargs)


@nox.session(requires=["wheels"], reuse_venv=True)
def reference(session: nox.Session) -> None:
    """Write the API reference as Markdown to dist/reference; `docs` shows the same pages as HTML."""
    install(session, *PACKAGES)
    session.run("python", "-m", "tools.reference", *(session.posargs or [str(DIST / "reference")]))


@nox.session(requires=["wheels"], reuse_venv=True)
def docs(session: nox.Session) -> None:
    """Build the documentation site into dist/docs: tools/site (`-- serve` shows it, `-- test` tests it)."""
    install(session, *PACKAGES, requirements=group("docs"))
    source = Path(session.create_tmp()).resolve() / "source"
    serve = ["serve"] if "serve" in session.posargs else []
    session.run("python", "-m", "tools.site", str(source), str(DIST / "docs"), *serve)
    if "test" in session.posargs:
        record = f"--record-executed={RECORDS / 'docs.json'}"
        session.run("pytest", "tools/site/tests", f"--site={DIST / 'docs'}", record)


@nox.session(requires=["wheels"], reuse_venv=True)
def bench(session: nox.Session) -> None:
    """Measure against PyTorch: tools/benchmarks, with the arguments after -- (downloads PyTorch)."""
    install(session, *PACKAGES, requirements=group("bench"))
    session.run("python", "-m", "tools.benchmarks", *session.posargs)


@nox.session(venv_backend="none")
def card(session: nox.Session) -> None:
    """Verify and measure the CUDA backend on this machine: tools/card, with the arguments after --."""
    session.run(sys.executable, "-m", "tools.card", *session.posargs, external=True)


# Clang compiles with sanitizers in a quarter of GCC's time. Its warnings are errors, except those about GCC's pragmas
# and attributes, and about bitwise operators on booleans, which save branches. These are still warnings, since the
# build's -Wall comes after these flags.
CLANG_FLAGS = (
    "-stdlib=libstdc++ -shared-libsan -Werror -Wno-ignored-optimization-argument -Wno-error=unknown-pragmas "
    "-Wno-error=unknown-attributes -Wno-error=bitwise-instead-of-logical -Wno-error=bitwise-conditional-parentheses "
    "-Wno-error=missing-field-initializers -Wno-error=deprecated-declarations "
    "-Wno-error=unneeded-internal-declaration -fno-omit-frame-pointer -D_GLIBCXX_ASSERTIONS"
)
ADDRESS_AND_UNDEFINED = (
    "-fsanitize=address,undefined,float-cast-overflow -fno-sanitize=vptr "
    "-fno-sanitize-recover=undefined,float-cast-overflow"
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


@nox.session(reuse_venv=True)
def fuzz(session: nox.Session) -> None:
    """Call operators with hostile arguments under AddressSanitizer and UBSan: tools/fuzz, with arguments after --."""
    options = {
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=4096",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    }
    environment = build_sanitized(session, ADDRESS_AND_UNDEFINED, "libclang_rt.asan.so", options)
    session.install("--quiet", "--no-build-isolation", "--no-deps", "packages/nn", "packages/export")
    session.run("python", "-m", "tools.fuzz", "--memory", "0", *session.posargs, env=environment)


@nox.session(reuse_venv=True)
def threads(session: nox.Session) -> None:
    """Run threads that share tensors and modules under ThreadSanitizer: tools/threads, with the arguments after --."""
    suppressions = ROOT / "tools/threads/suppressions.txt"
    options = {"TSAN_OPTIONS": f"exitcode=66 history_size=4 suppressions={suppressions}"}
    environment = build_sanitized(session, "-fsanitize=thread", "libclang_rt.tsan.so", options)
    session.install("--quiet", "--no-build-isolation", "--no-deps", "packages/nn", "packages/optim")
    session.run("python", "-m", "tools.threads", *session.posargs, env=environment)


@nox.session(python="3.13t", reuse_venv=True)
def free_threading(session: nox.Session) -> None:
    """Run the tests and tools/threads on an interpreter without a GIL, which has to be on the PATH as python3.13t."""
    builders = {
        each
        for package in PACKAGES
        for each in PROJECTS[package]["build-system"]["requires"]
        if not packages_in([each])
    }
    of_tests = {each for package in PACKAGES[:-1] for each in nox.project.dependency_groups(PROJECTS[package], "test")}
    requirements = sorted({*builders, *of_tests, *group("test"), "numpy", "pillow>=10.1", "tqdm>=4.66"})
    session.install("--quiet", "--only-binary", ":all:", *requirements)
    packages = [f"packages/{package}" for package in PACKAGES]
    for package in packages:
        session.install("--no-build-isolation", "--no-deps", "--force-reinstall", package, env=CACHED_BUILD)
    with recorded_run(session, requirements):
        code = "import sys, flambeau.nn, flambeau.autograd, flambeau.distributed; assert not sys._is_gil_enabled()"
        session.run("python", "-W", "error", "-c", code)
        if not session.posargs:
            for package in packages[:-1]:
                session.run("pytest", f"{package}/tests", *IN_PARALLEL)
        session.run("python", "-m", "tools.threads", *session.posargs)


@nox.session(reuse_venv=True)
def dev(session: nox.Session) -> None:
    """Install everything editable into .nox/dev; run again after a change to C++ to compile what changed."""
    session.install("--quiet", *group("build"), *group("lint"), *test_requirements())
    for package in PACKAGES:
        install_editable(session, package)
    session.log(f"Ready. To use it: source {Path(session.virtualenv.location).relative_to(ROOT)}/bin/activate")


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


@nox.session(venv_backend="none", requires=["dev"])
def check(session: nox.Session) -> None:
    """Compile what changed, write the stubs, run the tests (`-- -k name` chooses), check the style of changed files."""
    run_in_dev(session, "tools.stubs")
    tests = [f"packages/{package}/tests" for package in PACKAGES[:-1]] + ["tests", "tools"]
    of_gpus = [f"{folder}/cuda" for folder in tests if (ROOT / folder / "cuda").exists()]
    ignored = [f"--ignore={path}" for path in (*of_gpus, "tests/parity")]
    # A selection of tests runs without workers, because each worker would collect all tests.
    chosen = session.posargs or IN_PARALLEL
    allowed = [0, 5] if session.posargs else [0]  # 5: no test was selected
    run_in_dev(session, "pytest", *tests, *ignored, *chosen, success_codes=allowed)
    for folder in of_gpus:  # one process per folder, because each folder registers its option
        run_in_dev(session, "pytest", folder, "--emulated-gpu", *chosen, success_codes=allowed)
    if session.posargs:
        run_in_dev(session, "pytest", "tests/test_completeness.py")
    check_changed_files(session)


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
    if "noxfile.py" in changed:
        run_in_dev(session, "mypy", "noxfile.py")


def module_of(path: str) -> str:
    """Return the dotted module name of a Python file in a package's sources, or an empty string for other files."""
    match = re.fullmatch(r"packages/[^/]+/(?:src|python)/(flambeau.*?)(?:/__init__)?\.pyi?", path)
    return match[1].replace("/", ".") if match else ""
