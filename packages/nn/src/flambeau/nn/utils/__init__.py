"""Functions for gradients, parameters and sequences."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from flambeau import _public_names, _suggestions

if TYPE_CHECKING:
    from . import (
        clip_grad as clip_grad,
        convert_parameters as convert_parameters,
        fusion as fusion,
        init as init,
        memory_format as memory_format,
        parametrizations as parametrizations,
        parametrize as parametrize,
        prune as prune,
        rnn as rnn,
        stateless as stateless,
    )
    from ._spectral_norm import *
    from ._weight_norm import *
    from .clip_grad import *
    from .convert_parameters import *
    from .fusion import *
    from .init import *
    from .memory_format import *

# For each module, the public names that this package also exports. Other names must be imported from their modules.
_NAMES = {
    "clip_grad": "clip_grad_norm clip_grad_norm_ clip_grad_value_ clip_grads_with_norm_ get_total_norm",
    "convert_parameters": "parameters_to_vector vector_to_parameters",
    "fusion": "fuse_conv_bn_eval fuse_conv_bn_weights fuse_linear_bn_eval fuse_linear_bn_weights",
    "init": "skip_init",
    "memory_format": "convert_conv2d_weight_memory_format convert_conv3d_weight_memory_format",
    "_spectral_norm": "remove_spectral_norm spectral_norm",
    "_weight_norm": "remove_weight_norm weight_norm",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}
_SUBMODULES = (
    *("clip_grad", "convert_parameters", "fusion", "init", "memory_format"),
    *("parametrizations", "parametrize", "prune", "rnn", "stateless"),
)

__all__ = [*_HOME, *_SUBMODULES]


if not TYPE_CHECKING:  # a type checker that sees __getattr__ does not report names that do not exist

    def __getattr__(name: str) -> Any:
        if name in _HOME:
            value = getattr(import_module(f".{_HOME[name]}", __name__), name)
            globals()[name] = value
            return value
        if name in _SUBMODULES:
            return import_module(f".{name}", __name__)
        raise _suggestions.unknown_attribute(__name__, name)


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), __all__)
