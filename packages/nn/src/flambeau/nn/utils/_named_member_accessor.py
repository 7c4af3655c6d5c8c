"""Temporary replacement of a module's tensors and submodules, for calls with other parameters."""

from typing import Any

from flambeau import Tensor
from flambeau.nn import Module

__all__ = ["set_tensor", "swap_submodule", "swap_tensor"]


def set_tensor(module: Module, name: str, tensor: Tensor | None) -> None:
    """Set a parameter, a buffer or another tensor of a module, without the checks of an assignment."""
    _check(module, name, tensor, Tensor)
    for members in (module._parameters, module._buffers):
        if name in members:
            members[name] = tensor  # type: ignore[assignment]
            return
    setattr(module, name, tensor)


def swap_tensor(module: Module, name: str, tensor: Tensor | None) -> Tensor | None:
    """Set a parameter, a buffer or another tensor of a module, and return the previous tensor.

    >>> import flambeau
    >>> layer = flambeau.nn.Linear(2, 2)
    >>> former = swap_tensor(layer, "weight", flambeau.eye(2))
    >>> former.shape, type(layer.weight).__name__
    (flambeau.Size([2, 2]), 'Tensor')
    """
    _check(module, name, tensor, Tensor)
    former: Any = getattr(module, name)
    if former is not None and not isinstance(former, Tensor):
        raise TypeError(f"attribute `{name}`: {former} is not an instance of torch.Tensor")
    set_tensor(module, name, tensor)
    return former


def swap_submodule(module: Module, name: str, submodule: Module) -> Module:
    """Set a submodule of a module, and return the previous submodule."""
    _check(module, name, submodule, Module)
    former: Module | None = module._modules.get(name)
    if former is None:
        raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
    module._modules[name] = submodule
    return former


def _check(module: Module, name: str, value: Any, kind: type) -> None:
    if not isinstance(module, Module):
        raise TypeError(f"{module} is not an instance of torch.nn.Module")
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{value} is not an instance of torch.{'Tensor' if kind is Tensor else 'nn.Module'}")
    if "." in name or not name:
        raise KeyError(f"expected a member name that is not empty and has no dots, got {name!r}")
