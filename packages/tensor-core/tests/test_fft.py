"""Discrete Fourier transforms, against NumPy's and SciPy's."""

import doctest

import numpy as np
import pytest

import flambeau as fb

scipy_fft = pytest.importorskip("scipy.fft")

REAL_INPUT = ("rfft", "ihfft")
DTYPES = [fb.float32, fb.float64, fb.complex64, fb.complex128]
SINGLE = (fb.float32, fb.complex64)


def values(shape, dtype, seed=0):
    generator = np.random.default_rng(seed)
    real = generator.standard_normal(shape)
    kind = str(dtype).removeprefix("flambeau.")
    return (real + 1j * generator.standard_normal(shape) if dtype.is_complex else real).astype(kind)


def check(result, expected, dtype):
    expected = np.asarray(expected)
    precision = "64" if dtype is fb.float64 or dtype is fb.complex128 else "32"
    kind = {"c": {"64": "complex128", "32": "complex64"}, "f": {"64": "float64", "32": "float32"}}
    assert result.numpy().dtype.name == kind[expected.dtype.kind][precision]
    assert result.is_contiguous()
    scale = max(np.abs(expected).max(initial=0), 1.0)
    tolerance = 1e-5 if dtype in SINGLE else 1e-13
    np.testing.assert_allclose(result.numpy() / scale, expected / scale, rtol=0, atol=tolerance)


def skip_complex(name, dtype):
    return dtype.is_complex and name.startswith(REAL_INPUT)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("norm", [None, "backward", "forward", "ortho"])
