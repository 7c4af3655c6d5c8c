"""Regions in which operators choose their dtype, and the state behind them, which is each thread's own."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from flambeau import _core
from flambeau._core import Tensor

F = TypeVar("F", bound=Callable[..., Any])

_DEVICE_TYPES = ("cpu", "cuda")
_DTYPES = (_core.bfloat16, _core.float16)

_UNSUPPORTED_DTYPE = """\
In CPU autocast, but the target dtype is not supported. Disabling autocast.
CPU Autocast only supports dtype of flambeau.bfloat16, flambeau.float16 currently."""


def is_autocast_available(device_type: str) -> bool:
    """Whether `autocast` knows a type of device: "cpu" and "cuda".

    Raises: RuntimeError for what is no type of device.
    """
    return _core.device(device_type).type in _DEVICE_TYPES


class autocast:
    """Operators inside compute in the dtype that suits them, whatever that of their tensors is.

    Products of matrices and convolutions take their floating-point tensors in the region's dtype; losses,
    decompositions and Fourier transforms take them in float32; ``cat``, ``stack`` and ``index_copy`` in the widest of
    theirs. Every other operator computes in the dtypes that it gets. float64 is left alone, and so are in-place
    operators and those with ``out=``. Parameters keep their dtype, are cast once in a region, and get gradients of
    their own dtype. Call ``backward()`` outside.

    A context manager or a decorator; regions nest, and each thread has its own.

    Args:
        device_type: ``"cpu"``; ``"cuda"`` warns and does nothing without a GPU.
        dtype: bfloat16 (the CPU's default) or float16.
        enabled: False makes the inside of a region an ordinary place again.
        cache_enabled: whether casts of parameters are kept until the outermost region ends; as outside by default.
    Raises: ValueError or RuntimeError for what is no type of device.
    Source: Micikevicius et al. 2018, arXiv:1710.03740.

    >>> import flambeau
    >>> x = flambeau.ones(2, 2)
    >>> with flambeau.autocast("cpu"):
    ...     (x @ x).dtype
    flambeau.bfloat16
    """

    def __init__(
        self,
        device_type: str,
        dtype: _core.dtype | None = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        if not is_autocast_available(device_type):
            raise RuntimeError(f"User specified an unsupported autocast device type '{device_type}'")
        self.device = device_type
        self.fast_dtype = get_autocast_dtype(device_type) if dtype is None else dtype
        self._cache_enabled = is_autocast_cache_enabled() if cache_enabled is None else cache_enabled
        if enabled and device_type == "cuda" and not _core._cuda_device_count():
            warnings.warn(
                "User provided device_type of 'cuda', but CUDA is not available. Disabling", UserWarning, stacklevel=2
            )
            enabled = False
        if enabled and self.fast_dtype not in _DTYPES:
            warnings.warn(_UNSUPPORTED_DTYPE, UserWarning, stacklevel=2)
            enabled = False
        self._enabled = enabled
        self._former: list[tuple[bool, _core.dtype, bool]] = []

    def __enter__(self) -> Self:
        enabled = _core._set_autocast_enabled(self.device, self._enabled)
        dtype = self.fast_dtype if self._enabled else get_autocast_dtype(self.device)
        dtype = _core._set_autocast_dtype(self.device, dtype)
        self._former.append((enabled, dtype, _core._set_autocast_caching(self._cache_enabled)))
        _core._change_autocast_depth(1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        enabled, dtype, caching = self._former.pop()
        _core._change_autocast_depth(-1)
        _core._set_autocast_enabled(self.device, enabled)
        _core._set_autocast_dtype(self.device, dtype)
        _core._set_autocast_caching(caching)

    def __call__(self, func: F) -> F:
        @functools.wraps(func)
        def decorated(*args: Any, **kwargs: Any) -> Any:
            with self:
                return func(*args, **kwargs)

        return decorated  # type: ignore[return-value]


@overload
def custom_fwd(fwd: None = None, *, device_type: str, cast_inputs: _core.dtype | None = None) -> Callable[[F], F]: ...


@overload
def custom_fwd(fwd: F, *, device_type: str, cast_inputs: _core.dtype | None = None) -> F: ...


def custom_fwd(
    fwd: Callable[..., Any] | None = None, *, device_type: str, cast_inputs: _core.dtype | None = None
) -> Any:
    """For the ``forward`` of an ``autograd.Function``: its ``backward``, under `custom_bwd`, runs in the same mode.

    Args:
        cast_inputs: inside of a region, cast floating-point tensors among the arguments to this dtype (but not
            float64 ones) and run the inside without autocast.
    """
    _require_device_type(device_type)
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        args[0]._dtype = get_autocast_dtype(device_type)
        used = is_autocast_enabled(device_type)
        args[0]._fwd_used_autocast = used and cast_inputs is None
        if cast_inputs is None or not used:
            return fwd(*args, **kwargs)
        with autocast(device_type=device_type, enabled=False):
            return fwd(*_cast(args, cast_inputs), **_cast(kwargs, cast_inputs))

    return decorated


@overload
def custom_bwd(bwd: None = None, *, device_type: str) -> Callable[[F], F]: ...


@overload
def custom_bwd(bwd: F, *, device_type: str) -> F: ...


def custom_bwd(bwd: Callable[..., Any] | None = None, *, device_type: str) -> Any:
    """For the ``backward`` of an ``autograd.Function``: runs it in the mode of its `custom_fwd`."""
    _require_device_type(device_type)
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        with autocast(device_type=device_type, enabled=args[0]._fwd_used_autocast, dtype=args[0]._dtype):
            return bwd(*args, **kwargs)

    return decorated


def _require_device_type(device_type: str) -> None:
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")


def _cast(value: Any, dtype: _core.dtype) -> Any:
    if isinstance(value, Tensor):
        return value.to(dtype) if value.is_floating_point() and value.dtype is not _core.float64 else value
    if isinstance(value, Mapping):
        return {_cast(k, dtype): _cast(v, dtype) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_cast(v, dtype) for v in value)
    return value


# The state of this thread

# Types of devices for which PyTorch's programs ask, and which do not exist here.
_ELSEWHERE = frozenset(("hpu", "ipu", "maia", "mps", "mtia", "privateuseone", "xla", "xpu"))


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether operators on a type of device choose their dtype in this thread; False on those that only PyTorch has."""
    return device_type not in _ELSEWHERE and _core._is_autocast_enabled(device_type)


def set_autocast_enabled(device_type: str | bool, enabled: bool | None = None) -> None:
    """Sets it, until it is set again; with one argument, of "cuda". Prefer `autocast`."""
    if isinstance(device_type, str):
        if enabled is None:
            raise TypeError("set_autocast_enabled(): enabled must be a bool, not None")
        _core._set_autocast_enabled(device_type, enabled)
    else:
        _core._set_autocast_enabled("cuda", device_type)


def get_autocast_dtype(device_type: str) -> _core.dtype:
    """The dtype of products of matrices and convolutions in this thread's regions: bfloat16 on the CPU, float16 on
    "cuda", unless it was set."""
    return _core._autocast_dtype(device_type)


def set_autocast_dtype(device_type: str, dtype: _core.dtype) -> None:
    """Sets that dtype for this thread."""
    _core._set_autocast_dtype(device_type, dtype)


def is_autocast_cache_enabled() -> bool:
    """Whether casts of parameters are kept until the outermost region ends."""
    return _core._is_autocast_caching()


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Sets it for this thread."""
    _core._set_autocast_caching(enabled)


def clear_autocast_cache() -> None:
    """Forgets the casts that this thread has kept."""
    _core._clear_autocast_cache()


def autocast_increment_nesting() -> int:
    """Enters a region by hand; returns how many there are. `autocast` does this."""
    return _core._change_autocast_depth(1)


def autocast_decrement_nesting() -> int:
    """Leaves a region by hand; returns how many are left. The last one forgets the casts."""
    return _core._change_autocast_depth(-1)


def is_autocast_cpu_enabled() -> bool:
    """``is_autocast_enabled("cpu")``."""
    return is_autocast_enabled("cpu")


def set_autocast_cpu_enabled(enabled: bool) -> None:
    """``set_autocast_enabled("cpu", enabled)``."""
    set_autocast_enabled("cpu", enabled)


def get_autocast_cpu_dtype() -> _core.dtype:
    """``get_autocast_dtype("cpu")``."""
    return get_autocast_dtype("cpu")


def set_autocast_cpu_dtype(dtype: _core.dtype) -> None:
    """``set_autocast_dtype("cpu", dtype)``."""
    set_autocast_dtype("cpu", dtype)


def get_autocast_gpu_dtype() -> _core.dtype:
    """``get_autocast_dtype("cuda")``."""
    return get_autocast_dtype("cuda")


def set_autocast_gpu_dtype(dtype: _core.dtype) -> None:
    """``set_autocast_dtype("cuda", dtype)``."""
    set_autocast_dtype("cuda", dtype)
