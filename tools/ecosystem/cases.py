"""Parameters and inputs that are the same on PyTorch and on flambeau, because NumPy draws them."""

from __future__ import annotations

import zlib
from typing import TypeVar

import numpy as np
import torch

M = TypeVar("M", bound=torch.nn.Module)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    """Return a float32 tensor of standard normal numbers."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, dtype=np.float32))


def uniform(*shape: int, seed: int = 0) -> torch.Tensor:
    """Return a float32 tensor of numbers in [0, 1)."""
    return torch.from_numpy(np.random.default_rng(seed).random(shape, dtype=np.float32))


def integers(high: int, *shape: int, seed: int = 0) -> torch.Tensor:
    """Return an int64 tensor of integers in [0, high)."""
    return torch.from_numpy(np.random.default_rng(seed).integers(0, high, shape))


def fill(model: M, seed: int = 0) -> M:
    """Set a model's parameters and statistics to values that depend only on their names and shapes."""
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if not tensor.is_floating_point() or (tensor.dim() == 0 and not tensor.requires_grad):
            continue
        generator = np.random.default_rng(zlib.crc32(name.encode()) + seed)
        values = generator.standard_normal(tuple(tensor.shape))
        if tensor.requires_grad:
            # Matrices are scaled to preserve the scale of activations. Vectors are biases and gains.
            values = values / np.sqrt(max(1, values.size // max(1, len(values)))) if tensor.dim() > 1 else 0.1 * values
            values += tensor.dim() == 1 and name.endswith("weight")
        elif name.endswith("running_var"):
            values = 1 + 0.1 * np.abs(values)
        elif name.endswith("running_mean"):
            values = 0.1 * values
        else:  # for example tables of positions, and masks
            continue
        with torch.no_grad():
            tensor.copy_(torch.from_numpy(np.asarray(values)).to(tensor.dtype))
    return model


def gradients(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the existing gradients of a model's parameters."""
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
