"""Fake quantisation for quantisation-aware training: floating-point numbers are rounded to quantised values."""

from __future__ import annotations

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator


def _fake_quantize(
    input: Tensor, scale: Tensor | float, zero_point: Tensor | int, quant_min: int, quant_max: int
) -> Tensor:
    """Round to the nearest quantised value. Gradients pass through for values inside the range."""
    fixed = input.detach()
    steps = (fixed * (1.0 / scale) + zero_point).round()
    value = ((steps.clamp(quant_min, quant_max) - zero_point) * scale).to(input.dtype)
    if not input.requires_grad:
        return value
    within = (steps >= quant_min) & (steps <= quant_max)
    return value + _core.where(within, input - fixed, 0)


def _check_range(quant_min: int, quant_max: int) -> None:
    if quant_min > quant_max:
        raise RuntimeError(f"`quant_min` should be less than or equal to `quant_max`, got {quant_min} and {quant_max}")


def _is_integer(zero_point: Tensor) -> bool:
    return not (zero_point.dtype.is_floating_point or zero_point.dtype.is_complex)


@operator()
def fake_quantize_per_tensor_affine(
    input: Tensor, scale: Tensor | float, zero_point: Tensor | int, quant_min: int, quant_max: int
) -> Tensor:
    """Return ``(clamp(round(input / scale + zero_point), quant_min, quant_max) - zero_point) * scale``.

    Raises RuntimeError if quant_min is greater than quant_max, or zero_point is not between them. Gradient: defined for
    input, where the value is not clamped; not defined for scale and zero_point.

    Source: Jacob et al. 2017, arXiv:1712.05877.

    >>> fb.fake_quantize_per_tensor_affine(fb.tensor([0.12, 0.9, 100.0]), 0.5, 0, 0, 255)
    tensor([  0.,   1., 100.])
    """
    _check_range(quant_min, quant_max)
    scale = scale.detach() if isinstance(scale, Tensor) else scale
    if not quant_min <= int(zero_point) <= quant_max:
        raise RuntimeError(
            f"`zero_point` must be between `quant_min` and `quant_max`: {int(zero_point)} is not in "
            f"[{quant_min}, {quant_max}]"
        )
    return _fake_quantize(input, scale, zero_point, quant_min, quant_max)


@operator()
def fake_quantize_per_channel_affine(
    input: Tensor, scale: Tensor, zero_point: Tensor, axis: int, quant_min: int, quant_max: int
) -> Tensor:
    """Apply fake_quantize_per_tensor_affine with a separate scale and zero point for each index along ``axis``.

    Raises RuntimeError if the sizes of ``scale`` and ``zero_point`` do not match the input, or if an integer zero point
    is out of range.

    >>> x, scale, zero = fb.tensor([[0.6], [0.6]]), fb.tensor([0.5, 1.0]), fb.tensor([0, 0], dtype=fb.int32)
    >>> fb.fake_quantize_per_channel_affine(x, scale, zero, 0, 0, 255)
    tensor([[0.5000],
            [1.0000]])
    """
    _check_range(quant_min, quant_max)
    size = input.shape[axis]
    if scale.shape != (size,) or zero_point.shape != (size,):
        raise RuntimeError(
            f"scale and zero_point must have the shape [{size}], for the size of the input's dimension {axis}, got "
            f"{list(scale.shape)} and {list(zero_point.shape)}"
        )
    if _is_integer(zero_point) and not ((zero_point >= quant_min) & (zero_point <= quant_max)).all():
        raise RuntimeError(
            f"`zero_point` must be between `quant_min` and `quant_max`: not all are in [{quant_min}, {quant_max}]"
        )
    broadcast_shape = [1] * input.ndim
    broadcast_shape[axis] = size
    return _fake_quantize(
        input, scale.detach().view(broadcast_shape), zero_point.view(broadcast_shape), quant_min, quant_max
    )
