"""flambeau.array_api: linear algebra and Fourier transforms, against NumPy."""

from typing import NamedTuple

import numpy as np
import pytest
from array_api_cases import COMPLEX, REAL, REAL_NUMBERS, same

from flambeau import array_api as xp

lib, ref = xp.linalg, np.linalg


@pytest.mark.parametrize("name", REAL_NUMBERS + COMPLEX)
def test_array_api_matrix_products_match_numpy(name):
    generator = np.random.default_rng(0)
    x = generator.integers(0, 4, (2, 3, 4)).astype(name)
    y = generator.integers(0, 4, (4, 3)).astype(name)
    if name in COMPLEX:
        x, y = x + 1j * x[::-1], y - 2j * y
        x, y = x.astype(name), y.astype(name)
    s, t = xp.asarray(x), xp.asarray(y)
    same(xp.matmul(s, t), np.matmul(x, y))
    same(xp.matmul(s, t[:, 0]), np.matmul(x, y[:, 0]))
    same(xp.matrix_transpose(s), x.swapaxes(-1, -2))
    same(xp.tensordot(s, t, axes=1), np.tensordot(x, y, axes=1))
    same(xp.tensordot(s, t, axes=((1, 2), (1, 0))), np.tensordot(x, y, axes=((1, 2), (1, 0))))
    same(xp.tensordot(s, t, axes=0), np.tensordot(x, y, axes=0))
    same(xp.vecdot(s, t.T[:, :4]), np.vecdot(x, y.T))
    same(xp.vecdot(s, xp.asarray(x[::-1].copy()), axis=-2), np.vecdot(x, x[::-1], axis=-2))
    same(xp.linalg.outer(s[0, 0], t[:, 0]), np.outer(x[0, 0], y[:, 0]))
    same(xp.linalg.diagonal(s, offset=1), np.linalg.diagonal(x, offset=1))
    same(xp.linalg.trace(s, offset=-1), np.linalg.trace(x, offset=-1))


class Matrices(NamedTuple):
    """Two arbitrary matrices of a dtype, and a Hermitian positive definite one."""

    a: np.ndarray
    b: np.ndarray
    definite: np.ndarray


@pytest.fixture(params=REAL + COMPLEX)
def matrices(request):
    generator, name = np.random.default_rng(0), request.param
    a = generator.standard_normal((2, 3, 3))
    b = generator.standard_normal((2, 3, 2)).astype(name)
    if name in COMPLEX:
        a = a + 1j * generator.standard_normal((2, 3, 3))
    a = a.astype(name)
    return Matrices(a, b, (a @ a.conj().swapaxes(-1, -2) + np.eye(3)).astype(name))


def test_array_api_functions_of_matrices_match_numpy(matrices):
    a, definite = matrices.a, matrices.definite
    x, d = xp.asarray(a), xp.asarray(definite)
    same(lib.cross(x, d), ref.cross(a, definite))
    same(lib.det(x), ref.det(a))
    for function in ("inv", "pinv", "svdvals"):
        same(getattr(lib, function)(d), getattr(ref, function)(definite))
    for power in (-2, 0, 1, 3):
        same(lib.matrix_power(d, power), ref.matrix_power(definite, power))
    same(lib.matrix_rank(x), ref.matrix_rank(a))
    same(lib.matrix_rank(d, rtol=0.5), ref.matrix_rank(definite, rtol=0.5))
    sign, logarithm = lib.slogdet(x)
    same(sign, ref.slogdet(a).sign)
    same(logarithm, ref.slogdet(a).logabsdet)


def test_eigenvalues_match_numpy_and_satisfy_the_eigenvalue_equation(matrices):
    a, definite = matrices.a, matrices.definite
    x, d = xp.asarray(a), xp.asarray(definite)
    same(lib.eigvalsh(d), ref.eigvalsh(definite))
    values, vectors = lib.eigh(d)
    same(values, ref.eigh(definite).eigenvalues)
    same(xp.matmul(d, vectors), vectors.numpy() * values.numpy()[:, None, :])
    values, vectors = lib.eig(x)
    wide = xp.astype(x, values.dtype)
    same(xp.matmul(wide, vectors), vectors.numpy() * values.numpy()[:, None, :])
    same(xp.sum(lib.eigvals(x), axis=-1), np.trace(a, axis1=-2, axis2=-1).astype(values.numpy().dtype))


def test_factorizations_match_numpy_and_reproduce_the_matrix(matrices):
    b, definite = matrices.b, matrices.definite
    y, d = xp.asarray(b), xp.asarray(definite)
    same(lib.cholesky(d), ref.cholesky(definite))
    same(lib.cholesky(d, upper=True), ref.cholesky(definite, upper=True))
    q, r = lib.qr(y)
    assert q.shape == (2, 3, 2) and lib.qr(y, mode="complete").Q.shape == (2, 3, 3)
    same(xp.matmul(q, r), b)
    u, s, vh = lib.svd(y, full_matrices=False)
    same(xp.matmul(u * xp.astype(xp.expand_dims(s, -2), u.dtype), vh), b)
    assert lib.svd(y).U.shape == (2, 3, 3) and lib.svd(y)._fields == ("U", "S", "Vh")


def test_array_api_solve_matches_numpy(matrices):
    a, b = matrices.a, matrices.b
    x, y = xp.asarray(a), xp.asarray(b)
    same(lib.solve(x, y), ref.solve(a, b))
    same(lib.solve(x, y[0, :, 0]), np.stack([ref.solve(each, b[0, :, 0]) for each in a]))


def test_array_api_norms_match_numpy(matrices):
    a, x = matrices.a, xp.asarray(matrices.a)
    for order in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
        same(lib.matrix_norm(x, ord=order), ref.matrix_norm(a, ord=order))
    same(lib.matrix_norm(x, keepdims=True), ref.matrix_norm(a, keepdims=True))
    for order in (2, 1, 0, 3.5, np.inf, -np.inf):
        for axis in (None, 1, (0, 2)):
            same(lib.vector_norm(x, axis=axis, ord=order), ref.vector_norm(a, axis=axis, ord=order))
    same(lib.vector_norm(x, keepdims=True), ref.vector_norm(a, keepdims=True))


@pytest.mark.parametrize("name", REAL + COMPLEX)
def test_array_api_fourier_transforms_match_numpy(name):
    a = np.random.default_rng(0).standard_normal((3, 4)).astype(name)
    x = xp.asarray(a)
    for function in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"):
        if name in COMPLEX and function in ("rfft", "ihfft"):
            continue
        for options in ({}, {"n": 5}, {"axis": 0, "norm": "ortho"}):
            same(getattr(xp.fft, function)(x, **options), getattr(np.fft, function)(a, **options))
    for function in ("fftn", "ifftn", "rfftn", "irfftn"):
        if name in COMPLEX and function == "rfftn":
            continue
        for options in ({}, {"s": (2, 6), "axes": (0, 1)}, {"axes": (1,), "norm": "forward"}):
            same(getattr(xp.fft, function)(x, **options), getattr(np.fft, function)(a, **options))
    same(xp.fft.fftshift(x, axes=1), np.fft.fftshift(a, axes=1))
    same(xp.fft.ifftshift(x), np.fft.ifftshift(a))
    same(xp.fft.fftfreq(5, d=0.5, dtype=xp.float64), np.fft.fftfreq(5, d=0.5))
    same(xp.fft.rfftfreq(6, dtype=xp.float64), np.fft.rfftfreq(6))
    with pytest.raises(ValueError, match="int64"):
        xp.fft.fftfreq(5, dtype=xp.int64)
