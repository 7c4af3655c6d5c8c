"""States of the random number generators of GPUs, for programs that implement recomputation themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.utils._pytree import tree_leaves


def get_device_states(*args: Any) -> tuple[list[int], list[Tensor]]:
    """Return the indices of the GPUs that hold tensors in ``args``, and the states of their random number generators.

    >>> import flambeau
    >>> flambeau.utils.checkpoint.get_device_states(flambeau.ones(2))
    ([], [])
    """
    tensors = (leaf for leaf in tree_leaves(args) if isinstance(leaf, Tensor))
    devices = sorted({tensor.get_device() for tensor in tensors if tensor.device.type == "cuda"})
    return devices, [flambeau.cuda.get_rng_state(device) for device in devices]


def set_device_states(devices: Sequence[int], states: Sequence[Tensor], *, device_type: str | None = None) -> None:
    """Set the random number generators of GPUs to the states that `get_device_states` returned.

    Args:
        devices: indices of the GPUs.
        states: the state of each GPU's generator.
        device_type: ``"cuda"`` or None. For ``"cpu"`` and ``"meta"``, the function does nothing.
    Raises: NotImplementedError for another device type.

    >>> import flambeau
    >>> from flambeau.utils.checkpoint import get_device_states, set_device_states
    >>> devices, states = get_device_states(flambeau.ones(2))  # both are empty without GPUs
    >>> set_device_states(devices, states)
    """
    if device_type not in (None, "cuda", "cpu", "meta"):
        raise NotImplementedError(
            f"set_device_states: device_type must be 'cuda', 'cpu', 'meta' or None, got {device_type!r}"
        )
    if device_type in (None, "cuda"):
        for device, state in zip(devices, states, strict=True):
            flambeau.cuda.set_rng_state(state, device)
