"""Names of ``torch`` itself that libraries use and flambeau does not have: private functions, and absent dtypes."""

from flambeau import Tensor, arange, bincount, cat, int32, int64, segment_reduce, stack

__all__ = [
    "_convert_indices_from_coo_to_csr",
    "_convert_indices_from_csr_to_coo",
    "_segment_reduce",
    "chalf",
    "complex32",
]

_segment_reduce = segment_reduce


class AbsentDtype:
    """A dtype that no tensor has. Programs compare with it, which is False; where a dtype is wanted it is none."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"flambeau.{self._name}"


complex32 = chalf = AbsentDtype("complex32")


def _convert_indices_from_coo_to_csr(input: Tensor, size: int, *, out_int32: bool = False) -> Tensor:
    """Where each of ``size`` rows begins among rows that ascend, and where the last ends."""
    counts = bincount(input, minlength=size)
    pointers = cat([counts.new_zeros(1), counts.cumsum(0)])
    return pointers.to(int32 if out_int32 else int64)


def _convert_indices_from_csr_to_coo(
    crow_indices: Tensor, col_indices: Tensor, *, out_int32: bool = False, transpose: bool = False
) -> Tensor:
    """The rows that the pointers stand for, above the columns; below them with ``transpose``."""
    rows = arange(crow_indices.numel() - 1, device=crow_indices.device).repeat_interleave(crow_indices.diff())
    pair = (col_indices, rows) if transpose else (rows, col_indices)
    return stack([each.to(int32 if out_int32 else int64) for each in pair])
