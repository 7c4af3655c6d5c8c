"""Window functions, against SciPy's."""

import inspect

import numpy as np
import pytest

import flambeau as fb

reference = pytest.importorskip("scipy.signal.windows")

PARAMETERS = {
    "bartlett": [{}],
    "blackman": [{}],
    "cosine": [{}],
    "exponential": [{}, {"tau": 2.5}],
    "gaussian": [{"std": 1.0}, {"std": 0.3}],
    "general_cosine": [{"a": [0.5, 0.3, 0.2]}, {"a": (1.0,)}],
    "general_hamming": [{"alpha": 0.54}, {"alpha": 0.2}],
    "hamming": [{}],
    "hann": [{}],
    "kaiser": [{"beta": 12.0}, {"beta": 0.0}, {"beta": 3.5}],
    "nuttall": [{}],
}
CASES = [(name, parameters) for name, several in PARAMETERS.items() for parameters in several]


@pytest.mark.parametrize("sym", [True, False])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 8, 31])
@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_windows_equal_those_of_scipy(name, parameters, size, sym):
    window = getattr(fb.signal.windows, name)
    expected = getattr(reference, name)(size, sym=sym, **parameters)
    result = window(size, sym=sym, dtype=fb.float64, **parameters)
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-13, atol=1e-15)
    np.testing.assert_array_equal(window(size, sym=sym, **parameters).numpy(), result.to(fb.float32).numpy())


def test_exponential_window_accepts_a_custom_center():
    expected = reference.exponential(7, center=2, tau=0.7, sym=False)
    result = fb.signal.windows.exponential(7, center=2, tau=0.7, sym=False, dtype=fb.float64)
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-13)


@pytest.mark.parametrize("dtype", [fb.float16, fb.bfloat16, fb.float32, fb.float64], ids=str)
@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("size", [0, 1, 2, 9])
@pytest.mark.parametrize(
    ("name", "extra", "parameters"),
    [
        ("hann", (), {}),
        ("hamming", (), {}),
        ("hamming", (0.6, 0.3), None),
        ("blackman", (), {}),
        ("bartlett", (), {}),
        ("kaiser", (), {"beta": 12.0}),
        ("kaiser", (2.0,), {"beta": 2.0}),
    ],
)
def test_windows_in_the_main_namespace_match_scipy(name, extra, parameters, size, periodic, dtype):
    result = getattr(fb, f"{name}_window")(size, periodic, *extra, dtype=dtype)
    if parameters is None:
        expected = reference.general_cosine(size, extra, sym=not periodic)
    else:
        expected = getattr(reference, name)(size, sym=not periodic, **parameters)
    assert result.dtype is dtype and result.shape == (size,)
    error = 4 * fb.finfo(dtype).eps
    np.testing.assert_allclose(result.to(fb.float64).numpy(), expected, rtol=0, atol=error)


def test_window_functions_use_the_default_dtype():
    assert fb.hann_window(4).dtype is fb.float32
    fb.set_default_dtype(fb.float64)
    assert fb.hann_window(4).dtype is fb.signal.windows.hann(4).dtype is fb.float64
    assert fb.signal.windows.hann.__module__ == "flambeau.signal.windows"
    assert str(inspect.signature(fb.hamming_window)).startswith("(window_length: int, periodic: bool = True, alpha")


WINDOWS = fb.signal.windows


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fb.hann_window(-1), RuntimeError, "hann_window.*non-negative.*-1"),
        (lambda: fb.kaiser_window(3, dtype=fb.int64), RuntimeError, "kaiser_window.*floating.*int64"),
        (lambda: fb.bartlett_window(2.5), TypeError, "window_length.*float"),
        (lambda: WINDOWS.hann(-1), ValueError, "hann.*non-negative.*-1"),
        (lambda: WINDOWS.hann(2.5), TypeError, "'M'.*must be int, not float"),
        (lambda: WINDOWS.cosine(3, dtype=fb.float16), ValueError, "cosine.*float16"),
        (lambda: WINDOWS.cosine(3, dtype=fb.int64), ValueError, "cosine.*int64"),
        (lambda: WINDOWS.cosine(3, layout="sparse"), ValueError, "strided.*sparse"),
        (lambda: WINDOWS.kaiser(3, beta=-1.0), ValueError, "beta.*-1.0"),
        (lambda: WINDOWS.gaussian(3, std=0.0), ValueError, "deviation.*0.0"),
        (lambda: WINDOWS.exponential(3, tau=-2.0), ValueError, "Tau.*-2.0"),
        (lambda: WINDOWS.exponential(3, center=1.0), ValueError, "Center"),
        (lambda: WINDOWS.general_cosine(3, a=[]), ValueError, "empty"),
        (lambda: WINDOWS.general_cosine(3, a=0.5), TypeError, "list/tuple"),
        (lambda: WINDOWS.general_cosine(3, a=[0.5, "b"]), (TypeError, ValueError), "b"),
        (lambda: WINDOWS.general_hamming(3, alpha=1j), TypeError, "complex"),
    ],
)
def test_window_functions_reject_invalid_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()
