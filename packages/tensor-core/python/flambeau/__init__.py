"""flambeau: tensors and deep learning with PyTorch's names, in separately installable packages.

This package is the tensor core. Other distributions, such as flambeau-nn, add the subpackages that ``_distributions``
lists. Each loads when it is first used.
"""

import builtins
import importlib
import math
import os
import pkgutil
import sys
from typing import TYPE_CHECKING, Any

if sys.platform == "win32":  # Windows does not search the folders of packages for DLLs
    os.add_dll_directory(os.path.join(os.path.dirname(__file__), "lib"))

# The redundant aliases export the names to type checkers (PEP 484).
# isort: off
from flambeau import _core, _distributions, _on_first_use, _operators, _public_names, _suggestions
from flambeau._core import *  # __all__ is built from the operator registry
from flambeau._core import (
    Generator as Generator,
    Size as Size,
    Tensor as Tensor,
    _sample_dirichlet,
    _standard_gamma,
    default_generator as default_generator,
    device as device,
    dtype as dtype,
    layout as layout,
    memory_format as memory_format,
)
from flambeau._formatting import set_printoptions as set_printoptions
from flambeau._grad_mode import (
    enable_grad as enable_grad,
    inference_mode as inference_mode,
    no_grad as no_grad,
    set_grad_enabled as set_grad_enabled,
)
from flambeau._methods import install as _install_methods
from flambeau._numbers import finfo as finfo, iinfo as iinfo
from flambeau._operators.broadcasting import broadcast_shapes as broadcast_shapes
from flambeau._settings import (
    are_deterministic_algorithms_enabled as are_deterministic_algorithms_enabled,
    compiled_with_cxx11_abi as compiled_with_cxx11_abi,
    get_default_device as get_default_device,
    get_deterministic_debug_mode as get_deterministic_debug_mode,
    get_device_module as get_device_module,
    get_float32_matmul_precision as get_float32_matmul_precision,
    get_num_interop_threads as get_num_interop_threads,
    is_deterministic_algorithms_warn_only_enabled as is_deterministic_algorithms_warn_only_enabled,
    is_vulkan_available as is_vulkan_available,
    is_warn_always_enabled as is_warn_always_enabled,
    set_default_device as set_default_device,
    set_default_tensor_type as set_default_tensor_type,
    set_deterministic_debug_mode as set_deterministic_debug_mode,
    set_float32_matmul_precision as set_float32_matmul_precision,
    set_flush_denormal as set_flush_denormal,
    set_num_interop_threads as set_num_interop_threads,
    set_warn_always as set_warn_always,
    use_deterministic_algorithms as use_deterministic_algorithms,
)
from flambeau._absent_dtypes import float4_e2m1fn_x2 as float4_e2m1fn_x2
from flambeau._sparse_methods import install as _install_sparse_methods
from flambeau._tensor_types import TENSOR_TYPES as _TENSOR_TYPES
from flambeau.random import (
    get_rng_state as get_rng_state,
    initial_seed as initial_seed,
    manual_seed as manual_seed,
    seed as seed,
    set_rng_state as set_rng_state,
)
from flambeau.serialization import load as load, save as save
from flambeau._storage_types import STORAGE_TYPES as _STORAGE_TYPES
from flambeau.storage import (
    StorageBase as StorageBase,
    TypedStorage as TypedStorage,
    UntypedStorage as UntypedStorage,
    from_file as from_file,
)

# isort: on

__path__ = pkgutil.extend_path(__path__, __name__)
__version__ = "0.1.0"

e, inf, nan, pi, newaxis = math.e, math.inf, math.nan, math.pi, None
globals().update(_TENSOR_TYPES)  # FloatTensor, LongTensor, ...
globals().update(_STORAGE_TYPES)  # FloatStorage, LongStorage, ...
float = _core.float32
double = _core.float64
half = _core.float16
long = _core.int64
short = _core.int16
cfloat = _core.complex64
cdouble = _core.complex128
legacy_contiguous_format = _core.contiguous_format
as_strided_, detach_, index_put_ = Tensor.as_strided_, Tensor.detach_, Tensor.index_put_
# Assigned last, because these names shadow Python's builtins.
int = _core.int32
bool = _core.bool


def is_tensor(obj: Any) -> builtins.bool:
    """Return True if ``obj`` is a Tensor.

    >>> fb.is_tensor(fb.ones(2)), fb.is_tensor([1.0, 1.0])
    (True, False)
    """
    return isinstance(obj, Tensor)


def is_storage(obj: Any) -> builtins.bool:
    """Return True if ``obj`` is an UntypedStorage or a TypedStorage.

    >>> x = fb.ones(2)
    >>> fb.is_storage(x.untyped_storage()), fb.is_storage(x)
    (True, False)
    """
    return isinstance(obj, UntypedStorage | TypedStorage)


def typename(obj: Any, /) -> str:
    """Return the full name of an object's type. For a tensor, the name depends on its dtype.

    >>> import flambeau
    >>> flambeau.typename(flambeau.zeros(2))
    'flambeau.FloatTensor'
    """
    if isinstance(obj, Tensor):
        return obj.type()
    kind = obj if hasattr(obj, "__qualname__") else type(obj)
    module = getattr(kind, "__module__", None)
    return kind.__qualname__ if module in (None, "builtins") else f"{module}.{kind.__qualname__}"


_install_methods()
_install_sparse_methods()

if TYPE_CHECKING:
    from flambeau import random as random, serialization as serialization, storage as storage
    from flambeau._on_first_use import *
    from flambeau._tensor_types import tensortype as _tensortype

    BoolTensor: _tensortype
    ByteTensor: _tensortype
    CharTensor: _tensortype
    ShortTensor: _tensortype
    IntTensor: _tensortype
    LongTensor: _tensortype
    HalfTensor: _tensortype
    BFloat16Tensor: _tensortype
    FloatTensor: _tensortype
    DoubleTensor: _tensortype

_MODULES = (*_on_first_use.MODULES, *_distributions.SUBPACKAGES)
_MODULE_OF = {name: module for module, names in _on_first_use.NAMES.items() for name in names}
_distributions.install()


def _load(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"flambeau.{name}")
    if name.startswith("_foreach_"):
        from flambeau._foreach import function_named as function_named

        if (function := function_named(name)) is not None:
            return function
    if name in _MODULE_OF:
        return getattr(importlib.import_module(_MODULE_OF[name]), name)
    raise _suggestions.unknown_attribute("flambeau", name)


if not TYPE_CHECKING:  # hidden from type checkers, which then report names that do not exist
    __getattr__ = _load


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), (*_MODULES, *_MODULE_OF))