@pytest.mark.parametrize(("n", "dim"), [(None, -1), (3, -1), (8, -1), (1, -1), (None, 0), (4, 1), (5, -3)])
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
def test_one_dimensional_transforms_equal_numpy(name, n, dim, norm, dtype):
    if skip_complex(name, dtype):
        return
    x = values((2, 3, 6), dtype)
    result = getattr(fb.fft, name)(fb.tensor(x), n, dim, norm)
    check(result, getattr(np.fft, name)(x, n, dim, norm), dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("norm", [None, "forward", "ortho"])
@pytest.mark.parametrize(
    ("s", "dim"),
    [
        (None, None),
        ((4, 2), None),
        ((4, 2), (0, 2)),
        ((2, 6), (2, 0)),
        (None, (1,)),
        (None, (0, -1)),
        (None, (-1, 0)),
        ((-1, 3), (1, 0)),
        (3, 1),
    ],
)
@pytest.mark.parametrize("name", ["fftn", "ifftn", "rfftn", "irfftn", "hfftn", "ihfftn"])
def test_multidimensional_transforms_equal_numpy(name, s, dim, norm, dtype):
    if skip_complex(name, dtype):
        return
    x = values((2, 3, 5), dtype)
    result = getattr(fb.fft, name)(fb.tensor(x), s, dim, norm)
    axes = (dim,) if isinstance(dim, int) else dim
    sizes = (s,) if isinstance(s, int) else s
    if sizes and -1 in sizes:
        sizes = tuple(x.shape[a] if n == -1 else n for a, n in zip(axes, sizes, strict=True))
    check(result, getattr(scipy_fft, name)(x, sizes, axes, norm), dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("arguments", [(), ((3, 8),), ((3, 4), (0, 1)), (None, (1, 0), "ortho")])
@pytest.mark.parametrize("name", ["fft2", "ifft2", "rfft2", "irfft2", "hfft2", "ihfft2"])
def test_two_dimensional_transforms_equal_numpy(name, arguments, dtype):
    if skip_complex(name, dtype):
        return
    x = values((2, 3, 6), dtype)
    check(getattr(fb.fft, name)(fb.tensor(x), *arguments), getattr(scipy_fft, name)(x, *arguments), dtype)


@pytest.mark.parametrize("size", [1, 2, 7, 16, 97, 360, 1024, 40009])
def test_transforms_of_every_size_match_numpy(size):
    x = values((size,), fb.complex128)
    check(fb.fft.fft(fb.tensor(x)), np.fft.fft(x), fb.complex128)
    check(fb.fft.rfft(fb.tensor(x.real.copy())), np.fft.rfft(x.real), fb.float64)
    check(fb.fft.irfft(fb.tensor(x), size), np.fft.irfft(x, size), fb.float64)
    back = fb.fft.ifft(fb.fft.fft(fb.tensor(x)))
    np.testing.assert_allclose(back.numpy(), x, atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("count", [1, 3, 40])
@pytest.mark.parametrize("size", [64, 77, 143, 200, 256, 480, 500, 512, 1000, 2048, 3072, 4096, 8192, 10000])
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft"])
def test_many_and_few_transforms_of_long_signals_match_numpy(name, size, count, dtype):
    if skip_complex(name, dtype):
        return
    x = values((count, size // 2 + 1 if name == "irfft" else size), dtype)
    n = size if name == "irfft" else None
    check(getattr(fb.fft, name)(fb.tensor(x), n), getattr(np.fft, name)(x, n), dtype)


@pytest.mark.parametrize("dtype", [fb.bool, fb.uint8, fb.int32, fb.int64], ids=str)
def test_transforms_of_integers_have_the_default_dtype(dtype):
    x = fb.tensor([[1, 0, 3, 2]]).to(dtype)
    expected = np.fft.fft(x.numpy())
    check(fb.fft.fft(x), expected, fb.float32)
    check(fb.fft.rfft(x), np.fft.rfft(x.numpy()), fb.float32)
    fb.set_default_dtype(fb.float64)
    check(fb.fft.fft(x), expected, fb.float64)


def test_transforms_of_strided_and_empty_tensors_match_numpy():
    x = values((6, 5, 4), fb.complex128)
    t = fb.tensor(x)
    check(fb.fft.fft(t.permute(2, 0, 1)[:, ::2], dim=1), np.fft.fft(x.transpose(2, 0, 1)[:, ::2], axis=1), fb.float64)
    check(fb.fft.rfftn(t.real, dim=(2, 0)), scipy_fft.rfftn(x.real, axes=(2, 0)), fb.float64)
    check(fb.fft.fft(t[0, 0].unsqueeze(0).expand(3, 4)), np.fft.fft(np.broadcast_to(x[0, 0], (3, 4))), fb.float64)
    assert fb.fft.fft(fb.ones(0, 3)).shape == (0, 3)
    assert fb.fft.rfft(fb.ones(0, 4)).shape == (0, 3)
    np.testing.assert_array_equal(fb.fft.fft(fb.ones(2, 0), 3).numpy(), np.zeros((2, 3)))


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("sizes", [(1,), (2,), (5,), (6,), (100,), (67,), (5000,), (4, 6), (3, 5), (2, 1, 4)], ids=str)
def test_spectra_of_real_signals_are_conjugate_symmetric(sizes, inverse):
    x = values(sizes, fb.float32)
    name = "ifftn" if inverse else "fftn"
    spectrum = getattr(fb.fft, name)(fb.from_numpy(x))
    check(spectrum, getattr(np.fft, name)(x), fb.float32)
    whole = spectrum.numpy()
    opposite = whole[np.ix_(*(-np.arange(n) % n for n in sizes))]
    paired = slice(1, (sizes[-1] + 1) // 2)  # frequencies with another opposite one
    np.testing.assert_array_equal(whole[..., paired], opposite[..., paired].conj())
    if len(sizes) == 1:
        assert whole[0].imag == 0 and (sizes[0] % 2 or whole[sizes[0] // 2].imag == 0)


def test_transforms_over_no_dimensions_copy():
    x = fb.tensor(2.0)
    assert fb.fft.fftn(x).item() == 2 and fb.fft.ifftn(x).dtype is fb.complex64
    y = fb.tensor([1 + 2j])
    copied = fb.fft.fftn(y, dim=())
    copied[0] = 0
    assert y.tolist() == [1 + 2j]


@pytest.mark.parametrize("spacing", [1.0, 0.25])
@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_fftfreq_and_rfftfreq_match_numpy(n, spacing):
    np.testing.assert_allclose(fb.fft.fftfreq(n, spacing, dtype=fb.float64).numpy(), np.fft.fftfreq(n, spacing))
    np.testing.assert_allclose(fb.fft.rfftfreq(n, spacing, dtype=fb.float64).numpy(), np.fft.rfftfreq(n, spacing))
    assert fb.fft.fftfreq(n).dtype is fb.float32 and fb.fft.fftfreq(n, requires_grad=False).requires_grad is False


@pytest.mark.parametrize("dim", [None, 0, -1, (0, 1), (0, 0), (2,)])
def test_fftshift_and_ifftshift_match_numpy(dim):
    x = np.arange(60).reshape(3, 4, 5)
    axes = dim if dim != (0, 0) else (0,)
    if dim != (0, 0):
        np.testing.assert_array_equal(fb.fft.fftshift(fb.tensor(x), dim).numpy(), np.fft.fftshift(x, axes))
        np.testing.assert_array_equal(fb.fft.ifftshift(fb.tensor(x), dim).numpy(), np.fft.ifftshift(x, axes))
    assert fb.equal(fb.fft.ifftshift(fb.fft.fftshift(fb.tensor(x), dim), dim), fb.tensor(x))


def test_transforms_write_to_out():
    x = fb.tensor(values((3, 4), fb.float32))
    out = fb.empty(0, dtype=fb.complex64)
    assert fb.fft.rfft(x, out=out) is out and out.shape == (3, 3)
    assert fb.equal(out, fb.fft.rfft(x))
    wide = fb.empty(3, 4, dtype=fb.complex128)
    assert fb.equal(fb.fft.fft(x, out=wide), fb.fft.fft(x).to(fb.complex128))
    with pytest.raises(RuntimeError, match="complex64"):
        fb.fft.fft(x, out=fb.empty(3, 4))


X = fb.ones(3, 4)
C = fb.ones(3, 4, dtype=fb.complex64)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fb.fft.fft(X, 0), RuntimeError, r"data points \(0\)"),
        (lambda: fb.fft.fft(X, -1), RuntimeError, r"data points \(-1\)"),
        (lambda: fb.fft.fft(X, 2.0), TypeError, "'n'.*must be int"),
        (lambda: fb.fft.fft(X, dim=2.0), TypeError, "'dim'.*must be int"),
        (lambda: fb.fft.fft(X, 10**18), (RuntimeError, MemoryError), None),
        (lambda: fb.fft.fft(X, dim=5), IndexError, r"range of \[-2, 1\], but got 5"),
        (lambda: fb.fft.fft(fb.tensor(1.0)), IndexError, "no dimensions"),
        (lambda: fb.fft.fft(X, norm="other"), RuntimeError, 'mode: "other"'),
        (lambda: fb.fft.fft([1.0]), TypeError, "'input'.*must be Tensor, not list"),
        (lambda: fb.fft.fft(X.to(fb.float16)), RuntimeError, "float16"),
        (lambda: fb.fft.rfft(X.to(fb.bfloat16)), RuntimeError, "bfloat16"),
        (lambda: fb.fft.fft(fb.ones(3, 0)), RuntimeError, r"data points \(0\)"),
        (lambda: fb.fft.rfft(C), RuntimeError, "rfft expects a real input.*complex64"),
        (lambda: fb.fft.ihfft(C), RuntimeError, "ihfft expects a real input.*complex64"),
        (lambda: fb.fft.irfft(fb.ones(3, 1)), RuntimeError, r"data points \(0\)"),
        (lambda: fb.fft.fftn(X, (2, 2, 2)), RuntimeError, "3 values.*2 dimensions"),
        (lambda: fb.fft.fftn(X, (2, 2), (0,)), RuntimeError, "same length"),
        (lambda: fb.fft.fftn(X, dim=(0, -2)), RuntimeError, "unique"),
        (lambda: fb.fft.fftn(X, (-2, 3)), RuntimeError, r"data points \(-2\)"),
        (lambda: fb.fft.rfftn(X, dim=()), RuntimeError, "rfftn must transform at least one axis"),
        (lambda: fb.fft.irfftn(fb.tensor(1.0)), RuntimeError, "irfftn must transform at least one axis"),
        (lambda: fb.fft.fft2(fb.ones(3)), IndexError, "-2"),
        (lambda: fb.fft.fft2(X, 3), RuntimeError, "same length"),
        (lambda: fb.fft.fftfreq(-1), RuntimeError, "negative"),
        (lambda: fb.fft.fftfreq(5, dtype=fb.int64), RuntimeError, "int64"),
        (lambda: fb.fft.fftfreq(5, 1j), TypeError, "'d'.*must be float"),
        (lambda: fb.fft.fftshift(X, 3), IndexError, "3"),
    ],
)
def test_transforms_reject_invalid_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_examples_of_fft_run():
    for name in fb.fft.__all__:
        entry = getattr(fb.fft, name)
        assert entry.__module__ == "flambeau.fft" and entry.__doc__
        examples = doctest.DocTestParser().get_doctest(entry.__doc__, {"flambeau": fb, "fb": fb}, name, None, None)
        assert doctest.DocTestRunner().run(examples).failed == 0
