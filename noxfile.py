"""Every task of this repository; `nox -l` lists them.

Where nox is not installed, `python3 noxfile.py` takes nox's own arguments: it puts nox into a private environment and
runs it there.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
NOX = "nox>=2025.5.1"


def run_in_private_environment() -> None:
    """Replace this process by nox from `.nox/bootstrap`, which is made on the first run."""
    if sys.version_info < (3, 11):  # noqa: UP036, any python3 may be asked to run this file
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
PACKAGES = ("tensor-core", "autograd", "nn", "optim", "data", "vision", "flambeau")  # each after those it builds upon
NATIVE = ("tensor-core", "autograd")
CACHED_BUILD = {  # ccache hits in every clone, wherever it lies, and beside precompiled headers
    "CCACHE_BASEDIR": str(ROOT),
    "CCACHE_NOHASHDIR": "1",
    "CCACHE_SLOPPINESS": "pch_defines,time_macros",
}
# A process for each core, as most tests run on one thread; "logical" rather than a number lets --pdb have a single one.
IN_PARALLEL = ("--numprocesses=logical", "--maxprocesses=8")


def group(name: str) -> list[str]:
    """The requirements of a dependency group of the top pyproject.toml."""
    return list(nox.project.dependency_groups(nox.project.load_toml(ROOT / "pyproject.toml"), name))


@functools.cache
def project(package: str) -> dict[str, dict]:
    """The pyproject.toml of a package."""
    return nox.project.load_toml(ROOT / "packages" / package / "pyproject.toml")


def own(requirements: Sequence[str]) -> list[str]:
    """The folders of this repository's packages among some requirements."""
    folder_of = {project(package)["project"]["name"]: package for package in PACKAGES}
    names = (requirement.partition("==")[0] for requirement in requirements)
    return [folder_of[name] for name in names if name in folder_of]


def with_dependencies(*packages: str) -> list[str]:
    """Some packages and those of this repository that they depend on, lowest first."""
    needed = set(packages)
    for package in reversed(PACKAGES):
        if package in needed:
            needed.update(own(project(package)["project"]["dependencies"]))
    return [package for package in PACKAGES if package in needed]


def sources(folder: Path) -> Iterator[Path]:
    """The files of a folder, without what builds and tools leave there."""
    for path in sorted(folder.iterdir()):
        if path.name not in ("build", "__pycache__") and not path.name.startswith("."):
            yield from sources(path) if path.is_dir() else [path]


def fingerprint(package: str) -> str:
    """A hash of what a package is built from: its files, the interpreter, and the headers it compiles against."""
    folder = ROOT / "packages" / package
    files = list(sources(folder))
    for below in own(project(package)["build-system"]["requires"]):
        files += sources(folder.parent / below / "include")
    digest = hashlib.sha256(sys.version.encode())
    for path in files:
        digest.update(f"{path.relative_to(ROOT)} {path.stat().st_size} ".encode() + path.read_bytes())
    return digest.hexdigest()


def outdated(stamps: Path) -> dict[str, str]:
    """The packages that changed since a build of theirs was noted in a folder of stamps, and their fingerprints.

    Their notes are removed: a build that fails is not to look like the one before it.
    """
    stamps.mkdir(parents=True, exist_ok=True)
    current = {package: fingerprint(package) for package in PACKAGES}
    noted = {path.name: path.read_text() for path in stamps.iterdir()}
    found = {package: value for package, value in current.items() if noted.get(package) != value}
    for package in found:
        (stamps / package).unlink(missing_ok=True)
    return found


def files_of(package: str, pattern: str = "*") -> list[Path]:
    """The wheel and the sdist of a package in dist/, relative to the top."""
    name = project(package)["project"]["name"].replace("-", "_")
    return sorted(path.relative_to(ROOT) for path in DIST.glob(f"{name}-{pattern}"))


def install_alone(session: nox.Session, *packages: str) -> list[str]:
    """Install packages from their wheels in dist/, each by its path, never by a name that an index could answer.

    Returns these paths. Of what the packages depend on, only those of this repository are installed.
    """
    paths = [str(path) for package in with_dependencies(*packages) for path in files_of(package, "*.whl")]
    session.install("--quiet", "--no-deps", "--force-reinstall", *paths)
    return paths


