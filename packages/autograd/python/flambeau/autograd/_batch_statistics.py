"""Base class by which function transforms recognise batch normalisation layers."""


class BatchStatistics:
    """Base class of layers that update running statistics of batches, which `vmap` cannot do for each element.

    The layers have the attributes of ``nn.BatchNorm1d``.
    """

    track_running_stats: bool

    def forget_running_statistics(self) -> None:
        """Remove the running statistics. From now on, the layer normalises with the statistics of the batch."""
        if self.track_running_stats:
            self.track_running_stats = False
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                setattr(self, name, None)
