"""Tests of flambeau.linalg: factorizations and equations, against NumPy, SciPy and their definitions."""

import doctest
import inspect

import numpy as np
import pytest
import scipy.linalg
from matrices import DTYPES, RECTANGLES, SHAPES, close, conjugate_transpose, draw, well_conditioned

import flambeau as fb
from flambeau import _core, linalg


def positive(shape, dtype="float64", seed=0):
    a = draw(shape, dtype, seed)
    return (a @ a.conj().swapaxes(-1, -2) + shape[-1] * np.eye(shape[-1])).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", RECTANGLES)
def test_lu_reproduces_the_matrix(shape, dtype):
    a = draw(shape, dtype)
    P, L, U = linalg.lu(fb.from_numpy(a))
    k = min(shape[-2:])
    assert L.shape[-2:] == (shape[-2], k) and U.shape[-2:] == (k, shape[-1])
    close(P.numpy() @ L.numpy() @ U.numpy(), a, dtype)
    assert np.all(np.triu(L.numpy(), 1) == 0) and np.all(np.tril(U.numpy(), -1) == 0)
    assert np.all(np.abs(L.numpy()) <= np.sqrt(2) + 1e-5)  # pivoted by the largest |re| + |im|
    unpacked = fb.lu_unpack(*linalg.lu_factor_ex(fb.from_numpy(a))[:2])
    for one, other in zip((P, L, U), unpacked, strict=True):
        assert np.array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape", [(1, 1), (2, 2), (7, 7), (33, 33), (65, 65), (200, 200), (129, 1), (150, 31), (131, 180), (300, 70)]
)
def test_lu_pivots_are_those_of_lapack(shape, dtype):
    a = draw(shape, dtype)
    want, pivots, _ = scipy.linalg.get_lapack_funcs("getrf", [a])(a)
    got = linalg.lu_factor(fb.from_numpy(a))
    close(got.LU, want, dtype, 10)
    assert np.array_equal(got.pivots.numpy(), pivots + 1)
    assert got.pivots.dtype is fb.int32


@pytest.mark.parametrize("rows", [6, 200])
def test_lu_of_zeros_and_nan_counts_the_first_zero_pivot(rows):
    a = draw((rows, 5))
    a[:, [1, 3]] = 0
    assert linalg.lu_factor_ex(fb.from_numpy(a)).info.item() == 2
    assert linalg.lu_factor_ex(fb.zeros(rows, 5)).info.item() == 1
    a[2, 4] = np.nan
    LU, pivots, _ = linalg.lu_factor_ex(fb.from_numpy(a))
    assert LU.isnan().any() and pivots.min() >= 1 and pivots.max() <= rows


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [0, 1, 3, 80])
@pytest.mark.parametrize("shape", SHAPES)
def test_solve_and_lu_solve_find_the_solution(shape, columns, dtype):
    a, x = well_conditioned(shape, dtype), draw((*shape[:-1], columns), dtype, 1)
    close(linalg.solve(fb.from_numpy(a), fb.from_numpy(a @ x)), x, dtype)
    close(linalg.solve(fb.from_numpy(a), fb.from_numpy(x.swapaxes(-1, -2) @ a), left=False), x.swapaxes(-1, -2), dtype)
    LU, pivots = linalg.lu_factor(fb.from_numpy(a))
    close(linalg.lu_solve(LU, pivots, fb.from_numpy(a @ x)), x, dtype)
    close(linalg.lu_solve(LU, pivots, fb.from_numpy(conjugate_transpose(a) @ x), adjoint=True), x, dtype)
    close(fb.lu_solve(fb.from_numpy(a @ x), LU, pivots), x, dtype)
    for adjoint, used in ((False, a), (True, conjugate_transpose(a))):
        got = linalg.lu_solve(LU, pivots, fb.from_numpy(x.swapaxes(-1, -2) @ used), left=False, adjoint=adjoint)
        close(got, x.swapaxes(-1, -2), dtype)


