"""``flambeau.data`` under PyTorch's module name."""

from flambeau.data import *  # noqa: F403, the same names
from flambeau.data import __all__ as __all__
