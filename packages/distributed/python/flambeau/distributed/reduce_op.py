"""Operations that reduce the tensors of several processes."""

from __future__ import annotations

import enum
from typing import ClassVar

__all__ = ["ReduceOp"]


class ReduceOp(enum.Enum):
    """Operation that reduces the elements of several processes to one.

    ``AVG`` is the mean, for floating and complex dtypes. For bool tensors, ``SUM`` and ``MAX`` return whether any
    element is true, ``PRODUCT`` and ``MIN`` whether all are. ``BAND``, ``BOR``, ``BXOR`` reduce the bits of integers.

    >>> largest = fb.tensor([3, 5])
    >>> flambeau.distributed.all_reduce(largest, flambeau.distributed.ReduceOp.MAX)  # a group of one process
    >>> largest
    tensor([3, 5])
    """

    RedOpType: ClassVar[type[ReduceOp]]

    SUM = "sum"
    AVG = "avg"
    PRODUCT = "product"
    MIN = "min"
    MAX = "max"
    BAND = "band"
    BOR = "bor"
    BXOR = "bxor"


ReduceOp.RedOpType = ReduceOp  # in PyTorch, a separate class has this name
