"""The graph as objects."""

from flambeau import Tensor
from flambeau.autograd import _engine
from flambeau.autograd._engine import Node

__all__ = ["Node", "increment_version"]


def increment_version(tensor: Tensor) -> None:
    """Counts an in-place change that was made behind the library's back."""
    _engine.bump_version(tensor)
