"""Layers that normalise with statistics of the batch."""

from __future__ import annotations

from typing import Any

from flambeau import Tensor, _extension_points
from flambeau.autograd._batch_statistics import BatchStatistics

from .. import functional as F
from ._norm import _NormBase as _NormBase
from .module import Module


class _BatchNorm(BatchStatistics, _NormBase):
    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        counted = self.num_batches_tracked if self.training and self.track_running_stats else None
        momentum = self.momentum
        if momentum is None and counted is not None:
            momentum = 1.0 / (counted.item() + 1)
        ignores_running = self.training and not self.track_running_stats
        result = F.batch_norm(
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


class BatchNorm1d(_BatchNorm):
    """Normalise each feature of ``(N, C)`` or channel of ``(N, C, L)``.

    ``y = (x - mean) / sqrt(var + eps) * weight + bias``. In training mode, the layer uses the mean and the (biased)
    variance of the batch, and updates ``running_mean`` and ``running_var`` with the mean and the unbiased variance of
    the batch. In evaluation mode, the layer uses the running statistics.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: weight of the current batch in the running statistics. None gives all batches the same weight.
        affine: if False, the layer has no ``weight`` and ``bias``.
        track_running_stats: if False, the layer always uses the statistics of the batch.
        device, dtype: device and dtype of parameters and statistics.
        bias: if False, the layer has a ``weight`` but no ``bias``.
    Raises: ValueError for an input of the wrong number of dimensions or, while training, with one value per channel.
    Source: Ioffe, Szegedy 2015, arXiv:1502.03167.

    >>> nn.BatchNorm1d(1)(fb.tensor([[1.0], [3.0]])).detach()
    tensor([[-1.0000],
            [ 1.0000]])
    """

    dimensions = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Normalise each channel of ``(N, C, H, W)``. See `BatchNorm1d` for the arguments.

    >>> tuple(nn.BatchNorm2d(3).eval()(fb.zeros(1, 3, 2, 2)).shape)
    (1, 3, 2, 2)
    """

    dimensions = (4,)


class BatchNorm3d(_BatchNorm):
    """Normalise each channel of ``(N, C, D, H, W)``. See `BatchNorm1d` for the arguments.

    >>> nn.BatchNorm3d(3)(fb.zeros(2, 3, 8, 8, 8)).shape
    flambeau.Size([2, 3, 8, 8, 8])
    """

    dimensions = (5,)


class SyncBatchNorm(_BatchNorm):
    """`BatchNorm1d` for any number of dimensions, with the statistics of the batches of all processes.

    In training mode, mean and variance are computed over the batches of all processes of the group, which may have
    different sizes. Gradients are the same as for the concatenated batch. In evaluation mode, in a single process or
    without a group, the layer is the same as plain batch normalisation. Most arguments are described in `BatchNorm1d`;
    ``process_group`` is the group to synchronise with, by default all processes. Tensors may be on GPUs or on the CPU.

    Raises: ValueError for an input of fewer than two dimensions or another number of channels, and, in training mode,
        if each channel has a single value in all processes together.
    Gradient: defined for all inputs, only first-order.

    >>> nn.SyncBatchNorm(1)(fb.tensor([[1.0], [3.0]])).detach()
    tensor([[-1.0000],
            [ 1.0000]])
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: Any = None,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        options = (eps, momentum, affine, track_running_stats, device, dtype)
        super().__init__(num_features, *options, bias=bias)
        self.process_group = process_group

    def forward(self, input: Tensor) -> Tensor:
        find_group, normalise = _extension_points.joined_group, _extension_points.joined_batch_norm
        group = find_group(self.process_group) if self.training and find_group is not None else None
        if group is None or normalise is None:
            return super().forward(input)
        self._check_input_dim(input)
        if input.shape[1] != self.num_features:
            raise ValueError(f"SyncBatchNorm: expected {self.num_features} channels, but got {input.shape[1]}")
        running, momentum = None, 0.0
        mean, variance, counted = self.running_mean, self.running_var, self.num_batches_tracked
        if self.track_running_stats and mean is not None and variance is not None and counted is not None:
            running = (mean, variance)
            counted.add_(1)
            momentum = 1.0 / float(counted.item()) if self.momentum is None else self.momentum
        result: Tensor = normalise(input, self.weight, self.bias, running, momentum, self.eps, group)
        return result

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"expected at least 2D input (got {input.ndim}D input)")

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: Any = None) -> Module:
        """Replace every batch normalisation layer in ``module`` with a layer of this class that has the same state.

        Args:
            module: a batch normalisation layer, or a module that contains such layers at any depth.
            process_group: processes to synchronise with; all processes if None.
        """
        result = module
        if isinstance(module, _BatchNorm):
            options = (module.eps, module.momentum, module.affine, module.track_running_stats, process_group)
            result = cls(module.num_features, *options, bias=module.bias is not None)
            for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
                setattr(result, name, getattr(module, name))
            result.training = module.training
        for name, child in module.named_children():
            result.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return result
