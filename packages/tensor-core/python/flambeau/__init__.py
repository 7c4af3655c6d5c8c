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
from flambeau import _core, _distributions, _operators, _public_names, _suggestions
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

if TYPE_CHECKING:  # names that `__getattr__` loads, including names of other distributions
    # isort: off
    from flambeau import (
        accelerator as accelerator,
        amp as amp,
        array_api as array_api,
        autograd as autograd,
        backends as backends,
        compiler as compiler,
        cpu as cpu,
        cuda as cuda,
        data as data,
        distributed as distributed,
        distributions as distributions,
        export as export,
        fft as fft,
        func as func,
        futures as futures,
        fx as fx,
        hub as hub,
        jit as jit,
        library as library,
        linalg as linalg,
        masked as masked,
        mps as mps,
        multiprocessing as multiprocessing,
        nn as nn,
        onnx as onnx,
        optim as optim,
        overrides as overrides,
        profiler as profiler,
        quasirandom as quasirandom,
        random as random,
        return_types as return_types,
        serialization as serialization,
        signal as signal,
        sparse as sparse,
        special as special,
        storage as storage,
        testing as testing,
        torch as torch,
        types as types,
        utils as utils,
        version as version,
        vision as vision,
        xpu as xpu,
    )
    from flambeau._control_flow import (
        SymBool as SymBool,
        SymFloat as SymFloat,
        SymInt as SymInt,
        _assert as _assert,
        _assert_async as _assert_async,
        _check as _check,
        _check_index as _check_index,
        _check_is_size as _check_is_size,
        _check_not_implemented as _check_not_implemented,
        _check_tensor_all as _check_tensor_all,
        _check_tensor_all_with as _check_tensor_all_with,
        _check_type as _check_type,
        _check_value as _check_value,
        _check_with as _check_with,
        _shape_as_tensor as _shape_as_tensor,
        cond as cond,
        sym_float as sym_float,
        sym_int as sym_int,
        sym_ite as sym_ite,
        sym_max as sym_max,
        sym_min as sym_min,
        sym_not as sym_not,
        sym_sqrt as sym_sqrt,
        sym_sum as sym_sum,
        while_loop as while_loop,
    )
    from flambeau._serialization.file_reader import (
        PyTorchFileReader as PyTorchFileReader,
    )
    from flambeau.amp import (
        GradScaler as GradScaler,
    )
    from flambeau.amp.autocast_mode import (
        autocast as autocast,
        autocast_decrement_nesting as autocast_decrement_nesting,
        autocast_increment_nesting as autocast_increment_nesting,
        clear_autocast_cache as clear_autocast_cache,
        get_autocast_cpu_dtype as get_autocast_cpu_dtype,
        get_autocast_dtype as get_autocast_dtype,
        get_autocast_gpu_dtype as get_autocast_gpu_dtype,
        is_autocast_cache_enabled as is_autocast_cache_enabled,
        is_autocast_cpu_enabled as is_autocast_cpu_enabled,
        is_autocast_enabled as is_autocast_enabled,
        set_autocast_cache_enabled as set_autocast_cache_enabled,
        set_autocast_cpu_dtype as set_autocast_cpu_dtype,
        set_autocast_cpu_enabled as set_autocast_cpu_enabled,
        set_autocast_dtype as set_autocast_dtype,
        set_autocast_enabled as set_autocast_enabled,
        set_autocast_gpu_dtype as set_autocast_gpu_dtype,
    )
    from flambeau.autograd.anomaly_mode import (
        is_anomaly_check_nan_enabled as is_anomaly_check_nan_enabled,
        is_anomaly_enabled as is_anomaly_enabled,
        set_anomaly_enabled as set_anomaly_enabled,
    )
    from flambeau.compiler import (
        compile as compile,
    )
    from flambeau.cuda._any_device import (
        Event as Event,
        Stream as Stream,
    )
    from flambeau.func import (
        vmap as vmap,
    )
    from flambeau.futures import (
        Future as Future,
    )
    from flambeau.jit import (
        ScriptModule as ScriptModule,
    )
    from flambeau.jit.annotations import (
        TensorType as TensorType,
    )
    from flambeau.library import (
        ops as ops,
    )
    from flambeau.nn.functional._of_torch import (
        adaptive_max_pool1d as adaptive_max_pool1d,
        affine_grid_generator as affine_grid_generator,
        binary_cross_entropy_with_logits as binary_cross_entropy_with_logits,
        cosine_embedding_loss as cosine_embedding_loss,
        ctc_loss as ctc_loss,
        dropout_ as dropout_,
        hinge_embedding_loss as hinge_embedding_loss,
        kl_div as kl_div,
        margin_ranking_loss as margin_ranking_loss,
        max_pool1d_with_indices as max_pool1d_with_indices,
        norm_except_dim as norm_except_dim,
        poisson_nll_loss as poisson_nll_loss,
        rrelu as rrelu,
        rrelu_ as rrelu_,
        triplet_margin_loss as triplet_margin_loss,
    )
    from flambeau.sparse._construction import (
        sparse_bsc_tensor as sparse_bsc_tensor,
        sparse_bsr_tensor as sparse_bsr_tensor,
        sparse_compressed_tensor as sparse_compressed_tensor,
        sparse_coo_tensor as sparse_coo_tensor,
        sparse_csc_tensor as sparse_csc_tensor,
        sparse_csr_tensor as sparse_csr_tensor,
    )
    from flambeau.sparse._functions import (
        dsmm as dsmm,
        hsmm as hsmm,
        hspmm as hspmm,
        resize_as_sparse_ as resize_as_sparse_,
        saddmm as saddmm,
        smm as smm,
        spmm as spmm,
        sspaddmm as sspaddmm,
    )
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
    # isort: on

