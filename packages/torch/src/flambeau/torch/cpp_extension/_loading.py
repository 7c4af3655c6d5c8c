"""``load`` and ``load_inline``: extensions that are compiled while a program runs."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import flambeau
from flambeau.torch.cpp_extension import _toolchain
from flambeau.torch.cpp_extension._compilation import CompilationError, Step, run_outdated

# Dictionary from names of extensions to the version number that this process last built and a hash of its inputs.
_versions: dict[str, tuple[int, str]] = {}


def get_default_build_root() -> str:
    """Return the folder below which ``load`` builds extensions.

    The environment variable TORCH_EXTENSIONS_DIR sets it. By default, it is a folder in the user's cache.
    """
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return os.environ.get("TORCH_EXTENSIONS_DIR") or str(Path(cache) / "flambeau" / "torch_extensions")


def _build_folder(name: str, build_directory: str | os.PathLike[str] | None) -> Path:
    if build_directory is not None:
        folder = Path(build_directory)
        if not folder.is_dir():
            raise OSError(f"build_directory is not an existing folder: {build_directory}")
        return folder
    tag = f"py{sys.version_info.major}{sys.version_info.minor}{getattr(sys, 'abiflags', '')}_cpu_{flambeau.__version__}"
    folder = Path(get_default_build_root()) / tag / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _listed(value: str | os.PathLike[str] | Sequence[str] | None) -> list[str]:
    if value is None:
        return []
    return [os.fspath(value)] if isinstance(value, str | os.PathLike) else [os.fspath(each) for each in value]


def _reject(with_cuda: Any, with_sycl: Any, sources: Sequence[str]) -> None:
    if with_cuda or with_sycl or any(source.endswith((".cu", ".cuh", ".sycl")) for source in sources):
        raise OSError(_toolchain.NO_CUDA)


def load(
    name: str,
    sources: str | Sequence[str],
    extra_cflags: Sequence[str] | None = None,
    extra_cuda_cflags: Sequence[str] | None = None,
    extra_sycl_cflags: Sequence[str] | None = None,
    extra_ldflags: Sequence[str] | None = None,
    extra_include_paths: str | Sequence[str] | None = None,
    build_directory: str | None = None,
    verbose: bool = False,
    with_cuda: bool | None = None,
    with_sycl: bool | None = None,
    is_python_module: bool = True,
    is_standalone: bool = False,
    keep_intermediates: bool = True,
) -> Any:
    """Compile C++ sources that were written for PyTorch, and load the result.

    Sources that have not changed since the last call in any process are not compiled again.

    Args:
        name: name of the module; in the sources, the macro ``TORCH_EXTENSION_NAME`` has this value.
        sources: paths of C++ files.
        extra_cflags, extra_ldflags: additional flags for the compiler and the linker.
        extra_include_paths: additional folders of headers.
        build_directory: an existing folder for the results; by default a folder below ``get_default_build_root()``.
        verbose: if True, print the commands.
        is_python_module: if True, import the library as a module; if False, only load the operators that the sources
            register with TORCH_LIBRARY.
        keep_intermediates: ignored, because object files are always kept.
    Returns: the module, or None if ``is_python_module`` is False.
    Raises: RuntimeError with the compiler's messages if the compilation fails; OSError for CUDA sources;
        NotImplementedError on Windows.
    """
    if sys.platform == "win32":
        raise NotImplementedError("load() cannot compile C++ extensions on Windows")
    import fcntl  # Windows has no such module

    paths = [str(Path(source).absolute()) for source in _listed(sources)]
    _reject(with_cuda, with_sycl, paths)
    if is_standalone:
        raise NotImplementedError(
            "load(is_standalone=True): extensions need Python; link a C++ program to flambeau instead"
        )
    flags = [*_listed(extra_cflags), *(f"-I{Path(path).absolute()}" for path in _listed(extra_include_paths))]
    folder = _build_folder(name, build_directory)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        library = _build(name, paths, flags, _listed(extra_ldflags), folder, verbose)
    return _imported(library) if is_python_module else flambeau.ops.load_library(str(library))


def _build(name: str, sources: list[str], flags: list[str], linked: list[str], folder: Path, verbose: bool) -> Path:
    """Compile and link an extension unless it is current, and return the path of the library."""
    version = _version(name, sources, [*flags, *linked])
    extension, name = name, f"{name}_v{version[0]}" if version[0] else name
    compiler = _toolchain.compiler_command()
    folders = [*_toolchain.include_paths(), _toolchain.python_include()]
    macros = [f"-D{macro}" + (f"={value}" if value else "") for macro, value in _toolchain.macros_of(name)]
    usual = [*macros, *(f"-isystem{path}" for path in folders), "-fPIC", "-O2", *_toolchain.with_standard(flags)]
    steps = []
    for i, source in enumerate(sources):
        target = folder / f"{Path(source).stem}_{i}.o"
        steps.append(Step(target, (Path(source),), (*compiler, *usual, "-c", source, "-o", str(target))))
    libraries = [part for path in _toolchain.library_paths() for part in (f"-L{path}", f"-Wl,-rpath,{path}")]
    library = folder / f"{name}.so"
    objects = tuple(step.target for step in steps)
    command = (*compiler, "-shared", *map(str, objects), *libraries, "-lflambeau", *linked, "-o", str(library))
    try:
        run_outdated(steps, verbose)
        run_outdated([Step(library, objects, command)], verbose)
    except CompilationError as error:
        raise RuntimeError(f"Error building extension '{extension}': {error}") from None
    _versions[extension] = version
    return library


def _version(name: str, sources: list[str], flags: list[str]) -> tuple[int, str]:
    """Return the version number of an extension, and a hash of its sources and flags.

    A process can load a library of a given name only once, so changed sources or flags get a new version number.
    """
    digest = hashlib.sha256("\0".join(flags).encode())
    for source in sources:
        digest.update(Path(source).read_bytes())
    number, made_of = _versions.get(name, (-1, ""))
    return (number if made_of == digest.hexdigest() else number + 1), digest.hexdigest()


def _imported(library: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(library.stem, library)
    if spec is None or spec.loader is None:
        raise ImportError(f"{library} is not an extension module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_inline(
    name: str,
    cpp_sources: str | Sequence[str],
    cuda_sources: str | Sequence[str] | None = None,
    sycl_sources: str | Sequence[str] | None = None,
    functions: str | Sequence[str] | Mapping[str, str] | None = None,
    extra_cflags: Sequence[str] | None = None,
    extra_cuda_cflags: Sequence[str] | None = None,
    extra_sycl_cflags: Sequence[str] | None = None,
    extra_ldflags: Sequence[str] | None = None,
    extra_include_paths: str | Sequence[str] | None = None,
    build_directory: str | None = None,
    verbose: bool = False,
    with_cuda: bool | None = None,
    with_sycl: bool | None = None,
    is_python_module: bool = True,
    with_pytorch_error_handling: bool = True,
    keep_intermediates: bool = True,
    use_pch: bool = False,
    no_implicit_headers: bool = False,
) -> Any:
    """Compile C++ sources that are given as text, and load the result: see :func:`load`.

    Args:
        cpp_sources: source texts; ``#include <torch/extension.h>`` is inserted before them.
        functions: names of functions to bind to Python, or a dictionary from names to docstrings.
        no_implicit_headers: if True, do not insert this ``#include`` line.
    """
    _reject(with_cuda or cuda_sources, with_sycl or sycl_sources, [])
    texts = [cpp_sources] if isinstance(cpp_sources, str) else list(cpp_sources)
    if not no_implicit_headers:
        texts.insert(0, "#include <torch/extension.h>")
    if functions is not None:
        names = [functions] if isinstance(functions, str) else functions
        documented = names if isinstance(names, Mapping) else {each: each for each in names}
        bound = [
            f'  m.def("{each}", torch::wrap_pybind_function({each}), "{doc}");' for each, doc in documented.items()
        ]
        texts.append("\n".join(["PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {", *bound, "}"]))
    folder = _build_folder(name, build_directory)
    source, text = folder / "main.cpp", "\n".join(texts)
    if not source.exists() or source.read_text() != text:  # writing an unchanged file would compile it again
        source.write_text(text)
    return load(
        name,
        [str(source)],
        extra_cflags,
        extra_ldflags=extra_ldflags,
        extra_include_paths=extra_include_paths,
        build_directory=str(folder),
        verbose=verbose,
        is_python_module=is_python_module,
    )
