"""Batches of sequences of different lengths: padded to the longest sequence, or packed without padding.

Note [Packing]: a packed batch contains the rows of time step 0, then the rows of time step 1, and so on. In each time
step, the longest sequence comes first. ``batch_sizes`` contains the number of sequences in each time step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple, Self

from flambeau import Tensor, _suggestions, arange, cat, empty_like, int64, stack, tensor

from .. import functional as F

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpad_sequence",
    "pack_sequence",
    "unpack_sequence",
]


class _Fields(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Fields):
    """Rows of several sequences without padding, created by `pack_padded_sequence` and `pack_sequence`.

    Args:
        data: the rows, see Note [Packing].
        batch_sizes: number of sequences at each time step, on the CPU.
        sorted_indices: original position of each sequence, before sorting by length.
        unsorted_indices: the inverse permutation.

    >>> packed = nn.utils.rnn.pack_sequence([fb.tensor([1, 2, 3]), fb.tensor([4, 5])])
    >>> packed.data, packed.batch_sizes
    (tensor([1, 4, 2, 5, 3]), tensor([2, 2, 1]))
    """

    __slots__ = ()

    def __new__(
        cls,
        data: Tensor,
        batch_sizes: Tensor,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> Self:
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Convert or move ``data``. The other fields do not change."""
        data = self.data.to(*args, **kwargs)
        return self if data is self.data else type(self)(data, *self[1:])

    def cpu(self) -> Self:
        """Move to the CPU."""
        return self.to("cpu")

    def cuda(self, device: Any = "cuda") -> Self:
        """Move to a GPU."""
        return self.to(device)

    def double(self) -> Self:
        """Convert to float64."""
        return type(self)(self.data.double(), *self[1:])

    def float(self) -> Self:
        """Convert to float32."""
        return type(self)(self.data.float(), *self[1:])

    def half(self) -> Self:
        """Convert to float16."""
        return type(self)(self.data.half(), *self[1:])

    def char(self) -> Self:
        """Convert to int8."""
        return type(self)(self.data.char(), *self[1:])

    def byte(self) -> Self:
        """Convert to uint8."""
        return type(self)(self.data.byte(), *self[1:])

    def short(self) -> Self:
        """Convert to int16."""
        return type(self)(self.data.short(), *self[1:])

    def long(self) -> Self:
        """Convert to int64."""
        return type(self)(self.data.long(), *self[1:])

    def int(self) -> Self:
        """Convert to int32."""
        return type(self)(self.data.int(), *self[1:])

    @property
    def is_cuda(self) -> bool:
        """True if ``data`` is on a GPU."""
        return self.data.is_cuda

    def is_pinned(self) -> bool:
        """Return True if ``data`` is in pinned memory."""
        return self.data.is_pinned()


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """Return the inverse of ``permutation``, or None.

    >>> nn.utils.rnn.invert_permutation(fb.tensor([2, 0, 1]))
    tensor([1, 2, 0])
    """
    if permutation is None:
        return None
    positions = arange(permutation.numel(), dtype=permutation.dtype)
    return empty_like(permutation).scatter_(0, permutation, positions)


