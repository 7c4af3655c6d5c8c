"""Short-time Fourier transforms, against a loop over NumPy's transforms."""

import numpy as np
import pytest

import flambeau as fb

MODES = {"reflect": "reflect", "constant": "constant", "replicate": "edge", "circular": "wrap"}


def signal(shape, dtype="float64"):
    generator = np.random.default_rng(0)
    x = generator.standard_normal(shape)
    return (x + 1j * generator.standard_normal(shape) if np.dtype(dtype).kind == "c" else x).astype(dtype)


def reference(x, n_fft, hop, window, center=True, mode="reflect", normalized=False, onesided=True):
    """Return the short-time Fourier transform by its definition. The window has n_fft samples."""
    if center:
        x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(n_fft // 2, n_fft // 2)], MODES[mode])
    starts = range(0, x.shape[-1] - n_fft + 1, hop)
    transform = np.fft.rfft if onesided else np.fft.fft
    norm = "ortho" if normalized else None
    return np.stack([transform(x[..., s : s + n_fft] * window, norm=norm) for s in starts], axis=-1)


def check(result, expected):
    assert result.shape == expected.shape
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [(40,), (2, 37)])
@pytest.mark.parametrize("hop", [1, 3, 8, 11])
@pytest.mark.parametrize("n_fft", [8, 9])
@pytest.mark.parametrize(
    "options", [{}, {"center": False}, {"normalized": True}, {"onesided": False}, *({"pad_mode": m} for m in MODES)]
)
def test_stft_matches_the_reference(shape, hop, n_fft, options):
    x, window = signal(shape), signal(n_fft) + 2
    result = fb.stft(fb.tensor(x), n_fft, hop, window=fb.tensor(window), return_complex=True, **options)
    if "pad_mode" in options:
        options = {"mode": options["pad_mode"]}
    check(result, reference(x, n_fft, hop, window, **options))


def test_stft_without_a_window_warns_and_uses_ones():
    x = signal(50)
    fb.set_warn_always(True)
    try:
        with pytest.warns(UserWarning, match="window"):
            result = fb.tensor(x).stft(16, return_complex=True)
    finally:
        fb.set_warn_always(False)
    check(fb.tensor(x).stft(16, return_complex=True), result.numpy())  # no second warning
    check(result, reference(x, 16, 4, np.ones(16)))
    parts = fb.stft(fb.tensor(x), 16, window=fb.ones(16, dtype=fb.float64), return_complex=False)
    check(parts, np.stack([result.numpy().real, result.numpy().imag], -1))


def test_stft_centres_a_shorter_window():
    x, window = signal((2, 40)), signal(5) + 2
    result = fb.stft(fb.tensor(x), 8, 2, 5, fb.tensor(window), return_complex=True)
    check(result, reference(x, 8, 2, np.pad(window, (1, 2))))
    aligned = fb.stft(fb.tensor(x), 8, 2, 5, fb.tensor(window), center=False, align_to_window=True, return_complex=True)
    check(aligned, reference(np.pad(x, ((0, 0), (1, 2))), 8, 2, np.pad(window, (1, 2)), center=False))


def test_stft_accepts_complex_signals_and_windows():
    x, window = signal(40, "complex128"), signal(8, "complex128")
    result = fb.stft(fb.tensor(x), 8, 2, window=fb.tensor(window))
    check(result, reference(x, 8, 2, window, onesided=False))
    result = fb.stft(fb.tensor(x.real.copy()), 8, 2, window=fb.tensor(window))
    check(result, reference(x.real, 8, 2, window, onesided=False))


