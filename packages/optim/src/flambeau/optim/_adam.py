"""Adam and its relatives: steps scaled, for each element, by running means of the gradient and of its size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .optimizer import Optimizer, check_betas, check_nonnegative, options


class Adam(Optimizer):
    """Steps scaled, for each element, by running means of the gradient and its square.

    ``m = beta1 * m + (1 - beta1) * g``, ``v = beta2 * v + (1 - beta2) * g**2``,
    ``p -= lr * (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + eps)``, where ``g`` is the gradient plus
    ``weight_decay * p``.

    Args:
        params: parameters, or groups of them.
        lr: learning rate.
        betas: (beta1, beta2), both in [0, 1).
        eps: added to the denominator for numerical stability.
        weight_decay: factor of the L2 penalty.
        amsgrad: use the largest ``v`` so far.
        maximize: maximise the objective instead of minimising it.
        foreach, capturable, differentiable, fused: see `Optimizer`.
        decoupled_weight_decay: decouple weight decay from the gradient, as `AdamW` does.
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
        super().__init__(params, options(locals()))


class AdamW(Adam):
    """Adam with decoupled weight decay: ``p -= lr * weight_decay * p`` apart from the scaled gradient.

    Arguments and state are Adam's. Source: Loshchilov, Hutter 2019, arXiv:1711.05101.

    >>> weight = fb.tensor([1.0])
    >>> weight.grad = fb.tensor([0.0])
    >>> fb.optim.AdamW([weight], lr=0.1, weight_decay=0.5).step()
    >>> weight
    tensor([0.9500])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(params, **options(locals()), decoupled_weight_decay=True)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True


class Adamax(Optimizer):
    """Adam with the gradients' running maximum in place of their running mean square.

    ``m = beta1 * m + (1 - beta1) * g``, ``u = max(beta2 * u, |g| + eps)``, ``p -= lr / (1 - beta1**t) * m / u``.

    Arguments are Adam's. State: ``step``, ``exp_avg`` and ``exp_inf``.
    Source: Kingma, Ba 2015, arXiv:1412.6980, section 7.1.

    >>> weight = fb.tensor([1.0])
    >>> weight.grad = fb.tensor([2.0])
    >>> fb.optim.Adamax([weight], lr=0.1).step()
    >>> weight
    tensor([0.9000])
    """

    _rule = "adamax"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_nonnegative(lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas(betas)
        super().__init__(params, options(locals()))


class NAdam(Optimizer):
    """Adam with Nesterov's momentum: the step looks ahead along ``m``.

    With ``mu_t = beta1 * (1 - 0.96**(t * momentum_decay) / 2)`` and their products ``M_t``,
    ``p -= lr * ((1 - mu_t) / (1 - M_t) * g + mu_{t+1} / (1 - M_{t+1}) * m) / (sqrt(v / (1 - beta2**t)) + eps)``.

    Args:
        momentum_decay: how slowly the momentum grows to beta1.
        decoupled_weight_decay: decouple weight decay from the gradient, as `AdamW` does.
        The others are Adam's.
    State: ``step``, ``mu_product``, ``exp_avg`` and ``exp_avg_sq``.
    Source: Dozat 2016, ICLR workshop.

    >>> weight = fb.tensor([1.0])
    >>> weight.grad = fb.tensor([2.0])
    >>> fb.optim.NAdam([weight], lr=0.1).step()
    >>> weight < 1
    tensor([True])
    """

    _rule = "nadam"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_nonnegative(lr=lr, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay)
        check_betas(betas)
        super().__init__(params, options(locals()))


class RAdam(Optimizer):
    """Adam that steps along ``m`` alone while its denominator varies too much, and later corrects for that.

    Arguments are Adam's, with ``decoupled_weight_decay`` to decay as `AdamW` does.
    State: ``step``, ``exp_avg`` and ``exp_avg_sq``.
    Source: Liu et al. 2020, arXiv:1908.03265.

    >>> weight = fb.tensor([1.0])
    >>> weight.grad = fb.tensor([2.0])
    >>> fb.optim.RAdam([weight], lr=0.1).step()
    >>> weight
    tensor([0.8000])
    """

    _rule = "radam"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_nonnegative(lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas(betas)
        super().__init__(params, options(locals()))
