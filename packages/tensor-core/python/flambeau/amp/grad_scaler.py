"""Gradient scaling, which prevents underflow of float16 gradients."""

from __future__ import annotations

import enum
import warnings
from collections.abc import Iterable
from typing import Any, overload

from flambeau import _core
from flambeau._core import Tensor

_NOT_SCALED = (
    "Attempted {name} but _scale is None.  This may indicate your script did not use scaler.scale(loss or outputs) "
    "earlier in the iteration."
)
_NEW_SCALE = "new_scale should be a float or a 1-element flambeau.FloatTensor with requires_grad=False."


class OptState(enum.Enum):
    """State of an optimizer since the last ``update()``."""

    READY = 0
    UNSCALED = 1
    STEPPED = 2


class GradScaler:
    """Gradient scaler for mixed-precision training.

    It multiplies a loss by a scale before ``backward()`` and divides the gradients by the scale before a step.

    If the gradients contain an infinity or NaN, the step is skipped and ``update()`` decreases the scale. After
    ``growth_interval`` consecutive steps without an infinity or NaN, ``update()`` increases the scale.

    Args:
        device: ``"cpu"`` or ``"cuda"``. ``"cuda"`` warns and has no effect without a GPU.
        init_scale: initial scale.
        growth_factor: factor that increases the scale. It must be greater than 1.
        backoff_factor: factor that decreases the scale after an infinity or NaN. It must be less than 1.
        growth_interval: number of consecutive finite steps before the scale increases.
        enabled: if False, every method has no effect, except that ``step`` calls ``optimizer.step``.
    Source: Micikevicius et al. 2018, arXiv:1710.03740.

    >>> weight = fb.ones(2, requires_grad=True)
    >>> optimizer = fb.optim.SGD([weight], lr=0.1)
    >>> scaler = fb.GradScaler("cpu", init_scale=1024.0)
    >>> scaler.scale(weight.sum()).backward()
    >>> weight.grad
    tensor([1024., 1024.])
    >>> scaler.step(optimizer)
    >>> scaler.update()
    >>> weight
    tensor([0.9000, 0.9000], requires_grad=True)
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        self._device = device
        self._enabled = enabled
        if enabled and device == "cuda" and not _core._cuda_device_count():
            warnings.warn(
                "flambeau.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling.",
                UserWarning,
                stacklevel=2,
            )
            self._enabled = False
        if not self._enabled:
            return
        if not growth_factor > 1.0:
            raise AssertionError(f"The growth factor must be > 1.0, got {growth_factor}.")
        if not backoff_factor < 1.0:
            raise AssertionError(f"The backoff factor must be < 1.0, got {backoff_factor}.")
        self._init_scale = init_scale
        self._scale: Tensor | None = None
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._init_growth_tracker = 0
        self._growth_tracker: Tensor | None = None
        self._states: dict[int, OptState] = {}
        self._found_inf: dict[int, Tensor] = {}

    # An iteration

    @overload
    def scale(self, outputs: Tensor) -> Tensor: ...

    @overload
    def scale(self, outputs: list[Tensor]) -> list[Tensor]: ...

    @overload
    def scale(self, outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]: ...

    @overload
    def scale(self, outputs: Iterable[Any]) -> Iterable[Any]: ...

    def scale(self, outputs: Any) -> Any:
        """Multiply a tensor, or the tensors in nested iterables, by the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * self._lazy_scale()
        if isinstance(outputs, Iterable):
            scaled = map(self.scale, outputs)
            return type(outputs)(scaled) if isinstance(outputs, (list, tuple)) else scaled
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients of an optimizer by the scale, for example before gradient clipping.

        Raises: RuntimeError if ``unscale_`` or ``step`` was already called for this optimizer since the last
            ``update()``; ValueError for float16 gradients.
        """
        if not self._enabled:
            return
        scale, _ = self._checked("unscale_")
        state = self._states.get(id(optimizer), OptState.READY)
        if state is OptState.UNSCALED:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        if state is OptState.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        self._unscale(optimizer, 1.0 / scale.item(), allow_float16=False)
        self._states[id(optimizer)] = OptState.UNSCALED

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """Call ``optimizer.step(*args, **kwargs)`` unless a gradient contains an infinity or NaN.

        The gradients are unscaled first if `unscale_` was not called.

        Returns: the result of ``optimizer.step``, or None if the step was skipped.
        Raises: RuntimeError for a closure or for a second step before ``update()``; AssertionError if no parameter
            has a gradient.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._checked("step")
        if self._states.get(id(optimizer)) is OptState.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if self._states.get(id(optimizer), OptState.READY) is OptState.READY:
            self.unscale_(optimizer)
        if id(optimizer) not in self._found_inf:
            raise AssertionError("No inf checks were recorded for this optimizer.")
        stepped = None if self._found_inf[id(optimizer)].item() else optimizer.step(*args, **kwargs)
        self._states[id(optimizer)] = OptState.STEPPED
        return stepped

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Update the scale at the end of an iteration, or set it to ``new_scale``.

        Raises: AssertionError if ``step`` or ``unscale_`` was not called since the last ``update()``.
        """
        if not self._enabled:
            return
        scale, tracker = self._checked("update")
        if new_scale is not None:
            self._set_scale(scale, new_scale)
        else:
            if not self._found_inf:
                raise AssertionError("No inf checks were recorded prior to update.")
            self._adapt(scale, tracker, any(found_inf.item() for found_inf in self._found_inf.values()))
        self._states.clear()
        self._found_inf.clear()

    def _adapt(self, scale: Tensor, tracker: Tensor, found_inf: bool) -> None:
        """Decrease the scale after a non-finite gradient. Otherwise count the step and increase the scale when due."""
        if found_inf:
            scale.mul_(self._backoff_factor)
            tracker.zero_()
            return
        tracker.add_(1)
        if tracker.item() >= self._growth_interval:
            grown = scale * self._growth_factor
            scale.copy_(grown if grown.isfinite() else scale)
            tracker.zero_()

    def _unscale(self, optimizer: Any, factor: float, allow_float16: bool) -> None:
        gradients = [
            p.grad for group in optimizer.param_groups for p in group["params"] if getattr(p, "grad", None) is not None
        ]
        if not allow_float16 and any(g.dtype is _core.float16 for g in gradients):
            raise ValueError("Attempting to unscale FP16 gradients.")
        if gradients:
            finite = _core._scale_gradients(gradients, factor)
            self._found_inf[id(optimizer)] = _core.tensor(float(not finite), dtype=_core.float32)

    def _check_inf_per_device(self, optimizer: Any) -> dict[_core.device, Tensor]:
        """Return 1.0 for each device on which a gradient contains an infinity or NaN, and 0.0 for the others."""
        self._checked("_check_inf_per_device")
        self._unscale(optimizer, 1.0, allow_float16=True)
        return self._found_inf_per_device(optimizer)

    def _found_inf_per_device(self, optimizer: Any) -> dict[_core.device, Tensor]:
        found_inf = self._found_inf.get(id(optimizer))
        return {} if found_inf is None else {_core.device("cpu"): found_inf}

    def _lazy_scale(self) -> Tensor:
        """Return the scale. The first call creates it and the growth tracker."""
        if self._scale is None:
            self._scale = _core.tensor(self._init_scale, dtype=_core.float32)
            self._growth_tracker = _core.tensor(self._init_growth_tracker, dtype=_core.int32)
        return self._scale

    def _checked(self, name: str) -> tuple[Tensor, Tensor]:
        """Return the scale and the growth tracker. Raise AssertionError if no loss has been scaled."""
        if self._scale is None or self._growth_tracker is None:
            raise AssertionError(_NOT_SCALED.format(name=name))
        return self._scale, self._growth_tracker

    def _set_scale(self, scale: Tensor, new_scale: float | Tensor) -> None:
        if isinstance(new_scale, Tensor) and (new_scale.numel() != 1 or new_scale.requires_grad):
            raise AssertionError(_NEW_SCALE)
        if not isinstance(new_scale, (float, Tensor)):
            raise AssertionError(_NEW_SCALE)
        scale.fill_(float(new_scale))

    # Settings

    def get_scale(self) -> float:
        """Return the scale, or 1.0 if the scaler is disabled."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else self._scale.item()

    def get_growth_factor(self) -> float:
        """Return the factor that increases the scale."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Set the factor that increases the scale."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """Return the factor that decreases the scale after an infinity or NaN."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set the factor that decreases the scale after an infinity or NaN."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """Return the number of consecutive finite steps before the scale increases."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Set the number of consecutive finite steps before the scale increases."""
        self._growth_interval = new_interval

    def _get_growth_tracker(self) -> int:
        """Return the number of consecutive finite steps so far."""
        if not self._enabled:
            return 0
        return self._init_growth_tracker if self._growth_tracker is None else int(self._growth_tracker.item())

    def is_enabled(self) -> bool:
        """Return True if the scaler is enabled."""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """Return the scale, the settings and the count of finite steps as numbers. Empty if the scaler is disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._get_growth_tracker(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state. Raise RuntimeError if it is empty, which is the state of a disabled scaler."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
            )
        self._init_scale = float(state_dict["scale"])
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._init_growth_tracker = state_dict["_growth_tracker"]
        if self._scale is not None and self._growth_tracker is not None:
            self._scale.fill_(self._init_scale)
            self._growth_tracker.fill_(self._init_growth_tracker)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        if not self._enabled:
            return state
        if self._states:
            raise AssertionError(
                "A GradScaler instance may only be pickled at the beginning of an iteration, or at the end after "
                "scaler.update()."
            )
        state["_init_scale"], state["_init_growth_tracker"] = self.get_scale(), self._get_growth_tracker()
        state["_scale"] = state["_growth_tracker"] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
