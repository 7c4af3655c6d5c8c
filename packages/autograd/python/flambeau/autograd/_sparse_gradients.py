"""Sparse gradients of dense leaves in the engine.

Note [Sparse gradients]
The engine adds gradients as dense tensors. Therefore the derivative of a lookup (such as ``embedding``) does not send
its sparse gradient through the graph. It passes the rows and their indices to the `SparseGradients` object of the leaf.
Once per backward pass, it sends a stand-in through the graph: a zero tensor that is expanded to the shape of the leaf
and needs almost no memory. Two hooks on the leaf complete the gradient. The first hook receives the leaf's total
gradient. It combines the rows in one sparse tensor, which replaces the stand-in or is added to a dense gradient. The
second hook runs after the accumulation. It sets ``.grad`` to the sum of the previous and the new gradient. The sum is
sparse if both are sparse.
"""

from __future__ import annotations

import weakref
from functools import wraps
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.autograd import _engine
from flambeau.sparse._coo import CooTensor
from flambeau.sparse._gradients import release
from flambeau.sparse._tensor import SparseTensor

_observed: dict[int, tuple[Any, SparseGradients]] = {}


def observe(leaf: Tensor) -> SparseGradients:
    """Return the `SparseGradients` object of a leaf. The first call creates it."""
    known = _observed.get(id(leaf))
    if known is not None and known[0]() is leaf:
        return known[1]
    made, key = SparseGradients(leaf), id(leaf)
    _observed[key] = weakref.ref(leaf, lambda _: _observed.pop(key, None)), made
    return made


def with_observed_result(leaf: Tensor, hook: Any) -> Any:
    """Wrap a hook so that the `SparseGradients` object of the leaf, if it has one, receives the hook's result."""
    known = _observed.get(id(leaf))
    if known is None or known[0]() is not leaf or not callable(hook):
        return hook
    receiver = known[1]

    @wraps(hook)
    def observing(gradient: Tensor) -> Tensor | None:
        result: Tensor | None = hook(gradient)
        if result is not None:
            receiver.replace(result)
        return result

    return observing


class SparseGradients:
    """Collector of the rows that lookups send to a leaf ``(rows, *)`` in a backward pass. Note [Sparse gradients]."""

    def __init__(self, leaf: Tensor) -> None:
        self._shape = leaf.shape
        self._arrived: dict[int, list[tuple[Tensor, Tensor]]] = {}
        self._stand_in: Tensor | None = None
        self._gathered: Tensor | None = None
        self._former: Tensor | None = None
        self._removed_grad = False
        leaf_of = weakref.ref(leaf)
        leaf.register_hook(lambda gradient: self._gather(leaf_of(), gradient))
        leaf.register_post_accumulate_grad_hook(self._accumulate)

    def send(self, indices: Tensor, rows: Tensor) -> Tensor | None:
        """Add gradients of shape ``(n, *)`` for the rows at ``indices`` of shape ``(n,)``.

        Return the gradient to send through the graph: the stand-in for the first call of a backward pass, then None.
        """
        run = _engine.current_run()
        arrived = self._arrived.setdefault(run, [])
        arrived.append((indices, rows))
        if len(arrived) > 1:
            return None
        self._stand_in = rows.new_zeros(()).expand(self._shape)
        return self._stand_in

    def _gather(self, leaf: Tensor | None, gradient: Tensor | None) -> Tensor | None:
        """Return the sum of the sparse gradients of this backward pass and the dense ``gradient``."""
        run = _engine.current_run()
        arrived = self._arrived.pop(run, [])
        for failed in [number for number in self._arrived if number > run]:
            del self._arrived[failed]
        total: Any = None
        if arrived:
            indices = flambeau.cat([indices for indices, _ in arrived])
            total = CooTensor.of(indices[None], flambeau.cat([rows for _, rows in arrived]), self._shape, False)
            if gradient is not self._stand_in:
                total = gradient + total
        self._stand_in = None
        self._gathered = total
        if leaf is not None and gradient is not None and not _engine.run_is_selective():
            self._remove_grad(leaf, total)
        return total  # type: ignore[no-any-return]

    def replace(self, gradient: Tensor) -> None:
        """Replace the collected gradient with the result of a hook."""
        if self._gathered is not None:
            self._gathered = gradient

    def _remove_grad(self, leaf: Tensor, total: Tensor | None) -> None:
        """Remove ``.grad`` for now if the engine cannot add the new gradient to it, because one of them is sparse."""
        former = leaf.grad
        self._former = None
        self._removed_grad = isinstance(total, SparseTensor)
        if self._removed_grad:
            self._former = former
            leaf.grad = flambeau.empty(self._shape, dtype=leaf.dtype, device="meta")
        elif isinstance(former, SparseTensor):
            self._former = former
            leaf.grad = None

    def _accumulate(self, leaf: Tensor) -> None:
        gathered, former, made_way = self._gathered, self._former, self._removed_grad
        self._gathered = self._former = None
        self._removed_grad = False
        if made_way and gathered is not None:
            with flambeau.no_grad():
                leaf.grad = gathered if former is None else _sum(former, gathered)
        elif former is not None and leaf.grad is not None:
            leaf.grad = leaf.grad + former
        release(leaf)


def _sum(former: Tensor, gradient: Tensor) -> Tensor:
    if isinstance(former, SparseTensor):
        return former + gradient if isinstance(gradient, SparseTensor) else gradient + former
    return former.add_(gradient)
