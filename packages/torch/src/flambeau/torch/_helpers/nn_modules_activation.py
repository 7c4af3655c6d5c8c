"""Helpers of ``torch.nn.modules.activation``."""

from flambeau import Tensor, compiler


def _arg_requires_grad(x: Tensor | None) -> bool:
    """Return True for a tensor that requires a gradient."""
    return x is not None and x.requires_grad


def _check_arg_device(x: Tensor | None) -> bool:
    """Return True for None and for a tensor on a device on which PyTorch has a fused kernel of attention."""
    return x is None or x.device.type in ("cpu", "cuda")


def _is_make_fx_tracing() -> bool:
    """Return True while a function is exported."""
    return compiler.is_exporting()
