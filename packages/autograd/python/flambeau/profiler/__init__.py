"""The profiler, under the name of its module in PyTorch. See :mod:`flambeau.autograd.profiler`."""

from flambeau.autograd.profiler import ProfilerActivity, profile, record_function

__all__ = ["ProfilerActivity", "profile", "record_function"]
