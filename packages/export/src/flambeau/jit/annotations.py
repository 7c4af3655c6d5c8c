"""Types for annotations of scripts, as in ``torch.jit.annotations``: Python's own types."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple, Union  # noqa: UP035  programs import the old names

from flambeau import Tensor
from flambeau.jit._script import Future

__all__ = ["Any", "Dict", "Future", "List", "Optional", "Tensor", "TensorType", "Tuple", "Union"]


class TensorType:
    """Type ``torch.TensorType``, a synonym of `Tensor` in scripts.

    >>> fb.TensorType.get()
    Tensor
    """

    _one: TensorType

    @classmethod
    def get(cls) -> TensorType:
        """Return the single instance.

        >>> TensorType.get()
        Tensor
        """
        return cls._one

    def __repr__(self) -> str:
        return "Tensor"


TensorType._one = TensorType()
