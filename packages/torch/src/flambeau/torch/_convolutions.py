"""Functions of ``torch._C`` that return the kernel that PyTorch selects for a convolution, and its memory format.

They select like PyTorch without MKLDNN, NNPACK and XNNPACK. The result has no effect in flambeau.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

import flambeau
from flambeau import Tensor, memory_format
from flambeau.backends import cudnn

__all__ = ["_ConvBackend", "_conv_determine_backend_memory_format", "_select_conv_backend"]

_ConvBackend = enum.Enum(
    "_ConvBackend",
    "CudaDepthwise2d CudaDepthwise3d Cudnn CudnnTranspose Empty Miopen MiopenDepthwise MiopenTranspose Mkldnn "
    "MkldnnTranspose MkldnnEmpty NnpackSpatial Overrideable Slow2d Slow3d SlowDilated2d SlowDilated3d SlowTranspose2d "
    "SlowTranspose3d Winograd3x3Depthwise Xnnpack2d Mps MpsTranspose",
)


def _select_conv_backend(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    bias_sizes: Sequence[int] | None = None,
) -> _ConvBackend:
    """Return the kernel for the arguments of ``torch.ops.aten.convolution``.

    Raises: RuntimeError if the input is empty although its batch size and number of channels are not zero.
    """
    if weight.ndim < 3:
        raise RuntimeError("weight should have at least three dimensions")
    if input.numel() == 0:
        if input.shape[0] and input.shape[1]:
            raise RuntimeError(
                f"Only zero batch or zero channel inputs are supported, but got input shape: {list(input.shape)}"
            )
        return _ConvBackend.Empty
    spatial = max(2, weight.ndim - 2)  # one-dimensional convolutions are computed in two dimensions
    depthwise = input.shape[1] == groups > 1 and weight.shape[0] % groups == 0 and not transposed
    if input.is_cuda and depthwise:
        return _ConvBackend[f"CudaDepthwise{spatial}d"]
    if cudnn.is_acceptable(input):
        return _ConvBackend.CudnnTranspose if transposed else _ConvBackend.Cudnn
    if not (input.is_cpu or input.is_cuda):
        return _ConvBackend.Overrideable
    dilated = any(each != 1 for each in dilation) or (input.is_cuda and spatial == 3)
    kind = "Transpose" if transposed else "Dilated" if dilated else ""
    return _ConvBackend[f"Slow{kind}{spatial}d"]


def _conv_determine_backend_memory_format(input: Tensor, weight: Tensor, backend: _ConvBackend) -> memory_format:
    """Return the memory format in which the kernel ``backend`` computes."""
    if backend in (_ConvBackend.Cudnn, _ConvBackend.CudnnTranspose):
        takes_channels_last = flambeau.float64 not in (input.dtype, weight.dtype)
    else:
        kernels = _ConvBackend.Slow2d, _ConvBackend.SlowDilated2d, _ConvBackend.SlowTranspose2d
        takes_channels_last = backend in kernels and input.is_cpu and weight.ndim == 4
    formats = {4: flambeau.channels_last, 5: flambeau.channels_last_3d}
    if takes_channels_last and weight.ndim in formats and (_is_channels_last(input) or _is_channels_last(weight)):
        return formats[weight.ndim]
    return flambeau.contiguous_format


def _is_channels_last(tensor: Tensor) -> bool:
    """Return True if the strides fit a channels-last format and no other memory format."""
    sizes, strides = tensor.shape, tensor.stride()
    order = (1, *range(tensor.ndim - 1, 1, -1), 0)
    least = 0
    for dim in order:
        if sizes[dim] == 0 or strides[dim] < least or (dim == 0 and least == strides[1]):
            return False
        least = strides[dim] * max(1, sizes[dim])
    return tensor.ndim in (4, 5)
