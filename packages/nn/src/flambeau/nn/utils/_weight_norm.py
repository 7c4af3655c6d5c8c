"""Weight normalisation by hooks. Prefer `parametrizations.weight_norm`."""

from __future__ import annotations

import warnings
from typing import Any

from flambeau import Tensor

from ..modules.module import Module
from ..parameter import Parameter, require_shape
from .parametrizations import norm_except_dim

__all__ = ["remove_weight_norm", "weight_norm"]


class WeightNorm:
    """Hook that computes the weight from ``<name>_g`` and ``<name>_v`` before each call."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name = name
        self.dim = -1 if dim is None else dim

    def compute_weight(self, module: Module) -> Tensor:
        """Return the weight with the direction of ``<name>_v`` and the norm ``<name>_g``."""
        g, v = getattr(module, self.name + "_g"), getattr(module, self.name + "_v")
        weight: Tensor = v * (g / norm_except_dim(v, self.dim))
        return weight

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Replace a weight with two parameters: its norm (``<name>_g``) and its direction (``<name>_v``).

    Args:
        module: the module, which is changed and returned.
        name: name of the weight parameter.
        dim: dimension along which each slice has a separate norm; None for one norm of the whole weight.
    Raises: RuntimeError if the weight is already normalised; ValueError for the weight of a lazy module.
    Source: Salimans, Kingma 2016, arXiv:1602.07868.

    >>> list(nn.utils.weight_norm(nn.Linear(4, 3)).state_dict())
    ['bias', 'weight_g', 'weight_v']
    """
    warnings.warn(
        "`nn.utils.weight_norm` is deprecated in favor of `nn.utils.parametrizations.weight_norm`.",
        FutureWarning,
        stacklevel=2,
    )
    if find_hook(module, WeightNorm, name) is not None:
        raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter '{name}'")
    hook = WeightNorm(name, dim)
    weight = getattr(module, name)
    require_shape(weight, "WeightNorm")
    delattr(module, name)
    module.register_parameter(name + "_g", Parameter(norm_except_dim(weight.detach(), hook.dim)))
    module.register_parameter(name + "_v", Parameter(weight.detach()))
    setattr(module, name, hook.compute_weight(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight an ordinary parameter again. Raises: ValueError if the weight is not normalised.

    >>> layer = nn.utils.remove_weight_norm(nn.utils.weight_norm(nn.Linear(3, 2)))
    >>> sorted(layer.state_dict())
    ['bias', 'weight']
    """
    key = find_hook(module, WeightNorm, name)
    if key is None:
        raise ValueError(f"weight_norm of '{name}' not found in {module}")
    hook: Any = module._forward_pre_hooks[key]
    weight = hook.compute_weight(module)
    for attribute in (name, name + "_g", name + "_v"):
        delattr(module, attribute)
    setattr(module, name, Parameter(weight.detach()))
    del module._forward_pre_hooks[key]
    return module


def find_hook(module: Module, kind: type, name: str) -> int | None:
    """Return the key of a module's hook of type ``kind`` for the weight ``name``, or None."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, kind) and hook.name == name:  # type: ignore[attr-defined]
            return key
    return None
