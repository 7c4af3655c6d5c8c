"""Models, built of ``flambeau.nn``."""

from .lenet import LeNet

__all__ = ["LeNet"]
