"""The profiler with a schedule of the steps to record. :mod:`flambeau.autograd.profiler` describes the results."""

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
    """Return True, because profiles support schedules and traces.

    >>> fb.profiler.kineto_available()
    True
    """
    return True