@pytest.mark.parametrize("shape", [(40,), (2, 37)])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize(("onesided", "dtype"), [(True, "float64"), (False, "float64"), (False, "complex128")])
def test_istft_inverts_stft(shape, center, normalized, onesided, dtype):
    x, window = signal(shape, dtype), fb.hamming_window(8, dtype=fb.float64)
    options = {"n_fft": 8, "hop_length": 3, "window": window, "center": center, "normalized": normalized}
    spectrum = fb.stft(fb.tensor(x), **options, onesided=onesided, return_complex=True)
    complex_signal = dtype == "complex128"
    result = fb.istft(spectrum, **options, onesided=onesided, return_complex=complex_signal)
    covered = result.shape[-1]
    assert covered > 30 and result.is_complex() == complex_signal
    check(result, x[..., :covered])
    cut = fb.istft(spectrum, **options, onesided=onesided, return_complex=complex_signal, length=20)
    check(cut, x[..., :20])


def test_istft_pads_longer_results_with_zeros():
    x = signal(40)
    window = fb.ones(8, dtype=fb.float64)
    spectrum = fb.stft(fb.tensor(x), 8, window=window, return_complex=True)
    with pytest.warns(UserWarning, match="length"):
        result = spectrum.istft(8, window=window, length=60)
    assert result.shape == (60,) and not result[44:].any()
    check(result[:40], x)


X = fb.ones(2, 40)
S = fb.ones(2, 5, 21, dtype=fb.complex64)
W = fb.ones(8)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fb.stft(X, 8, window=W), RuntimeError, "return_complex"),
        (lambda: fb.stft(X[None], 8, window=W, return_complex=True), RuntimeError, "1D or 2D"),
        (lambda: fb.stft(X.long(), 8, window=W, return_complex=True), RuntimeError, "int64"),
        (lambda: fb.stft(X, 0, window=W, return_complex=True), RuntimeError, "n_fft"),
        (lambda: fb.stft(X, 80, center=False, window=W, return_complex=True), RuntimeError, "n_fft <= 40.*80"),
        (lambda: fb.stft(X, 8, 0, window=W, return_complex=True), RuntimeError, "hop_length=0"),
        (lambda: fb.stft(X, 8, 2, 9, window=W, return_complex=True), RuntimeError, "win_length=9"),
        (lambda: fb.stft(X, 8, window=W[:5], return_complex=True), RuntimeError, r"win_length=8.*\[5\]"),
        (lambda: fb.stft(X[:, :3], 8, window=W, return_complex=True), RuntimeError, "padding size"),
        (lambda: fb.stft(X, 8, window=W, pad_mode="other", return_complex=True), NotImplementedError, "other"),
        (lambda: fb.stft(X, 8, window=W, align_to_window=True, return_complex=True), RuntimeError, "align_to_window"),
        (lambda: fb.stft(X + 0j, 8, window=W, onesided=True), RuntimeError, "onesided"),
        (lambda: fb.istft(X, 8, window=W), RuntimeError, "complex-valued"),
        (lambda: fb.istft(S[0, 0], 8, window=W), (RuntimeError, IndexError), "2 or 3 dim"),
        (lambda: fb.istft(S[:, :, :0], 8, window=W), RuntimeError, "not empty"),
        (lambda: fb.istft(S, 12, window=fb.ones(12)), RuntimeError, "7 frequencies"),
        (lambda: fb.istft(S, 8, onesided=False, window=W), RuntimeError, "8 frequencies"),
        (lambda: fb.istft(S, 8, 9, window=W), RuntimeError, "hop_length=9"),
        (lambda: fb.istft(S, 8, window=W[:4]), RuntimeError, r"\[4\]"),
        (lambda: fb.istft(S, 8, window=W, return_complex=True), RuntimeError, "onesided"),
        (lambda: fb.istft(S, 8, window=W + 0j), RuntimeError, "Complex windows"),
        (lambda: fb.istft(S, 8, window=fb.zeros(8)), RuntimeError, "window overlap add min"),
        (lambda: fb.istft(S, 8, window=fb.hann_window(8), center=False), RuntimeError, "window overlap add min"),
    ],
)
def test_stft_and_istft_reject_invalid_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()