def install(session: nox.Session, *packages: str, requirements: Sequence[str] = ()) -> None:
    """Install packages from their wheels in dist/ with all they depend on, and further requirements."""
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
        if below := own(project(package)["build-system"]["requires"]):
            install_alone(session, *below)
        # Not isolated: the compiler's command lines stay the same, so that only what changed is compiled. Not checked
        # for dependencies: what builds is installed above, and what the packages below need to run is not needed here.
        how = ("--no-isolation", "--skip-dependency-check", "--sdist", "--wheel", "--outdir", "dist")
        session.run("python", "-m", "build", *how, f"packages/{package}", env=CACHED_BUILD)
        session.run("twine", "check", "--strict", *map(str, files_of(package)))
        (stamps / package).write_text(built_from)


@nox.session(requires=["wheels"])
@nox.parametrize("package", [nox.param(name, id=name) for name in (*PACKAGES[:-1], "together")])
def tests(session: nox.Session, package: str) -> None:
    """Test one package with only its declared dependencies, or (together) what crosses packages, with all of them."""
    if package == "together":
        install(session, *PACKAGES, requirements=group("together"))
        # data is tested twice: its batches are arrays alone and tensors beside tensor-core.
        paths = ["tests", "packages/data/tests", "tools", "--ignore=tests/parity"]
        of_gpus = "tests/cuda"
    else:
        requirements = nox.project.dependency_groups(project(package), "test")
        install(session, package, requirements=requirements)
        paths = [f"packages/{package}/tests"]
        of_gpus = f"packages/{package}/tests/cuda"
    # 5: no test was chosen, as -k may have it for some packages.
    allowed = [0, 5] if session.posargs else [0]
    session.run("pytest", *paths, f"--ignore={of_gpus}", *IN_PARALLEL, *session.posargs, success_codes=allowed)
    if (ROOT / of_gpus).exists():  # in processes of their own, which have the emulated GPU from beginning to end
        session.run("pytest", of_gpus, "--emulated-gpu", *IN_PARALLEL, *session.posargs, success_codes=allowed)


@nox.session(requires=["wheels"], reuse_venv=True)
def train(session: nox.Session) -> None:
    """Train LeNet on real images: docs/examples/lenet.py, with the arguments after --."""
    install(session, *PACKAGES, requirements=group("examples"))
    session.run("python", "docs/examples/lenet.py", *session.posargs)


@nox.session(requires=["wheels"])
def extension(session: nox.Session) -> None:
    """Build docs/examples/extension against the installed headers, in isolation, and test it."""
    built = session.create_tmp()
    own_wheels = {"PIP_FIND_LINKS": f"{os.environ.get('PIP_FIND_LINKS', '')} {DIST}"}
    session.run("pip", "wheel", "--no-deps", "--no-cache-dir", "-w", built, "docs/examples/extension", env=own_wheels)
    install(session, *PACKAGES, requirements=[*group("test"), *map(str, Path(built).glob("*.whl"))])
    session.run("pytest", "docs/examples/extension/tests", *session.posargs)


@nox.session(reuse_venv=True)
def lint(session: nox.Session) -> None:
    """Check style and types: ruff, mypy, clang-format (`-- --fix` mends what can be mended)."""
    session.install("--quiet", *group("lint"))
    fix = "--fix" in session.posargs
    cpp = [str(path) for top in ("packages", "docs") for path in sources(ROOT / top) if path.suffix in (".h", ".cpp")]
    session.run("ruff", "check", *(["--fix"] if fix else []))
    session.run("ruff", "format", *([] if fix else ["--diff"]))
    if cpp:
        session.run("clang-format", *(["-i"] if fix else ["--dry-run", "-Werror"]), *cpp, silent=False)
    session.run("mypy", "-p", "flambeau", env={"MYPYPATH": str(merged_sources(Path(session.create_tmp())))})
    session.run("mypy", "noxfile.py")


def merged_sources(folder: Path) -> Path:
    """One folder that shows the packages' sources as they lie once installed, which is the layout mypy understands."""
    shutil.rmtree(folder)
    for top in (*ROOT.glob("packages/*/src/flambeau"), *ROOT.glob("packages/*/python/flambeau")):
        shutil.copytree(top, folder / "flambeau", dirs_exist_ok=True)  # some folders are shared: flambeau.utils
    return folder


@nox.session(requires=["wheels"], reuse_venv=True)
def parity(session: nox.Session) -> None:
    """Compare with PyTorch over its own tables: tools/parity, with the arguments after -- (downloads PyTorch)."""
    install(session, *PACKAGES, requirements=group("parity"))
    if not session.posargs:
        session.run("pytest", "tests/parity")
        session.run("python", "-m", "tools.parity.modules", "--at-least", "99.5")
    session.run("python", "-m", "tools.parity", *(session.posargs or ("--at-least", "99")))