def pack_padded_sequence(
    input: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack sequences that are padded to the length of the longest sequence.

    Args:
        input: ``(T, N, *)``, or ``(N, T, *)`` with ``batch_first``.
        lengths: length of each sequence.
        batch_first: see ``input``.
        enforce_sorted: if True, the sequences must be sorted by length, longest first; if False, they are sorted here.
    Raises: RuntimeError for lengths that are not positive, longer than T or not sorted, or a wrong number of lengths.

    >>> batch = fb.tensor([[1, 2, 3], [4, 5, 0]])
    >>> nn.utils.rnn.pack_padded_sequence(batch, [3, 2], batch_first=True).data
    tensor([1, 4, 2, 5, 3])
    """
    if not input.numel():
        raise RuntimeError(f"Cannot pack an empty tensor, of shape {list(input.shape)}")
    counts = [int(length) for length in (lengths.tolist() if isinstance(lengths, Tensor) else lengths)]
    order = None
    if not enforce_sorted:
        order = tensor(counts, dtype=int64).argsort(descending=True, stable=True)
        counts = [counts[position] for position in order.tolist()]
        input = input.index_select(0 if batch_first else 1, order)
    steps = input.transpose(0, 1) if batch_first else input
    _check_lengths(counts, steps)
    sizes = [sum(count > time for count in counts) for time in range(counts[0])]
    pieces = [steps[start:stop, :size].flatten(0, 1) for start, stop, size in _equal_size_intervals(sizes)]
    return PackedSequence(cat(pieces), tensor(sizes, dtype=int64), order, None)


def _check_lengths(lengths: list[int], steps: Tensor) -> None:
    """Raise RuntimeError unless there is one length per sample, at least 1 and in decreasing order."""
    if len(lengths) != steps.shape[1]:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(lengths)} (batch_size={steps.shape[1]})"
        )
    if not lengths or min(lengths) <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    if lengths != sorted(lengths, reverse=True):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement"
        )
    if lengths[0] > steps.shape[0]:
        raise RuntimeError(
            f"Expected lengths to be at most {steps.shape[0]}, the number of steps of input, but got {lengths[0]}"
        )


def _equal_size_intervals(sizes: list[int]) -> Iterator[tuple[int, int, int]]:
    """Yield (start, stop, size) for each interval of time steps with the same number of sequences."""
    start = 0
    for size, same in groupby(sizes):
        stop = start + len(list(same))
        yield start, stop, size
        start = stop


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """Undo `pack_padded_sequence`: return ``(T, N, *)`` (or ``(N, T, *)``) and the lengths.

    Args:
        sequence: the packed sequences.
        batch_first: if True, return ``(N, T, *)``.
        padding_value: value that is added at the end of shorter sequences.
        total_length: T; by default the longest length.
    Raises: ValueError if ``total_length`` is smaller than the longest length.

    >>> packed = nn.utils.rnn.pack_sequence([fb.tensor([1, 2, 3]), fb.tensor([4, 5])])
    >>> nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    (tensor([[1, 2, 3],
            [4, 5, 0]]), tensor([3, 2]))
    """
    data, batch_sizes, _, back = sequence
    sizes = batch_sizes.tolist()
    if total_length is not None and total_length < len(sizes):
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, but got total_length="
            f"{total_length} and max sequence length being {len(sizes)}"
        )
    batch, trailing = sizes[0], (0, 0) * (data.ndim - 1)
    rows = data.split([(stop - start) * size for start, stop, size in _equal_size_intervals(sizes)])
    steps = cat(
        [
            F.pad(part.unflatten(0, (stop - start, size)), (*trailing, 0, batch - size), value=padding_value)
            for part, (start, stop, size) in zip(rows, _equal_size_intervals(sizes), strict=True)
        ]
    )
    if total_length is not None:
        steps = F.pad(steps, (*trailing, 0, 0, 0, total_length - len(sizes)), value=padding_value)
    lengths = tensor([sum(size > position for size in sizes) for position in range(batch)], dtype=int64)
    if back is not None:
        steps, lengths = steps.index_select(1, back), lengths[back]
    return (steps.transpose(0, 1) if batch_first else steps), lengths


def pad_sequence(
    sequences: Tensor | Iterable[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Stack sequences ``(L, *)`` of different lengths into ``(T, N, *)``, or ``(N, T, *)`` with ``batch_first``.

    Raises: RuntimeError if ``padding_side`` is not ``"left"`` or ``"right"``, or if there are no sequences.

    >>> nn.utils.rnn.pad_sequence([fb.ones(3), fb.ones(1)], batch_first=True)
    tensor([[1., 1., 1.],
            [1., 0., 0.]])
    """
    if padding_side not in ("left", "right"):
        raise RuntimeError(f'Expected padding_side to be one of "left" or "right", but got {padding_side!r}.')
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            f"pad_sequence: Expected iterable for input sequences, but got arg of type {type(sequences).__name__}"
        )
    parts = list(sequences.unbind(0)) if isinstance(sequences, Tensor) else list(sequences)
    if not parts:
        raise RuntimeError("received an empty list of sequences")
    longest = max(len(part) for part in parts)
    padded = []
    for part in parts:
        missing = longest - len(part)
        sides = (missing, 0) if padding_side == "left" else (0, missing)
        padded.append(F.pad(part, ((0, 0) * (part.ndim - 1)) + sides, value=padding_value))
    return stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """Undo `pad_sequence`: return the sequences without padding.

    >>> nn.utils.rnn.unpad_sequence(fb.tensor([[1, 2, 3], [4, 5, 0]]), fb.tensor([3, 2]), batch_first=True)
    [tensor([1, 2, 3]), tensor([4, 5])]
    """
    batch = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [sequence[:length] for sequence, length in zip(batch.unbind(0), lengths.tolist(), strict=True)]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences ``(L, *)`` of different lengths; see `pack_padded_sequence`.

    >>> nn.utils.rnn.pack_sequence([fb.tensor([1, 2]), fb.tensor([3])]).batch_sizes
    tensor([2, 1])
    """
    lengths = [len(sequence) for sequence in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """Undo `pack_sequence`: return the list of sequences.

    >>> packed = nn.utils.rnn.pack_sequence([fb.tensor([1, 2, 3]), fb.tensor([4, 5])])
    >>> nn.utils.rnn.unpack_sequence(packed)
    [tensor([1, 2, 3]), tensor([4, 5])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


_suggestions.suggest_names(__name__)
