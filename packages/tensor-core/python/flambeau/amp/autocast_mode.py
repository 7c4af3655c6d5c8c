"""Autocast regions, in which operators choose their dtype, and their per-thread state."""

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
    """Return True if `autocast` supports a device type, which is ``"cpu"`` or ``"cuda"``.

    Raises: RuntimeError if ``device_type`` is not a device type.

    >>> fb.amp.is_autocast_available("cpu"), fb.amp.is_autocast_available("mps")
    (True, False)
    """
    return _core.device(device_type).type in _DEVICE_TYPES


class autocast:
    """Context manager and decorator in which each operator computes in a suitable dtype.

    Matrix products and convolutions cast their floating-point inputs to the dtype of the region. Losses, decompositions
    and Fourier transforms cast their inputs to float32. ``cat``, ``stack`` and ``index_copy`` cast their inputs to the
    widest input dtype. Every other operator computes in the dtypes of its inputs. float64 inputs, in-place operators
    and calls with ``out=`` are not affected. Parameters keep their dtype and are cast once per region. Their gradients
    have the dtype of the parameter. Call ``backward()`` outside the region.

    Regions can be nested. Each thread has its own state.

    Args:
        device_type: ``"cpu"`` or ``"cuda"``. ``"cuda"`` warns and has no effect without a GPU.
        dtype: bfloat16 or float16. The default is `get_autocast_dtype`: bfloat16 on the CPU, float16 on CUDA.
        enabled: False disables autocast in a part of an enclosing region.
        cache_enabled: if True, keep casts of parameters until the outermost region ends. None keeps the setting of the
            enclosing region.
    Raises: ValueError if ``device_type`` is not a string; RuntimeError if it is not a supported device type.
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
    """Decorate the ``forward`` of an ``autograd.Function`` for autocast.

    The ``backward``, decorated with `custom_bwd`, then runs in the same autocast state.

    Args:
        fwd: the function to decorate. If None, return a decorator.
        device_type: ``"cpu"`` or ``"cuda"``.
        cast_inputs: if given, calls inside an autocast region cast the floating-point tensors in the arguments to this
            dtype, except float64 tensors, and run ``fwd`` with autocast disabled.

    >>> class Square(fb.autograd.Function):
    ...     @staticmethod
    ...     @fb.amp.custom_fwd(device_type="cpu", cast_inputs=fb.float32)
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x
    ...
    ...     @staticmethod
    ...     @fb.amp.custom_bwd(device_type="cpu")
    ...     def backward(ctx, grad):
    ...         return 2 * ctx.saved_tensors[0] * grad
    >>> with fb.autocast("cpu"):
    ...     Square.apply(fb.ones(2, dtype=fb.bfloat16)).dtype
    flambeau.float32
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
            return fwd(
                *_cast_tensors(args, device_type, cast_inputs), **_cast_tensors(kwargs, device_type, cast_inputs)
            )

    return decorated


@overload
def custom_bwd(bwd: None = None, *, device_type: str) -> Callable[[F], F]: ...


@overload
def custom_bwd(bwd: F, *, device_type: str) -> F: ...


def custom_bwd(bwd: Callable[..., Any] | None = None, *, device_type: str) -> Any:
    """Decorate the ``backward`` of an ``autograd.Function`` to run in the autocast state of its ``forward``.

    See `custom_fwd`.
    """
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


def _cast_tensors(value: Any, device_type: str, dtype: _core.dtype) -> Any:
    """Cast the floating tensors on a device in a nested structure to ``dtype``, except float64 tensors."""
    if isinstance(value, Tensor):
        eligible = value.is_floating_point() and value.device.type == device_type and value.dtype is not _core.float64
        return value.to(dtype) if eligible else value
    if isinstance(value, Mapping):
        return {_cast_tensors(k, device_type, dtype): _cast_tensors(v, device_type, dtype) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_cast_tensors(v, device_type, dtype) for v in value)
    return value


# The state of this thread

