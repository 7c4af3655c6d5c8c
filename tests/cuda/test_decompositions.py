"""Tests that derivatives of decompositions and Fourier transforms on the GPU equal those on the CPU."""

import cupy_stand_in
import pytest

import flambeau as fb
from flambeau.testing import assert_close


def gradients(function, x, device):
    leaf = x.detach().to(device).requires_grad_()
    out = function(leaf)
    weights = fb.linspace(-1, 1, out.numel(), dtype=fb.float64).reshape(out.shape).to(out.dtype)
    return fb.autograd.grad(out, leaf, weights.to(device))[0].cpu()


@pytest.mark.parametrize(
    "function",
    [
        lambda a: fb.linalg.eigvalsh(a @ a.mT),
        lambda a: fb.linalg.eigh(a @ a.mT)[1].square(),
        lambda a: fb.linalg.svdvals(a),
        lambda a: fb.linalg.svd(a, full_matrices=False)[0].square(),
        lambda a: fb.linalg.qr(a)[0],
        lambda a: fb.fft.rfftn(a).abs(),
        lambda a: fb.fft.irfft(fb.fft.fft(a), 9),
    ],
)
@pytest.mark.parametrize("with_cupy", [False, True])
def test_gradients_of_decompositions_and_fft_equal_those_on_the_cpu(function, with_cupy, monkeypatch):
    if with_cupy:
        cupy_stand_in.install(monkeypatch)
    x = fb.randn(4, 4, dtype=fb.float64)
    assert_close(gradients(function, x, "cuda"), gradients(function, x, "cpu"), rtol=1e-6, atol=1e-8)
    assert bool(cupy_stand_in.calls) == with_cupy
    cupy_stand_in.calls.clear()


@pytest.mark.parametrize("n", [4, 35])
@pytest.mark.parametrize(
    "function",
    [
        lambda a: fb.linalg.inv(a),
        lambda a: fb.linalg.solve(a, a[:, :2]),
        lambda a: fb.linalg.det(a / 6),
        lambda a: fb.linalg.slogdet(a)[1],
        lambda a: fb.linalg.cholesky(a @ a.mT),
        lambda a: fb.cholesky_solve(a, fb.linalg.cholesky(a @ a.mT)),
        lambda a: fb.linalg.lu(a[:, :3])[1],
        lambda a: fb.linalg.solve_triangular(a.triu(), a, upper=True),
        lambda a: fb.linalg.lu_solve(*fb.linalg.lu_factor(a), a, adjoint=True),
        lambda a: fb.linalg.householder_product(a[:, :3] / 20, a[0, :3] / 9),
        lambda a: fb.ormqr(a / 20, a[0] / 9, a[:, :3], True, True),
        lambda a: fb.linalg.qr(a)[0] + fb.linalg.qr(a)[1],
        lambda a: fb.linalg.qr(a[:3])[0] @ fb.linalg.qr(a[:3])[1].sin(),
    ],
)
def test_gradients_of_lu_cholesky_and_solve_equal_those_on_the_cpu(function, n, host_calls):
    x = fb.randn(n, n, dtype=fb.float64) + 6 * fb.eye(n, dtype=fb.float64)
    there = gradients(function, x, "cuda")
    assert not host_calls()
    assert_close(there, gradients(function, x, "cpu"), rtol=1e-6, atol=1e-8)