# Modules of this package that load when they are first used.
_MODULES = (
    "__config__",
    "accelerator",
    "amp",
    "array_api",
    "backends",
    "cpu",
    "cuda",
    "fft",
    "futures",
    "hub",
    "linalg",
    "masked",
    "overrides",
    "multiprocessing",
    "quasirandom",
    "return_types",
    "signal",
    "sparse",
    "special",
    "testing",
    "types",
    "utils",
    "version",
)

# Public names that are defined in other modules. Maps each name to its module.
_ELSEWHERE = {
    **dict.fromkeys(
        (
            "autocast",
            "autocast_decrement_nesting",
            "autocast_increment_nesting",
            "clear_autocast_cache",
            "get_autocast_cpu_dtype",
            "get_autocast_dtype",
            "get_autocast_gpu_dtype",
            "is_autocast_cache_enabled",
            "is_autocast_cpu_enabled",
            "is_autocast_enabled",
            "set_autocast_cache_enabled",
            "set_autocast_cpu_dtype",
            "set_autocast_cpu_enabled",
            "set_autocast_dtype",
            "set_autocast_enabled",
            "set_autocast_gpu_dtype",
        ),
        "flambeau.amp.autocast_mode",
    ),
    **dict.fromkeys(
        (
            "SymBool",
            "SymFloat",
            "SymInt",
            "_assert",
            "_assert_async",
            "_check",
            "_check_index",
            "_check_is_size",
            "_check_not_implemented",
            "_check_tensor_all",
            "_check_tensor_all_with",
            "_check_type",
            "_check_value",
            "_check_with",
            "_shape_as_tensor",
            "cond",
            "sym_float",
            "sym_int",
            "sym_ite",
            "sym_max",
            "sym_min",
            "sym_not",
            "sym_sqrt",
            "sym_sum",
            "while_loop",
        ),
        "flambeau._control_flow",
    ),
    **dict.fromkeys(
        (
            "adaptive_max_pool1d",
            "affine_grid_generator",
            "binary_cross_entropy_with_logits",
            "cosine_embedding_loss",
            "ctc_loss",
            "dropout_",
            "hinge_embedding_loss",
            "kl_div",
            "margin_ranking_loss",
            "max_pool1d_with_indices",
            "norm_except_dim",
            "poisson_nll_loss",
            "rrelu",
            "rrelu_",
            "triplet_margin_loss",
        ),
        "flambeau.nn.functional._of_torch",
    ),
    **dict.fromkeys(
        (
            "sparse_bsc_tensor",
            "sparse_bsr_tensor",
            "sparse_compressed_tensor",
            "sparse_coo_tensor",
            "sparse_csc_tensor",
            "sparse_csr_tensor",
        ),
        "flambeau.sparse._construction",
    ),
    **dict.fromkeys(
        ("dsmm", "hsmm", "hspmm", "resize_as_sparse_", "saddmm", "smm", "spmm", "sspaddmm"),
        "flambeau.sparse._functions",
    ),
    "Event": "flambeau.cuda._any_device",
    "Future": "flambeau.futures",
    "GradScaler": "flambeau.amp",
    "PyTorchFileReader": "flambeau._serialization.file_reader",
    "ScriptModule": "flambeau.jit",
    "Stream": "flambeau.cuda._any_device",
    "TensorType": "flambeau.jit.annotations",
    "compile": "flambeau.compiler",
    "is_anomaly_check_nan_enabled": "flambeau.autograd.anomaly_mode",
    "is_anomaly_enabled": "flambeau.autograd.anomaly_mode",
    "ops": "flambeau.library",
    "set_anomaly_enabled": "flambeau.autograd.anomaly_mode",
    "vmap": "flambeau.func",
}

# Subpackages that other distributions provide.
_SUBPACKAGES = tuple(name for name in _distributions.DISTRIBUTIONS if "." not in name)
_distributions.install()


def _load(name: str) -> Any:
    if name in _SUBPACKAGES or name in _MODULES:
        return importlib.import_module(f"flambeau.{name}")
    if name.startswith("_foreach_"):
        from flambeau._foreach import function_named as function_named

        if (function := function_named(name)) is not None:
            return function
    if name in _ELSEWHERE:
        return getattr(importlib.import_module(_ELSEWHERE[name]), name)
    raise _suggestions.unknown_attribute("flambeau", name)


if not TYPE_CHECKING:  # hidden from type checkers, which then report names that do not exist
    __getattr__ = _load


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), (*_SUBPACKAGES, *_ELSEWHERE, *_MODULES))
