"""Adam for sparse gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flambeau import Tensor

from .optimizer import Group, Optimizer, check_betas, options

__all__ = ["SparseAdam", "sparse_adam"]


class SparseAdam(Optimizer):
    """Adam for sparse gradients: the state and the parameters change only in the rows that have a gradient.

    In step ``t``, with ``m`` and ``v`` of these rows as in `Adam`:
    ``p -= lr * sqrt(1 - beta2**t) / (1 - beta1**t) * m / (sqrt(v) + eps)``.

    Args:
        params: parameters or parameter groups. The gradients of the parameters must be sparse.
        lr: learning rate.
        betas: (beta1, beta2), both in [0, 1).
        eps: added to the denominator for numerical stability.
        maximize: if True, maximise the objective instead of minimising it.
    State: ``step``, ``exp_avg`` and ``exp_avg_sq``.
    Raises: ValueError for options out of range and for sparse parameters. ``step()`` raises RuntimeError for a dense
        gradient.
    Source: Kingma, Ba 2015, arXiv:1412.6980.

    >>> weight = fb.ones(3, 1)
    >>> weight.grad = fb.sparse_coo_tensor([[1]], [[2.0]], (3, 1))
    >>> fb.optim.SparseAdam([weight], lr=0.1).step()
    >>> weight.reshape(-1)
    tensor([1.0000, 0.9000, 1.0000])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        if not lr > 0.0:
            raise ValueError(f"Invalid learning rate: {lr}; expected a number > 0")
        if not eps > 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}; expected a number > 0")
        check_betas(betas)
        super().__init__(params, options(locals()))

    def _check(self, group: Group) -> None:
        super()._check(group)
        sparse = [[len(self.param_groups), index] for index, param in enumerate(group["params"]) if param.is_sparse]
        if sparse:
            raise ValueError(f"Sparse params at indices {sparse}: SparseAdam requires dense parameter tensors")

    def _update(self, group: Group, params: list[Tensor], grads: list[Tensor]) -> None:
        if not all(grad.is_sparse for grad in grads):
            raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead")
        from . import _sparse

        _sparse.step(_sparse.descend_by_moments, group, params, grads, self.state)


def sparse_adam(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    state_steps: list[int],
    *,
    eps: float,
    beta1: float,
    beta2: float,
    lr: float,
    maximize: bool,
) -> None:
    """Apply one step of `SparseAdam` to lists with one entry for each parameter, in place.

    Args:
        params: the parameters.
        grads: the gradients of the parameters, which are sparse tensors.
        exp_avgs, exp_avg_sqs: states ``exp_avg`` and ``exp_avg_sq``.
        state_steps: numbers of steps, including this step, as integers.
        eps, lr, maximize: options of `SparseAdam`.
        beta1, beta2: the option ``betas``.

    >>> weight, mean, square = fb.tensor([1.0, 1.0]), fb.zeros(2), fb.zeros(2)
    >>> gradient = fb.sparse_coo_tensor([[1]], [2.0], (2,))
    >>> options = {"eps": 1e-8, "beta1": 0.9, "beta2": 0.999, "lr": 0.1, "maximize": False}
    >>> sparse_adam([weight], [gradient], [mean], [square], [1], **options)
    >>> weight
    tensor([1.0000, 0.9000])
    """
    from . import _sparse

    group: Group = {"lr": lr, "betas": (beta1, beta2), "eps": eps, "maximize": maximize}
    lists = zip(params, exp_avgs, exp_avg_sqs, state_steps, strict=True)
    state = {param: {"exp_avg": mean, "exp_avg_sq": square, "step": step - 1} for param, mean, square, step in lists}
    _sparse.step(_sparse.descend_by_moments, group, params, grads, state)
