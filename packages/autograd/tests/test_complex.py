"""Derivatives of complex functions in PyTorch's convention, in which the gradient of a real loss is dL/dx + i dL/dy."""

import numpy as np
import pytest

import flambeau as fb
from flambeau.autograd import Function, gradcheck, gradgradcheck

NAMES = [
    row["name"]
    for row in fb._core.pointwise_rows()
    if row["complex"] and row["differentiable"] and row["name"][0] != "_" and row["domain"] != "Select"
]
ARITY = {row["name"]: row["arity"] for row in fb._core.pointwise_rows()}
SIGNATURES = {row["name"]: row["signature"] for row in fb._core.pointwise_rows()}


def draw(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return fb.tensor(rng.standard_normal(shape) + 1j * rng.standard_normal(shape), requires_grad=True)


def real(*shape, seed=0):
    return fb.tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


def check(function, *inputs):
    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)


@pytest.mark.parametrize("name", NAMES)
def test_pointwise_operators_of_complex_tensors_pass_gradcheck(name):
    check(getattr(fb, name), *(draw(2, 3, seed=k) for k in range(ARITY[name])))


@pytest.mark.parametrize("name", [name for name in NAMES if ARITY[name] == 2])
def test_pointwise_operators_of_real_and_complex_operands_pass_gradcheck(name):
    operator = getattr(fb, name)
    check(operator, draw(2, 3), fb.tensor([[0.5, 2.0, 1.5]], dtype=fb.float64, requires_grad=True))
    check(operator, fb.tensor([[0.5, 2.0, 1.5]], dtype=fb.float64, requires_grad=True), draw(2, 3))
    first, second = SIGNATURES[name].split(", ")  # the signatures tell which operands may be numbers
    if not second.endswith(": Tensor"):
        check(lambda x: operator(x, 2 - 1j), draw(2, 3))
    if "Number" in first:
        check(lambda x: operator(2 - 1j, x), draw(2, 3))


def test_where_chooses_between_real_and_complex():
    mask = fb.tensor([[True, False, True], [False, True, False]])
    check(lambda x, y: fb.where(mask, x, y), draw(2, 3), real(3))


STRUCTURAL = {
    "real": lambda z: z.real,
    "imag": lambda z: z.imag,
    "view_as_real": fb.view_as_real,
    "view_as_complex": lambda z: fb.view_as_complex(fb.view_as_real(z) * 2),
    "conj": lambda z: z.conj(),
    "adjoint": lambda z: z.mH,
    "sum": lambda z: z.sum(0),
    "mean": lambda z: z.mean(),
    "prod": lambda z: z.prod(1),
    "var": lambda z: z.var(1),
    "std": lambda z: z.std(),
    "norm": lambda z: z.norm(),
    "cumsum": lambda z: z.cumsum(1),
    "to real": lambda z: z.to(fb.float64),
    "indexing": lambda z: z[[1, 0, 1], 0],
    "masked_fill": lambda z: z.masked_fill(z.real > 0, 1j),
    "cat": lambda z: fb.cat([z, z.real], 0),
    "matmul": lambda z: z @ z.mT,
    "linear": lambda z: fb.linear(z, z * 1j),
    "power": lambda z: z**3 + 2**z + z**-0.5 + z ** (1 + 1j),
}


@pytest.mark.filterwarnings("ignore:Casting complex values")
@pytest.mark.parametrize("name", STRUCTURAL)
def test_structural_operators_of_complex_tensors_pass_gradcheck(name):
    check(STRUCTURAL[name], draw(2, 3))


def test_products_of_complex_tensors_pass_gradcheck():
    check(fb.matmul, draw(2, 3), draw(3, 4, seed=1))
    check(fb.bmm, draw(2, 2, 3), draw(2, 3, 2, seed=1))
    check(lambda i, a, b: fb.addmm(i, a, b, beta=2j, alpha=1 - 1j), draw(2, 2), draw(2, 3, seed=1), draw(3, 2, seed=2))


def test_gradient_of_complex_prod_is_correct_with_zeros_among_the_elements():
    z = fb.tensor([[1j, 0, 2 - 1j], [0, 3j, 0]], dtype=fb.complex128, requires_grad=True)
    assert gradcheck(lambda z: z.prod(1), (z,))


def test_derivatives_of_complex_and_polar_match_finite_differences():
    check(fb.complex, real(3), real(2, 1, seed=1))
    check(fb.polar, real(3), real(2, 1, seed=1))