def test_solve_takes_vectors_and_broadcasts():
    a, b = well_conditioned((2, 3, 4, 4)), draw((3, 4, 2), seed=1)
    close(linalg.solve(fb.from_numpy(a), fb.from_numpy(b)), np.linalg.solve(a, b), "float64")
    close(linalg.solve(fb.from_numpy(a[0, 0]), fb.from_numpy(b)), np.linalg.solve(a[0, 0], b), "float64")
    vectors = draw((2, 3, 4), seed=2)
    want = np.linalg.solve(a, vectors[..., None])[..., 0]
    close(linalg.solve(fb.from_numpy(a), fb.from_numpy(vectors)), want, "float64")
    one = linalg.solve(fb.from_numpy(a), fb.from_numpy(vectors[0, 0]))
    close(one, np.linalg.solve(a, vectors[0, 0][:, None])[..., 0], "float64")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_inverse_and_determinant_match_numpy(shape, dtype):
    a = well_conditioned(shape, dtype)
    close(linalg.inv(fb.from_numpy(a)) @ fb.from_numpy(a), np.broadcast_to(np.eye(shape[-1]), shape), dtype)
    want = np.linalg.det(a.astype("complex128" if np.iscomplexobj(a) else "float64"))
    if np.all(np.abs(want) < np.finfo(dtype).max):
        close(linalg.det(fb.from_numpy(a)).numpy() / want, np.ones(shape[:-2]), dtype, shape[-1] + 1)
    sign, logarithm = np.linalg.slogdet(a)
    got = linalg.slogdet(fb.from_numpy(a))
    close(got.sign, sign, dtype, shape[-1] + 1)
    close(got.logabsdet, logarithm, dtype, shape[-1] + 1)
    close(fb.logdet(fb.from_numpy(positive(shape, dtype))), np.linalg.slogdet(positive(shape, dtype))[1], dtype, 50)


def test_linalg_functions_write_no_output_if_one_is_rejected():
    sign, logarithm = fb.zeros(3), fb.zeros(1).expand(3)
    with pytest.raises(RuntimeError, match="single memory location"):
        linalg.slogdet(fb.eye(2).repeat(3, 1, 1), out=(sign, logarithm))
    assert sign.tolist() == [0, 0, 0]


