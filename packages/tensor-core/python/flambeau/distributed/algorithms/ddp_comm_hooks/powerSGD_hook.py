"""Gradients that travel as products of two narrow matrices."""

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
    """What `powerSGD_hook` keeps from one iteration to the next.

    Args:
        process_group: whose gradients are averaged; None: those of all processes.
        matrix_approximation_rank: how many columns the narrow matrices have.
        start_powerSGD_iter: as many iterations come first in which gradients travel whole; above 1 where it keeps
            something.
        min_compression_rate: a gradient travels whole if it would not become smaller by this factor.
        use_error_feedback: add what got lost to the gradients of the next iteration.
        warm_start: begin with the matrices of the last iteration.
        orthogonalization_epsilon: added to the norms of columns, so that gradients of zeros do no harm.
        random_seed: of the first matrices.
        compression_stats_logging_frequency, batch_tensors_with_same_shape: have no effect.
    Raises: ValueError if it would start in an iteration that has nothing to begin with.
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
        self._right: dict[int, list[Tensor]] = {}  # of each bucket
        self._generator = flambeau.Generator().manual_seed(random_seed)

    def compresses(self, matrix: Tensor) -> bool:
        """Whether a matrix becomes smaller by enough."""
        rows, columns = matrix.shape
        return (rows + columns) * self.columns(matrix) * self.min_compression_rate < rows * columns

    def columns(self, matrix: Tensor) -> int:
        """How many columns its factors have."""
        return min(matrix.shape[0], matrix.shape[1], self.matrix_approximation_rank)

    def begin(self, index: int, matrices: Sequence[Tensor]) -> list[Tensor]:
        """The right factors that the matrices of a bucket are multiplied by, with orthonormal columns."""
        if index not in self._right or not self.warm_start:
            sizes = [(each.shape[1], self.columns(each)) for each in matrices]
            drawn = [flambeau.randn(size, generator=self._generator) for size in sizes]  # the same in all processes
            self._right[index] = [one.to(other) for one, other in zip(drawn, matrices, strict=True)]
        return [self.orthonormal(each) for each in self._right[index]]

    def keep(self, index: int, right: list[Tensor]) -> None:
        """Remember the right factors for the next iteration."""
        self._right[index] = right

    def orthonormal(self, matrix: Tensor) -> Tensor:
        """The columns orthonormal, one after another (Gram and Schmidt)."""
        done: list[Tensor] = []
        for column in matrix.unbind(1):
            for other in done:
                column = column - (column @ other) * other
            done.append(column / (flambeau.linalg.vector_norm(column) + self.orthogonalization_epsilon))
        return flambeau.stack(done, 1)


def powerSGD_hook(state: PowerSGDState, bucket: GradBucket) -> Future[Tensor]:
    """The mean of gradients, those of matrices approximately: by one step of power iteration for their factors.

    Each process sends ``M Q``, of whose sum the columns become orthonormal, ``P``, and then ``M^T P``, whose mean is
    the next ``Q``; ``P Q^T`` is the mean of the ``M``, if its rank is as low. Vectors and small matrices travel whole.

    Args:
        state: of one model.
        bucket: the gradients.
    Source: Vogels, Karimireddy, Jaggi 2019, arXiv:1905.13727.
    """
    if state.iter < state.start_powerSGD_iter:
        state.iter += bucket.is_last()
        return allreduce_hook(state.process_group, bucket)
    state.iter += bucket.is_last()
    return _Compressed(state, bucket).future()


class _Compressed:
    """A bucket on its way."""

    def __init__(self, state: PowerSGDState, bucket: GradBucket) -> None:
        group = member(state.process_group)
        if group is None:
            raise ValueError("this process does not belong to the group of the hook")
        self.state, self.group, self.index, self.buffer = state, group, bucket.index(), bucket.buffer()
        if state.use_error_feedback and self.index in state.error_dict:
            self.buffer.add_(state.error_dict[self.index])
        self.before = self.buffer.clone() if state.use_error_feedback else None
        matrices = [each.view(each.shape[0], -1) if each.ndim > 1 else each for each in bucket.gradients()]
        self.matrices = [each for each in matrices if each.ndim > 1 and state.compresses(each)]
        self.whole = [each for each in matrices if each.ndim < 2 or not state.compresses(each)]
        right = state.begin(self.index, self.matrices)
        factors = [each @ one for each, one in zip(self.matrices, right, strict=True)]
        self.packed = _packed([*self.whole, *factors])
        self.shapes = [each.shape for each in factors]

    def future(self) -> Future[Tensor]:
        """What travels, and what is made of it when it has arrived."""
        if self.packed is None:
            done: Future[Tensor] = Future()
            done.set_result(self.buffer)
            return done
        return self._sum(self.packed).get_future().then(lambda _: self._finish())

    def _sum(self, tensor: Tensor) -> Work:
        work = distributed.all_reduce(tensor, group=self.group, async_op=True)
        assert work is not None  # as this process belongs to the group
        return work

    @flambeau.no_grad()
    def _finish(self) -> Tensor:
        assert self.packed is not None
        size = self.group.size()
        parts = _apart(self.packed, [*(each.shape for each in self.whole), *self.shapes])
        for each, total in zip(self.whole, parts, strict=False):
            each.copy_(total / size)
        left = [self.state.orthonormal(each) for each in parts[len(self.whole) :]]
        right = [each.T @ one for each, one in zip(self.matrices, left, strict=True)]
        joined = _packed(right)
        if joined is not None:
            self._sum(joined.div_(size)).wait()
            right = _apart(joined, [each.shape for each in right])
        for each, one, other in zip(self.matrices, left, right, strict=True):
            each.copy_(one @ other.T)
        if self.before is not None:
            self.state.error_dict[self.index] = self.before - self.buffer
        self.state.keep(self.index, right)
        return self.buffer


def _packed(tensors: Sequence[Tensor]) -> Tensor | None:
    return flambeau.cat([each.reshape(-1) for each in tensors]) if tensors else None


def _apart(packed: Tensor, shapes: Sequence[Any]) -> list[Tensor]:
    parts = packed.split([shape.numel() for shape in shapes])
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
