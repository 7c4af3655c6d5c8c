"""Names of PyTorch's pipeline parallelism, which flambeau does not support. They raise an error when used."""

from ._missing import unavailable_names

_REASON = (
    "flambeau does not split models over processes; nn.parallel.DistributedDataParallel divides batches among them"
)
_FUNCTIONS = ("build_stage", "pipe_split", "pipeline")
_CLASSES = (
    "Pipe",
    "PipelineStage",
    "Schedule1F1B",
    "ScheduleGPipe",
    "ScheduleInterleaved1F1B",
    "ScheduleInterleavedZeroBubble",
    "ScheduleLoopedBFS",
    "ScheduleZBVZeroBubble",
    "SplitPoint",
)
globals().update(unavailable_names(__name__, _REASON, _FUNCTIONS, _CLASSES))

__all__ = [*_FUNCTIONS, *_CLASSES]
