"""func.jacrev, hessian: closed forms, structures, errors."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import func

X = np.array([0.3, -1.2, 2.0])


def tensor(values):
    return fb.tensor(values, dtype=fb.float64)


def close(actual, expected):
    np.testing.assert_allclose(actual.detach().numpy(), expected, rtol=1e-12, atol=1e-12)


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def rosenbrock_hessian(x):
    n = len(x)
    h = np.zeros((n, n))
    for i in range(n - 1):
        h[i, i] += 1200 * x[i] ** 2 - 400 * x[i + 1] + 2
        h[i + 1, i + 1] += 200
        h[i, i + 1] = h[i + 1, i] = -400 * x[i]
    return h


@pytest.mark.parametrize("jacobian", [func.jacrev])
class TestJacobians:
    def test_jacobian_has_the_shape_of_the_output_followed_by_the_input(self, jacobian):
        x = tensor(np.arange(6.0).reshape(2, 3))
        got = jacobian(lambda x: x.t() * 2)(x)
        assert got.shape == (3, 2, 2, 3)
        close(got, 2 * np.einsum("ac,bd->abdc", np.eye(3), np.eye(2)))

    def test_jacobians_have_the_structure_of_results_and_arguments(self, jacobian):
        got = jacobian(lambda x, y: {"outer": fb.outer(x, y["k"]), "sum": x.sum()}, argnums=(0, 1))(
            tensor(X), {"k": tensor(X[:2])}
        )
        close(got["outer"][0], np.einsum("ac,b->abc", np.eye(3), X[:2]))
        close(got["outer"][1]["k"], np.einsum("bc,a->abc", np.eye(2), X))
        close(got["sum"][0], np.ones(3))
        close(got["sum"][1]["k"], np.zeros(2))

    def test_jacobian_with_has_aux_returns_the_auxiliary_result(self, jacobian):
        matrix, aux = jacobian(lambda x: (x**2, x), has_aux=True)(tensor(X))
        close(matrix, np.diag(2 * X))
        close(aux, X)
        assert not aux.requires_grad

    def test_jacobian_transforms_can_be_nested(self, jacobian):
        third = jacobian(jacobian(jacobian(lambda x: (x**4).sum())))(tensor(X))
        expected = np.zeros((3, 3, 3))
        expected[range(3), range(3), range(3)] = 24 * X
        close(third, expected)

    def test_jacobians_are_differentiable(self, jacobian):
        x = tensor(X).requires_grad_()
        w = tensor(X + 1).requires_grad_()
        jacobian(lambda x: x**2 * w)(x).sum().backward()
        close(x.grad, 2 * (X + 1))
        close(w.grad, 2 * X)

    def test_jacobians_of_constant_functions_are_zero(self, jacobian):
        close(jacobian(lambda x: tensor([1.0, 2.0]))(tensor(X)), np.zeros((2, 3)))
        assert jacobian(lambda x: x[:0])(tensor(X)).shape == (0, 3)

    def test_jacobians_of_functions_that_return_no_tensor_raise(self, jacobian):
        with pytest.raises(RuntimeError, match="only tensors"):
            jacobian(lambda x: (x, 1))(tensor(X))


def test_hessian_of_the_rosenbrock_function_matches_the_formula():
    x = np.random.default_rng(0).standard_normal(20)
    close(func.hessian(rosenbrock)(tensor(x)), rosenbrock_hessian(x))


def test_hessian_of_several_arguments_has_blocks():
    got = func.hessian(lambda x, y: (x**2 * y).sum(), argnums=(0, 1))(tensor(X), tensor(X + 1))
    close(got[0][0], np.diag(2 * (X + 1)))
    close(got[0][1], np.diag(2 * X))
    close(got[1][0], np.diag(2 * X))
    close(got[1][1], np.zeros((3, 3)))


def test_chunks_must_be_positive():
    with pytest.raises(ValueError, match="greater than 0"):
        func.jacrev(lambda x: x, chunk_size=0)
    close(func.jacrev(lambda x: x**2, chunk_size=2)(tensor(X)), np.diag(2 * X))


class Derived(fb.Tensor):
    pass


@pytest.mark.parametrize(
    ("transform", "expected"),
    [(func.grad, 3 * X**2), (func.jacrev, 3 * X**2), (func.jacfwd, 3 * X**2), (func.hessian, np.diag(6 * X))],
)
def test_transforms_accept_instances_of_a_subclass(transform, expected):
    close(transform(lambda x: (x**3).sum())(tensor(X).as_subclass(Derived)), expected)


@pytest.mark.parametrize("output", [None, ()])
def test_functions_without_results_are_rejected(output):
    x = fb.ones(2)
    calls = (
        lambda: func.vjp(lambda x: output, x),
        lambda: func.jvp(lambda x: output, (x,), (x,)),
        lambda: func.jacrev(lambda x: output)(x),
        lambda: func.jacfwd(lambda x: output)(x),
    )
    for call in calls:
        with pytest.raises(RuntimeError, match=r"(vjp|jvp)\(.*: Expected f to be a function that has non-empty output"):
            call()


def test_hessian_supports_outputs_with_several_elements():
    x = fb.tensor([0.3, -0.5, 0.8], dtype=fb.float64)
    values = x.numpy()
    want = np.zeros((3, 3, 3))
    want[range(3), range(3), range(3)] = -2 * np.tanh(values) / np.cosh(values) ** 2
    np.testing.assert_allclose(func.hessian(fb.tanh)(x).numpy(), want, atol=1e-12)
    np.testing.assert_allclose(func.vmap(func.hessian(fb.tanh))(x[None]).numpy(), want[None], atol=1e-12)

    def several(a, b):
        return {"product": a * b, "sum": (a * b).sum(), "empty": a[:0]}

    blocks = func.hessian(several, argnums=(0, 1))(x, x)
    assert blocks["product"][0][1].shape == (3, 3, 3) and blocks["empty"][1][0].shape == (0, 3, 3)
    assert fb.equal(blocks["sum"][0][1], fb.eye(3, dtype=fb.float64))
    assert not blocks["product"][0][0].any()
