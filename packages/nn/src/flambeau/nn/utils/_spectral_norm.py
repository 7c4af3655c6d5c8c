"""Spectral normalisation by hooks. Prefer `parametrizations.spectral_norm`."""

from __future__ import annotations

from typing import Any

from flambeau import Tensor, no_grad

from .. import functional as F
from ..modules.module import Module
from ..parameter import Parameter, require_shape
from ._weight_norm import find_hook
from .parametrizations import matrix_of

__all__ = ["remove_spectral_norm", "spectral_norm"]


class SpectralNorm:
    """Hook that divides ``<name>_orig`` by its largest singular value before each call."""

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float) -> None:
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.name = name
        self.n_power_iterations = n_power_iterations
        self.dim = dim
        self.eps = eps

    def compute_weight(self, module: Module, do_power_iteration: bool) -> Tensor:
        """Return the normalised weight. If ``do_power_iteration`` is True, first run the power iteration."""
        weight = getattr(module, self.name + "_orig")
        u, v = getattr(module, self.name + "_u"), getattr(module, self.name + "_v")
        matrix = matrix_of(weight, self.dim)
        if do_power_iteration:
            with no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(F.normalize(matrix.T @ u, dim=0, eps=self.eps))
                    u.copy_(F.normalize(matrix @ v, dim=0, eps=self.eps))
        normalized: Tensor = weight / (u.clone() @ (matrix @ v.clone()))
        return normalized

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module, module.training))


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divide a weight by its largest singular value.

    Args:
        module: the module, which is changed and returned.
        name: name of the weight parameter.
        n_power_iterations: steps of the power iteration in each call in training mode.
        eps: lower limit of norms, which avoids division by zero.
        dim: dimension of the outputs. The default is 0, or 1 for transposed convolutions.
    Raises: RuntimeError if the weight is already normalised; ValueError for the weight of a lazy module.
    Source: Miyato et al. 2018, arXiv:1802.05957.

    >>> list(nn.utils.spectral_norm(nn.Linear(4, 3)).state_dict())
    ['bias', 'weight_orig', 'weight_u', 'weight_v']
    """
    if find_hook(module, SpectralNorm, name) is not None:
        raise RuntimeError(f"Cannot register two spectral_norm hooks on the same parameter '{name}'")
    if dim is None:
        dim = 1 if getattr(module, "transposed", False) else 0
    hook = SpectralNorm(name, n_power_iterations, dim, eps)
    weight = getattr(module, name)
    require_shape(weight, "SpectralNorm")
    rows, columns = matrix_of(weight.detach(), dim).shape
    delattr(module, name)
    module.register_parameter(name + "_orig", weight)
    setattr(module, name, weight.detach())
    for suffix, size in (("_u", rows), ("_v", columns)):
        module.register_buffer(name + suffix, F.normalize(weight.detach().new_empty(size).normal_(), dim=0, eps=eps))
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight an ordinary parameter again. Raises: ValueError if the weight is not normalised.

    >>> layer = nn.utils.remove_spectral_norm(nn.utils.spectral_norm(nn.Linear(3, 2)))
    >>> sorted(layer.state_dict())
    ['bias', 'weight']
    """
    key = find_hook(module, SpectralNorm, name)
    if key is None:
        raise ValueError(f"spectral_norm of '{name}' not found in {module}")
    with no_grad():
        hook: Any = module._forward_pre_hooks[key]
        weight = hook.compute_weight(module, False)
    for attribute in (name, name + "_u", name + "_v", name + "_orig"):
        delattr(module, attribute)
    module.register_parameter(name, Parameter(weight.detach()))
    del module._forward_pre_hooks[key]
    return module
