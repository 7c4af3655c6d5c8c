"""autograd.functional: closed forms, structures, create_graph, strict mode, errors."""

import numpy as np
import pytest

import flambeau as fb
from flambeau.autograd import functional

X = np.array([0.3, -1.2, 2.0])
V = np.array([1.0, 0.5, -2.0])


def tensor(values):
    return fb.tensor(values, dtype=fb.float64)


def close(actual, expected):
    np.testing.assert_allclose(actual.detach().numpy(), expected, rtol=1e-12, atol=1e-12)


class Scaled(fb.Tensor):
    def times(self, factor):
        return self * factor


STRATEGIES = [{}, {"vectorize": True}, {"vectorize": True, "strategy": "forward-mode"}]


@pytest.mark.parametrize("options", STRATEGIES, ids=str)
class TestJacobian:
    def test_jacobian_of_one_input_is_correct_and_detached(self, options):
        got = functional.jacobian(lambda x: x**2, tensor(X), **options)
        close(got, np.diag(2 * X))
        assert not got.requires_grad

    def test_jacobian_returns_tuples_for_several_inputs_and_outputs(self, options):
        got = functional.jacobian(lambda x, y: (x * y, x.sum()), (tensor(X), tensor(V)), **options)
        close(got[0][0], np.diag(V))
        close(got[0][1], np.diag(X))
        close(got[1][0], np.ones(3))
        close(got[1][1], np.zeros(3))
        (only,) = functional.jacobian(lambda x: x**2, (tensor(X),), **options)
        close(only, np.diag(2 * X))
        (only,) = functional.jacobian(lambda x: (x**2,), tensor(X), **options)
        close(only, np.diag(2 * X))

    def test_jacobian_is_differentiable_with_create_graph(self, options):
        x = tensor(X).requires_grad_()
        functional.jacobian(lambda x: x**3, x, create_graph=True, **options).sum().backward()
        close(x.grad, 6 * X)
        assert not functional.jacobian(lambda x: x**3, x, **options).requires_grad


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("requires_grad", [False, True])
def test_jacobian_calls_the_function_with_the_subclass_of_its_input(create_graph, requires_grad):
    x = tensor(X).as_subclass(Scaled).requires_grad_(requires_grad)
    close(functional.jacobian(lambda x: x.times(3), x, create_graph=create_graph), 3 * np.eye(3))


@pytest.mark.parametrize("options", [{}, {"vectorize": True, "outer_jacobian_strategy": "forward-mode"}], ids=str)
class TestHessian:
    def test_hessian_of_one_input_is_correct(self, options):
        close(functional.hessian(lambda x: (x**3).sum(), tensor(X), **options), np.diag(6 * X))

    def test_hessian_of_several_inputs_has_blocks(self, options):
        got = functional.hessian(lambda x, y: (x**2 * y).sum(), (tensor(X), tensor(V)), **options)
        close(got[0][0], np.diag(2 * V))
        close(got[0][1], np.diag(2 * X))
        close(got[1][0], np.diag(2 * X))
        close(got[1][1], np.zeros((3, 3)))


