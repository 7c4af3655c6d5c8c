"""Optimizers and learning-rate schedulers. Each family loads on first use."""

import importlib
from typing import TYPE_CHECKING, Any

from flambeau import _public_names, _suggestions

from .optimizer import Optimizer

if TYPE_CHECKING:
    from . import lr_scheduler as lr_scheduler
    from . import swa_utils as swa_utils
    from ._adam import Adam as Adam
    from ._adam import Adamax as Adamax
    from ._adam import AdamW as AdamW
    from ._adam import NAdam as NAdam
    from ._adam import RAdam as RAdam
    from ._adaptive import Adadelta as Adadelta
    from ._adaptive import Adagrad as Adagrad
    from ._adaptive import RMSprop as RMSprop
    from ._hooks import register_optimizer_step_post_hook as register_optimizer_step_post_hook
    from ._hooks import register_optimizer_step_pre_hook as register_optimizer_step_pre_hook
    from ._lbfgs import LBFGS as LBFGS
    from ._matrices import Adafactor as Adafactor
    from ._matrices import Muon as Muon
    from ._sgd import ASGD as ASGD
    from ._sgd import SGD as SGD
    from ._sgd import Rprop as Rprop
    from ._sparse_adam import SparseAdam as SparseAdam

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


if not TYPE_CHECKING:  # so that type checkers report names that do not exist

    def __getattr__(name: str) -> Any:
        if name in _SUBMODULES:
            return importlib.import_module(f".{name}", __name__)
        if name not in _HOME:
            raise _suggestions.unknown_attribute(__name__, name)
        value = globals()[name] = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
        return value


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), (*__all__, *_SUBMODULES))
