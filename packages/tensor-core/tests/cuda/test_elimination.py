"""LU, Cholesky's factors, triangular systems and what is made of them on the GPU: the CPU's, and none of its work."""

import pytest

import flambeau as fb
from flambeau.testing import assert_close

L = fb.linalg
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
def test_lu(shape, dtype, host_calls):
    x = matrices(shape, dtype)
    both(L.lu_factor_ex, x, host_calls=host_calls)
    both(L.lu, x, host_calls=host_calls)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_systems(shape, dtype, host_calls):
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
def test_cholesky(shape, dtype, upper, host_calls):
    a, b = positive(shape, dtype), matrices((*shape[:-1], 70), dtype)
    both(lambda a: L.cholesky(a, upper=upper), a, host_calls=host_calls)
    factor = L.cholesky(a, upper=upper)
    both(lambda b, f: fb.cholesky_solve(b, f, upper), b, factor, host_calls=host_calls)
    both(lambda f: fb.cholesky_inverse(f, upper), factor, host_calls=host_calls)
    both(lambda f, b: L.solve_triangular(f, b, upper=upper), factor, b, host_calls=host_calls)
    unit = factor * 0.1
    both(lambda f, b: L.solve_triangular(f, b, upper=upper, unitriangular=True), unit, b, host_calls=host_calls)
    both(lambda f, b: L.solve_triangular(f, b.mT, upper=upper, left=False), factor, b, host_calls=host_calls)


def test_batches_broadcast(host_calls):
    a, b = positive((3, 3), fb.float64), matrices((4, 2, 3, 5), fb.float64)
    both(L.solve, a, b, host_calls=host_calls)
    both(L.solve, a.expand(2, 3, 3), b[0, 0], host_calls=host_calls)
    both(lambda a, b: L.solve_triangular(a.tril(), b, upper=False), a, b, host_calls=host_calls)
    both(L.solve, a, b[0, 0, :, 0], host_calls=host_calls)


@pytest.mark.parametrize("at", [0, 20, 39])
def test_matrices_that_cannot_be_eliminated(at, host_calls):
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


def test_pivots_out_of_range():
    pivots = fb.tensor([1, 9, 3], dtype=fb.int32, device="cuda")
    L.lu_solve(fb.eye(3, device="cuda"), pivots, fb.ones(3, 1, device="cuda"))
    with pytest.raises(IndexError, match="lu_solve"):
        fb.cuda.synchronize()
