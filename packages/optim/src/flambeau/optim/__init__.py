"""Optimizers and learning-rate schedulers. Each family loads on first use."""

import importlib
from typing import TYPE_CHECKING, Any

from .optimizer import Optimizer

if TYPE_CHECKING:
    from . import lr_scheduler as lr_scheduler
    from . import swa_utils as swa_utils
    from ._adam import Adam, Adamax, AdamW, NAdam, RAdam
    from ._adaptive import Adadelta, Adagrad, RMSprop
    from ._hooks import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
    from ._lbfgs import LBFGS
    from ._matrices import Adafactor, Muon
    from ._sgd import ASGD, SGD, Rprop
    from ._sparse_adam import SparseAdam

# swa_utils averages modules, so it needs flambeau-nn; it is therefore not in __all__.
_SUBMODULES = ("lr_scheduler", "swa_utils")

# The public names, by the module that defines them.
_NAMES = {
    "_adam": "Adam AdamW Adamax NAdam RAdam",
    "_adaptive": "Adadelta Adagrad RMSprop",
    "_hooks": "register_optimizer_step_post_hook register_optimizer_step_pre_hook",
    "_lbfgs": "LBFGS",
    "_matrices": "Adafactor Muon",
    "_sgd": "ASGD Rprop SGD",
    "_sparse_adam": "SparseAdam",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = ["Optimizer", "lr_scheduler", *_HOME]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f".{name}", __name__)
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