class TestProducts:
    def test_vjp_and_jvp_multiply_a_vector_by_the_jacobian(self):
        value, product = functional.vjp(lambda x: x**2, tensor(X), tensor(V))
        close(value, X**2)
        close(product, 2 * X * V)
        value, product = functional.jvp(lambda x: (x**2, x.sum()), tensor(X), tensor(V))
        close(product[0], 2 * X * V)
        close(product[1], V.sum())
        assert not any(t.requires_grad for t in (*value, *product))

    @pytest.mark.parametrize("function", [functional.hvp, functional.vhp])
    def test_vhp_and_hvp_multiply_a_vector_by_the_hessian(self, function):
        value, (first, second) = function(
            lambda x, y: (x**2 * y).sum(), (tensor(X), tensor(V)), (tensor(V), tensor(np.ones(3)))
        )
        close(value, (X**2 * V).sum())
        close(first, 2 * V * V + 2 * X)
        close(second, 2 * X * V)

    @pytest.mark.parametrize("function", [functional.vjp, functional.jvp])
    def test_products_are_differentiable_with_create_graph(self, function):
        x, v = tensor(X).requires_grad_(), tensor(V).requires_grad_()
        function(lambda x: x**3, x, v, create_graph=True)[1].sum().backward()
        close(x.grad, 6 * X * V)
        close(v.grad, 3 * X**2)

    def test_vjp_and_jvp_of_a_scalar_need_no_vector(self):
        assert functional.vjp(lambda x: x.sum(), tensor(X))[1].tolist() == [1, 1, 1]
        assert functional.jvp(lambda x: x**2, tensor(3.0))[1].item() == 6.0

    def test_products_of_unused_inputs_are_zero(self):
        close(functional.vjp(lambda x: fb.ones(2), tensor(X), fb.ones(2))[1], np.zeros(3))
        close(functional.jvp(lambda x: fb.ones(2), tensor(X), tensor(V))[1], np.zeros(2))
        close(functional.hvp(lambda x: x.sum(), tensor(X), tensor(V))[1], np.zeros(3))


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda f, x: f.vjp(lambda x: 2, x), TypeError, "outputs of the user-provided function given to vjp"),
        (lambda f, x: f.vjp(lambda x: x, [x]), TypeError, "inputs given to vjp"),
        (lambda f, x: f.vjp(lambda x: x, x), RuntimeError, "can only be None"),
        (lambda f, x: f.jvp(lambda x: x, x), RuntimeError, "can only be None"),
        (
            lambda f, x: f.vjp(lambda x: x, x, x[:2]),
            RuntimeError,
            r"should be flambeau.Size\(\[3\]\) but got flambeau.Size\(\[2\]\)",
        ),
        (lambda f, x: f.vjp(lambda x: x, x, (x, x)), RuntimeError, "given v should contain a single Tensor"),
        (lambda f, x: f.vjp(lambda x: (x, x), x, x), RuntimeError, "invalid length: should be 2 but got 1"),
        (lambda f, x: f.hvp(lambda x: x.sum(), x, [x]), TypeError, "The v given to hvp must be either a Tensor"),
        (lambda f, x: f.hessian(lambda x: x.sum(), [x]), TypeError, "The inputs given to hessian must be either"),
        (lambda f, x: f.hessian(lambda x: x, x), RuntimeError, "single element"),
        (lambda f, x: f.hvp(lambda x: (x, x), x, x), RuntimeError, "single Tensor"),
        (lambda f, x: f.jacobian(lambda x: x, x, strategy="forward-mode"), NotImplementedError, "vectorize=True"),
        (lambda f, x: f.jacobian(lambda x: x, x, strategy="sideways"), ValueError, "sideways"),
        (lambda f, x: f.jacobian(lambda x: x, x, strict=True, vectorize=True), RuntimeError, "together"),
        (lambda f, x: f.jacobian(lambda x: fb.ones(2), x, strict=True), RuntimeError, "does not require gradients"),
        (lambda f, x: f.jacobian(lambda x, y: x, (x, x), strict=True), RuntimeError, "^Output 0 of .* input 1"),
        (
            lambda f, x: f.hessian(lambda x: fb.ones((), requires_grad=True).exp(), x, strict=True),
            RuntimeError,
            "jacobian .* with respect to input 0",
        ),
        (
            lambda f, x: f.hessian(lambda x: x.sum(), x, strict=True),
            RuntimeError,
            "jacobian .* with respect to input 0",
        ),
        (
            lambda f, x: f.jacobian(lambda x: 2 * x, x, strict=True, create_graph=True),
            RuntimeError,
            "^The jacobian of .* input 0",
        ),
        (lambda f, x: f.vjp(lambda x, y: x, (x, x), x, strict=True), RuntimeError, "independent of input 1"),
        (lambda f, x: f.jvp(lambda x: fb.ones(2), x, x, strict=True), RuntimeError, "0 of .* not require gradients"),
        (lambda f, x: f.jvp(lambda x, y: x, (x, x), (x, x), strict=True), RuntimeError, "independent of input 1"),
        (
            lambda f, x: f.jvp(lambda x: 2 * x, x, x, strict=True, create_graph=True),
            RuntimeError,
            "^The jacobian of .* independent of input 0",
        ),
        (lambda f, x: f.hvp(lambda x: x.sum(), x, x, strict=True), RuntimeError, "jacobian .* with respect to input 0"),
        (lambda f, x: f.vhp(lambda x: x.sum(), x, x, strict=True), RuntimeError, "jacobian .* with respect to input 0"),
    ],
)
def test_functional_derivatives_reject_invalid_arguments(call, kind, text):
    with pytest.raises(kind, match=text):
        call(functional, tensor(X))


def test_the_standard_basis_is_split_by_tensors():
    basis = functional._construct_standard_basis_for((fb.ones(1), fb.ones(2, dtype=fb.float64)), (1, 2))
    assert [block.tolist() for block in basis] == [[[1], [0], [0]], [[0, 0], [1, 0], [0, 1]]]
    assert [block.dtype for block in basis] == [fb.float32, fb.float64]
    for tensors, numels in (((), ()), ((fb.ones(1),), (1, 2))):
        with pytest.raises(AssertionError, match="expected at least one tensor and a number of elements for each"):
            functional._construct_standard_basis_for(tensors, numels)


def test_private_helper_functions_of_pytorch_exist():
    x = fb.ones(2, requires_grad=True)
    assert functional._as_tuple(x, "inputs", "f") == (False, (x,))
    with pytest.raises(TypeError, match="inputs given to f"):
        functional._as_tuple(3, "inputs", "f")
    assert functional._tuple_postprocess(((1,),), (False, False)) == 1
    assert functional._tuple_postprocess((1,), True) == (1,)
    (leaf,) = functional._grad_preprocess((x,), create_graph=False, need_graph=True)
    assert leaf.is_leaf and leaf.requires_grad and leaf is not x
    assert not functional._grad_postprocess(((x,),), create_graph=False)[0][0].requires_grad


def _kept_graph(call, **options):
    """Return the sum of squares that a function stored while ``call`` differentiated it, and its argument."""
    kept = {}

    def squares(x):
        result = x**2
        kept.update(sum=result.sum(), x=x)
        return result if call is functional.jacobian else kept["sum"]

    call(squares, tensor(X), **options)
    return kept["sum"], kept["x"]


def test_jacobian_keeps_the_graph_of_tensors_that_the_function_stored():
    total, x = _kept_graph(functional.jacobian)
    total.backward()
    close(x.grad, 2 * X)


def test_vectorized_jacobian_frees_the_graph_like_pytorch():
    total, _ = _kept_graph(functional.jacobian, vectorize=True)
    with pytest.raises(RuntimeError, match="second time"):
        total.backward()


@pytest.mark.parametrize("call", [functional.hvp, functional.vhp])
def test_the_function_receives_a_leaf_that_accumulates_gradients(call):
    total, x = _kept_graph(call, v=tensor(V))
    total.backward()
    assert x.is_leaf
    close(x.grad, 2 * X)


def test_the_function_may_not_change_its_argument_in_place():
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        functional.jacobian(lambda x: x.mul_(2), tensor(X))
