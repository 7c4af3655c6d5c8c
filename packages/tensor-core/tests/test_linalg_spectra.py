"""flambeau.linalg: eigenvalues, singular values and what is made of them, against NumPy, SciPy and identities."""

import numpy as np
import pytest
import scipy.linalg

import flambeau as fb
from flambeau import linalg
from flambeau.linalg import _one_thread

SHAPES = [(1, 1), (3, 3), (2, 5, 5), (2, 1, 4, 4), (40, 40), (130, 130), (0, 3, 3), (0, 0), (2, 0, 0)]
RECTANGLES = [*SHAPES, (3, 5), (5, 3), (2, 7, 4), (2, 4, 7), (100, 70), (70, 100), (0, 3), (3, 0), (2, 3, 0)]
DTYPES = [d for d in ("float32", "float64", "complex64", "complex128") if hasattr(fb, d)]


def draw(shape, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape)
    if dtype.startswith("complex"):
        values = values + 1j * rng.standard_normal(shape)
    return values.astype(dtype)


def well_conditioned(shape, dtype="float64", seed=0):
    return (draw(shape, dtype, seed) + 3 * np.sqrt(shape[-1]) * np.eye(shape[-1])).astype(dtype)


def close(got, want, dtype, scale=1.0):
    """Equal but for rounding errors of `scale` times the size of the problem."""
    got = got.numpy() if isinstance(got, fb.Tensor) else got
    want = np.asarray(want)
    assert got.shape == want.shape
    eps = np.finfo(dtype).eps
    largest = np.abs(want).max() if want.size else 0
    size = max(1, *want.shape[-2:]) if want.ndim > 1 else max(1, want.size)
    assert np.all(np.abs(got - want) <= 50 * scale * eps * size * max(largest, 1)), np.abs(got - want).max()


def turned(a):
    return a.conj().swapaxes(-1, -2)


SMALL_AND_LARGE = [*SHAPES, (10, 10), (11, 11)]


def hermitian(shape, dtype):
    a = draw(shape, dtype)
    return a + turned(a)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("UPLO", ["L", "U"])
