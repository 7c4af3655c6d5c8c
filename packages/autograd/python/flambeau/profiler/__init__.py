"""The profiler, with schedules of what is recorded. See :mod:`flambeau.autograd.profiler` for what it notes."""

from flambeau.autograd.profiler import ProfilerActivity, record_function

from ._profile import profile, supported_activities
from ._schedule import ProfilerAction, schedule, tensorboard_trace_handler

__all__ = [
    "ProfilerAction",
    "ProfilerActivity",
    "kineto_available",
    "profile",
    "record_function",
    "schedule",
    "supported_activities",
    "tensorboard_trace_handler",
]


def kineto_available() -> bool:
    """Whether profiles have a schedule and traces: True."""
    return True
