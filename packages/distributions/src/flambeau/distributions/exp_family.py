"""Distributions of the form ``p(x; theta) = exp(<t(x), theta> - F(theta) + k(x))``."""

from typing import Any

import flambeau as fb
from flambeau import Tensor

from .distribution import Distribution

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """Base class of exponential families: ``p(x; theta) = exp(<t(x), theta> - F(theta) + k(x))``.

    A subclass defines ``_natural_params`` (``theta``, a tuple of tensors), ``_log_normalizer`` (``F``, a function of
    these tensors) and ``_mean_carrier_measure`` (the expectation of ``k``). The base class computes the entropy and the
    divergence within a family from the gradient of ``F``, which is the expectation of ``t(x)``.

    Source: Nielsen and Nock 2010, "Entropies and cross-entropies of exponential families".

    >>> from flambeau.distributions import Exponential
    >>> class ByRate(ExponentialFamily):  # exp(-rate * x + log(rate)), with theta = -rate
    ...     arg_constraints = {}
    ...     _natural_params = (fb.tensor(-2.0),)
    ...     _mean_carrier_measure = 0.0
    ...
    ...     def _log_normalizer(self, theta):
    ...         return -fb.log(-theta)
    >>> ByRate().entropy(), Exponential(2.0).entropy()
    (tensor(0.3069), tensor(0.3069))
    """

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        raise NotImplementedError(f"{type(self).__name__} does not define its natural parameters")

    def _log_normalizer(self, *natural_params: Any) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} does not define its log normalizer")

    @property
    def _mean_carrier_measure(self) -> Tensor | float:
        raise NotImplementedError(f"{type(self).__name__} does not define its mean carrier measure")

    def _expected_statistics(self) -> tuple[tuple[Tensor, ...], Tensor, tuple[Tensor, ...]]:
        """Return ``theta``, ``F(theta)``, and the gradient of ``F``: the expectation of the sufficient statistics."""
        given = self._natural_params
        differentiable = any(param.requires_grad for param in given)
        with fb.enable_grad():
            params = tuple(p if p.requires_grad else p.detach().requires_grad_() for p in given)
            normalizer = self._log_normalizer(*params)
            expected = fb.autograd.grad(normalizer.sum(), params, create_graph=differentiable)
        return given, normalizer if differentiable else normalizer.detach(), expected

    def entropy(self) -> Tensor:
        """Return ``F(theta) - <theta, grad F(theta)> - E[k(x)]``."""
        params, normalizer, expected = self._expected_statistics()
        result = normalizer - self._mean_carrier_measure
        for param, statistic in zip(params, expected, strict=True):
            product = param * statistic
            result = result - product.reshape(self._batch_shape + (-1,)).sum(-1)
        return result