@pytest.mark.parametrize("shape", SMALL_AND_LARGE)
def test_eigh(shape, UPLO, dtype):
    a = hermitian(shape, dtype)
    rest = draw(shape, dtype, 1)
    given = a + (np.triu(rest, 1) if UPLO == "L" else np.tril(rest, -1))  # what is not read
    L, V = (t.numpy() for t in linalg.eigh(fb.from_numpy(given), UPLO))
    assert np.isrealobj(L)
    close(a @ V, V * L[..., None, :], dtype)
    close(turned(V) @ V, np.broadcast_to(np.eye(shape[-1]), shape), dtype)
    assert np.all(np.diff(L) >= 0)
    close(linalg.eigvalsh(fb.from_numpy(given), UPLO), L, dtype)
    close(L, np.linalg.eigvalsh(a), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("shape", [*RECTANGLES, (10, 9), (11, 3)])
def test_svd(shape, full, dtype):
    a = draw(shape, dtype)
    m, n = shape[-2:]
    U, S, Vh = (t.numpy() for t in linalg.svd(fb.from_numpy(a), full))
    k = min(m, n)
    assert U.shape == (*shape[:-1], m if full else k) and Vh.shape == (*shape[:-2], n if full else k, n)
    close((U[..., :k] * S[..., None, :]) @ Vh[..., :k, :], a, dtype)
    close(turned(U) @ U, np.broadcast_to(np.eye(U.shape[-1]), (*shape[:-2], U.shape[-1], U.shape[-1])), dtype)
    close(Vh @ turned(Vh), np.broadcast_to(np.eye(Vh.shape[-2]), (*shape[:-2], Vh.shape[-2], Vh.shape[-2])), dtype)
    assert np.isrealobj(S) and np.all(S >= 0) and np.all(np.diff(S) <= 0)
    close(linalg.svdvals(fb.from_numpy(a)), S, dtype)
    if a.size:
        close(S, np.linalg.svd(a, compute_uv=False), dtype)
    U, S, V = fb.svd(fb.from_numpy(a), some=not full)
    close((U.numpy()[..., :k] * S.numpy()[..., None, :]) @ turned(V.numpy()[..., :k]), a, dtype)


@pytest.mark.parametrize("n", [4, 9, 20])
@pytest.mark.parametrize("rank", [0, 1, 2])
def test_svd_of_few_directions(n, rank):
    a = draw((n, rank)) @ draw((rank, n - 1), seed=1)
    U, S, Vh = (t.numpy() for t in linalg.svd(fb.from_numpy(a)))
    close((U[:, : n - 1] * S) @ Vh, a, "float64")
    close(U.T @ U, np.eye(n), "float64")
    close(Vh @ Vh.T, np.eye(n - 1), "float64")
    assert linalg.matrix_rank(fb.from_numpy(a)).item() == rank


def test_spectra_of_repeated_and_extreme_values():
    for scale in (1e-290, 1e-150, 1.0, 1e150, 1e290):
        a = np.diag([1.0, 1.0, 2.0]) * scale
        for values in (linalg.eigvalsh(fb.from_numpy(a)).numpy(), linalg.svdvals(fb.from_numpy(a)).numpy()[::-1]):
            np.testing.assert_allclose(values, np.array([1.0, 1.0, 2.0]) * scale, rtol=1e-15)


@pytest.mark.parametrize("n", [3, 20])
def test_what_is_not_finite_is_told(n):
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
def test_eig(shape, dtype):
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
def test_eig_of_special_matrices(a, dtype):
    L, V = (t.numpy() for t in linalg.eig(fb.from_numpy(a.astype(dtype))))
    size = np.abs(a).max() or 1
    assert np.abs((a / size) @ V - V * (L / size)).max() < 1e-13 * len(a)
    assert np.allclose(np.linalg.norm(V, axis=0), 1, rtol=0, atol=1e-14 * len(a))
    close(np.sum(L) / size, np.trace(a) / size, "float64", 10)


def test_real_matrices_have_real_eigenvalues_or_conjugate_pairs():
    assert not linalg.eigvals(fb.from_numpy(SPECIAL["symmetric"])).imag.any()
    L, V = (t.numpy() for t in linalg.eig(fb.from_numpy(draw((9, 9)))))
    assert set(L) == set(L.conj()) and np.all(V[:, L.imag == 0].imag == 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", RECTANGLES)
def test_pinv(shape, dtype):
    a = draw(shape, dtype)
    P = linalg.pinv(fb.from_numpy(a)).numpy()
    assert P.shape == (*shape[:-2], shape[-1], shape[-2])
    close(a @ P @ a, a, dtype, 10)
    close(turned(a @ P), a @ P, dtype, 10)
    close(turned(P @ a), P @ a, dtype, 10)
    close(fb.pinverse(fb.from_numpy(a)), P, dtype, 10)


def test_pinv_cuts_small_singular_values():
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
def test_lstsq(shape, driver, dtype):
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
def test_lstsq_of_less_than_full_rank(shape, dtype):
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
@pytest.mark.parametrize("hermitian_matrix", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (6, 6), (2, 3, 3), (25, 25), (0, 0), (0, 3, 3)])
def test_ldl(shape, hermitian_matrix, dtype):
    a = draw(shape, dtype)
    a = a + (turned(a) if hermitian_matrix else a.swapaxes(-1, -2))
    a = a * (1 - 0.9 * np.eye(shape[-1])).astype(dtype)  # a small diagonal asks for blocks of two
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


@pytest.mark.parametrize("p", [0, 0.5, 1, 2, 3.5, -1, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_vector_norm(p, dtype):
    a = draw((3, 4, 5), dtype)
    for dim in (None, 1, (0, 2), -1):
        axes = tuple(range(3)) if dim is None else (dim,) if isinstance(dim, int) else dim
        flat = np.moveaxis(a, axes, range(-len(axes), 0)).reshape(
            *[n for i, n in enumerate(a.shape) if i not in [x % 3 for x in axes]], -1
        )
        want = np.linalg.norm(flat, p, axis=-1)
        for keepdim in (False, True):
            got = linalg.vector_norm(fb.from_numpy(a), p, dim, keepdim)
            close(got.reshape(want.shape), want, dtype, 10)
            assert not got.is_complex()
    close(linalg.norm(fb.from_numpy(a[0, 0])), np.linalg.norm(a[0, 0]), dtype)
    close(fb.norm(fb.from_numpy(a), p), np.linalg.norm(a.ravel(), p), dtype, 100)


@pytest.mark.parametrize("ord", ["fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_matrix_norm(ord, dtype):
    a = draw((2, 3, 4), dtype)
    close(linalg.matrix_norm(fb.from_numpy(a), ord), np.linalg.norm(a, ord, axis=(-2, -1)), dtype, 10)
    want = np.linalg.norm(a, ord, axis=(2, 0), keepdims=True)
    close(linalg.matrix_norm(fb.from_numpy(a), ord, (2, 0), True), want, dtype, 10)
    close(linalg.norm(fb.from_numpy(a[0]), ord), np.linalg.norm(a[0], ord), dtype, 10)
    square = well_conditioned((3, 3), dtype)
    close(linalg.cond(fb.from_numpy(square), ord), np.linalg.cond(square, ord), dtype, 100)
    assert linalg.cond(fb.zeros(2, 2), ord).item() == np.inf or ord == "nuc"


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
def test_bad_arguments(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [0, 1e-3, 0.1, 0.5, 1.5, 4, 30])
def test_matrix_exp(scale, dtype):
    a = (draw((3, 6, 6), dtype) * np.array([1, 0.1, 0])[:, None, None] * scale).astype(dtype)
    want = np.stack([scipy.linalg.expm(x.astype(np.result_type(dtype, np.float64))) for x in a])
    got = fb.matrix_exp(fb.from_numpy(a)).numpy()
    for one, other in zip(got, want, strict=True):
        size = np.abs(other).max()
        close(one / size, other / size, dtype, 10 * (1 + scale))


def test_matrix_exp_of_what_is_not_finite():
    got = fb.matrix_exp(fb.tensor([[[np.inf, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]]))
    assert got[0].isnan().all() and np.array_equal(got[1].numpy(), np.eye(2))


@pytest.mark.parametrize("n", [-3, -1, 0, 1, 2, 3, 7, 10])
def test_matrix_power(n):
    a = well_conditioned((2, 3, 3)) / 5
    close(linalg.matrix_power(fb.from_numpy(a), n), np.linalg.matrix_power(a, n), "float64", 100)
    assert fb.matrix_power(fb.from_numpy(a), 1).data_ptr() != a.ctypes.data


def test_products_of_several():
    arrays = [draw(s, seed=i) for i, s in enumerate([(3, 20), (20, 2), (2, 30), (30, 4)])]
    close(linalg.multi_dot([fb.from_numpy(a) for a in arrays]), np.linalg.multi_dot(arrays), "float64", 10)
    close(fb.chain_matmul(*[fb.from_numpy(a) for a in arrays]), np.linalg.multi_dot(arrays), "float64", 10)
    ends = [arrays[0][0], *arrays[1:-1], arrays[-1][:, 0]]
    close(
        linalg.multi_dot([fb.from_numpy(np.ascontiguousarray(a)) for a in ends]), np.linalg.multi_dot(ends), "float64"
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_products_of_vectors(dtype):
    x, y = draw((2, 3), dtype), draw((4, 1, 3), dtype, 1)
    close(linalg.vecdot(fb.from_numpy(x), fb.from_numpy(y)), (x.conj() * y).sum(-1), dtype)
    close(linalg.cross(fb.from_numpy(x[None]), fb.from_numpy(y)), np.cross(x[None], y), dtype)
    close(fb.vdot(fb.from_numpy(x[0]), fb.from_numpy(x[1])), np.vdot(x[0], x[1]), dtype)
    close(fb.ger(fb.from_numpy(x[0]), fb.from_numpy(x[1])), np.outer(x[0], x[1]), dtype)
    close(linalg.vander(fb.from_numpy(x), N=4), np.stack([np.vander(r, 4, increasing=True) for r in x]), dtype)


def test_tensor_equations():
    a = draw((2, 3, 6)) + 3 * np.eye(6).reshape(2, 3, 6)
    close(linalg.tensorinv(fb.from_numpy(a), 2), np.linalg.tensorinv(a, 2), "float64", 10)
    b = draw((2, 3), seed=1)
    close(linalg.tensorsolve(fb.from_numpy(a), fb.from_numpy(b)), np.linalg.tensorsolve(a, b), "float64", 10)
    moved = np.moveaxis(a, 2, 0).copy()
    close(linalg.tensorsolve(fb.from_numpy(moved), fb.from_numpy(b), (0,)), np.linalg.tensorsolve(a, b), "float64", 10)


def test_approximations_of_low_rank():
    a = draw((2, 30, 4)) @ draw((2, 4, 20), seed=1)
    U, S, V = fb.svd_lowrank(fb.from_numpy(a), q=6)
    close((U * S.unsqueeze(-2)) @ V.mT, a, "float64", 10)
    U, S, V = fb.pca_lowrank(fb.from_numpy(a), q=5)
    close((U * S.unsqueeze(-2)) @ V.mT, a - a.mean(-2, keepdims=True), "float64", 10)


def test_the_order_of_a_contraction_saves_work():
    from flambeau._contraction import best_order

    sizes = {"a": 1000, "b": 2, "c": 1000, "d": 3}
    assert best_order([("a", "b"), ("b", "c"), ("c", "d")], ("a", "d"), sizes)[0] == (1, 2)
    many = [(chr(97 + i), chr(98 + i)) for i in range(12)]
    assert len(best_order(many, ("a", "m"), {chr(97 + i): 2 for i in range(13)})) == 11
    chain = [fb.from_numpy(draw((2, 2), seed=i)) for i in range(12)]
    equation = ",".join(a + b for a, b in many) + "->am"
    want = np.linalg.multi_dot([t.numpy() for t in chain])
    close(fb.einsum(equation, *chain), want, "float64", 100)


@pytest.mark.parametrize("function", ["eigh", "svd", "eig"])
def test_lapack_computes_in_the_calling_thread_alone(monkeypatch, function):
    if _one_thread._controls is None:
        pytest.skip("NumPy is not linked with OpenBLAS")
    set_threads, get_threads = _one_thread._controls
    seen, former, numpys = [], get_threads(), getattr(np.linalg, function)

    def watched(*args, **kwargs):
        with _one_thread.one_thread():  # another thread's call, which ends earlier
            pass
        seen.append(get_threads())
        return numpys(*args, **kwargs)

    monkeypatch.setattr(np.linalg, function, watched)
    set_threads(2)
    try:
        getattr(linalg, function)(fb.from_numpy(well_conditioned((40, 40))))
        assert seen == [1] and get_threads() == 2
        monkeypatch.setattr(np.linalg, function, _not_converging)
        with pytest.raises(linalg.LinAlgError):
            getattr(linalg, function)(fb.from_numpy(well_conditioned((40, 40))))
        assert get_threads() == 2
    finally:
        set_threads(former)


def _not_converging(*args, **kwargs):
    raise np.linalg.LinAlgError("did not converge")
