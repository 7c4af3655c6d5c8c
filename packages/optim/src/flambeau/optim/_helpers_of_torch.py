"""PyTorch's helpers for optimizers, which optimizers of other packages import from ``torch.optim.optimizer``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import flambeau
from flambeau import Tensor

StateDict: TypeAlias = dict[str, Any]
Function = TypeVar("Function", bound=Callable[..., Any])

# Descriptions of common options, which other packages insert into the docstrings of their optimizers.
_params_doc = """params (iterable): parameters, pairs of a name and a parameter, or dictionaries that define groups"""
_foreach_doc = """foreach (bool, optional): accepted for compatibility; there is one implementation (default: None)"""
_fused_doc = """fused (bool, optional): accepted for compatibility; there is one implementation (default: None)"""
_maximize_doc = """maximize (bool, optional): maximise the objective instead of minimising it (default: False)"""
_capturable_doc = """capturable (bool, optional): whether a step can be captured in a CUDA graph (default: False)"""
_differentiable_doc = """differentiable (bool, optional): whether autograd records the step (default: False)"""


def _use_grad_for_differentiable(step: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that runs ``step`` without recording by autograd."""
    return flambeau.no_grad()(step)


def _default_to_fused_or_foreach(
    params: list[Tensor], differentiable: bool, use_fused: bool = False
) -> tuple[bool, bool]:
    """Return (False, False), PyTorch's choice of the plain implementation. flambeau has only one implementation."""
    return False, False


def _get_value(x: Any) -> Any:
    """Return the number that a tensor of one element contains. Return other values unchanged."""
    return x.item() if isinstance(x, Tensor) else x


def _to_scalar(x: Any) -> Any:
    """Return a tensor of one element without its dimensions. Return numbers unchanged."""
    return x.squeeze() if isinstance(x, Tensor) and x.dim() else x


def _stack_if_compiling(x: Any) -> Any:
    """Return ``x`` unchanged, because steps are not compiled."""
    return x


def _disable_dynamo_if_unsupported(
    single_tensor_fn: Callable[..., Any] | None = None,
) -> Callable[[Function], Function]:
    """Return a decorator that returns its function unchanged, because functional optimizers can be compiled."""
    return lambda function: function


def _get_capturable_supported_devices(supports_xla: bool = True) -> list[str]:
    """Return the types of the devices on which a step can be captured in a graph."""
    return ["cuda"]


def _device_dtype_check_for_fused(p: Tensor, cuda_unsupported: bool = False) -> None:
    """Raise RuntimeError if a fused step does not support the dtype or the device of a parameter."""
    devices = ["cpu"] if cuda_unsupported else ["cpu", "cuda"]
    if p.device.type not in devices or not p.is_floating_point():
        raise RuntimeError(
            f"`fused=True` requires all the params to be floating point Tensors of supported devices: {devices}, "
            f"but got {p.dtype} on {p.device.type}"
        )


def _get_scalar_dtype(is_fused: bool | None = None) -> flambeau.dtype:
    """Return the dtype of step counts."""
    double = flambeau.get_default_dtype() is flambeau.float64
    return flambeau.float64 if double and not is_fused else flambeau.float32


def _view_as_real(params: list[Tensor], *state_and_grads: list[Tensor]) -> None:
    """Replace complex parameters, and the tensors at the same positions in the other lists, with real views."""
    for index in [i for i, param in enumerate(params) if param.is_complex()]:
        for tensors in (params, *state_and_grads):
            tensors[index] = flambeau.view_as_real(tensors[index])
