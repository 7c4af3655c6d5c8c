"""``CppExtension`` and ``BuildExtension``, for extensions that setuptools builds."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import setuptools
from setuptools.command.build_ext import build_ext

from flambeau.torch.cpp_extension import _toolchain
from flambeau.torch.cpp_extension._compilation import Step, run_outdated


def CppExtension(name: str, sources: Sequence[str], *args: Any, **kwargs: Any) -> setuptools.Extension:
    """Return an extension module of C++ sources that were written for PyTorch, for ``setup(ext_modules=[...])``.

    The arguments are the same as for ``setuptools.Extension``. ``extra_compile_args`` may also be a dictionary with a
    list for the key ``"cxx"``. :class:`BuildExtension` must be the command ``build_ext``.
    """
    kwargs["include_dirs"] = [*kwargs.get("include_dirs", ()), *_toolchain.include_paths()]
    kwargs["library_dirs"] = [*kwargs.get("library_dirs", ()), *_toolchain.library_paths()]
    kwargs["libraries"] = [*kwargs.get("libraries", ()), "flambeau"]
    kwargs["language"] = "c++"
    compiled = kwargs.get("extra_compile_args")
    if isinstance(compiled, dict):  # setuptools accepts only lists
        kwargs["extra_compile_args"] = list(compiled.get("cxx", ()))
    return setuptools.Extension(name, sources, *args, **kwargs)


def CUDAExtension(name: str, sources: Sequence[str], *args: Any, **kwargs: Any) -> NoReturn:
    """Raise OSError: extensions are compiled for the CPU only."""
    raise OSError(_toolchain.NO_CUDA)


def SyclExtension(name: str, sources: Sequence[str], *args: Any, **kwargs: Any) -> NoReturn:
    """Raise OSError: extensions are compiled for the CPU only."""
    raise OSError("flambeau compiles C++ extensions for the CPU only: build this extension with CppExtension")


class BuildExtension(build_ext):  # type: ignore[misc]
    """Command ``build_ext`` of setuptools for extensions that :func:`CppExtension` returns.

    By default, only changed sources are compiled, in parallel and without ninja. With the option ``use_ninja=False``
    all sources are compiled one after another. With ``no_python_abi_suffix=True``, file names of libraries do not
    contain Python's version.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.no_python_abi_suffix = bool(kwargs.get("no_python_abi_suffix", False))
        self.use_ninja = bool(kwargs.get("use_ninja", True))

    @classmethod
    def with_options(cls, **options: Any) -> type[BuildExtension]:
        """Return a subclass whose instances have the given options."""

        class WithOptions(cls):  # type: ignore[misc, valid-type]
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **{**kwargs, **options})

        return WithOptions

    def build_extensions(self) -> None:
        """Compile and link the extensions."""
        _toolchain.compiler_command()
        for extension in self.extensions:
            if any(str(source).endswith((".cu", ".cuh")) for source in extension.sources):
                raise OSError(_toolchain.NO_CUDA)
            extension.define_macros = [*extension.define_macros, *_toolchain.macros_of(extension.name)]
            compile_args = extension.extra_compile_args
            flags = list(compile_args.get("cxx", ())) if isinstance(compile_args, dict) else list(compile_args or ())
            extension.extra_compile_args = _toolchain.with_standard(flags)
        if self.use_ninja:
            self.compiler.compile = self._compile_in_parallel
        super().build_extensions()

    def _compile_in_parallel(
        self,
        sources: Sequence[str],
        output_dir: str | None = None,
        macros: Any = None,
        include_dirs: Any = None,
        debug: bool = False,
        extra_preargs: Any = None,
        extra_postargs: Any = None,
        depends: Any = None,
    ) -> list[str]:
        """Compile sources in parallel, with the commands of setuptools' compiler object. Return the object files."""
        compiler = self.compiler
        _, objects, after, before, built = compiler._setup_compile(
            output_dir, macros, include_dirs, sources, depends, extra_postargs
        )
        flags = compiler._get_cc_args(before, debug, extra_preargs)
        words = list(getattr(compiler, "compiler_so_cxx", None) or compiler.compiler_so)
        if "CXX" in os.environ:
            words = [*shlex.split(os.environ["CXX"]), *words[1:]]
        read = tuple(Path(path) for path in depends or ())
        steps = []
        for target in objects:
            source = built[target][0] if target in built else sources[list(objects).index(target)]
            command = (*words, *flags, str(source), "-o", target, *after)
            steps.append(Step(Path(target), (Path(source), *read), command))
        run_outdated(steps, verbose=True)
        return list(objects)

    def get_ext_filename(self, fullname: str) -> str:
        """Return the file name of an extension's library."""
        path: str = super().get_ext_filename(fullname)
        if self.no_python_abi_suffix:
            parts = path.split(".")
            path = ".".join([*parts[:-2], parts[-1]])
        return path

    def get_export_symbols(self, ext: setuptools.Extension) -> Any:
        """Return the symbols that the extension lists for export, without its init function."""
        return ext.export_symbols
