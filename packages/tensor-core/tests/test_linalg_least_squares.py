"""flambeau.linalg: pseudo-inverses, least squares, indefinite factorizations, against NumPy, SciPy and identities."""

import numpy as np
import pytest
import scipy.linalg
from matrices import DTYPES, RECTANGLES, close, conjugate_transpose, draw, hermitian

import flambeau as fb
from flambeau import linalg


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", RECTANGLES)
def test_pinv_satisfies_the_moore_penrose_conditions(shape, dtype):
    a = draw(shape, dtype)
    P = linalg.pinv(fb.from_numpy(a)).numpy()
    assert P.shape == (*shape[:-2], shape[-1], shape[-2])
    close(a @ P @ a, a, dtype, 10)
    close(conjugate_transpose(a @ P), a @ P, dtype, 10)
    close(conjugate_transpose(P @ a), P @ a, dtype, 10)
    close(fb.pinverse(fb.from_numpy(a)), P, dtype, 10)


def test_pinv_and_matrix_rank_ignore_singular_values_below_the_tolerance():
    a = np.diag([1.0, 1e-3, 1e-6])
    for options, kept in (
        ({"atol": 1e-4}, 2),
        ({"rtol": 1e-2}, 1),
        ({"rtol": fb.tensor(1e-4, dtype=fb.float64)}, 2),
        ({}, 3),
    ):
        assert np.count_nonzero(np.diag(linalg.pinv(fb.from_numpy(a), **options).numpy())) == kept
        assert linalg.matrix_rank(fb.from_numpy(a), **options).item() == kept
    close(
        linalg.pinv(fb.from_numpy(hermitian((4, 4), "float64")), hermitian=True)
        @ fb.from_numpy(hermitian((4, 4), "float64")),
        np.eye(4),
        "float64",
        10,
    )
    stacked = fb.from_numpy(np.stack([a, a]))
    limits = fb.tensor([1e-4, 1e-2], dtype=fb.float64)
    assert linalg.matrix_rank(stacked, atol=limits).tolist() == [2, 1]
    assert linalg.matrix_rank(stacked, 1e-4).tolist() == [2, 2]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("driver", ["gels", "gelsy", "gelsd", "gelss", None])
@pytest.mark.parametrize("shape", [(4, 4), (7, 3), (3, 7), (2, 30, 20), (2, 20, 30)])
def test_lstsq_matches_the_pseudo_inverse(shape, driver, dtype):
    a, b = draw(shape, dtype), draw((*shape[:-1], 2), dtype, 1)
    X, residuals, rank, S = linalg.lstsq(fb.from_numpy(a), fb.from_numpy(b), driver=driver)
    want = np.linalg.pinv(a) @ b
    close(X, want, dtype, 50)
    m, n = shape[-2:]
    if m > n and driver in ("gels", "gelsd", "gelss"):
        close(residuals, (np.abs(a @ want - b) ** 2).sum(-2), dtype, 50)
    else:
        assert residuals.numel() == 0
    assert rank.shape == ((0,) if driver == "gels" else shape[:-2])
    assert S.numel() == (0 if driver in ("gels", "gelsy", None) else np.prod(shape[:-2], dtype=int) * min(m, n))
    vector = linalg.lstsq(fb.from_numpy(a), fb.from_numpy(b[..., 0].copy()), driver=driver).solution
    close(vector, want[..., 0], dtype, 50)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(2, 5, 4), (2, 4, 5), (2, 4, 4)])
