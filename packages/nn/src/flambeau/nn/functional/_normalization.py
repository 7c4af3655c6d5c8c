"""Normalisation functions. Their kernels are in tensor-core."""

from __future__ import annotations

from collections.abc import Sequence

import flambeau
from flambeau import Tensor


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Compute ``(x - mean) / sqrt(var + eps) * weight + bias`` for each channel (dimension 1).

    Args:
        running_mean, running_var: ``(C,)``. Training updates them in place; evaluation uses them. None is
            allowed in training.
        weight, bias: ``(C,)`` or None.
        momentum: weight of the batch's statistics when the running statistics are updated.
    Raises: ValueError for a single value per channel in training.
    Gradient: defined for input, weight and bias, to any order. Source: Ioffe, Szegedy 2015, arXiv:1502.03167.

    >>> x = fb.tensor([[1.0], [3.0]])
    >>> nn.functional.batch_norm(x, fb.tensor([2.0]), fb.tensor([4.0]))
    tensor([[-0.5000],
            [ 0.5000]])
    """
    return flambeau.batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Compute ``(x - mean) / sqrt(var + eps) * weight + bias`` over the last ``len(normalized_shape)`` dimensions.

    Args:
        input: ``(*, *normalized_shape)``, floating.
        weight, bias: ``normalized_shape`` or None.
        eps: added to the biased variance.
    Raises: RuntimeError if the trailing sizes differ.
    Gradient: defined for input, weight and bias, to any order. Source: Ba, Kiros, Hinton 2016, arXiv:1607.06450.

    >>> nn.functional.layer_norm(fb.tensor([[1.0, 3.0]]), [2])
    tensor([[-1.0000,  1.0000]])
    """
    return flambeau.layer_norm(input, normalized_shape, weight, bias, eps)


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Normalise each of ``num_groups`` groups of channels to mean 0 and variance 1, then apply weight and bias.

    Args:
        input: ``(N, C, *)``.
        weight, bias: ``(C,)`` or None.
    Raises: ValueError if a group has a single value; RuntimeError if ``num_groups`` does not divide C.
    Gradient: defined for input, weight and bias, to any order. Source: Wu, He 2018, arXiv:1803.08494.

    >>> nn.functional.group_norm(fb.tensor([[1.0, 3.0, 5.0, 9.0]]), 2)
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """
    if input.ndim < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {input.ndim}")
    positions = input.shape[0] * input.shape[1] // num_groups if num_groups > 0 else 0
    for size in input.shape[2:]:
        positions *= size
    if positions == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(input.shape)}")
    return flambeau.group_norm(input, num_groups, weight, bias, eps)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Apply `batch_norm` to each sample separately.

    Args:
        input: ``(N, C, *)``.
        running_mean, running_var: ``(C,)`` or None; updated with the mean over the samples.
        use_input_stats: if True, normalise with the input's statistics, otherwise with the running statistics.
    Raises: ValueError if a channel has a single value.
    Source: Ulyanov, Vedaldi, Lempitsky 2016, arXiv:1607.08022.

    >>> nn.functional.instance_norm(fb.tensor([[[1.0, 3.0], [5.0, 9.0]]])).squeeze(0)
    tensor([[-1.0000,  1.0000],
            [-1.0000,  1.0000]])
    """
    if use_input_stats:
        positions = 1
        for size in input.shape[2:]:
            positions *= size
        if positions == 1:
            raise ValueError(f"Expected more than 1 spatial element when training, got input size {list(input.shape)}")
    return flambeau.instance_norm(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps)


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """Compute ``x / sqrt(mean(x**2) + eps) * weight`` over the last ``len(normalized_shape)`` dimensions.

    Args:
        eps: by default the machine epsilon of the dtype.
    Gradient: defined for input and weight, to any order. Source: Zhang, Sennrich 2019, arXiv:1910.07467.

    >>> nn.functional.rms_norm(fb.tensor([[3.0, 4.0]]), (2,))
    tensor([[0.8485, 1.1314]])
    """
    return flambeau.rms_norm(input, normalized_shape, weight, eps)


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """Compute ``x / (k + alpha * mean of x**2 over size neighbouring channels) ** beta``.

    Args:
        input: ``(N, C, *)`` with at least one dimension after the channels.
    Raises: ValueError for fewer dimensions.
    Source: Krizhevsky, Sutskever, Hinton 2012, "ImageNet classification with deep convolutional neural networks".

    >>> nn.functional.local_response_norm(fb.ones(1, 4, 2, 2), 2).shape
    flambeau.Size([1, 4, 2, 2])
    """
    if input.ndim < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {input.ndim} dimensions)")
    if input.numel() == 0:
        return input
    squares = input.square().flatten(2).transpose(1, 2)  # channels last, because pooling applies to the last dimension
    padded = flambeau.nn.functional.pad(squares, (size // 2, (size - 1) // 2))
    means = flambeau.avg_pool1d(padded, size, 1).transpose(1, 2).reshape(input.shape)
    return input / (means * alpha + k).pow(beta)
