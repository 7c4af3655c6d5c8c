"""Operators based on convolutions."""

from __future__ import annotations

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator


@operator(autocast="lower_precision")
def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """Compute `conv1d` with time as the first dimension: input ``(T, N, C)``, weight ``(K, C, F)``, bias ``(F,)``.

    >>> fb.conv_tbc(fb.zeros(8, 2, 3), fb.zeros(3, 3, 4), fb.zeros(4)).shape
    flambeau.Size([6, 2, 4])
    """
    if input.ndim != 3 or weight.ndim != 3 or bias.ndim != 1:
        raise RuntimeError(
            "conv_tbc: expected an input and a weight with 3 dimensions and a bias with 1, got shapes "
            f"{list(input.shape)}, {list(weight.shape)} and {list(bias.shape)}"
        )
    return _core.conv1d(input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, padding=pad).permute(2, 0, 1)
