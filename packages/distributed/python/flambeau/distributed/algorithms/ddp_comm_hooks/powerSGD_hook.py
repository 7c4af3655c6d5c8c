"""Compression of gradients to low-rank factors (PowerSGD)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau
from flambeau import Tensor, distributed
from flambeau.distributed import GradBucket
from flambeau.distributed.groups import ProcessGroup, member
from flambeau.distributed.work import Work
from flambeau.futures import Future

from .default_hooks import allreduce_hook

__all__ = ["PowerSGDState", "powerSGD_hook"]


class PowerSGDState:
    """State of `powerSGD_hook` between iterations.

    Args:
        process_group: group whose gradients are averaged; None for all processes.
        matrix_approximation_rank: number of columns of the factors.
        start_powerSGD_iter: number of iterations before compression begins; must be above 1 with
            ``use_error_feedback`` or ``warm_start``.
        min_compression_rate: gradients that shrink by less than this factor are not compressed.
        use_error_feedback: if True, add the compression error to the gradients of the next iteration.
        warm_start: if True, start with the factors of the last iteration.
        orthogonalization_epsilon: added to the norms of columns, to prevent division by zero.
        random_seed: seed of the initial factors.
        compression_stats_logging_frequency, batch_tensors_with_same_shape: have no effect.
    Raises: ValueError if ``start_powerSGD_iter`` is too small.

    >>> from flambeau.distributed.algorithms.ddp_comm_hooks.powerSGD_hook import PowerSGDState
    >>> state = PowerSGDState(None, matrix_approximation_rank=1)
    >>> state.compresses(fb.ones(8, 8)), state.compresses(fb.ones(2, 2))  # 16 numbers instead of 64, 4 instead of 4
    (True, False)
    """

    def __init__(
        self,
        process_group: ProcessGroup | None,
        matrix_approximation_rank: int = 1,
        start_powerSGD_iter: int = 1_000,
        min_compression_rate: float = 2,
        use_error_feedback: bool = True,
        warm_start: bool = True,
        orthogonalization_epsilon: float = 0,
        random_seed: int = 0,
        compression_stats_logging_frequency: int = 10_000,
        batch_tensors_with_same_shape: bool = False,
    ) -> None:
        if (use_error_feedback or warm_start) and start_powerSGD_iter <= 1:
            raise ValueError(
                "Expect `start_powerSGD_iter` > 1 if `use_error_feedback` or `warm_start` is enabled, because PowerSGD "
                "can only be applied after the first two iterations in DDP."
            )
        self.process_group = process_group
        self.matrix_approximation_rank, self.start_powerSGD_iter = matrix_approximation_rank, start_powerSGD_iter
        self.min_compression_rate = min_compression_rate
        self.use_error_feedback, self.warm_start = use_error_feedback, warm_start
        self.orthogonalization_epsilon = orthogonalization_epsilon
        self.iter = 0
        self.error_dict: dict[int, Tensor] = {}
        self._right: dict[int, list[Tensor]] = {}  # right factors by bucket index
        self._generator = flambeau.Generator().manual_seed(random_seed)

    def compresses(self, matrix: Tensor) -> bool:
        """Return True if compression makes a matrix smaller by a factor of more than ``min_compression_rate``."""
        rows, columns = matrix.shape
        return (rows + columns) * self.columns(matrix) * self.min_compression_rate < rows * columns

    def columns(self, matrix: Tensor) -> int:
        """Return the number of columns of a matrix's factors."""
        return min(matrix.shape[0], matrix.shape[1], self.matrix_approximation_rank)

    def begin(self, index: int, matrices: Sequence[Tensor]) -> list[Tensor]:
        """Return the right factors for the matrices of a bucket, with orthonormal columns."""
        if index not in self._right or not self.warm_start:
            sizes = [(each.shape[1], self.columns(each)) for each in matrices]
            drawn = [flambeau.randn(size, generator=self._generator) for size in sizes]  # the same in all processes
            self._right[index] = [one.to(other) for one, other in zip(drawn, matrices, strict=True)]
        return [self.orthonormal(each) for each in self._right[index]]

    def keep(self, index: int, right: list[Tensor]) -> None:
        """Store the right factors for the next iteration."""
        self._right[index] = right

    def orthonormal(self, matrix: Tensor) -> Tensor:
        """Orthonormalise the columns of a matrix by the Gram-Schmidt process."""
        done: list[Tensor] = []
        for column in matrix.unbind(1):
            for other in done:
                column = column - (column @ other) * other
            done.append(column / (flambeau.linalg.vector_norm(column) + self.orthogonalization_epsilon))
        return flambeau.stack(done, 1)


