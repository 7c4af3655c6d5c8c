"""Stand-ins for names of PyTorch that flambeau does not have: using one raises NotImplementedError."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn, TypeVar

from flambeau.torch import _missing
from flambeau.torch._interface import Entry

Class = TypeVar("Class", bound=type)

# Reasons in error messages, by prefixes of names. The longest matching prefix of a name applies.
REASONS = {
    "torch": "flambeau does not implement it",
    "torch._C": "flambeau has no private interface of PyTorch's C++ library",
    "torch._decomp": "flambeau does not decompose operators into simpler ones",
    "torch._dynamo": "flambeau does not have the internals of PyTorch's compiler; use torch.compile()",
    "torch._functorch": "flambeau does not have the internals of torch.func; use torch.func",
    "torch._inductor": "flambeau does not have the internals of PyTorch's compiler; use torch.compile()",
    "torch._prims": "flambeau does not decompose operators into simpler ones",
    "torch._refs": "flambeau has no reference implementations of operators; use the operators of torch",
    "torch.ao": "flambeau has no quantised tensors",
    "torch.backends.quantized": "flambeau has no quantised tensors",
    "torch.cuda.tunable": "flambeau chooses kernels for GPUs by their size and does not tune them",
    "torch.distributed.checkpoint": "flambeau does not write sharded checkpoints; save a state_dict with torch.save()",
    "torch.distributed.elastic": "flambeau has no elastic agent; start processes with torch.distributed.run",
    "torch.distributed.fsdp": "flambeau does not shard parameters; use torch.nn.parallel.DistributedDataParallel",
    "torch.distributed.pipelining": "flambeau does not split models over processes",
    "torch.distributed.rpc": "flambeau has no remote calls; use torch.distributed.send() and recv()",
    "torch.distributed.tensor": "flambeau has no tensors that are split over processes",
    "torch.export": "flambeau does not have it; use torch.export.export(), torch.onnx.export() or torch.jit.trace()",
    "torch.fx.experimental": "flambeau does not trace with symbolic shapes",
    "torch.fx.passes": "flambeau has no such pass; write it on torch.fx.Graph",
    "torch.jit": "flambeau has no TorchScript compiler; use torch.jit.trace()",
    "torch.masked": "flambeau has no masked tensors; pass a mask to the functions of torch.masked",
    "torch.monitor": "flambeau does not collect statistics of processes",
    "torch.mps": "flambeau has no MPS backend",
    "torch.mtia": "flambeau has no MTIA backend",
    "torch.nativert": "flambeau has no runtime for exported programs",
    "torch.nested": "flambeau has no nested tensors; use torch.nn.utils.rnn.pad_sequence()",
    "torch.nn.intrinsic": "flambeau has no quantised tensors",
    "torch.nn.qat": "flambeau has no quantised tensors",
    "torch.nn.quantizable": "flambeau has no quantised tensors",
    "torch.nn.quantized": "flambeau has no quantised tensors",
    "torch.onnx": "flambeau has its own converters to ONNX; use torch.onnx.export()",
    "torch.package": "flambeau does not package programs with their models",
    "torch.quantization": "flambeau has no quantised tensors",
    "torch.utils.data.datapipes": "flambeau has no data pipes; use torch.utils.data.IterableDataset",
    "torch.utils.mobile_optimizer": "flambeau has no TorchScript compiler",
    "torch.xpu": "flambeau has no XPU backend",
    "functorch": "flambeau does not have it; use torch.func",
}

# Absent names that programs test with hasattr() to choose another implementation. For these names, hasattr() returns
# False, although they can be imported.
HIDDEN_FROM_HASATTR = {
    "torch._C._CudaDeviceProperties",
    "torch._inductor.cudagraph_mark_step_begin",
    "torch.distributed.rpc.api",
    "torch.nn.functional.grouped_mm",
    "torch.nn.functional.scaled_grouped_mm",
    "torch.nn.functional.scaled_mm",
    "torch.xpu.reset_peak_memory_stats",
}


def _reason(path: str) -> str:
    above = path
    while above not in REASONS:
        above = above.rpartition(".")[0]
    return REASONS[above]


class AbsentError(NotImplementedError, AttributeError):
    """Error for the use of an absent name. It is also an AttributeError, so that ``hasattr`` returns False."""


def reject(path: str) -> NoReturn:
    """Record that the program used a name that flambeau lacks, and raise NotImplementedError."""
    _missing.record_missing(None, *path.rpartition(".")[::2])
    raise AbsentError(f"{path}: {_reason(path)}")


class AbsentClass(type):
    """Metaclass of absent classes. Programs can derive from them, but cannot create instances."""

    _path: str

    def __call__(cls, *_: Any, **__: Any) -> NoReturn:
        reject(cls._path)

    def __getattr__(cls, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        reject(cls._path)


class Absent:
    """Stand-in for a function or value that flambeau lacks."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.__module__, _, self.__name__ = path.rpartition(".")
        self.__qualname__ = self.__name__

    def __repr__(self) -> str:
        return f"<{self._path}, which flambeau does not have>"

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        reject(self._path)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        reject(self._path)

    def __bool__(self) -> NoReturn:
        reject(self._path)

    __iter__ = __len__ = __getitem__ = __enter__ = __int__ = __float__ = __index__ = __contains__ = __call__

    def __exit__(self, *_: object) -> None:
        """Do nothing: ``__enter__`` has already raised an error."""

    def __reduce__(self) -> NoReturn:
        reject(self._path)


