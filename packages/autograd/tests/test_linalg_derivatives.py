"""First and second derivatives of linear algebra, compared with finite differences, real and complex."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import linalg
from flambeau.autograd import gradcheck, gradgradcheck

DTYPES = ("float64", "complex128")
CASES = []


def add(operator, function, *inputs, dtypes=DTYPES):
    """Add a test case. `inputs` are shapes, or functions that create an input, given a generator of random arrays."""
    CASES.extend(pytest.param(function, inputs, dtype, id=f"{operator}-{len(CASES)}-{dtype}") for dtype in dtypes)


def adjoint(t):
    return t.mT.conj() if t.is_complex() else t.mT


def hermitian(t):
    return t + adjoint(t)


def regular(*shape):
    return lambda draw: draw(*shape) + 3 * np.eye(shape[-2], shape[-1])


def lower(t):
    """Return a triangular matrix with a positive diagonal."""
    n = t.shape[-1]
    return t.tril(-1) + fb.eye(n, dtype=t.dtype) * 2


def positive(t):
    return t @ adjoint(t) + fb.eye(t.shape[-1], dtype=t.dtype)


def size(t):
    """Return the squared magnitudes, which do not depend on signs or phases."""
    return t.abs().square()


def approximation(function, A):
    """Return the product of the factors of a randomised decomposition, which does not depend on the random vectors."""
    fb.manual_seed(0)
    U, S, V = function(A, q=2)
    return (U * S.unsqueeze(-2)) @ adjoint(V)


def extreme_pairs(A):
    start = fb.tensor(np.random.default_rng(3).standard_normal((A.shape[-1], 2)))
    E, V = fb.lobpcg(hermitian(A), X=start, tol=1e-13)
    return E, size(V)


# Factorizations
for shape in ((3, 3), (2, 3, 3), (0, 0)):
    add("cholesky", lambda A: linalg.cholesky(positive(A)), shape)
    add("cholesky", lambda A: fb.cholesky(positive(A), upper=True), shape)
for shape in ((3, 3), (2, 5, 3), (3, 5), (0, 3)):
    add("lu", lambda A: linalg.lu(A)[1:], shape)
    add("lu", lambda A: fb.lu(A)[0], shape)
    add("lu_unpack", lambda A: fb.lu_unpack(*linalg.lu_factor_ex(A)[:2])[1:], shape)
    add("qr", lambda A: tuple(linalg.qr(A)), shape)
add("qr", lambda A: tuple(fb.qr(A, some=False)), (2, 4))
add("qr", lambda A: linalg.qr(A).R, (4, 2))
add("qr", lambda A: linalg.qr(A).Q, (2, 4))
for function in (fb.orgqr, linalg.householder_product):
    add("orgqr", function, (4, 3), (3,))
    add("orgqr", function, (2, 4, 3), (2, 2))
add("ormqr", lambda A, tau, C: fb.ormqr(A, tau, C), (4, 2), (2,), (4, 3))
add("ormqr", lambda A, tau, C: fb.ormqr(A, tau, C, left=False, transpose=True), (4, 2), (2,), (3, 4))

# Equations
for shape in ((3, 2), (2, 3, 2)):
    add("solve", lambda A, B: linalg.solve(A, B), regular(3, 3), shape)
    add("solve", lambda A, B: linalg.solve(A, adjoint(B), left=False), regular(3, 3), shape)
    add("solve", lambda A, B: linalg.solve_ex(A, B).result, regular(3, 3), shape)
    add("lu_solve", lambda A, B: fb.lu_solve(B, *linalg.lu_factor(A)), regular(3, 3), shape)
    add("lu_solve", lambda A, B: linalg.lu_solve(*linalg.lu_factor(A), B, adjoint=True), regular(3, 3), shape)
    add("lu_solve", lambda A, B: linalg.lu_solve(*linalg.lu_factor(A), B.mT, left=False), regular(2, 3, 3), shape)
    add("cholesky_solve", lambda B, L: fb.cholesky_solve(B, lower(L)), shape, (3, 3))
    add("cholesky_solve", lambda B, L: fb.cholesky_solve(B, lower(L).mT, upper=True), shape, (2, 3, 3))
    for upper in (False, True):
        add(
            "triangular_solve",
            lambda B, A, u=upper: fb.triangular_solve(B, A, upper=u, transpose=True).solution,
            shape,
            regular(3, 3),
        )
        for unit in (False, True):
            add(
                "triangular_solve",
                lambda A, B, u=upper, v=unit: linalg.solve_triangular(A, B, upper=u, unitriangular=v),
                regular(2, 3, 3),
                shape,
            )
add("solve", linalg.solve, regular(3, 3), (3,))
add("solve", lambda A, b: linalg.solve(A, b), regular(2, 3, 3), (2, 3))
add("solve", lambda A, B: linalg.tensorsolve(A, B), lambda draw: draw(2, 3, 6) + 3 * np.eye(6).reshape(2, 3, 6), (2, 3))
add("inverse", fb.inverse, regular(3, 3))
add("inverse", linalg.inv, regular(2, 2, 2))
add("inverse", lambda A: linalg.inv_ex(A).inverse, regular(2, 2))
add("inverse", lambda A: linalg.tensorinv(A, 1), lambda draw: draw(4, 2, 2) + 3 * np.eye(4).reshape(4, 2, 2))
add("cholesky_inverse", lambda L: fb.cholesky_inverse(lower(L)), (3, 3))
add("cholesky_inverse", lambda L: fb.cholesky_inverse(lower(L).mT, upper=True), (2, 3, 3))
for shape in ((3, 3), (5, 3), (2, 3, 5)):
    add("pinverse", fb.pinverse, shape)
    add("pinverse", lambda A: linalg.pinv(A), shape)
    for driver in ("gels", "gelsy", "gelsd"):
        add("lstsq", lambda A, B, d=driver: linalg.lstsq(A, B, driver=d).solution, shape, (*shape[:-1], 2))
add("pinverse", lambda A: linalg.pinv(hermitian(A), hermitian=True), regular(3, 3))
add("lstsq", lambda A, B: linalg.lstsq(A, B, driver="gels").residuals, (5, 3), (5, 2))

# Determinants
for shape in ((1, 1), (3, 3), (2, 3, 3), (0, 0), (2, 0, 0)):
    add("det", fb.det, shape)
    add("slogdet", lambda A: tuple(fb.slogdet(A)), shape)
    add("logdet", lambda A: fb.logdet(positive(A)), shape)
add("det", lambda A: fb.det(A * fb.tensor([1.0, 1.0, 0.0], dtype=A.dtype)), (3, 3))  # singular

# Spectra
for shape in ((3, 3), (2, 3, 3)):
    for UPLO in "LU":
        add("eigh", lambda A, u=UPLO: linalg.eigvalsh(hermitian(A), u), shape)
        add(
            "eigh",
            lambda A, u=UPLO: (lambda r: [r.eigenvalues, size(r.eigenvectors)])(linalg.eigh(hermitian(A), u)),
            shape,
        )
    add("eig", lambda A: linalg.eigvals(A).abs(), regular(*shape))
    add("eig", lambda A: [t.abs() for t in linalg.eig(A)], regular(*shape))
for shape in ((3, 3), (2, 4, 3), (3, 4)):
    add("svd", linalg.svdvals, shape)
    add("svd", lambda A: [size(linalg.svd(A, False).U), linalg.svd(A).S, size(linalg.svd(A, False).Vh)], shape)
    add("svd", lambda A: size(fb.svd(A).U), shape)
    add("svd", lambda A: size(fb.svd(A).V) * fb.svd(A).S.unsqueeze(-2), shape)
    add("svd", lambda A: (lambda r: (r.U * r.S.unsqueeze(-2).exp()) @ r.Vh)(linalg.svd(A, False)), shape)

add("lobpcg", extreme_pairs, (7, 7), dtypes=["float64"])

# Functions and products
add("matrix_exp", fb.matrix_exp, (3, 3))
add("matrix_exp", lambda A: linalg.matrix_exp(A * 3), (2, 2, 2))
for n in (-2, -1, 0, 1, 2, 5):
    add("matrix_power", lambda A, n=n: fb.matrix_power(A, n), regular(2, 3, 3))
add("chain_matmul", lambda *m: fb.chain_matmul(*m), (2, 3), (3, 4), (4, 2))
add("chain_matmul", lambda *m: linalg.multi_dot(m), (3,), (3, 4), (4, 2), (2,))
add("vecdot", lambda x, y: linalg.vecdot(x, y, dim=0), (3, 2), (3, 1))
add("cross", lambda x, y: linalg.cross(x, y), (2, 3), (1, 3))

add("vdot", fb.vdot, (3,), (3,))
add("ger", fb.ger, (2,), (3,))
add("svd_lowrank", lambda A, B: approximation(fb.svd_lowrank, A @ B), (7, 2), (2, 5))
add("pca_lowrank", lambda A, B: approximation(fb.pca_lowrank, A @ B), (7, 2), (2, 5))

# Norms
for p in (0.5, 1, 1.5, 2, 3, np.inf, -np.inf, -2):
    add("vector_norm", lambda x, p=p: linalg.vector_norm(x, p, dim=1), (2, 3))
for p in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
    add("norm", lambda A, p=p: linalg.matrix_norm(A, p), (2, 3, 4))
    add("cond", lambda A, p=p: linalg.cond(A, p), regular(2, 3, 3))
add("norm", fb.norm, (2, 3))
add("norm", lambda A: fb.norm(A, "nuc"), (2, 3))

# Sums of products
for equation, *shapes in (
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("bij,bkj->bki", (2, 3, 2), (2, 4, 2)),
    ("ii->i", (3, 3)),
    ("i,ij,jk,k->", (2,), (2, 3), (3, 2), (2,)),
    ("...i,...i->...", (2, 1, 3), (4, 3)),
    ("ij,ij->ij", (2, 1), (1, 3)),
    ("iji,jk->k", (2, 3, 2), (3, 2)),
):
    add("einsum", lambda *t, e=equation: fb.einsum(e, *t), *shapes)


def inputs_of(makers, dtype):
    generator = np.random.default_rng(5)

    def draw(*shape):
        values = generator.standard_normal(shape)
        return values + 1j * generator.standard_normal(shape) if dtype == "complex128" else values

    return [fb.tensor(m(draw) if callable(m) else draw(*m), requires_grad=True) for m in makers]


@pytest.mark.parametrize(("function", "makers", "dtype"), CASES)
def test_linalg_functions_pass_gradcheck(function, makers, dtype):
    inputs = inputs_of(makers, dtype)
    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)


def test_a_loss_that_depends_on_a_phase_is_rejected():
    (A,) = inputs_of([(3, 3)], "complex128")
    weights = fb.tensor(np.random.default_rng(1).standard_normal((3, 3)) + 0.5j)
    for vectors in (
        linalg.eigh(hermitian(A)).eigenvectors,
        linalg.eig(A).eigenvectors,
        linalg.svd(A).U,
    ):
        with pytest.raises(RuntimeError, match="ill-defined"):
            (vectors * weights).real.sum().backward()


def test_qr_modes_without_a_derivative_raise():
    A = fb.ones(3, 2, dtype=fb.float64, requires_grad=True) + fb.eye(3, 2, dtype=fb.float64)
    with pytest.raises(RuntimeError, match="mode='r'"):
        linalg.qr(A, "r").R.sum().backward()
    with pytest.raises(RuntimeError, match="complete"):
        linalg.qr(A, "complete").Q.sum().backward()


def test_the_gradient_of_a_singular_determinant_is_its_cofactors():
    A = fb.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=fb.float64, requires_grad=True)
    fb.det(A).backward()
    np.testing.assert_allclose(A.grad.numpy(), [[4.0, -2.0], [-2.0, 1.0]], atol=1e-12)


def test_the_svd_of_an_empty_matrix_has_a_gradient():
    A = fb.zeros(2, 0, 3, dtype=fb.complex128, requires_grad=True)
    U, S, Vh = linalg.svd(A, full_matrices=False)
    (U.abs().sum() + S.sum() + Vh.abs().sum()).backward()
    assert A.grad.shape == A.shape


def test_the_gradient_of_cholesky_keeps_the_imaginary_parts_of_the_diagonal():
    A = fb.tensor([[4.0 + 0j]], dtype=fb.complex128, requires_grad=True)
    (linalg.cholesky(A) * (1 + 2j)).real.sum().backward()  # grad / (2 L), as PyTorch: grad is 1 - 2j, L is 2
    assert A.grad.tolist() == [[0.25 - 0.5j]]


@pytest.mark.parametrize("largest", [True, False])
def test_lobpcg_and_its_derivative_use_the_symmetric_part(largest):
    M = fb.tensor(np.random.default_rng(0).standard_normal((6, 6)))
    A = hermitian(M).requires_grad_()  # gradcheck changes single elements, so that the matrix is not symmetric
    start = fb.tensor(np.random.default_rng(1).standard_normal((6, 2)))

    def pairs(A):
        E, V = fb.lobpcg(A, X=start, largest=largest, tol=1e-13)
        return E, size(V)

    assert gradcheck(pairs, A)


def test_the_second_derivative_of_a_determinant_is_finite_beside_a_singular_matrix():
    A = fb.stack([fb.tensor([[1.0, 2.0], [2.0, 4.0]]), fb.eye(2)]).double().requires_grad_()
    (first,) = fb.autograd.grad(fb.det(A).sum(), A, create_graph=True)
    (second,) = fb.autograd.grad((first**2).sum(), A)  # the cofactors are linear in the elements of a 2 x 2 matrix
    np.testing.assert_allclose(second.numpy(), 2 * A.detach().numpy(), atol=1e-12)


def test_the_gradient_of_a_norm_of_negative_order_is_zero_if_an_element_is_zero():
    x = fb.tensor([1.0, 0.0], requires_grad=True)  # 1 / (1 / |a| + 1 / |b|) is 0 for each a if b is 0
    linalg.vector_norm(x, -1).backward()
    assert x.grad.tolist() == [0.0, 0.0]


def test_the_norm_of_order_zero_counts_nan_also_while_recording():
    x = fb.tensor([1.0, 0.0, float("nan")], requires_grad=True)
    norm = linalg.vector_norm(x, 0)
    norm.backward()
    assert norm.item() == np.linalg.norm(x.detach().numpy(), 0) == 2.0
    assert x.grad.tolist() == [0.0, 0.0, 0.0]
