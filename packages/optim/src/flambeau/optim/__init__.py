"""Optimizers and schedules of their learning rates."""

import importlib
from typing import TYPE_CHECKING, Any

from . import lr_scheduler
from ._adam import Adam, Adamax, AdamW, NAdam, RAdam
from ._adaptive import Adadelta, Adagrad, RMSprop
from ._hooks import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from ._lbfgs import LBFGS
from ._matrices import Adafactor, Muon
from ._sgd import ASGD, SGD, Rprop
from ._sparse_adam import SparseAdam
from .optimizer import Optimizer

if TYPE_CHECKING:
    from . import swa_utils as swa_utils

__all__ = [
    "ASGD",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SparseAdam",
    "lr_scheduler",
    "register_optimizer_step_post_hook",
    "register_optimizer_step_pre_hook",
]


def __getattr__(name: str) -> Any:
    if name == "swa_utils":  # it averages modules, and so needs flambeau-nn
        return importlib.import_module("flambeau.optim.swa_utils")
    raise AttributeError(f"module 'flambeau.optim' has no attribute '{name}'")
