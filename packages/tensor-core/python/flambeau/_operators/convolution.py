"""What is made of convolutions and products of inputs."""

from __future__ import annotations

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator


@operator()
def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """`conv1d` with time first: input ``(T, N, C)``, weight ``(K, C, F)``, bias ``(F,)``."""
    if input.ndim != 3 or weight.ndim != 3 or bias.ndim != 1:
        raise RuntimeError(
            f"conv_tbc: expected an input and a weight of 3 dimensions and a bias of 1, got {list(input.shape)}, "
            f"{list(weight.shape)} and {list(bias.shape)}"
        )
    return _core.conv1d(input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, padding=pad).permute(2, 0, 1)


@operator()
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x1 @ weight[k] @ x2 + bias[k]`` for every k.

    Args:
        input1, input2: ``(*, D1)`` and ``(*, D2)``.
        weight: ``(K, D1, D2)``.
        bias: ``(K,)`` or None.
    Returns: ``(*, K)``.
    """
    if input1.ndim != input2.ndim or input1.shape[:-1] != input2.shape[:-1]:
        raise RuntimeError(
            f"bilinear(): input batch dimensions do not match: got {list(input1.shape)} and {list(input2.shape)}"
        )
    if weight.ndim != 3 or input1.shape[-1] != weight.shape[1] or input2.shape[-1] != weight.shape[2]:
        raise RuntimeError(
            f"bilinear(): inputs of sizes {list(input1.shape)} and {list(input2.shape)} do not match the weight of "
            f"size {list(weight.shape)}"
        )
    if bias is not None and bias.shape[0] != weight.shape[0]:
        raise RuntimeError(
            f"bilinear(): bias size does not match weight size: got {bias.shape[0]} but expected {weight.shape[0]}"
        )
    rows1 = input1.reshape(-1, input1.shape[-1])
    rows2 = input2.reshape(-1, input2.shape[-1])
    products = _core.matmul(rows1, weight.permute(1, 0, 2).reshape(weight.shape[1], -1))
    products = products.reshape(-1, weight.shape[0], weight.shape[2])
    result = _core.matmul(products, rows2.unsqueeze(2)).squeeze(2)
    if bias is not None:
        result = result + bias
    return result.reshape(*input1.shape[:-1], weight.shape[0])
