"""Automatic differentiation: the recorded graph, the engine that runs it backwards, checks by finite differences."""

import importlib
import sys
from typing import TYPE_CHECKING, Any

from flambeau._grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled
from flambeau.autograd import anomaly_mode, forward_ad, function, functional, grad_mode, graph, variable
from flambeau.autograd._backward import backward, grad
from flambeau.autograd._function import Function
from flambeau.autograd._gradcheck import GradcheckError, gradcheck, gradgradcheck
from flambeau.autograd._multithreading import is_multithreading_enabled, set_multithreading_enabled
from flambeau.autograd.anomaly_mode import NonfiniteError, detect_anomaly, detect_nonfinite, set_detect_anomaly
from flambeau.autograd.variable import Variable

__all__ = [
    "Function",
    "GradcheckError",
    "NonfiniteError",
    "Variable",
    "anomaly_mode",
    "backward",
    "detect_anomaly",
    "detect_nonfinite",
    "enable_grad",
    "forward_ad",
    "function",
    "functional",
    "grad",
    "grad_mode",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "is_multithreading_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
    "set_multithreading_enabled",
    "variable",
]

if "flambeau.sparse" in sys.modules:
    importlib.import_module("flambeau.autograd._saved_sparse")

# Modules that load when they are first used.
_MODULES = ("checkpoint", "profiler")


if TYPE_CHECKING:
    from flambeau.autograd import checkpoint as checkpoint
    from flambeau.autograd import profiler as profiler
else:

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return importlib.import_module(f"flambeau.autograd.{name}")
        raise AttributeError(f"module 'flambeau.autograd' has no attribute '{name}'")