def test_determinants_of_permutations_and_singular_matrices_are_exact():
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 6, 7):
        a = np.eye(n)[rng.permutation(n)]
        assert linalg.det(fb.from_numpy(a)).item() == round(np.linalg.det(a))
    singular = fb.tensor([[1.0, 2.0], [2.0, 4.0]])
    assert linalg.det(singular).item() == 0
    assert [t.item() for t in linalg.slogdet(singular)] == [0, -np.inf]
    assert np.isnan(fb.logdet(fb.tensor([[-1.0]])).item())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_cholesky_reproduces_the_matrix(shape, upper, dtype):
    a = positive(shape, dtype)
    other = np.tril(draw(shape, dtype, 3), -1)  # the triangle that is not read
    L = linalg.cholesky(fb.from_numpy(a + (other if upper else conjugate_transpose(other))), upper=upper).numpy()
    assert np.all((np.tril(L, -1) if upper else np.triu(L, 1)) == 0)
    close(conjugate_transpose(L) @ L if upper else L @ conjugate_transpose(L), a, dtype)
    x = draw((*shape[:-1], 3), dtype, 1)
    close(fb.cholesky_solve(fb.from_numpy(a @ x), fb.from_numpy(L), upper), x, dtype, 10)
    close(
        fb.cholesky_inverse(fb.from_numpy(L), upper) @ fb.from_numpy(a),
        np.broadcast_to(np.eye(shape[-1]), shape),
        dtype,
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_solve_triangular_finds_the_solution(shape, left, unit, upper, dtype):
    a = draw(shape, dtype) / max(1, shape[-1]) + 2 * np.eye(shape[-1]).astype(dtype)
    used = np.triu(a) if upper else np.tril(a)
    if unit:
        used = used - used * np.eye(shape[-1]) + np.eye(shape[-1])
    x = draw((*shape[:-1], 5) if left else (*shape[:-2], 5, shape[-1]), dtype, 1)
    b = (used @ x if left else x @ used).astype(dtype)
    got = linalg.solve_triangular(fb.from_numpy(a), fb.from_numpy(b), upper=upper, left=left, unitriangular=unit)
    close(got, x, dtype, 10)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", RECTANGLES)
def test_qr_reproduces_the_matrix_with_the_signs_of_lapack(shape, dtype):
    a = draw(shape, dtype)
    m, n = shape[-2:]
    for mode in ("reduced", "complete"):
        Q, R = linalg.qr(fb.from_numpy(a), mode)
        k = min(m, n) if mode == "reduced" else m
        assert Q.shape == (*shape[:-1], k) and R.shape == (*shape[:-2], k, n)
        close(Q.numpy() @ R.numpy(), a, dtype)
        close(conjugate_transpose(Q.numpy()) @ Q.numpy(), np.broadcast_to(np.eye(k), (*shape[:-2], k, k)), dtype)
        assert np.all(np.tril(R.numpy(), -1) == 0)
    empty, R = linalg.qr(fb.from_numpy(a), "r")
    assert empty.numel() == 0
    assert np.array_equal(R.numpy(), linalg.qr(fb.from_numpy(a))[1].numpy())
    want = np.linalg.qr(a)[1] if a.size else R.numpy()
    close(R, want, dtype, 10)  # R has the same signs as LAPACK's


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize(("m", "k"), [(5, 3), (4, 4), (100, 60), (7, 0)])
def test_geqrf_and_householder_product_equal_qr(m, k, transpose, left, dtype):
    a = draw((2, m, k), dtype)
    packed, tau = fb.geqrf(fb.from_numpy(a))
    Q = linalg.qr(fb.from_numpy(a), "complete")[0].numpy()
    close(linalg.householder_product(packed, tau), Q[..., :k], dtype)
    close(fb.orgqr(packed, tau), Q[..., :k], dtype)
    used = conjugate_transpose(Q) if transpose else Q
    c = draw((2, m, 6) if left else (2, 6, m), dtype, 1)
    close(fb.ormqr(packed, tau, fb.from_numpy(c), left, transpose), used @ c if left else c @ used, dtype)


@pytest.mark.parametrize("rows", [6, 200])
def test_qr_of_extreme_numbers_neither_overflows_nor_underflows(rows):
    for scale in (1e-300, 1e-160, 1e160, 1e300):
        a = draw((rows, 4)) * scale
        Q, R = linalg.qr(fb.from_numpy(a))
        close(Q.numpy() @ (R.numpy() / scale), a / scale, "float64")
        close(Q.numpy().T @ Q.numpy(), np.eye(4), "float64")
    for dtype, scale, precision in (("float64", 1e-310, 1e-12), ("float32", 1e-40, 1e-3)):  # subnormal numbers
        Q = linalg.qr(fb.from_numpy((draw((rows, 4)) * scale).astype(dtype)))[0].numpy()
        assert np.abs(Q.T @ Q - np.eye(4)).max() < precision


def test_the_deprecated_triangular_solve_matches_numpy():
    a, b = draw((3, 3)) + 3 * np.eye(3), draw((3, 2), seed=1)
    X, copy = fb.triangular_solve(fb.from_numpy(b), fb.from_numpy(a))
    close(X, np.linalg.solve(np.triu(a), b), "float64")
    assert np.array_equal(copy.numpy(), a)
    X = fb.triangular_solve(fb.from_numpy(b), fb.from_numpy(a), upper=False, transpose=True).solution
    close(X, np.linalg.solve(np.tril(a).T, b), "float64")


def test_singular_matrices_raise():
    singular, regular = fb.zeros(2, 2), fb.eye(2)
    for function in (linalg.inv, lambda a: linalg.solve(a, fb.ones(2, 2)), linalg.lu_factor, fb.inverse):
        with pytest.raises(linalg.LinAlgError, match=r"singular|U\[1,1\] is zero"):
            function(singular)
        with pytest.raises(linalg.LinAlgError, match="Batch element 1"):
            function(fb.stack([regular, singular]))
    with pytest.raises(linalg.LinAlgError, match="minor of order 2 is not positive-definite"):
        linalg.cholesky(fb.tensor([[1.0, 2.0], [2.0, 1.0]]))
    assert linalg.cholesky_ex(fb.tensor([[1.0, 2.0], [2.0, 1.0]])).info.item() == 2
    assert linalg.inv_ex(singular).info.item() == 1
    assert linalg.solve_ex(fb.stack([regular, singular]), fb.ones(2, 2)).info.tolist() == [0, 1]
    assert linalg.lu_factor_ex(singular).info.item() == 1
    assert issubclass(linalg.LinAlgError, RuntimeError)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: linalg.inv(fb.ones(2, 3)), "square matrices, but they are 2 by 3"),
        (lambda: linalg.inv(fb.ones(3)), "at least 2 dimensions"),
        (lambda: linalg.det(fb.ones(2, 2, dtype=fb.int64)), "Expected a floating point or complex tensor"),
        (lambda: linalg.det(fb.ones(2, 2, dtype=fb.float16)), "Low precision dtypes not supported"),
        (lambda: linalg.solve(fb.eye(2), fb.ones(3)), "Incompatible shapes"),
        (lambda: linalg.solve(fb.eye(2), fb.ones(2, dtype=fb.float64)), "same dtype"),
        (lambda: linalg.solve(fb.eye(2), fb.ones(2), left=False), "left=False"),
        (lambda: linalg.qr(fb.eye(2), "full"), "unrecognized mode"),
        (lambda: linalg.lu(fb.eye(2), pivot=False), "without pivoting"),
        (lambda: linalg.solve_triangular(fb.eye(2), fb.ones(3, 1), upper=True), "Incompatible shapes"),
        (lambda: linalg.lu_solve(fb.eye(2), fb.ones(2, dtype=fb.int64), fb.ones(2, 1)), "pivots"),
        (lambda: linalg.lu_solve(fb.eye(2), fb.full((2,), 9, dtype=fb.int32), fb.ones(2, 1)), "between 1 and 2"),
        (lambda: linalg.householder_product(fb.ones(2, 3), fb.ones(2)), "greater than or equal"),
        (lambda: fb.lu_unpack(fb.eye(2), fb.full((2,), 9, dtype=fb.int32)), "between 1 and 2"),
    ],
)
def test_linalg_functions_reject_invalid_arguments(call, text):
    with pytest.raises(RuntimeError, match=text):
        call()


