"""The short-time Fourier transform and its inverse."""

import warnings

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator
from flambeau._settings import warn_once

_REAL_INPUT = (
    "stft requires the return_complex parameter be given for real inputs: return_complex=True gives a complex tensor, "
    "return_complex=False real and imaginary parts in a last dimension of size 2"
)
_NO_WINDOW = (
    "A window was not provided. A rectangular window will be applied, which is known to cause spectral leakage; give "
    "window=flambeau.hann_window(n_fft), or window=flambeau.ones(n_fft) for a rectangular one."
)
_ENVELOPE = (
    "istft: window overlap add min: 1 is not satisfied, because the windows of the frames do not cover every sample; "
    "use a smaller hop_length, another window, or center=True"
)


@operator(method=True, autocast="float32")
def stft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Tensor:
    """Return the short-time Fourier transform ``X[..., f, m]`` of a signal, with frequency f and frame m.

    Args:
        input: real or complex signal of shape ``(L,)`` or ``(B, L)``.
        n_fft: number of points of each transform.
        hop_length: distance between frames. The default is ``n_fft // 4``.
        win_length: length of ``window``, which is zero-padded on both sides to ``n_fft``. The default is ``n_fft``.
        window: shape ``(win_length,)``. None means a rectangular window.
        center: if True, frame m is centred at ``m * hop_length``; the signal is padded by ``n_fft // 2`` on both sides
            in ``pad_mode``. If False, frame m starts at that position.
        pad_mode: 'reflect', 'constant', 'replicate' or 'circular'.
        normalized: if True, multiply by ``n_fft ** -0.5``.
        onesided: if True, return only the frequencies up to ``n_fft // 2``. The default is True for a real input and
            window.
        return_complex: required for a real input. If False, return real and imaginary part in a last dimension of size
            2.
        align_to_window: without ``center``, start the window of the first frame, without its zero padding, at the first
            sample.
    Returns: a complex tensor of shape ``(B, n_fft // 2 + 1 or n_fft, frames)``.
    Raises: RuntimeError for an input of another shape or dtype, or sizes that do not match; NotImplementedError for
        another ``pad_mode``.
    Gradient: defined for input and window, to any order.

    >>> fb.stft(fb.ones(16), n_fft=8, window=fb.ones(8), return_complex=True).shape
    flambeau.Size([5, 9])
    """
    complex_values = input.is_complex() or (window is not None and window.is_complex())
    if return_complex is None:
        if not complex_values:
            raise RuntimeError(_REAL_INPUT)
        return_complex = True
    if align_to_window is not None and center:
        raise RuntimeError("stft align_to_window should only be set when center = false")
    _check_signal(input)
    hop_length = n_fft // 4 if hop_length is None else hop_length
    win_length = n_fft if win_length is None else win_length
    onesided = not complex_values if onesided is None else onesided
    if onesided and complex_values:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    x = input if input.ndim == 2 else input.unsqueeze(0)
    if center:
        x = _padded(x, n_fft // 2, pad_mode)
    _check_frames(x.size(1), n_fft, hop_length)
    whole = window is None and win_length == n_fft
    frame_window = None if whole else _frame_window("stft", window, n_fft, win_length, input)
    if window is None:
        warn_once(_NO_WINDOW)
    if align_to_window:
        x = _zero_pad(x, n_fft - win_length)
    pieces = _frames(x, n_fft, hop_length)
    if frame_window is not None:
        pieces = pieces * frame_window
    spectrum = _transform_frames(pieces, onesided, "ortho" if normalized else "backward").transpose(1, 2)
    if input.ndim == 1:
        spectrum = spectrum.squeeze(0)
    return spectrum if return_complex else _core.view_as_real(spectrum)


def _check_signal(input: Tensor) -> None:
    if input.ndim not in (1, 2):
        raise RuntimeError(f"stft: expected a 1D or 2D tensor, got shape {list(input.shape)}")
    if not (input.is_floating_point() or input.is_complex()):
        raise RuntimeError(f"stft: expected a tensor of floating point or complex values, got {input.dtype}")


def _check_frames(length: int, n_fft: int, hop_length: int) -> None:
    if not 0 < n_fft <= length:
        raise RuntimeError(f"stft: expected 0 < n_fft <= {length}, but got n_fft={n_fft}")
    if hop_length <= 0:
        raise RuntimeError(f"stft: expected hop_length > 0, but got hop_length={hop_length}")


def _zero_pad(x: Tensor, count: int) -> Tensor:
    """Pad the last dimension with ``count`` zeros, half of them on each side."""
    left, leading = count // 2, x.shape[:-1]
    return _core.cat([x.new_zeros(*leading, left), x, x.new_zeros(*leading, count - left)], -1)


def _frames(x: Tensor, size: int, hop: int) -> Tensor:
    """Return the frames ``(B, frames, size)`` of a signal ``(B, L)`` as a view."""
    batch, length = x.shape
    return x.contiguous().as_strided((batch, 1 + (length - size) // hop, size), (length, hop, 1))


@operator(method=True)
def istft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Tensor:
    """Return the signal whose ``stft`` with the same arguments is closest to ``input`` in the least-squares sense.

    The inverse transforms of the frames are multiplied by the window and added where they overlap. The result is
    divided by the sum of the squared windows.

    Args:
        input: complex tensor of shape ``(F, M)`` or ``(B, F, M)``.
        length: length of the result. It is truncated, or zero-padded with a warning.
        return_complex: if True, the signal is complex. The spectrum must then be two-sided.
        n_fft, hop_length, win_length, window, center, normalized, onesided: see ``stft``.
    Returns: a tensor of shape ``(L,)`` or ``(B, L)``.
    Raises: RuntimeError for a real or empty input, sizes that do not match, or windows that do not cover all samples.
    Gradient: defined for input and window, to any order.
    Source: Griffin, Lim 1984, IEEE Transactions on Acoustics, Speech and Signal Processing 32, 236-243.

    >>> spectrum = fb.stft(fb.ones(16), n_fft=8, window=fb.ones(8), return_complex=True)
    >>> fb.allclose(fb.istft(spectrum, n_fft=8, window=fb.ones(8)), fb.ones(16))
    True
    """
    _check_spectrum(input)
    hop_length = n_fft // 4 if hop_length is None else hop_length
    win_length = n_fft if win_length is None else win_length
    x = input if input.dim() == 3 else input.unsqueeze(0)
    onesided = x.size(1) != n_fft if onesided is None else onesided
    _check_frequencies(x.size(1), n_fft, onesided)
    if not 0 < hop_length <= win_length:
        raise RuntimeError(
            f"istft: expected 0 < hop_length <= win_length={win_length}, but got hop_length={hop_length}"
        )
    if return_complex and onesided:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    if window is not None and window.is_complex() and not return_complex:
        raise RuntimeError("Complex windows are incompatible with return_complex=False")
    frame_window = _frame_window("istft", window, n_fft, win_length, input)
    if window is None:
        warn_once(_NO_WINDOW)
    pieces = _inverse_frames(x.transpose(1, 2), n_fft, onesided, return_complex, "ortho" if normalized else "backward")
    total = n_fft + hop_length * (pieces.size(1) - 1)
    start = n_fft // 2 if center else 0
    stop = min(start + length, total) if length is not None else total - start
    signal = _overlap_add(pieces, frame_window, hop_length, total, start, stop)
    if length is not None and length > stop - start:
        warnings.warn(f"istft: the signal is shorter than length={length}; it is padded with zeros", stacklevel=2)
        signal = _core.cat([signal, signal.new_zeros(signal.size(0), length - (stop - start))], 1)
    return signal if input.dim() == 3 else signal.squeeze(0)


def _check_spectrum(input: Tensor) -> None:
    if not input.is_complex():
        raise RuntimeError(
            "istft requires a complex-valued input tensor matching the output from stft with return_complex=True."
        )
    if input.dim() not in (2, 3) or input.numel() == 0:
        raise RuntimeError(
            f"istft: expected a tensor with 2 or 3 dimensions that is not empty, got shape {list(input.shape)}"
        )


def _check_frequencies(count: int, n_fft: int, onesided: bool) -> None:
    expected = n_fft // 2 + 1 if onesided else n_fft
    if count != expected:
        raise RuntimeError(
            f"istft: expected {expected} frequencies in dimension -2 for n_fft={n_fft}, onesided={onesided}, but got "
            f"{count}"
        )


def _overlap_add(pieces: Tensor, window: Tensor, hop: int, total: int, start: int, stop: int) -> Tensor:
    """Add the windowed frames and divide by the sum of the squared windows, for samples ``start`` to ``stop``."""
    frames, n_fft = pieces.shape[1:]
    positions = (_core.arange(frames).unsqueeze(1) * hop + _core.arange(n_fft)).reshape(-1)
    weights = _sum_frames(window.square().expand(1, frames, n_fft), positions, total)[:, start:stop]
    if weights.numel() == 0 or weights.detach().abs().min().item() < 1e-11:
        raise RuntimeError(_ENVELOPE)
    return _sum_frames(pieces * window, positions, total)[:, start:stop] / weights


def _frame_window(name: str, window: Tensor | None, n_fft: int, win_length: int, input: Tensor) -> Tensor:
    """Return the window, zero-padded on both sides to ``n_fft`` samples."""
    if not 0 < win_length <= n_fft:
        raise RuntimeError(f"{name}: expected 0 < win_length <= n_fft={n_fft}, but got win_length={win_length}")
    if window is None:
        window = _core.ones(win_length, dtype=input.real.dtype if input.is_complex() else input.dtype)
    elif window.shape != (win_length,):
        raise RuntimeError(
            f"{name}: expected a 1D window tensor of size equal to win_length={win_length}, but got window with size "
            f"{list(window.shape)}"
        )
    return _zero_pad(window, n_fft - win_length) if win_length < n_fft else window


def _padded(x: Tensor, pad: int, mode: str) -> Tensor:
    """Pad the signal by ``pad`` samples on both sides."""
    length = x.size(1)
    if mode == "constant":
        return _core.cat([x.new_zeros(x.size(0), pad), x, x.new_zeros(x.size(0), pad)], 1)
    positions = _core.arange(-pad, length + pad)
    if mode == "reflect":
        if pad >= length:
            raise RuntimeError(
                f"stft: padding size should be less than the signal's length {length} in mode 'reflect', but got {pad}"
            )
        positions = length - 1 - (length - 1 - positions.abs()).abs()
    elif mode == "replicate":
        positions = positions.clamp(0, length - 1)
    elif mode == "circular":
        positions = positions % length
    else:
        raise NotImplementedError(f"Unrecognised padding mode {mode!r}")
    return x.index_select(1, positions)


def _transform_frames(pieces: Tensor, onesided: bool, norm: str) -> Tensor:
    return _core.rfft(pieces, norm=norm) if onesided else _core.fft(pieces, norm=norm)


def _inverse_frames(spectrum: Tensor, n_fft: int, onesided: bool, complex_result: bool, norm: str) -> Tensor:
    """Return the inverse transforms of the frames. For a real signal, use only half of the spectrum."""
    if complex_result:
        return _core.ifft(spectrum, norm=norm)
    return _core.irfft(spectrum if onesided else spectrum[..., : n_fft // 2 + 1], n_fft, norm=norm)


def _sum_frames(pieces: Tensor, positions: Tensor, length: int) -> Tensor:
    return pieces.new_zeros(pieces.size(0), length).index_add(1, positions, pieces.reshape(pieces.size(0), -1))
