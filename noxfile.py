"""Tasks of this repository; `nox -l` lists them.

If nox is not installed, `python3 noxfile.py` takes the same arguments as nox: it installs nox in a private environment
and runs it there.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

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

sys.path.insert(0, str(ROOT))  # nox may be started in any folder
from tools.workspace.builds import (  # noqa: E402
    CACHED_BUILD,
    build_sanitized,
    delete_outdated_headers,
    install_editable,
    outdated,
)
from tools.workspace.checks import (  # noqa: E402
    changed_sources,
    check_changed_files,
    check_programs,
    compiler_options,
    git,
    merge_sources,
    run_in_dev,
)
from tools.workspace.packages import (  # noqa: E402
    DIST,
    PACKAGES,
    PROJECTS,
    extra,
    files_of,
    group,
    install,
    install_alone,
    packages_in,
    sources,
)

nox.needs_version = NOX.removeprefix("nox")
nox.options.sessions = ["lint", "tests"]
nox.options.default_venv_backend = "virtualenv"

RECORDS = ROOT / ".nox" / "executed"  # which tests ran, one file for each run of pytest (tools/executed)
# A process for each core, as most tests run on one thread. With "logical" instead of a number, --pdb uses one process.
IN_PARALLEL = ("--numprocesses=logical", "--maxprocesses=8", "--dist=worksteal")


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


ADDRESS_AND_UNDEFINED = (
    "-fsanitize=address,undefined,float-cast-overflow -fno-sanitize=vptr "
    "-fno-sanitize-recover=undefined,float-cast-overflow"
)


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