def test_out_receives_the_result():
    a = fb.from_numpy(well_conditioned((3, 3)))
    out = fb.empty(0, dtype=fb.float64)
    assert linalg.inv(a, out=out) is out
    assert np.array_equal(out.numpy(), linalg.inv(a).numpy())
    pair = fb.empty(0, dtype=fb.float64), fb.empty(0, dtype=fb.float64)
    linalg.qr(a, out=pair)
    assert np.array_equal(pair[0].numpy(), linalg.qr(a).Q.numpy())


def test_results_of_linalg_functions_have_named_fields():
    result = linalg.slogdet(fb.eye(2))
    sign, logabsdet = result
    assert result.sign is sign and result[1] is logabsdet
    assert type(result) is fb.return_types.linalg_slogdet
    assert repr(result).startswith("flambeau.return_types.linalg_slogdet(\nsign=tensor(1.),\n")


def test_linalg_vander_accepts_a_zero_dimensional_tensor():
    assert linalg.vander(fb.tensor(2.0), N=3).tolist() == [[1, 2, 4]]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_matrix_exp_of_half_precision_is_rounded_once(dtype):
    a = fb.tensor([[0.5, -1.0], [0.25, 2.0]], dtype=getattr(fb, dtype))
    assert linalg.matrix_exp(a).equal(linalg.matrix_exp(a.float()).to(a.dtype))


MATRIX, INTEGERS, ROW = fb.eye(3), fb.ones(3, 3, dtype=fb.int64), fb.ones(3)
PIVOTS = fb.tensor([1, 2, 3], dtype=fb.int32)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("_lu_factor", ()),
        ("_lu_determinant", (PIVOTS,)),
        ("_lu_log_determinant", (PIVOTS,)),
    ],
)
def test_factorizations_reject_integers_and_vectors(name, arguments):
    function = getattr(_core, name)
    with pytest.raises(NotImplementedError, match="int64"):
        function(INTEGERS, *arguments)
    with pytest.raises(RuntimeError, match="expected matrices"):
        function(ROW, *arguments)


