"""Tests that decompositions and Fourier transforms use CuPy if it is installed, otherwise the CPU.

The tests replace CuPy by a stand-in.
"""

import sys

import cupy_stand_in
import pytest

import flambeau as fb
from flambeau.cuda import _arrays
from flambeau.testing import assert_close


@pytest.fixture
def cupy(monkeypatch):
    cupy_stand_in.install(monkeypatch)
    return cupy_stand_in


@pytest.fixture
def no_cupy(monkeypatch):
    monkeypatch.setattr(_arrays, "library", lambda: None)


def hermitian(*shape, dtype=fb.float64):
    x = fb.randn(*shape, shape[-1], dtype=dtype)
    return x + x.mH


def parts(result):
    return result if isinstance(result, tuple) else (result,)


def same(function, x, names, cupy, host_calls, tolerance=1e-5):
    """Compare results with the CPU, and check that the CuPy functions ``names`` were called."""
    there = parts(function(x.cuda()))
    assert all(t.is_cuda for t in there) and not host_calls()
    assert [name for name, *_ in cupy.calls] == names
    for t, h in zip(there, parts(function(x)), strict=True):
        assert t.shape == h.shape and t.dtype == h.dtype
        assert_close(t.cpu(), h, rtol=tolerance, atol=tolerance)
    cupy.calls.clear()


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.complex64])
@pytest.mark.parametrize("shape", [(4,), (20,), (2, 3, 12)])
def test_eigenvalues_of_symmetric_matrices_match_the_cpu(shape, dtype, cupy, host_calls):
    x = hermitian(*shape, dtype=dtype)
    same(fb.linalg.eigvalsh, x, ["eigvalsh"], cupy, host_calls, 1e-4)
    same(lambda a: fb.linalg.eigvalsh(a.tril(), "L"), x, ["eigvalsh"], cupy, host_calls, 1e-4)
    same(lambda a: fb.linalg.eigvalsh(a.triu(), "U"), x, ["eigvalsh"], cupy, host_calls, 1e-4)

    def made(a):
        values, vectors = fb.linalg.eigh(a)
        return vectors @ (values.to(a.dtype).unsqueeze(-1) * vectors.mH)

    same(made, x, ["eigh"], cupy, host_calls, 1e-4)


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.complex64])
@pytest.mark.parametrize("shape", [(4, 4), (20, 20), (2, 12, 12)])
def test_eigenvalues_of_any_matrix_match_the_cpu(shape, dtype, cupy, host_calls):
    x = fb.randn(shape, dtype=dtype)
    same(lambda a: fb.linalg.eigvals(a).abs().sort()[0], x, ["eigvals"], cupy, host_calls, 1e-3)

    def made(a):
        values, vectors = fb.linalg.eig(a)
        return values.abs().sort()[0], fb.linalg.solve(vectors.mT, (vectors * values.unsqueeze(-2)).mT).mT

    same(made, x, ["eig"], cupy, host_calls, 2e-3)


def test_eig_runs_on_the_cpu_without_support_in_cupy(cupy, host_calls, monkeypatch):
    x = fb.randn(5, 5)
    linalg = _arrays.library().linalg
    monkeypatch.delattr(linalg, "eigvals")
    assert_close(fb.linalg.eigvals(x.cuda()).abs().sum().cpu(), fb.linalg.eigvals(x).abs().sum(), rtol=1e-5, atol=0)
    assert host_calls() == {"eigvals": 1}

    def no_such_function(a):
        raise RuntimeError("geev is not available")

    monkeypatch.setattr(linalg, "eig", no_such_function)
    assert_close(fb.linalg.eig(x.cuda())[0].abs().sum().cpu(), fb.linalg.eigvals(x).abs().sum(), rtol=1e-5, atol=0)
    assert host_calls() == {"eigvals": 1, "eig": 1}


@pytest.mark.parametrize("dtype", [fb.float32, fb.complex128])
@pytest.mark.parametrize("shape", [(4, 3), (9, 20), (2, 20, 12)])
def test_singular_values_match_the_cpu(shape, dtype, cupy, host_calls):
    x = fb.randn(shape, dtype=dtype)
    same(fb.linalg.svdvals, x, ["svd"], cupy, host_calls, 1e-4)
    for full in (False, True):
        same(lambda a, f=full: [abs(t) for t in fb.linalg.svd(a, f)][1], x, ["svd"], cupy, host_calls, 1e-4)
    u, s, vh = fb.linalg.svd(x.cuda(), False)
    assert_close((u * s.to(dtype).unsqueeze(-2) @ vh).cpu(), x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(4, 3), (9, 20), (2, 20, 12)])
@pytest.mark.parametrize("mode", ["reduced", "complete"])
def test_qr_matches_the_cpu(shape, mode, cupy, host_calls):
    x = fb.randn(shape, dtype=fb.float64)
    same(lambda a: fb.matmul(*fb.linalg.qr(a, mode)), x, ["qr"], cupy, host_calls)
    same(lambda a: fb.linalg.qr(a, "r")[1].abs(), x, ["qr"], cupy, host_calls)
    assert fb.linalg.qr(x.cuda(), "r")[0].shape == (0,)