# Device types that PyTorch knows and flambeau does not support.
_ELSEWHERE = frozenset(("hpu", "ipu", "maia", "mps", "mtia", "privateuseone", "xla", "xpu"))


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Return True if autocast is enabled for a device type in this thread.

    Return False for device types that only PyTorch supports.

    >>> with fb.autocast("cpu"):
    ...     fb.is_autocast_enabled("cpu")
    True
    """
    return device_type not in _ELSEWHERE and _core._is_autocast_enabled(device_type)


def set_autocast_enabled(device_type: str | bool, enabled: bool | None = None) -> None:
    """Enable or disable autocast for a device type in this thread. Prefer `autocast`.

    With one argument, a bool, set the state of ``"cuda"``.

    >>> fb.set_autocast_enabled("cpu", True)
    >>> (fb.ones(2, 2) @ fb.ones(2, 2)).dtype
    flambeau.bfloat16
    >>> fb.set_autocast_enabled("cpu", False)
    """
    if isinstance(device_type, str):
        if enabled is None:
            raise TypeError("set_autocast_enabled(): enabled must be a bool, not None")
        _core._set_autocast_enabled(device_type, enabled)
    else:
        _core._set_autocast_enabled("cuda", device_type)


def get_autocast_dtype(device_type: str) -> _core.dtype:
    """Return the dtype of matrix products and convolutions in this thread's autocast regions.

    The default is bfloat16 on the CPU and float16 on ``"cuda"``.

    >>> fb.get_autocast_dtype("cpu"), fb.get_autocast_dtype("cuda")
    (flambeau.bfloat16, flambeau.float16)
    """
    return _core._autocast_dtype(device_type)


def set_autocast_dtype(device_type: str, dtype: _core.dtype) -> None:
    """Set the dtype of matrix products and convolutions in this thread's autocast regions.

    >>> fb.set_autocast_dtype("cpu", fb.float16)
    >>> with fb.autocast("cpu"):
    ...     (fb.ones(2, 2) @ fb.ones(2, 2)).dtype
    flambeau.float16
    >>> fb.set_autocast_dtype("cpu", fb.bfloat16)
    """
    _core._set_autocast_dtype(device_type, dtype)


def is_autocast_cache_enabled() -> bool:
    """Return True if casts of parameters are cached until the outermost region ends.

    >>> with fb.autocast("cpu", cache_enabled=False):
    ...     fb.is_autocast_cache_enabled()
    False
    """
    return _core._is_autocast_caching()


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Enable or disable the cache of casts for this thread.

    >>> fb.set_autocast_cache_enabled(False)
    >>> fb.is_autocast_cache_enabled()
    False
    >>> fb.set_autocast_cache_enabled(True)
    """
    _core._set_autocast_caching(enabled)


def clear_autocast_cache() -> None:
    """Clear this thread's cache of casts.

    >>> weight = fb.ones(2, 2, requires_grad=True)
    >>> with fb.autocast("cpu"):
    ...     before = (fb.eye(2) @ weight)[0, 0].item()
    ...     weight.data = fb.zeros(2, 2)
    ...     fb.clear_autocast_cache()
    ...     before, (fb.eye(2) @ weight)[0, 0].item()
    (1.0, 0.0)
    """
    _core._clear_autocast_cache()


def autocast_increment_nesting() -> int:
    """Increment the nesting depth of autocast regions and return it. `autocast` calls this.

    >>> with fb.autocast("cpu"):
    ...     fb.autocast_increment_nesting(), fb.autocast_decrement_nesting()
    (2, 1)
    """
    return _core._change_autocast_depth(1)


def autocast_decrement_nesting() -> int:
    """Decrement the nesting depth of autocast regions and return it. At depth 0 the cache of casts is cleared.

    See `autocast_increment_nesting`.
    """
    return _core._change_autocast_depth(-1)


def is_autocast_cpu_enabled() -> bool:
    """Return ``is_autocast_enabled("cpu")``. See `is_autocast_enabled`."""
    return is_autocast_enabled("cpu")


def set_autocast_cpu_enabled(enabled: bool) -> None:
    """Call ``set_autocast_enabled("cpu", enabled)``. See `set_autocast_enabled`."""
    set_autocast_enabled("cpu", enabled)


def get_autocast_cpu_dtype() -> _core.dtype:
    """Return ``get_autocast_dtype("cpu")``. See `get_autocast_dtype`."""
    return get_autocast_dtype("cpu")


def set_autocast_cpu_dtype(dtype: _core.dtype) -> None:
    """Call ``set_autocast_dtype("cpu", dtype)``. See `set_autocast_dtype`."""
    set_autocast_dtype("cpu", dtype)


def get_autocast_gpu_dtype() -> _core.dtype:
    """Return ``get_autocast_dtype("cuda")``. See `get_autocast_dtype`."""
    return get_autocast_dtype("cuda")


def set_autocast_gpu_dtype(dtype: _core.dtype) -> None:
    """Call ``set_autocast_dtype("cuda", dtype)``. See `set_autocast_dtype`."""
    set_autocast_dtype("cuda", dtype)
