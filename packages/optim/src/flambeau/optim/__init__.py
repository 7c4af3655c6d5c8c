"""Optimizers and learning-rate schedulers. Each optimizer is one module, which is loaded when it is first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from flambeau import _public_names, _suggestions

from .optimizer import Optimizer

if TYPE_CHECKING:
    from . import lr_scheduler as lr_scheduler, swa_utils as swa_utils
    from ._adafactor import Adafactor as Adafactor
    from ._hooks import (
        register_optimizer_step_post_hook as register_optimizer_step_post_hook,
        register_optimizer_step_pre_hook as register_optimizer_step_pre_hook,
    )
    from ._muon import Muon as Muon
    from .adadelta import Adadelta as Adadelta
    from .adagrad import Adagrad as Adagrad
    from .adam import Adam as Adam
    from .adamax import Adamax as Adamax
    from .adamw import AdamW as AdamW
    from .asgd import ASGD as ASGD
    from .lbfgs import LBFGS as LBFGS
    from .lion import Lion as Lion
    from .nadam import NAdam as NAdam
    from .radam import RAdam as RAdam
    from .rmsprop import RMSprop as RMSprop
    from .rprop import Rprop as Rprop
    from .sgd import SGD as SGD
    from .sparse_adam import SparseAdam as SparseAdam

# swa_utils averages modules and needs flambeau-nn. Therefore, it is not in __all__.
_SUBMODULES = ("lr_scheduler", "swa_utils")

# For each module, the public names that it defines.
_NAMES = {
    "_adafactor": "Adafactor",
    "_hooks": "register_optimizer_step_post_hook register_optimizer_step_pre_hook",
    "_muon": "Muon",
    "adadelta": "Adadelta",
    "adagrad": "Adagrad",
    "adam": "Adam",
    "adamax": "Adamax",
    "adamw": "AdamW",
    "asgd": "ASGD",
    "lbfgs": "LBFGS",
    "lion": "Lion",
    "nadam": "NAdam",
    "radam": "RAdam",
    "rmsprop": "RMSprop",
    "rprop": "Rprop",
    "sgd": "SGD",
    "sparse_adam": "SparseAdam",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = ["Optimizer", "lr_scheduler", *_HOME]


if not TYPE_CHECKING:  # type checkers do not see __getattr__, so that they report names that do not exist

    def __getattr__(name: str) -> Any:
        if name in _HOME:
            value = globals()[name] = getattr(import_module(f".{_HOME[name]}", __name__), name)
            return value
        if name in _NAMES or name in _SUBMODULES:
            return import_module(f".{name}", __name__)
        raise _suggestions.unknown_attribute(__name__, name)


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), (*__all__, *_SUBMODULES))
