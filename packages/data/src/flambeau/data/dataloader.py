"""PyTorch's module of the loader: its names, with the private ones that tell a pass over batches by its kind."""

from flambeau.data import *  # noqa: F403

from ._iterators import ParallelPass, Pass, SerialPass

_BaseDataLoaderIter = Pass
_MultiProcessingDataLoaderIter = ParallelPass
_SingleProcessDataLoaderIter = SerialPass
