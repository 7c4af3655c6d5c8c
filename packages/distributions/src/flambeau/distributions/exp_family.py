"""Distributions of the form ``p(x; theta) = exp(<t(x), theta> - F(theta) + k(x))``."""

from typing import Any

import flambeau as fb
from flambeau import Tensor

from .distribution import Distribution

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """A distribution with natural parameters ``theta``, log normaliser ``F`` and carrier measure ``k``.

    A subclass gives ``_natural_params`` (a tuple of tensors), ``_log_normalizer`` of them and
    ``_mean_carrier_measure``, the expectation of ``k``. Entropy, and the divergence within a family, follow from the
    gradient of ``F``: the expectation of ``t(x)``.

    Source: Nielsen and Nock 2010, "Entropies and cross-entropies of exponential families".
    """

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        raise NotImplementedError(f"{type(self)} does not define its natural parameters")

    def _log_normalizer(self, *natural_params: Any) -> Tensor:
        raise NotImplementedError(f"{type(self)} does not define its log normalizer")

    @property
    def _mean_carrier_measure(self) -> Tensor | float:
        raise NotImplementedError(f"{type(self)} does not define its mean carrier measure")

    def _expected_statistics(self) -> tuple[tuple[Tensor, ...], Tensor, tuple[Tensor, ...]]:
        """Return the natural parameters, ``F`` of them, and its gradient, the expected sufficient statistics."""
        given = self._natural_params
        differentiable = any(param.requires_grad for param in given)
        with fb.enable_grad():
            params = tuple(p if p.requires_grad else p.detach().requires_grad_() for p in given)
            normalizer = self._log_normalizer(*params)
            expected = fb.autograd.grad(normalizer.sum(), params, create_graph=differentiable)
        return given, normalizer if differentiable else normalizer.detach(), expected

    def entropy(self) -> Tensor:
        """``F(theta) - <theta, grad F(theta)> - E[k(x)]``."""
        params, normalizer, expected = self._expected_statistics()
        result = normalizer - self._mean_carrier_measure
        for param, statistic in zip(params, expected, strict=True):
            product = param * statistic
            result = result - product.reshape(self._batch_shape + (-1,)).sum(-1)
        return result
