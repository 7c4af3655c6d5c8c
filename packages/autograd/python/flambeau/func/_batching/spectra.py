"""Batching rules of short-time Fourier transforms: the batch is folded into the signals."""

from typing import Any

from flambeau import Tensor
from flambeau.func._rules import Call, UnbatchableError, batching

_RANKS = {"stft": 1, "istft": 2}  # number of dimensions of one signal


@batching("stft istft")
def spectra(call: Call) -> Any:
    """Apply ``stft`` or ``istft`` to a batch of signals, with one window for all of them."""
    x, *rest = call.values
    if not call.is_batched(x) or any(call.is_batched(other) for other in rest if isinstance(other, Tensor)):
        raise UnbatchableError(
            f"vmap: the window of {call.operator.__name__} must be equal for all elements of the batch"
        )
    rank = _RANKS[call.operator.__name__] + (not x.dtype.is_complex and call.operator.__name__ == "istft")
    if x.ndim == rank:
        return call.run((x.value, *rest))
    if x.ndim != rank + 1:
        raise RuntimeError(
            f"{call.operator.__name__}: expected {rank} or {rank + 1} dimensions, got shape {list(x.shape)}"
        )
    result = call.run((x.value.flatten(0, 1), *rest))
    return result.reshape(call.size, x.shape[0], *result.shape[1:])
