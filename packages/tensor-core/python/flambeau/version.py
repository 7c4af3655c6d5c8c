"""Version of the library and of the CUDA compiler."""

import flambeau

__all__ = ["__version__", "cuda", "debug", "git_version", "hip", "xpu"]

__version__ = flambeau.__version__
cuda: str | None  # see __getattr__
hip = xpu = None
debug = False
git_version = "unknown"


def __getattr__(name: str) -> str | None:
    if name != "cuda":
        raise AttributeError(f"module 'flambeau.version' has no attribute '{name}'")
    from flambeau import _core

    # Programs read this value to detect CUDA: the version of the compiler of CUDA kernels, or None without a GPU.
    return "{}.{}".format(*_core._cuda_compiler_version()) if _core._cuda_device_count() else None
