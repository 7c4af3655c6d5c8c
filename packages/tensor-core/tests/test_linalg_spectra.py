"""Tests of flambeau.linalg: functions of eigenvalues and singular values, against NumPy, SciPy and identities."""

import numpy as np
import pytest
from matrices import DTYPES, RECTANGLES, SHAPES, close, conjugate_transpose, draw, hermitian, well_conditioned

import flambeau as fb
from flambeau import linalg
from flambeau.linalg import _one_thread

SMALL_AND_LARGE = [*SHAPES, (10, 10), (11, 11)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("UPLO", ["L", "U"])
@pytest.mark.parametrize("shape", SMALL_AND_LARGE)
def test_eigh_satisfies_the_eigenvalue_equation(shape, UPLO, dtype):
    a = hermitian(shape, dtype)
    rest = draw(shape, dtype, 1)
    given = a + (np.triu(rest, 1) if UPLO == "L" else np.tril(rest, -1))  # the triangle that is not read
    L, V = (t.numpy() for t in linalg.eigh(fb.from_numpy(given), UPLO))
    assert np.isrealobj(L)
    close(a @ V, V * L[..., None, :], dtype)
    close(conjugate_transpose(V) @ V, np.broadcast_to(np.eye(shape[-1]), shape), dtype)
    assert np.all(np.diff(L) >= 0)
    close(linalg.eigvalsh(fb.from_numpy(given), UPLO), L, dtype)
    close(L, np.linalg.eigvalsh(a), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("shape", [*RECTANGLES, (10, 9), (11, 3)])
def test_svd_reproduces_the_matrix(shape, full, dtype):
    a = draw(shape, dtype)
    m, n = shape[-2:]
    U, S, Vh = (t.numpy() for t in linalg.svd(fb.from_numpy(a), full))
    k = min(m, n)
    assert U.shape == (*shape[:-1], m if full else k) and Vh.shape == (*shape[:-2], n if full else k, n)
    close((U[..., :k] * S[..., None, :]) @ Vh[..., :k, :], a, dtype)
    close(
        conjugate_transpose(U) @ U, np.broadcast_to(np.eye(U.shape[-1]), (*shape[:-2], U.shape[-1], U.shape[-1])), dtype
    )
    close(
        Vh @ conjugate_transpose(Vh),
        np.broadcast_to(np.eye(Vh.shape[-2]), (*shape[:-2], Vh.shape[-2], Vh.shape[-2])),
        dtype,
    )
    assert np.isrealobj(S) and np.all(S >= 0) and np.all(np.diff(S) <= 0)
    close(linalg.svdvals(fb.from_numpy(a)), S, dtype)
    if a.size:
        close(S, np.linalg.svd(a, compute_uv=False), dtype)
    U, S, V = fb.svd(fb.from_numpy(a), some=not full)
    close((U.numpy()[..., :k] * S.numpy()[..., None, :]) @ conjugate_transpose(V.numpy()[..., :k]), a, dtype)


def test_svd_out_of_memory_names_the_input():
    matrices = fb.empty(5000, 3, 10**6, 0)  # the left singular vectors would need more than the address space
    message = r"linalg.svd: out of memory .* shape \(5000, 3, 1000000, 0\) and dtype flambeau.float32"
    with pytest.raises(RuntimeError, match=message):
        fb.linalg.svd(matrices)


@pytest.mark.parametrize("n", [4, 9, 20])
@pytest.mark.parametrize("rank", [0, 1, 2])
def test_svd_of_low_rank_matrices_has_orthogonal_factors(n, rank):
    a = draw((n, rank)) @ draw((rank, n - 1), seed=1)
    U, S, Vh = (t.numpy() for t in linalg.svd(fb.from_numpy(a)))
    close((U[:, : n - 1] * S) @ Vh, a, "float64")
    close(U.T @ U, np.eye(n), "float64")
    close(Vh @ Vh.T, np.eye(n - 1), "float64")
    assert linalg.matrix_rank(fb.from_numpy(a)).item() == rank


def test_eigh_and_svd_are_accurate_for_repeated_and_extreme_values():
    for scale in (1e-290, 1e-150, 1.0, 1e150, 1e290):
        a = np.diag([1.0, 1.0, 2.0]) * scale
        for values in (linalg.eigvalsh(fb.from_numpy(a)).numpy(), linalg.svdvals(fb.from_numpy(a)).numpy()[::-1]):
            np.testing.assert_allclose(values, np.array([1.0, 1.0, 2.0]) * scale, rtol=1e-15)


@pytest.mark.parametrize("n", [3, 20])
def test_nonfinite_matrices_raise(n):
    for value in (np.nan, np.inf):
        a = np.eye(n)
        a[1, 0] = value
        with pytest.raises(linalg.LinAlgError, match="converge"):
            linalg.svd(fb.from_numpy(a))
        with pytest.raises(linalg.LinAlgError, match="converge"):
            linalg.svdvals(fb.from_numpy(a))
        with pytest.raises(RuntimeError, match="infs or NaNs"):
            linalg.eig(fb.from_numpy(a))
        L, V = linalg.eigh(fb.from_numpy(np.stack([a, np.eye(n)])))
        assert L[0].isnan().all() and V[0].isnan().all() and (L[1] == 1).all()
        assert linalg.eigvalsh(fb.from_numpy(a)).isnan().all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_eig_satisfies_the_eigenvalue_equation(shape, dtype):
    a = draw(shape, dtype)
    L, V = (t.numpy() for t in linalg.eig(fb.from_numpy(a)))
    assert L.dtype == V.dtype == np.result_type(dtype, np.complex64)
    close(a @ V, V * L[..., None, :], dtype, 10)
    got, want = (np.sort_complex(x.ravel()) for x in (linalg.eigvals(fb.from_numpy(a)).numpy(), L))
    close(got, want, dtype, 10 * max(1, shape[-1]))
    assert linalg.eig(fb.eye(2)).eigenvalues.is_complex()


SCALED = np.diag(10.0 ** np.arange(6))
SPECIAL = {
    "zero": np.zeros((4, 4)),
    "identity": np.eye(5),
    "nilpotent": np.eye(4, k=1),
    "a cycle": np.eye(4, k=1) + np.eye(4, k=-3),
    "of rank 1": np.ones((5, 5)),
    "triangular": np.tril(np.arange(1.0, 26).reshape(5, 5)),
    "a rotation": np.array([[0.6, -0.8], [0.8, 0.6]]),
    "symmetric": hermitian((6, 6), "float64"),
    "badly scaled": SCALED @ draw((6, 6)) @ np.linalg.inv(SCALED),
    "huge": draw((5, 5)) * 1e200,
    "tiny": draw((5, 5)) * 1e-200,
    "24 rows": draw((24, 24)),
    "25 rows": draw((25, 25)),
}


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("a", SPECIAL.values(), ids=SPECIAL)
def test_eig_of_special_matrices_satisfies_the_eigenvalue_equation(a, dtype):
    L, V = (t.numpy() for t in linalg.eig(fb.from_numpy(a.astype(dtype))))
    size = np.abs(a).max() or 1
    assert np.abs((a / size) @ V - V * (L / size)).max() < 1e-13 * len(a)
    assert np.allclose(np.linalg.norm(V, axis=0), 1, rtol=0, atol=1e-14 * len(a))
    close(np.sum(L) / size, np.trace(a) / size, "float64", 10)


def test_real_matrices_have_real_eigenvalues_or_conjugate_pairs():
    assert not linalg.eigvals(fb.from_numpy(SPECIAL["symmetric"])).imag.any()
    L, V = (t.numpy() for t in linalg.eig(fb.from_numpy(draw((9, 9)))))
    assert set(L) == set(L.conj()) and np.all(V[:, L.imag == 0].imag == 0)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: linalg.vector_norm(fb.tensor([1, 2])), RuntimeError, "floating point or complex"),
        (lambda: linalg.vector_norm(fb.empty(0), np.inf), RuntimeError, "identity"),
        (lambda: linalg.vector_norm(fb.empty(2, 0), -1, dim=1), RuntimeError, "identity"),
        (lambda: linalg.matrix_norm(fb.ones(2)), RuntimeError, "at least 2"),
        (lambda: linalg.matrix_norm(fb.ones(2, 2), 3), RuntimeError, "not supported"),
        (lambda: linalg.matrix_norm(fb.ones(2, 2), "f"), RuntimeError, "not supported"),
        (lambda: linalg.matrix_norm(fb.ones(2, 2), dim=(0, 0)), RuntimeError, "different"),
        (lambda: linalg.matrix_norm(fb.ones(2, 2), dim=(0, 2)), IndexError, "out of range"),
        (lambda: linalg.matrix_norm(fb.ones(2, 2), dim=(0,)), RuntimeError, "2-tuple"),
        (lambda: linalg.norm(fb.ones(2, 2, 2), 2), RuntimeError, "1D or 2D"),
        (lambda: linalg.cond(fb.ones(2, 2), 7), RuntimeError, "invalid norm type"),
        (lambda: linalg.eigh(fb.eye(2), "X"), RuntimeError, "UPLO"),
        (lambda: linalg.svd(fb.eye(2), driver="gesvd"), RuntimeError, "driver"),
        (lambda: linalg.lstsq(fb.eye(2), fb.ones(2, 1), driver="x"), RuntimeError, "driver"),
        (lambda: linalg.lstsq(fb.eye(2), fb.ones(3, 1)), RuntimeError, "match"),
        (lambda: linalg.multi_dot([fb.eye(2)]), RuntimeError, "at least 2 tensors"),
        (lambda: linalg.multi_dot([fb.eye(2), fb.ones(3, 3), fb.eye(3)]), RuntimeError, "cannot be multiplied"),
        (lambda: linalg.cross(fb.ones(3), fb.ones(1, 3)), RuntimeError, "same number of dimensions"),
        (lambda: linalg.cross(fb.ones(2), fb.ones(2)), RuntimeError, "length 3"),
        (lambda: linalg.matrix_power(fb.zeros(2, 2), -1), linalg.LinAlgError, "singular"),
        (lambda: linalg.tensorinv(fb.ones(2, 3)), RuntimeError, "requirement"),
        (lambda: linalg.tensorsolve(fb.ones(2, 3), fb.ones(2)), RuntimeError, "requirement"),
        (lambda: linalg.ldl_solve(fb.eye(2), fb.full((2,), 5, dtype=fb.int32), fb.ones(2, 1)), RuntimeError, "pivots"),
        (lambda: fb.svd_lowrank(fb.eye(3), q=4), ValueError, "min"),
    ],
)
def test_spectral_functions_reject_invalid_arguments(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


def test_svd_lowrank_and_pca_lowrank_reproduce_low_rank_matrices():
    a = draw((2, 30, 4)) @ draw((2, 4, 20), seed=1)
    U, S, V = fb.svd_lowrank(fb.from_numpy(a), q=6)
    close((U * S.unsqueeze(-2)) @ V.mT, a, "float64", 10)
    U, S, V = fb.pca_lowrank(fb.from_numpy(a), q=5)
    close((U * S.unsqueeze(-2)) @ V.mT, a - a.mean(-2, keepdims=True), "float64", 10)


UFUNCS = {"eigh": "eigh_lo", "svd": "svd_f", "eig": "eig"}


@pytest.mark.parametrize("function", list(UFUNCS))
def test_lapack_uses_one_thread(monkeypatch, function):
    if _one_thread._controls is None:
        pytest.skip("NumPy is not linked with OpenBLAS")
    set_threads, get_threads = _one_thread._controls
    seen, former, ufunc = [], get_threads(), getattr(np.linalg._umath_linalg, UFUNCS[function])

    def watched(*args, **kwargs):
        with _one_thread.one_thread():  # another thread's call, which ends earlier
            pass
        seen.append(get_threads())
        return ufunc(*args, **kwargs)

    monkeypatch.setattr(np.linalg._umath_linalg, UFUNCS[function], watched)
    set_threads(2)
    try:
        getattr(linalg, function)(fb.from_numpy(well_conditioned((40, 40))))
        assert seen == [1] and get_threads() == 2
        monkeypatch.setattr(np.linalg._umath_linalg, UFUNCS[function], _not_converging)
        with pytest.raises(linalg.LinAlgError):
            getattr(linalg, function)(fb.from_numpy(well_conditioned((40, 40))))
        assert get_threads() == 2
    finally:
        set_threads(former)


def _not_converging(array):
    return np.sqrt(-np.abs(array))  # like LAPACK's failures, NaN and an invalid operation


@pytest.mark.parametrize("function", [*UFUNCS, "eigvalsh", "eigvals", "svdvals"])
def test_spectra_without_the_ufuncs_of_numpy_are_the_same(monkeypatch, function):
    a = fb.from_numpy(well_conditioned((8, 8)))
    by_ufunc = getattr(linalg, function)(a)
    for name in ("eigh_lo", "eigvalsh_lo", "svd_f", "svd", "eig", "eigvals"):
        monkeypatch.delattr(np.linalg._umath_linalg, name)
    fb.testing.assert_close(getattr(linalg, function)(a), by_ufunc)


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_spectra_have_the_precision_of_the_input(dtype):
    a = draw((30, 30), dtype)
    U, S, Vh = linalg.svd(fb.from_numpy(a))
    close((U * S) @ Vh, a, "float32", 100)
    values, vectors = linalg.eigh(fb.from_numpy(a @ a.conj().T))
    close((vectors * values) @ vectors.mH, a @ a.conj().T, "float32", 1000)
    assert U.dtype == vectors.dtype == fb.from_numpy(a).dtype and S.dtype == values.dtype == fb.float32
