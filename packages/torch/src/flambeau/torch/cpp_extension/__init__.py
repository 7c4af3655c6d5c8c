"""C++ extensions written for PyTorch, compiled against flambeau: ``torch.utils.cpp_extension``.

The header ``torch/extension.h`` maps the commonly used part of ATen and libtorch to flambeau's C++ interface;
``docs/cpp_extensions.md`` lists the supported functions. A compiler for C++20 and pybind11
(``pip install flambeau-torch[cpp]``) must be installed.

>>> module = load_inline("twice", "torch::Tensor twice(torch::Tensor x) { return x + x; }", functions="twice")
... # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from flambeau.torch.cpp_extension._loading import get_default_build_root, load, load_inline
from flambeau.torch.cpp_extension._toolchain import (
    check_compiler_is_gcc,
    check_compiler_ok_for_platform,
    get_compiler_abi_compatibility_and_version,
    get_cxx_compiler,
    include_paths,
    is_ninja_available,
    library_paths,
    verify_ninja_availability,
)

if TYPE_CHECKING:
    from flambeau.torch.cpp_extension._setuptools import BuildExtension, CppExtension, CUDAExtension, SyclExtension

__all__ = [
    "BuildExtension",
    "CUDAExtension",
    "CppExtension",
    "SyclExtension",
    "check_compiler_is_gcc",
    "check_compiler_ok_for_platform",
    "get_compiler_abi_compatibility_and_version",
    "get_cxx_compiler",
    "get_default_build_root",
    "include_paths",
    "is_ninja_available",
    "library_paths",
    "load",
    "load_inline",
    "verify_ninja_availability",
]

# Extensions are compiled only for the CPU, even if a GPU toolkit is installed.
CUDA_HOME = CUDNN_HOME = ROCM_HOME = ROCM_VERSION = SYCL_HOME = None
IS_HIP_EXTENSION = False
_WITH_SETUPTOOLS = {"BuildExtension", "CUDAExtension", "CppExtension", "SyclExtension"}


def __getattr__(name: str) -> Any:
    if name not in _WITH_SETUPTOOLS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
    return getattr(importlib.import_module("flambeau.torch.cpp_extension._setuptools"), name)
