"""Base classes of the losses."""

from __future__ import annotations

from typing import Any

from flambeau import Tensor

from ..functional._reduction import chosen
from .module import Module


class _Loss(Module):
    """Base class of losses with a ``reduction``: ``"mean"`` or ``"sum"`` over the elements, or ``"none"``.

    ``size_average`` and ``reduce`` are older spellings of ``reduction``.
    """

    reduction: str

    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean") -> None:
        super().__init__()
        deprecated: tuple[Any, ...] = (size_average, reduce)
        if any(isinstance(each, Tensor) for each in deprecated):
            name = type(self).__name__
            raise TypeError(f"{name}: got tensors instead of options; write nn.{name}()(input, target)")
        self.reduction = chosen(reduction, size_average, reduce)


class _WeightedLoss(_Loss):
    """Base class of losses with a weight for each class or element. The weight is a buffer of the module."""

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
