"""Private names of ``torch.autograd.function``."""

from flambeau.autograd import Function

__all__ = ["_SingleLevelFunction"]

# The base class of PyTorch's Function. Programs compare the ``setup_context`` of a class with that of the base class.
_SingleLevelFunction = Function
