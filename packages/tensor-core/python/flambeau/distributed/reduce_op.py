"""How the tensors of several processes become one."""

from __future__ import annotations

import enum
from typing import ClassVar

__all__ = ["ReduceOp"]


class ReduceOp(enum.Enum):
    """How the elements of several processes become one.

    ``AVG`` is the sum by the number of processes, for floating and complex dtypes. Of truth values, ``SUM`` and ``MAX``
    say whether any is true, ``PRODUCT`` and ``MIN`` whether all are. ``BAND``, ``BOR`` and ``BXOR`` work on the bits of
    whole numbers.
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


ReduceOp.RedOpType = ReduceOp  # PyTorch's name for the type of these values, which is another one there
