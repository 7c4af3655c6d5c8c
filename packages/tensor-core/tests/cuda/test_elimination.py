"""Tests that factorizations (LU, LDL, QR, Cholesky) and functions based on them equal the CPU's and run on the GPU."""

import pytest

import flambeau as fb
from flambeau.cuda import _arrays
from flambeau.testing import assert_close

L = fb.linalg


@pytest.fixture(autouse=True)
def no_cupy(monkeypatch):
    monkeypatch.setattr(_arrays, "library", lambda: None)


DTYPES = [fb.float32, fb.float64, fb.complex64, fb.complex128]
SHAPES = [(3, 3), (40, 40), (2, 3, 33, 33), (0, 4, 4), (2, 0, 0), (300, 2, 2)]


def matrices(shape, dtype):
    return fb.randn(shape, dtype=dtype)


def positive(shape, dtype):
    x = matrices(shape, dtype)
    return x @ x.mH + fb.eye(shape[-1], dtype=dtype)


def parts(result):
    return [result] if isinstance(result, fb.Tensor) else list(result)


def both(function, *tensors, host_calls, tolerance=None):
    there, here = parts(function(*(t.cuda() for t in tensors))), parts(function(*tensors))
    assert not host_calls()
    double = tensors[0].dtype in (fb.float64, fb.complex128)
    tolerance = tolerance or (1e-9 if double else 2e-3)
    for t, h in zip(there, here, strict=True):
        assert t.is_cuda and t.shape == h.shape and t.dtype == h.dtype
        assert_close(t.cpu(), h, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [*SHAPES, (5, 70), (70, 5), (2, 50, 70), (70, 50)])
def test_lu_matches_the_cpu(shape, dtype, host_calls):
    x = matrices(shape, dtype)
    both(L.lu_factor_ex, x, host_calls=host_calls)
    both(L.lu, x, host_calls=host_calls)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_solve_inv_and_lu_solve_match_the_cpu(shape, dtype, host_calls):
    a, b = positive(shape, dtype), matrices((*shape[:-1], 5), dtype)
    both(L.solve, a, b, host_calls=host_calls)
    both(lambda a, b: L.solve(a, b.mT, left=False), a, b, host_calls=host_calls)
    both(L.inv, a, host_calls=host_calls)
    both(lambda a, b: L.lu_solve(*L.lu_factor(a), b), a, b, host_calls=host_calls)
    both(lambda a, b: L.lu_solve(*L.lu_factor(a), b, adjoint=True), a, b, host_calls=host_calls)
    both(L.det, a / shape[-1] if shape[-1] else a, host_calls=host_calls)
    both(L.slogdet, a, host_calls=host_calls)


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_cholesky_and_triangular_solvers_match_the_cpu(shape, dtype, upper, host_calls):
    a, b = positive(shape, dtype), matrices((*shape[:-1], 70), dtype)
    both(lambda a: L.cholesky(a, upper=upper), a, host_calls=host_calls)
    factor = L.cholesky(a, upper=upper)
    both(lambda b, f: fb.cholesky_solve(b, f, upper), b, factor, host_calls=host_calls)
    both(lambda f: fb.cholesky_inverse(f, upper), factor, host_calls=host_calls)
    both(lambda f, b: L.solve_triangular(f, b, upper=upper), factor, b, host_calls=host_calls)
    unit = factor * 0.1
    both(lambda f, b: L.solve_triangular(f, b, upper=upper, unitriangular=True), unit, b, host_calls=host_calls)
    both(lambda f, b: L.solve_triangular(f, b.mT, upper=upper, left=False), factor, b, host_calls=host_calls)


def test_solvers_broadcast_batches(host_calls):
    a, b = positive((3, 3), fb.float64), matrices((4, 2, 3, 5), fb.float64)
    both(L.solve, a, b, host_calls=host_calls)
    both(L.solve, a.expand(2, 3, 3), b[0, 0], host_calls=host_calls)
    both(lambda a, b: L.solve_triangular(a.tril(), b, upper=False), a, b, host_calls=host_calls)
    both(L.solve, a, b[0, 0, :, 0], host_calls=host_calls)


@pytest.mark.parametrize("at", [0, 20, 39])
def test_singular_matrices_are_reported(at, host_calls):
    x = positive((3, 40, 40), fb.float64)
    x[1, at] = x[1, :, at] = 0
    both(lambda a: L.cholesky_ex(a)[1], x, host_calls=host_calls)
    both(lambda a: L.lu_factor_ex(a)[2] != 0, x, host_calls=host_calls)
    for function in (L.cholesky, L.inv, lambda a: L.solve(a, a)):
        texts = []
        for device in ("cpu", "cuda"):
            with pytest.raises(L.LinAlgError) as error:
                function(x.to(device))
            texts.append(str(error.value))
        assert texts[0].split("diagonal element")[0] == texts[1].split("diagonal element")[0]
    y = fb.zeros(4, 4)
    y[0, 1] = 1
    both(L.det, y, host_calls=host_calls)
    both(L.slogdet, y, host_calls=host_calls)