def test_lstsq_of_rank_deficient_matrices_matches_the_pseudo_inverse(shape, dtype):
    a, b = draw(shape, dtype), draw((*shape[:-1], 2), dtype, 1)
    a[0, :, 2] = 2 * a[0, :, 1]
    a[0, 2] = a[0, 0]
    found = linalg.lstsq(fb.from_numpy(a), fb.from_numpy(b))
    small = 1e-4 if np.finfo(dtype).eps > 1e-10 else 1e-12
    close(found.solution, np.linalg.pinv(a, small) @ b, dtype, 100)
    assert found.rank.tolist() == np.linalg.matrix_rank(a, tol=small).tolist()
    nearly = fb.tensor([[1.0, 0.0], [0.0, 1e-3]], dtype=fb.from_numpy(a).dtype)
    ones = fb.ones(2, 1, dtype=nearly.dtype)
    assert linalg.lstsq(nearly, ones, rcond=1e-2).rank.item() == 1
    assert linalg.lstsq(nearly, ones, rcond=1e-4).rank.item() == 2


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(40, 40), (60, 40), (40, 60), (1, 40), (150, 150)], ids=str)
@pytest.mark.parametrize("falling", [False, True])
def test_lstsq_ignores_singular_values_below_the_tolerance(falling, shape, dtype):
    count, limit = min(shape), np.finfo(dtype).eps * max(shape)
    smallest = limit * np.array([10, 3, 0.3, 0.1])
    values = np.geomspace(1, smallest, count, axis=1) if falling else np.ones((4, count))
    if count > 1:
        values[:, -1] = smallest
    u, _ = np.linalg.qr(draw((4, shape[0], count), dtype))
    v, _ = np.linalg.qr(draw((4, shape[1], count), dtype, 1))
    a = ((u * values[:, None]) @ conjugate_transpose(v)).astype(dtype)
    found = linalg.lstsq(fb.from_numpy(a), fb.ones(4, shape[0], 2, dtype=fb.from_numpy(a).dtype))
    want = (np.linalg.svd(a.astype("complex128"), compute_uv=False) > limit).sum(1)
    assert found.rank.tolist() == want.tolist()
    if not falling and count > 1:
        assert want.tolist() == [count, count, count - 1, count - 1]


def test_gels_rejects_matrices_without_full_rank():
    for matrix in (fb.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]), fb.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])):
        with pytest.raises(linalg.LinAlgError, match="1 of 1 input matrices do not have full rank"):
            linalg.lstsq(matrix, fb.ones(len(matrix), 1), driver="gels")
    with pytest.raises(linalg.LinAlgError, match="1 of 2 input matrices"):
        linalg.lstsq(fb.stack([fb.eye(2), fb.tensor([[1.0, 0.0], [0.0, 0.0]])]), fb.ones(2, 2, 1), driver="gels")


def test_gels_solves_matrices_of_zeros_by_zeros():
    matrices = fb.stack([fb.eye(2), fb.zeros(2, 2)])
    found = linalg.lstsq(matrices, fb.ones(2, 2, 1), driver="gels").solution
    assert found.tolist() == [[[1.0], [1.0]], [[0.0], [0.0]]]
    assert linalg.lstsq(fb.full((3, 2), fb.nan), fb.ones(3, 1), driver="gels").solution.isnan().all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("hermitian_matrix", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (6, 6), (2, 3, 3), (25, 25), (0, 0), (0, 3, 3)])
def test_ldl_solve_finds_the_solution(shape, hermitian_matrix, dtype):
    a = draw(shape, dtype)
    a = a + (conjugate_transpose(a) if hermitian_matrix else a.swapaxes(-1, -2))
    a = a * (1 - 0.9 * np.eye(shape[-1])).astype(dtype)  # a small diagonal requires 2x2 pivots
    b = draw((*shape[:-1], 2), dtype, 1)
    LD, pivots = linalg.ldl_factor(fb.from_numpy(a), hermitian=hermitian_matrix)
    close(a @ linalg.ldl_solve(LD, pivots, fb.from_numpy(b), hermitian=hermitian_matrix).numpy(), b, dtype, 50)
    if len(shape) == 2 and shape[0]:
        name = "hetrf" if hermitian_matrix and dtype.startswith("complex") else "sytrf"
        (lapack,) = scipy.linalg.get_lapack_funcs((name,), (a,))
        want, ipiv, _ = lapack(a, lower=1)
        close(LD, np.tril(want), dtype, 50)
        assert np.array_equal(pivots.numpy(), ipiv)
    assert linalg.ldl_factor_ex(fb.zeros(2, 2)).info.item() == 1