@nox.session(requires=["wheels"], reuse_venv=True)
def overhead(session: nox.Session) -> None:
    """Measure what a small call of every operator costs, as a ratio to PyTorch (downloads PyTorch)."""
    install(session, *PACKAGES, requirements=group("parity"))
    session.run("python", "-m", "tools.parity.overhead", *session.posargs)


@nox.session(requires=["wheels"], reuse_venv=True)
def ecosystem(session: nox.Session) -> None:
    """Run libraries written for PyTorch on both: tools/ecosystem, with the arguments after -- (downloads them)."""
    install(session, *PACKAGES, requirements=[*group("pytorch"), "-r", "tools/ecosystem/requirements.txt"])
    session.run("python", "-m", "tools.ecosystem", *session.posargs)


@nox.session(requires=["wheels"], reuse_venv=True)
def reference(session: nox.Session) -> None:
    """Write the reference, made of what the operators say of themselves, as Markdown into dist/reference."""
    install(session, *PACKAGES)
    session.run("python", "-m", "tools.reference", *(session.posargs or [str(DIST / "reference")]))


@nox.session(requires=["wheels"], reuse_venv=True)
def bench(session: nox.Session) -> None:
    """Measure against PyTorch: tools/benchmarks, with the arguments after -- (downloads PyTorch)."""
    install(session, *PACKAGES, requirements=group("bench"))
    session.run("python", "-m", "tools.benchmarks", *session.posargs)


# Little optimisation and line numbers alone: a build of minutes, whose calls are still quick enough.
SANITIZED_BUILD = {
    "CMAKE_CXX_FLAGS": "-fsanitize=address,undefined,float-cast-overflow -fno-sanitize=vptr "
    "-fno-sanitize-recover=undefined,float-cast-overflow -fno-omit-frame-pointer -D_GLIBCXX_ASSERTIONS",
    "CMAKE_CXX_FLAGS_DEBUG": "-O1 -g1",
    "FLAMBEAU_INSTRUCTION_SETS": "",
}


@nox.session(reuse_venv=True)
def fuzz(session: nox.Session) -> None:
    """Attack every operator under AddressSanitizer and UBSan: tools/fuzz, with the arguments after --."""
    session.install("--quiet", *group("build"), *group("test"))
    # A build imports what announces a CMake config, and what is sanitized needs the runtime in every process but the
    # compiler's, which it would make several times as slow.
    names = [project(package)["project"]["name"] for package in NATIVE]
    session.run("pip", "uninstall", "--quiet", "--yes", *names)
    runtimes = [  # the second because AddressSanitizer looks for what throws exceptions when it starts
        subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("libasan.so", "libstdc++.so")
    ]
    environment = {
        "LD_PRELOAD": " ".join(runtimes),
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=4096",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    }
    options = ["--no-build-isolation", "--no-deps", "-Ccmake.build-type=Debug"]
    launcher = ["env", "-u", "LD_PRELOAD", *filter(None, [shutil.which("ccache")])]
    settings = {**SANITIZED_BUILD, "CMAKE_CXX_COMPILER_LAUNCHER": ";".join(launcher)}
    options += [f"-Ccmake.define.{name}={value}" for name, value in settings.items()]
    builds = Path(session.create_tmp()).resolve()
    for package in NATIVE:
        build = ("--verbose", f"-Cbuild-dir={builds / package}", *options, f"packages/{package}")
        needed = environment if own(project(package)["build-system"]["requires"]) else {}
        session.install(*build, env={**CACHED_BUILD, **needed}, silent=False)
    session.install("--quiet", "--no-build-isolation", "--no-deps", "packages/nn")
    session.run("python", "-m", "tools.fuzz", "--memory", "0", *session.posargs, env=environment)


@nox.session(reuse_venv=True)
def dev(session: nox.Session) -> None:
    """Install everything editable into .nox/dev; run again after a change to C++ to compile what changed."""
    location = Path(session.virtualenv.location)
    stamps = location / "fingerprints"
    packages = outdated(stamps)
    session.install("--quiet", *group("build"), *group("test"), *group("lint"), *group("examples"))
    if native := [package for package in packages if package in NATIVE]:
        # A build imports what announces a CMake config: a broken extension must not stand in its own repair's way.
        names = [project(package)["project"]["name"] for package in native]
        session.run("pip", "uninstall", "--quiet", "--yes", *names)
    for package, built_from in packages.items():
        shown = ["--verbose"] if package in NATIVE else ["--quiet"]
        editable = ("--no-build-isolation", "--no-deps", "--editable", f"packages/{package}")
        session.install(*shown, *editable, env=CACHED_BUILD, silent=False)
        (stamps / package).write_text(built_from)
    session.log(f"Ready. To use it: source {location.relative_to(ROOT)}/bin/activate")
