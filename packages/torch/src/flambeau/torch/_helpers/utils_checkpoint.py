"""Helpers of ``torch.utils.checkpoint``."""

from typing import Any

import flambeau
from flambeau.utils._pytree import tree_leaves


def _infer_device_type(*args: Any) -> str:
    """Return the device type of the first tensor in the arguments that is not on the CPU, or ``"cuda"`` if none is."""
    types = [each.device.type for each in tree_leaves(args) if isinstance(each, flambeau.Tensor)]
    return next((kind for kind in types if kind != "cpu"), "cuda")


def _get_autocast_kwargs(device_type: str = "cuda") -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Return the arguments with which ``autocast`` has its present state, for a device type and for the CPU."""
    own = _autocast_state(device_type) if flambeau.amp.is_autocast_available(device_type) else None
    return own, _autocast_state("cpu")


def _autocast_state(device_type: str) -> dict[str, Any]:
    return {
        "enabled": flambeau.is_autocast_enabled(device_type),
        "dtype": flambeau.get_autocast_dtype(device_type),
        "cache_enabled": flambeau.is_autocast_cache_enabled(),
    }
