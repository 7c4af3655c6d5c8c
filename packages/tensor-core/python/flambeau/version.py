"""The library's version, and what it was built with."""

import flambeau

__all__ = ["__version__", "cuda", "debug", "git_version", "hip", "xpu"]

__version__ = flambeau.__version__
cuda = hip = xpu = None
debug = False
git_version = "unknown"