def powerSGD_hook(state: PowerSGDState, bucket: GradBucket) -> Future[Tensor]:
    """Average gradients. Matrix gradients are compressed to low-rank factors by one step of power iteration.

    For a gradient matrix ``M`` and the factor ``Q`` of the last iteration, each process sends ``M Q``. Orthonormalising
    the columns of the sum gives ``P``. Each process then sends ``M^T P``, and the mean of these matrices is the next
    ``Q``. The mean gradient is approximated by ``P Q^T``. The approximation is exact if the gradient's rank is low
    enough. Vectors and small matrices are not compressed.

    Args:
        state: state of one model.
        bucket: gradients to average.
    Source: Vogels, Karimireddy, Jaggi 2019, arXiv:1905.13727.

    >>> from flambeau.distributed.algorithms.ddp_comm_hooks.powerSGD_hook import PowerSGDState, powerSGD_hook
    >>> state = PowerSGDState(None, start_powerSGD_iter=0, use_error_feedback=False, warm_start=False)
    >>> flat = fb.ones(64)
    >>> bucket = flambeau.distributed.GradBucket(0, flat, [flat.view(8, 8)], [], True)  # a matrix of rank 1
    >>> fb.allclose(powerSGD_hook(state, bucket).wait(), fb.ones(64))  # a group of one process
    True
    """
    if state.iter < state.start_powerSGD_iter:
        state.iter += bucket.is_last()
        return allreduce_hook(state.process_group, bucket)
    state.iter += bucket.is_last()
    return _CompressedBucket(state, bucket).future()


class _CompressedBucket:
    """Bucket whose compressed gradients are being averaged."""

    def __init__(self, state: PowerSGDState, bucket: GradBucket) -> None:
        group = member(state.process_group)
        if group is None:
            raise ValueError("communication hook: this process does not belong to the process group of the hook")
        self.state, self.group, self.index, self.buffer = state, group, bucket.index(), bucket.buffer()
        if state.use_error_feedback and self.index in state.error_dict:
            self.buffer.add_(state.error_dict[self.index])
        self.before = self.buffer.clone() if state.use_error_feedback else None
        matrices = [each.view(each.shape[0], -1) if each.ndim > 1 else each for each in bucket.gradients()]
        self.matrices = [each for each in matrices if each.ndim > 1 and state.compresses(each)]
        self.whole = [each for each in matrices if each.ndim < 2 or not state.compresses(each)]
        right = state.begin(self.index, self.matrices)
        factors = [each @ one for each, one in zip(self.matrices, right, strict=True)]
        self.packed = _concatenate([*self.whole, *factors])
        self.shapes = [each.shape for each in factors]

    def future(self) -> Future[Tensor]:
        """Send the factors and return a future of the averaged gradients."""
        if self.packed is None:
            done: Future[Tensor] = Future()
            done.set_result(self.buffer)
            return done
        return self._sum(self.packed).get_future().then(lambda _: self._finish())

    def _sum(self, tensor: Tensor) -> Work:
        work = distributed.all_reduce(tensor, group=self.group, async_op=True)
        assert work is not None  # because this process belongs to the group
        return work

    @flambeau.no_grad()
    def _finish(self) -> Tensor:
        """Return the approximated mean gradient, and store the error and the right factors for the next step."""
        assert self.packed is not None
        size = self.group.size()
        parts = _unpack(self.packed, [*(each.shape for each in self.whole), *self.shapes])
        for each, total in zip(self.whole, parts, strict=False):
            each.copy_(total / size)
        left = [self.state.orthonormal(each) for each in parts[len(self.whole) :]]
        right = [each.T @ one for each, one in zip(self.matrices, left, strict=True)]
        joined = _concatenate(right)
        if joined is not None:
            self._sum(joined.div_(size)).wait()
            right = _unpack(joined, [each.shape for each in right])
        for each, one, other in zip(self.matrices, left, right, strict=True):
            each.copy_(one @ other.T)
        if self.before is not None:
            self.state.error_dict[self.index] = self.before - self.buffer
        self.state.keep(self.index, right)
        return self.buffer


def _concatenate(tensors: Sequence[Tensor]) -> Tensor | None:
    return flambeau.cat([each.reshape(-1) for each in tensors]) if tensors else None


def _unpack(packed: Tensor, shapes: Sequence[Any]) -> list[Tensor]:
    parts = packed.split([shape.numel() for shape in shapes])
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
