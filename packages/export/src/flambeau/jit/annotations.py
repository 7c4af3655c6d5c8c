"""Types that programs write for a script, as they import them from ``torch.jit.annotations``: Python's own."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple, Union  # noqa: UP035  programs import the old names

from flambeau import Tensor
from flambeau.jit._script import Future

__all__ = ["Any", "Dict", "Future", "List", "Optional", "Tensor", "TensorType", "Tuple", "Union"]


class TensorType:
    """A script's type of tensors, ``torch.TensorType``, which programs write where they mean `Tensor`."""

    _one: TensorType

    @classmethod
    def get(cls) -> TensorType:
        """The only one.

        >>> TensorType.get()
        Tensor
        """
        return cls._one

    def __repr__(self) -> str:
        return "Tensor"


TensorType._one = TensorType()