def test_gradients_are_finite_where_a_function_has_no_derivative():
    z = fb.zeros(2, dtype=fb.complex128, requires_grad=True)
    for function in (fb.abs, fb.sgn, fb.angle, lambda z: z.norm(), lambda z: z**2):
        (gradient,) = fb.autograd.grad(abs(function(z)).sum(), z)
        assert gradient.tolist() == [0, 0]


# --- parts written in place ---


def test_gradients_of_writes_to_real_and_imag_reach_the_base():
    def function(z, x):
        y = z * 2
        y.real.mul_(x)
        y.imag[0] = 3
        fb.view_as_real(y)[1, 1, 0] += 1
        y.real.exp_()
        return y * y

    check(function, draw(2, 3), real(2, 3, seed=1))


def test_gradients_of_writes_to_view_as_complex_reach_the_base():
    def function(x, z):
        y = fb.stack([x, x], -1) * 1
        view = fb.view_as_complex(y)
        view.mul_(z)
        view[0, 1] = 0
        return y * y

    check(function, real(2, 3), draw(2, 3, seed=1))


def test_the_gradient_of_an_imaginary_part_follows_a_change_of_its_base():
    z = draw(3)
    y = z * 1
    part = y.imag
    y.mul_(1j)
    part.sum().backward()
    assert z.grad.tolist() == [1, 1, 1]


# --- the engine ---


def test_the_gradient_of_a_squared_modulus_is_twice_the_number():
    z = draw(3)
    (z * z.conj()).real.sum().backward()
    np.testing.assert_allclose(z.grad.numpy(), 2 * z.detach().numpy())


def test_gradients_of_real_leaves_are_real():
    x = real(3)
    z = draw(3)
    (x * z).abs().square().sum().backward()
    assert x.grad.dtype is fb.float64
    np.testing.assert_allclose(x.grad.numpy(), 2 * x.detach().numpy() * abs(z.detach().numpy()) ** 2)


def test_backward_of_a_complex_loss_requires_a_gradient():
    z = draw()
    with pytest.raises(RuntimeError, match="only for real scalar outputs but got complex128"):
        (z * 2).backward()
    (z * 2).backward(fb.tensor(1j, dtype=fb.complex128))
    assert z.grad.item() == 2j


def test_a_real_gradient_of_a_complex_result_is_rejected():
    with pytest.raises(RuntimeError, match="required to have the same dtype"):
        (draw() * 2).backward(fb.tensor(1.0, dtype=fb.float64))
    with pytest.raises(RuntimeError, match="required to have the same dtype"):
        (real() * 2).backward(fb.tensor(1j, dtype=fb.complex128))
    leaf = real(2)
    with pytest.raises(RuntimeError, match="different type"):
        leaf.grad = fb.zeros(2, dtype=fb.complex128)


def test_custom_functions_support_complex_tensors():
    class Square(Function):
        @staticmethod
        def forward(ctx, z):
            ctx.save_for_backward(z)
            return z * z

        @staticmethod
        def backward(ctx, gradient):
            (z,) = ctx.saved_tensors
            return gradient * (2 * z).conj()

    check(Square.apply, draw(3))


def test_gradcheck_finds_a_missing_conjugate():
    class Wrong(Function):
        @staticmethod
        def forward(ctx, z):
            ctx.save_for_backward(z)
            return z * z

        @staticmethod
        def backward(ctx, gradient):
            (z,) = ctx.saved_tensors
            return gradient * 2 * z

    assert not gradcheck(Wrong.apply, (draw(3),), raise_exception=False)


def test_gradients_of_complex64_leaves_are_complex64():
    z = draw(4).detach().to(fb.complex64).requires_grad_()
    z.exp().abs().sum().backward()
    assert z.grad.dtype is fb.complex64
    np.testing.assert_allclose(z.grad.numpy(), np.exp(z.detach().numpy().real).astype("complex64"), rtol=1e-5)


def test_powers_of_negative_real_bases_and_complex_exponents_pass_gradgradcheck():
    base = fb.tensor([-0.3], dtype=fb.float64, requires_grad=True)
    exponent = fb.tensor([0.5 + 1j], dtype=fb.complex128, requires_grad=True)
    assert gradgradcheck(fb.pow, (base, exponent))
    assert gradgradcheck(lambda y: fb.pow(-0.3, y), (exponent,))