@pytest.mark.parametrize("shape", [(9, 4), (4, 9), (2, 12, 12)])
def test_least_squares_match_the_cpu(shape, cupy, host_calls):
    a, b = fb.randn(shape, dtype=fb.float64), fb.randn(*shape[:-1], 3, dtype=fb.float64)
    same(lambda x: fb.linalg.lstsq(x, b.to(x.device)).solution, a, ["svd"], cupy, host_calls)
    same(lambda x: fb.linalg.lstsq(x, b.to(x.device), driver="gels").solution, a, ["qr"], cupy, host_calls)
    same(fb.linalg.pinv, a, ["svd"], cupy, host_calls)
    same(fb.linalg.matrix_rank, a, ["svd"], cupy, host_calls)


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64])
@pytest.mark.parametrize("norm", ["backward", "forward", "ortho"])
@pytest.mark.parametrize("n", [None, 8, 7])
def test_fourier_transforms_match_the_cpu(n, norm, dtype, cupy, host_calls):
    real, spectrum = fb.randn(3, 9, dtype=dtype), fb.randn(3, 6, dtype=dtype.to_complex())
    for name, function, x in [
        ("fftn", fb.fft.fft, spectrum),
        ("ifftn", fb.fft.ifft, spectrum),
        ("rfft", fb.fft.rfft, real),
        ("rfft", fb.fft.ihfft, real),
        ("irfft", fb.fft.irfft, spectrum),
        ("irfft", fb.fft.hfft, spectrum),
    ]:
        same(lambda a, f=function: f(a, n, norm=norm), x, [name], cupy, host_calls)


def test_fourier_transforms_over_several_dimensions_match_the_cpu(cupy, host_calls):
    real, spectrum = fb.randn(3, 8, 5, dtype=fb.float64), fb.randn(3, 8, 3, dtype=fb.complex128)
    same(lambda a: fb.fft.fftn(a, dim=(0, 2)), spectrum, ["fftn"], cupy, host_calls)
    same(lambda a: fb.fft.ifft2(a.transpose(0, 1)), spectrum, ["ifftn"], cupy, host_calls)
    same(fb.fft.rfftn, real, ["rfft", "fftn"], cupy, host_calls)
    same(fb.fft.irfftn, spectrum, ["ifftn", "irfft"], cupy, host_calls)


def test_cupy_uses_the_memory_and_the_stream_of_flambeau(cupy):
    x = fb.randn(12, dtype=fb.complex64, device="cuda")
    fb.fft.fft(x)
    stream = fb.cuda.Stream()
    with fb.cuda.stream(stream):
        y = fb.fft.fft(x)
    assert [call[1] for call in cupy.calls] == [0, stream.cuda_stream]
    assert cupy.taken == [x.data_ptr()] * 2
    fb.cuda.synchronize()
    assert_close(y.cpu(), fb.fft.fft(x.cpu()), rtol=1e-5, atol=1e-5)


def test_failures_of_cusolver_fall_back_to_the_host(cupy, host_calls):
    x = hermitian(12) * 1e31
    assert_close(fb.linalg.eigvalsh(x.cuda()).cpu(), fb.linalg.eigvalsh(x), rtol=1e-6, atol=0)
    assert host_calls() == {"eigvalsh": 1}


@pytest.mark.parametrize("n", [4, 20])
def test_errors_equal_those_of_the_cpu(n, cupy):
    x = fb.full((n, n), float("nan"))
    texts = []
    for device in ("cpu", "cuda"):
        with pytest.raises(fb.linalg.LinAlgError) as error:
            fb.linalg.svd(x.to(device))
        texts.append(str(error.value))
    assert texts[0] == texts[1]
    assert not cupy.calls


@pytest.mark.parametrize("n", [4, 20])
def test_functions_run_on_the_host_without_cupy(n, no_cupy, host_calls):
    x = hermitian(n)
    for function in (
        lambda a: fb.linalg.eigh(a)[0],
        fb.linalg.svdvals,
        lambda a: fb.linalg.qr(a)[1].abs(),
        lambda a: fb.fft.fft(a),
        lambda a: fb.linalg.eigvals(a).abs().sort()[0],
    ):
        there = function(x.cuda())
        assert there.is_cuda
        assert_close(there.cpu(), function(x), rtol=1e-6, atol=1e-6)
    assert set(host_calls()) == {"eigh", "svdvals", "fft", "eigvals"}


def test_cupy_is_found_where_it_is_installed(monkeypatch):
    find = _arrays.library.__wrapped__
    monkeypatch.setattr(_arrays, "find_spec", lambda name: None)
    assert find() is None
    monkeypatch.setattr(_arrays, "find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "cupy", cupy_stand_in)
    assert find() is cupy_stand_in


def test_a_cupy_that_fails_to_import_is_ignored(monkeypatch):
    def broken(name):
        raise ImportError("libcublas.so.12: cannot open shared object file")

    monkeypatch.setattr(_arrays, "find_spec", lambda name: name)
    monkeypatch.setattr(_arrays, "import_module", broken)
    with pytest.warns(UserWarning, match=r"cannot be imported.*libcublas"):
        assert _arrays.library.__wrapped__() is None
