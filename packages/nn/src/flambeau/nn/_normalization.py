"""Layers that normalise with statistics of the batch."""

from __future__ import annotations

from typing import Any

from flambeau import Tensor, batch_norm, empty, int64, ones, tensor, zeros

from . import init
from ._module import Module
from .parameter import Parameter


class _BatchNorm(Module):
    """Batch normalisation for inputs of the numbers of dimensions in ``dimensions``."""

    weight: Tensor | None
    bias: Tensor | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None
    dimensions: tuple[int, ...]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        options = {"device": device, "dtype": dtype}
        self.register_parameter("weight", Parameter(empty(num_features, **options)) if affine else None)
        self.register_parameter("bias", Parameter(empty(num_features, **options)) if affine and bias else None)
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, **options) if tracked else None)
        self.register_buffer("running_var", ones(num_features, **options) if tracked else None)
        self.register_buffer("num_batches_tracked", tensor(0, dtype=int64, device=device) if tracked else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget the batches seen."""
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Make the layer the plain normalisation, without a memory of batches."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in self.dimensions:
            expected = " or ".join(f"{count}D" for count in self.dimensions)
            raise ValueError(f"expected {expected} input (got {input.ndim}D input)")
        counted = self.num_batches_tracked if self.training and self.track_running_stats else None
        momentum = self.momentum
        if momentum is None and counted is not None:
            momentum = 1.0 / (counted.item() + 1)
        ignores_running = self.training and not self.track_running_stats
        result = batch_norm(
            input,
            None if ignores_running else self.running_mean,
            None if ignores_running else self.running_var,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            0.0 if momentum is None else momentum,
            self.eps,
        )
        if counted is not None:
            counted.add_(1)
        return result

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    """Normalise each feature of ``(N, C)`` or channel of ``(N, C, L)``.

    ``y = (x - mean) / sqrt(var + eps) * weight + bias``. While training, mean and (biased) variance are those of the
    batch, and ``running_mean`` and ``running_var`` (unbiased) move towards them by ``momentum``; in evaluation the
    running statistics are used.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: weight of the current batch in the running statistics; None for their plain average.
        affine: False leaves ``weight`` and ``bias`` out.
        track_running_stats: False always uses the statistics of the batch.
        bias: False leaves only the bias out.
    Raises: ValueError for an input of the wrong number of dimensions or, while training, with one value per channel.
    Source: Ioffe, Szegedy 2015, arXiv:1502.03167.

    >>> nn.BatchNorm1d(1)(fb.tensor([[1.0], [3.0]])).detach()
    tensor([[-1.0000],
            [ 1.0000]])
    """

    dimensions = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Normalise each channel of ``(N, C, H, W)``: ``y = (x - mean) / sqrt(var + eps) * weight + bias``.

    Arguments and behaviour are those of `BatchNorm1d`.

    >>> tuple(nn.BatchNorm2d(3).eval()(fb.zeros(1, 3, 2, 2)).shape)
    (1, 3, 2, 2)
    """

    dimensions = (4,)