# Names of functions that test for a feature. If flambeau lacks the feature, they return False.
FEATURE_TESTS = {"is_available", "is_built", "is_initialized"}


# Decorators that libraries apply on import to classes that derive from absent classes.
DECORATORS = {"functional_datapipe"}


def _identity_decorator(*_: Any, **__: Any) -> Callable[[Class], Class]:
    """Return a decorator that returns the decorated class unchanged."""
    return lambda decorated: decorated


def _return_false() -> bool:
    """Return False: flambeau lacks the feature."""
    return False


@functools.cache
def stand_in(path: str, entry: Entry) -> Any:
    """Return a stand-in for a class, function or value that flambeau lacks."""
    module, _, name = path.rpartition(".")
    if name in FEATURE_TESTS:
        return _return_false
    if name in DECORATORS:
        return _identity_decorator
    if entry.kind == "class":
        return AbsentClass(name, (), {"_path": path, "__module__": module, "__doc__": f"Absent: {_reason(path)}."})
    return Absent(path)


def is_absent(value: Any) -> bool:
    """Return True if a value is a stand-in for an absent name."""
    if isinstance(value, (AbsentClass, Absent)):
        return True
    return getattr(value, "_is_absent", False) is True  # set by flambeau.distributed._missing


class AbsentModule(ModuleType):
    """Stand-in for a module of PyTorch that flambeau lacks. Other modules of flambeau may have some of its names."""

    def __init__(self, name: str) -> None:
        super().__init__(name, f"Absent: {_reason(name)}.")
        self.__path__: list[str] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function in this module that has the module's name, such as ``torch.autograd.gradcheck``.

        In PyTorch, ``torch.autograd.gradcheck`` is the function. In flambeau, the import of the module replaces the
        function.
        """
        function = vars(self).get(self.__name__.rpartition(".")[2])
        if function is None:
            raise TypeError(f"'{self.__name__}' is a module and cannot be called")
        return function(*args, **kwargs)


# Default values in PyTorch of settings that programs read or whose attributes they set. A dict is a group of settings.
SETTINGS: dict[str, dict[str, Any]] = {
    "torch._dynamo.config": {
        "accumulated_recompile_limit": 256,
        "assume_static_by_default": True,
        "automatic_dynamic_shapes": True,
        "cache_size_limit": 8,
        "capture_scalar_outputs": False,
        "error_on_recompile": False,
        "optimize_ddp": True,
        "recompile_limit": 8,
        "suppress_errors": False,
        "verbose": False,
    },
    "torch._inductor.config": {
        "conv_1x1_as_mm": False,
        "coordinate_descent_check_all_directions": False,
        "coordinate_descent_tuning": False,
        "cpp": {"simdlen": None, "threads": -1},
        "cpp_wrapper": False,
        "debug": False,
        "epilogue_fusion": True,
        "fallback_random": False,
        "force_fuse_int_mm_with_mul": False,
        "freezing": False,
        "fx_graph_cache": True,
        "max_autotune": False,
        "max_autotune_gemm": False,
        "max_autotune_pointwise": False,
        "shape_padding": True,
        "trace": {"enabled": False},
        "triton": {"cudagraph_trees": True, "cudagraphs": False, "unique_kernel_names": True},
        "use_mixed_mm": True,
    },
}


class SettingsModule(AbsentModule):
    """Stand-in for a module of settings. Programs can set any attribute, without effect."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        for key, value in SETTINGS.get(name, {}).items():
            setattr(self, key, SimpleNamespace(**value) if isinstance(value, dict) else value)

    @contextlib.contextmanager
    def patch(self, changes: dict[str, Any] | str | None = None, value: Any = None, **settings: Any) -> Iterator[None]:
        """Change settings in a context or a decorated function.

        The settings are given as a dict, as a name and its value, or as keyword arguments.
        """
        if isinstance(changes, str):
            changes = {changes: value}
        before = dict(vars(self))
        vars(self).update({**(changes or {}), **settings})
        try:
            yield
        finally:
            vars(self).clear()
            vars(self).update(before)


def module_for(name: str) -> AbsentModule:
    """Return a stand-in for a module that flambeau lacks."""
    return (SettingsModule if name.endswith(".config") else AbsentModule)(name)
