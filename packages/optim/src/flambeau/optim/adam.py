"""Adam: steps scaled by running means of the gradient and of its square."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flambeau import Tensor, strided, tensor, zeros_like

from ._functional import apply_rule
from .optimizer import Group, Optimizer, check_betas, check_nonnegative, options

__all__ = ["Adam", "adam"]


class Adam(Optimizer):
    """Adam optimizer: the step of each element depends on running means of the gradient and of its square.

    In step ``t``: ``m = beta1 * m + (1 - beta1) * g``, ``v = beta2 * v + (1 - beta2) * g**2``,
    ``p -= lr * (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + eps)``, where ``g`` is the gradient plus
    ``weight_decay * p``.

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        betas: (beta1, beta2), both in [0, 1).
        eps: added to the denominator for numerical stability.
        weight_decay: factor of the L2 penalty.
        amsgrad: if True, use the largest ``v`` so far.
        maximize: if True, maximise the objective instead of minimising it.
        foreach, capturable, differentiable, fused: see `Optimizer`.
        decoupled_weight_decay: if True, decouple weight decay from the gradient, as `AdamW` does.
    State: ``step`` (float32), ``exp_avg``, ``exp_avg_sq`` and, with amsgrad, ``max_exp_avg_sq``.
    Raises: ValueError for options out of range.
    Source: Kingma, Ba 2015, arXiv:1412.6980; amsgrad: Reddi, Kale, Kumar 2018, arXiv:1904.09237.

    >>> weight = fb.tensor([1.0])
    >>> weight.grad = fb.tensor([2.0])
    >>> fb.optim.Adam([weight], lr=0.1).step()
    >>> weight
    tensor([0.9000])
    """

    _rule = "adam"
    _instead_for_sparse = ", please consider SparseAdam instead"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        check_nonnegative(lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas(betas)
        order = (
            "lr betas eps weight_decay amsgrad maximize foreach capturable differentiable fused decoupled_weight_decay"
        )
        super().__init__(params, options(locals(), order))

    def _init_group(
        self,
        group: Group,
        params_with_grad: list[Tensor],
        grads: list[Tensor],
        exp_avgs: list[Tensor],
        exp_avg_sqs: list[Tensor],
        max_exp_avg_sqs: list[Tensor],
        state_steps: list[Tensor],
    ) -> bool:
        """Append the parameters that have a gradient, and their states, to the lists. Create missing states.

        Optimizers of other packages that override `step` call this method of PyTorch.

        Returns: True if a parameter is complex.
        Raises: RuntimeError if a gradient is sparse.
        """
        lists = {"exp_avg": exp_avgs, "exp_avg_sq": exp_avg_sqs, "max_exp_avg_sq": max_exp_avg_sqs}
        if not group["amsgrad"]:
            del lists["max_exp_avg_sq"]
        params = [param for param in group["params"] if param.grad is not None]
        if any(param.grad.layout is not strided for param in params):
            raise RuntimeError(f"{type(self).__name__} does not support sparse gradients{self._instead_for_sparse}")
        for param in params:
            state = self.state[param]
            if not state:
                state.update({"step": tensor(0.0), **{name: zeros_like(param) for name in lists}})
            for name, values in lists.items():
                values.append(state[name])
            state_steps.append(state["step"])
        params_with_grad += params
        grads += [param.grad for param in params]
        return any(param.is_complex() for param in params)


def adam(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    max_exp_avg_sqs: list[Tensor],
    state_steps: list[Tensor],
    foreach: bool | None = None,
    capturable: bool = False,
    differentiable: bool = False,
    fused: bool | None = None,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
    has_complex: bool = False,
    decoupled_weight_decay: bool = False,
    *,
    amsgrad: bool,
    beta1: float | Tensor,
    beta2: float | Tensor,
    lr: float | Tensor,
    weight_decay: float,
    eps: float,
    maximize: bool,
) -> None:
    """Apply one step of `Adam` to lists with one entry for each parameter, in place.

    Args:
        params, grads: the parameters and their gradients.
        exp_avgs, exp_avg_sqs: states ``exp_avg`` and ``exp_avg_sq``.
        max_exp_avg_sqs: states ``max_exp_avg_sq``; may be empty without ``amsgrad``.
        state_steps: numbers of steps so far, as scalar tensors.
        foreach, capturable, fused, has_complex: ignored.
        differentiable: if True, autograd records the step.
        grad_scale, found_inf: not supported; must be None.
        decoupled_weight_decay, amsgrad, lr, weight_decay, eps, maximize: options of `Adam`.
        beta1, beta2: the option ``betas``.
    Raises: NotImplementedError for ``grad_scale`` or ``found_inf``.

    >>> weight, mean, square, step = fb.tensor([1.0]), fb.zeros(1), fb.zeros(1), fb.tensor(0.0)
    >>> options = {"amsgrad": False, "lr": 0.1, "weight_decay": 0, "eps": 1e-8, "maximize": False}
    >>> adam([weight], [fb.tensor([2.0])], [mean], [square], [], [step], beta1=0.9, beta2=0.999, **options)
    >>> weight
    tensor([0.9000])
    """
    largest = max_exp_avg_sqs if amsgrad else []
    apply_rule("adam", locals(), exp_avg=exp_avgs, exp_avg_sq=exp_avg_sqs, max_exp_avg_sq=largest)
