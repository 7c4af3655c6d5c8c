"""flambeau: tensors and deep learning with PyTorch's names, in separately installable packages.

This package is the tensor core. ``flambeau.autograd``, ``nn``, ``optim``, ``data`` and ``vision`` are distributions of
their own that put their folders beside it; each loads when it is first used.
"""

import builtins
import importlib
import math
import pkgutil
import sys
from typing import TYPE_CHECKING, Any

from flambeau import _core, _operators, _public_names
from flambeau._core import *  # its __all__ is made of the registry
from flambeau._core import (
    Generator,
    Size,
    Tensor,
    _sample_dirichlet,
    _standard_gamma,
    default_generator,
    device,
    dtype,
    layout,
    memory_format,
)
from flambeau._formatting import set_printoptions
from flambeau._grad_mode import (
    enable_grad,
    inference_mode,
    no_grad,
    set_grad_enabled,
)
from flambeau._methods import install as _install_methods
from flambeau._numbers import finfo, iinfo
from flambeau._operators.broadcasting import broadcast_shapes
from flambeau._settings import (
    are_deterministic_algorithms_enabled,
    compiled_with_cxx11_abi,
    get_default_device,
    get_deterministic_debug_mode,
    get_device_module,
    get_float32_matmul_precision,
    get_num_interop_threads,
    is_deterministic_algorithms_warn_only_enabled,
    is_vulkan_available,
    is_warn_always_enabled,
    set_default_device,
    set_default_tensor_type,
    set_deterministic_debug_mode,
    set_float32_matmul_precision,
    set_flush_denormal,
    set_num_interop_threads,
    set_warn_always,
    use_deterministic_algorithms,
)
from flambeau._small_floats import (
    float4_e2m1fn_x2,
    float8_e4m3fn,
    float8_e4m3fnuz,
    float8_e5m2,
    float8_e5m2fnuz,
    float8_e8m0fnu,
)
from flambeau._sparse_methods import install as _install_sparse_methods
from flambeau._tensor_types import TENSOR_TYPES as _TENSOR_TYPES
from flambeau.random import get_rng_state, initial_seed, manual_seed, seed, set_rng_state
from flambeau.serialization import load, save
from flambeau.storage import TypedStorage, UntypedStorage, from_file

__path__ = pkgutil.extend_path(__path__, __name__)
__version__ = "0.1.0"

e, inf, nan, pi, newaxis = math.e, math.inf, math.nan, math.pi, None
globals().update(_TENSOR_TYPES)  # FloatTensor, LongTensor, ...
float = _core.float32
double = _core.float64
half = _core.float16
long = _core.int64
short = _core.int16
cfloat = _core.complex64
cdouble = _core.complex128
legacy_contiguous_format = _core.contiguous_format
as_strided_, detach_, index_put_ = Tensor.as_strided_, Tensor.detach_, Tensor.index_put_
# Last, because they shadow Python's own names.
int = _core.int32
bool = _core.bool


def is_tensor(obj: Any) -> builtins.bool:
    """Whether ``obj`` is a Tensor."""
    return isinstance(obj, Tensor)


def is_storage(obj: Any) -> builtins.bool:
    """Whether ``obj`` is an UntypedStorage or a TypedStorage."""
    return isinstance(obj, UntypedStorage | TypedStorage)


def typename(obj: Any, /) -> str:
    """The full name of an object's type; of a tensor that of its dtype.

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
    from flambeau import (
        accelerator,
        amp,
        array_api,
        backends,
        compiler,
        cpu,
        cuda,
        distributed,
        fft,
        futures,
        hub,
        linalg,
        mps,
        multiprocessing,
        overrides,
        quasirandom,
        signal,
        sparse,
        special,
        testing,
        types,
        version,
        xpu,
    )
    from flambeau.compiler import compile
    from flambeau.cuda._any_device import Event, Stream
    from flambeau.sparse._construction import (
        sparse_bsc_tensor,
        sparse_bsr_tensor,
        sparse_compressed_tensor,
        sparse_coo_tensor,
        sparse_csc_tensor,
        sparse_csr_tensor,
    )
    from flambeau.sparse._functions import dsmm, hsmm, hspmm, resize_as_sparse_, smm, spmm, sspaddmm

# Modules of this package that load when they are first used.
_MODULES = (
    "__config__",
    "accelerator",
    "amp",
    "array_api",
    "backends",
    "compiler",
    "cpu",
    "cuda",
    "distributed",
    "fft",
    "futures",
    "hub",
    "linalg",
    "mps",
    "overrides",
    "multiprocessing",
    "quasirandom",
    "return_types",
    "signal",
    "sparse",
    "special",
    "testing",
    "torch",
    "types",
    "utils",
    "version",
    "xpu",
)

# Functions of other modules that are public here, too.
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
            "_check_type",
            "_check_value",
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
        ("dsmm", "hsmm", "hspmm", "resize_as_sparse_", "smm", "spmm", "sspaddmm"), "flambeau.sparse._functions"
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

# Subpackages that other distributions bring, and those distributions.
_DISTRIBUTIONS = {
    "autograd": "flambeau-autograd",
    "func": "flambeau-autograd",
    "library": "flambeau-autograd",
    "export": "flambeau-nn",
    "jit": "flambeau-nn",
    "nn": "flambeau-nn",
    "optim": "flambeau-optim",
    "profiler": "flambeau-autograd",
    "distributions": "flambeau-nn",
    "onnx": "flambeau-nn",
    "fx": "flambeau-nn",
    "data": "flambeau-data",
    "vision": "flambeau-vision",
}


class _Nearby:
    """Where Python looks for what a wrong name may have meant: it compares with 750 names at most, of all here."""

    def __init__(self, name: str) -> None:
        self._initial = name[:1].lower()

    def __dir__(self) -> list[str]:
        return [name for name in dir(sys.modules[__name__]) if name[:1].lower() == self._initial]


def __getattr__(name: str) -> Any:
    if name in _DISTRIBUTIONS:
        try:
            return importlib.import_module(f"flambeau.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"flambeau.{name}":
                raise
            raise ImportError(
                f"flambeau.{name} is not installed; it comes with the distribution {_DISTRIBUTIONS[name]}: "
                f"pip install {_DISTRIBUTIONS[name]}"
            ) from None
    if name in _MODULES:
        return importlib.import_module(f"flambeau.{name}")
    if name.startswith("_foreach_"):
        from flambeau._foreach import function_named

        if (function := function_named(name)) is not None:
            return function
    if name in _ELSEWHERE:
        return getattr(importlib.import_module(_ELSEWHERE[name]), name)
    raise AttributeError(f"module 'flambeau' has no attribute '{name}'", name=name, obj=_Nearby(name))


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), (*_DISTRIBUTIONS, *_ELSEWHERE, *_MODULES))
