"""Automatic differentiation: the recorded graph, the engine that runs it backward, and finite-difference checks.

Modules other than the engine are imported when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from flambeau import Tensor, _extension_points, _public_names, _suggestions
from flambeau._grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled
from flambeau.autograd._backward import backward, grad

if TYPE_CHECKING:
    from flambeau.autograd import (
        anomaly_mode as anomaly_mode,
        checkpoint as checkpoint,
        forward_ad as forward_ad,
        function as function,
        functional as functional,
        grad_mode as grad_mode,
        graph as graph,
        profiler as profiler,
        variable as variable,
    )
    from flambeau.autograd._engine import SavedTensor as SavedTensor
    from flambeau.autograd._function import Function as Function
    from flambeau.autograd._gradcheck import (
        GradcheckError as GradcheckError,
        gradcheck as gradcheck,
        gradgradcheck as gradgradcheck,
    )
    from flambeau.autograd._multithreading import (
        is_multithreading_enabled as is_multithreading_enabled,
        set_multithreading_enabled as set_multithreading_enabled,
    )
    from flambeau.autograd.anomaly_mode import (
        NonfiniteError as NonfiniteError,
        detect_anomaly as detect_anomaly,
        detect_nonfinite as detect_nonfinite,
        set_detect_anomaly as set_detect_anomaly,
    )
    from flambeau.autograd.variable import Variable as Variable

_SUBMODULES = (
    "anomaly_mode",
    "checkpoint",
    "forward_ad",
    "function",
    "functional",
    "grad_mode",
    "graph",
    "profiler",
    "variable",
)

# Maps each module to the public names that it defines.
_NAMES = {
    "_engine": "SavedTensor",
    "_function": "Function",
    "_gradcheck": "GradcheckError gradcheck gradgradcheck",
    "_multithreading": "is_multithreading_enabled set_multithreading_enabled",
    "anomaly_mode": "NonfiniteError detect_anomaly detect_nonfinite set_detect_anomaly",
    "variable": "Variable",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "backward",
    "enable_grad",
    "grad",
    "inference_mode",
    "no_grad",
    "set_grad_enabled",
    *_HOME,
    *_SUBMODULES,
]


def _make_graphed_callables(*arguments: Any) -> Any:
    return importlib.import_module("flambeau.autograd._graphed_callables").make_graphed_callables(*arguments)


def _tensor_method(name: str) -> Any:
    return getattr(importlib.import_module("flambeau.autograd._tensor_methods"), name)


def _raise_in_backward(leaf: Tensor, message: str) -> Any:
    return importlib.import_module("flambeau.autograd._nodes").raise_in_backward(leaf, message)


_extension_points.require_grad = Tensor.requires_grad_
_extension_points.tensor_method = _tensor_method
_extension_points.make_graphed_callables = _make_graphed_callables
_extension_points.raise_in_backward = _raise_in_backward
_extension_points.when_imported("flambeau.sparse", lambda: importlib.import_module("flambeau.autograd._saved_sparse"))

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in _SUBMODULES:
            return importlib.import_module(f"flambeau.autograd.{name}")
        if name == "_is_checkpoint_valid":  # libraries that implement checkpointing themselves call this
            return importlib.import_module("flambeau.autograd.checkpoint._reentrant").is_checkpoint_valid
        if name == "_profiler_enabled":  # libraries that create names of ranges only while profiling call this
            return importlib.import_module("flambeau.autograd.profiler")._is_running
        if name not in _HOME:
            raise _suggestions.unknown_attribute(__name__, name)
        value = globals()[name] = getattr(importlib.import_module(f"flambeau.autograd.{_HOME[name]}"), name)
        return value


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), __all__)