@pytest.mark.parametrize(
    "call",
    [
        linalg.lu_factor,
        linalg.inv,
        linalg.cholesky,
        linalg.qr,
        fb.geqrf,
        linalg.ldl_factor,
        linalg.eigh,
        linalg.eigvals,
        linalg.svd,
        lambda a: linalg.lu_solve(a, PIVOTS, MATRIX),
        lambda a: linalg.ldl_solve(a, PIVOTS, MATRIX),
        lambda a: linalg.solve_triangular(a, MATRIX, upper=True),
        lambda a: linalg.householder_product(a, ROW),
        lambda a: fb.ormqr(a, ROW, MATRIX),
        lambda a: fb.lu_unpack(a, PIVOTS),
    ],
)
def test_public_functions_reject_integers_and_vectors(call):
    with pytest.raises(RuntimeError, match="Expected a floating point or complex tensor"):
        call(INTEGERS)
    with pytest.raises(RuntimeError, match=r"at least 2 dimensions, got shape \[3\]"):
        call(ROW)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: linalg.inv(MATRIX[:2]), "square matrices, but they are 2 by 3"),
        (lambda: linalg.lu_solve(MATRIX, PIVOTS, MATRIX.double()), "float32 and B of type float64"),
        (lambda: linalg.lu_solve(MATRIX, PIVOTS, MATRIX[:2]), r"AX = B \(\[3, 3\] and \[2, 3\]\)"),
        (lambda: linalg.lu_solve(MATRIX, PIVOTS, MATRIX[:, :2], left=False), "XA = B"),
        (lambda: linalg.lu_solve(MATRIX, PIVOTS.long(), MATRIX), "type Int. Got int64"),
        (lambda: linalg.lu_solve(MATRIX, PIVOTS[:2], MATRIX), r"shape \[2\]"),
        (lambda: linalg.lu_solve(MATRIX, PIVOTS * 9, MATRIX), "between 1 and 3, got 9"),
        (lambda: _core._lu_determinant(MATRIX, PIVOTS[:2]), "expected 3 pivots"),
        (lambda: fb.lu_unpack(MATRIX, PIVOTS.long()), "tensor of int32"),
        (lambda: fb.lu_unpack(MATRIX, PIVOTS * 9), "between 1 and 3, got 9"),
        (lambda: linalg.ldl_solve(MATRIX, MATRIX[0], MATRIX), "pivots to be integers"),
        (lambda: linalg.householder_product(MATRIX, fb.ones(4)), "greater than or equal to tau"),
        (lambda: linalg.householder_product(MATRIX, ROW.double()), "tau dtype float64"),
        (lambda: fb.ormqr(MATRIX, ROW, MATRIX[:2]), r"\[2, 3\] and \[3, 3\]|greater than or equal"),
    ],
)
def test_mismatched_arguments_are_rejected(call, message):
    with pytest.raises(RuntimeError, match=message):
        call()


@pytest.mark.parametrize("name", linalg.__all__)
def test_linalg_functions_have_docstrings_and_signatures(name):
    function = getattr(linalg, name)
    assert function.__module__ in ("flambeau.linalg", "flambeau.linalg._checks")
    assert function.__name__ == name
    assert function.__doc__
    assert not inspect.isclass(function) or name == "LinAlgError"
    if ">>>" in function.__doc__:
        examples = doctest.DocTestParser().get_doctest(function.__doc__, {"flambeau": fb, "fb": fb}, name, None, None)
        assert doctest.DocTestRunner().run(examples).failed == 0


def test_vander_in_the_main_namespace_matches_numpy():
    x = np.array([1.0, 2.0, 3.0])
    for n in (None, 0, 1, 5):
        for increasing in (False, True):
            np.testing.assert_array_equal(fb.vander(fb.tensor(x), n, increasing), np.vander(x, n, increasing))
    with pytest.raises(RuntimeError, match="one-dimensional"):
        fb.vander(fb.ones(2, 2))