def test_lu_pivots_out_of_range_are_reported():
    pivots = fb.tensor([1, 9, 3], dtype=fb.int32, device="cuda")
    L.lu_solve(fb.eye(3, device="cuda"), pivots, fb.ones(3, 1, device="cuda"))
    with pytest.raises(IndexError, match="lu_solve"):
        fb.cuda.synchronize()


def indefinite(shape, dtype, hermitian):
    """Return matrices with a small diagonal, which requires 2x2 pivots."""
    x = matrices(shape, dtype)
    return (x + (x.mH if hermitian else x.mT)) * (1 - 0.9 * fb.eye(shape[-1], dtype=dtype))


@pytest.mark.parametrize("hermitian", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (40, 40), (2, 3, 33, 33), (0, 4, 4), (2, 0, 0), (70, 3, 3)])
def test_ldl_matches_the_cpu(shape, dtype, hermitian, host_calls):
    x, b = indefinite(shape, dtype, hermitian), matrices((*shape[:-1], 37), dtype)
    both(lambda a: L.ldl_factor_ex(a, hermitian=hermitian), x, host_calls=host_calls)
    factors, pivots = L.ldl_factor(x, hermitian=hermitian)
    assert x.numel() < 100 or (pivots < 0).any() or dtype.is_complex
    assert fb.equal(L.ldl_factor(x.cuda(), hermitian=hermitian)[1].cpu(), pivots)
    for sides in (b, b[..., :1], b[..., :0]):
        both(lambda f, p, b: L.ldl_solve(f, p, b, hermitian=hermitian), factors, pivots, sides, host_calls=host_calls)


def test_ldl_supports_broadcast_batches_and_singular_matrices(host_calls):
    x, b = indefinite((4, 4), fb.float64, True), matrices((3, 4, 2), fb.float64)
    both(L.ldl_solve, *L.ldl_factor(x), b, host_calls=host_calls)
    x = indefinite((3, 5, 5), fb.float64, True)
    x[1, 2] = x[1, :, 2] = 0
    x[2] = float("nan")
    there, here = L.ldl_factor_ex(x.cuda()), L.ldl_factor_ex(x)
    assert there.info.tolist() == here.info.tolist() and here.info[1] > 0 and not host_calls()
    assert_close(there.LD.cpu()[:2], here.LD[:2], rtol=1e-9, atol=1e-9)


def test_ldl_pivots_out_of_range_are_reported():
    for wrong in (5, -4, 0, -(2**31)):
        pivots = fb.tensor([1, wrong, wrong], dtype=fb.int32, device="cuda")
        L.ldl_solve(fb.eye(3, device="cuda"), pivots, fb.ones(3, 1, device="cuda"))
        with pytest.raises(IndexError, match="ldl_solve"):
            fb.cuda.synchronize()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape",
    [(1, 1), (4, 4), (5, 70), (70, 5), (2, 3, 50, 40), (33, 33), (100, 64), (0, 4, 3), (2, 0, 3), (3, 0), (9, 2, 3)],
)
def test_qr_geqrf_and_householder_product_match_the_cpu(shape, dtype, host_calls):
    x = matrices(shape, dtype)
    both(fb.geqrf, x, host_calls=host_calls)
    both(lambda a: L.qr(a, "r")[1], x, host_calls=host_calls)
    for mode in ("reduced", "complete"):
        both(lambda a, m=mode: L.qr(a, m), x, host_calls=host_calls)
    packed, tau = fb.geqrf(x)
    if shape[-2] >= shape[-1]:
        both(L.householder_product, packed, tau, host_calls=host_calls)
    c = matrices((*shape[:-1], 6), dtype)
    for transpose in (False, True):
        for left, other in ((True, c), (False, c.mT)):
            both(
                lambda p, t, c, a=left, b=transpose: fb.ormqr(p, t, c, a, b), packed, tau, other, host_calls=host_calls
            )


@pytest.mark.parametrize("factor", [0.0, 1e-300, 1e300])
def test_qr_of_columns_with_extreme_numbers_matches_the_cpu(factor, host_calls):
    x = matrices((6, 4), fb.float64)
    x[:, 1] *= factor
    x[1:, 0] = 0  # the first reflection is the identity
    both(fb.geqrf, x, host_calls=host_calls)


def test_least_squares_of_full_rank_match_the_cpu(host_calls):
    a, b = matrices((2, 7, 4), fb.float64), matrices((2, 7, 2), fb.float64)
    both(lambda a, b: L.lstsq(a, b, driver="gels").solution, a, b, host_calls=host_calls)
