"""Base class by which function transforms recognise batch normalisation layers."""


class BatchStatistics:
    """Base class of layers with running statistics of batches, which `vmap` cannot keep for each element.

    They have the attributes of ``nn.BatchNorm1d``.
    """

    track_running_stats: bool

    def forget_running_statistics(self) -> None:
        """Normalise by the statistics of the current batch from now on."""
        if self.track_running_stats:
            self.track_running_stats = False
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                setattr(self, name, None)
