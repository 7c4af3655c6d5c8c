"""func.grad, grad_and_value, vjp: closed forms, nesting, interaction with an outer graph, errors."""

from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
import pytest

import flambeau as fb
from flambeau import func
from flambeau.utils._pytree import tree_flatten, tree_leaves

X = np.array([0.3, -1.2, 2.0])


def tensor(values):
    return fb.tensor(values, dtype=fb.float64)


def close(actual, expected):
    np.testing.assert_allclose(actual.detach().numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("order", range(1, 6))
def test_func_grad_can_be_nested_to_any_order(order):
    f = fb.exp
    for _ in range(order):
        f = func.grad(lambda x, g=f: g(2 * x))
    got = f(tensor(0.3))
    factor = np.prod([2.0**k for k in range(1, order + 1)])  # f_k(x) = d/dx f_(k-1)(2 x)
    close(got, factor * np.exp(2**order * 0.3))
    assert not got.requires_grad


def test_value_and_aux_have_no_history():
    (gradient, (value, aux)) = func.grad_and_value(lambda x: ((x**2).sum(), {"double": 2 * x}), has_aux=True)(tensor(X))
    close(gradient, 2 * X)
    close(value, (X**2).sum())
    close(aux["double"], 2 * X)
    assert not any(t.requires_grad for t in (gradient, value, aux["double"]))
    gradient, aux = func.grad(lambda x: (x.sum(), "text"), has_aux=True)(tensor(X))
    assert aux == "text"


def test_nested_func_grad_does_not_confuse_perturbations():
    # d/dx (x * d/dy (x + y)) = 1, not 2
    outer = func.grad(lambda x: x * func.grad(lambda y: x + y)(tensor(1.0)))
    close(outer(tensor(3.0)), 1.0)


class Point(NamedTuple):
    x: Any
    y: Any


@pytest.mark.parametrize(
    "tree",
    [
        [tensor(1.0), tensor(2.0)],
        (tensor(1.0), [tensor(2.0)]),
        {"a": tensor(1.0), "b": {"c": tensor(2.0)}},
        OrderedDict(b=tensor(1.0), a=tensor(2.0)),
        Point(tensor(1.0), tensor(2.0)),
    ],
    ids=lambda tree: type(tree).__name__,
)
def test_gradients_have_the_structure_of_the_argument(tree):
    got = func.grad(lambda t: tree_leaves(t)[0] * tree_leaves(t)[1] ** 2)(tree)
    leaves, spec = tree_flatten(got)
    assert spec == tree_flatten(tree)[1]
    assert [g.item() for g in leaves] == [4.0, 4.0]


def test_argnums_selects_several_arguments():
    f = func.grad(lambda x, y, z: (x * y**2 * z).sum(), argnums=(2, 0))
    gradients = f(tensor(2.0), tensor(3.0), tensor(5.0))
    assert isinstance(gradients, tuple)
    assert [g.item() for g in gradients] == [18.0, 45.0]
    assert func.grad(lambda x, y: x * y, argnums=-1)(tensor(2.0), tensor(3.0)).item() == 2.0


def test_func_grad_of_an_unused_input_is_zero():
    close(func.grad(lambda x: tensor(3.0))(tensor(X)), np.zeros(3))
    close(func.grad(lambda x, y: y.sum())(tensor(X), tensor(X)), np.zeros(3))


def test_keyword_arguments_are_passed_on():
    assert func.grad(lambda x, *, power: x**power)(tensor(2.0), power=3).item() == 12.0


class TestOutside:
    """Backward passes of plain autograd through the result of a transform."""

    def test_func_grad_is_differentiable_with_respect_to_its_input(self):
        x = tensor(X).requires_grad_()
        func.grad(lambda x: (x**3).sum())(x).sum().backward()
        close(x.grad, 6 * X)

    def test_func_grad_is_differentiable_with_respect_to_captured_tensors(self):
        w = tensor(X).requires_grad_()
        gradient, value = func.grad_and_value(lambda x: (x**2 * w).sum())(tensor(X + 1))
        (gradient.sum() + value).backward()
        close(w.grad, 2 * (X + 1) + (X + 1) ** 2)

    def test_func_grad_under_no_grad_has_no_history(self):
        x = tensor(X).requires_grad_()
        with fb.no_grad():
            gradient = func.grad(lambda x: (x**3).sum())(x)
        close(gradient, 3 * X**2)
        assert not gradient.requires_grad

    def test_no_grad_inside_a_differentiated_function_stops_the_gradient(self):
        def f(x):
            with fb.no_grad():
                constant = x**2
            return (x - constant).sum()

        close(func.grad(f)(tensor(X)), np.ones(3))

    def test_func_grad_does_not_change_its_arguments_or_their_gradients(self):
        x = tensor(X)
        func.grad(lambda x: (x**3).sum())(x)
        assert x.grad is None and not x.requires_grad and x._version == 0

    def test_an_exception_in_func_grad_restores_the_grad_mode(self):
        with fb.no_grad():
            with pytest.raises(ZeroDivisionError):
                func.grad(lambda x: 1 / 0)(tensor(X))
            assert not fb.is_grad_enabled()


def test_grad_and_hessian_support_in_place_operators():
    def f(x):
        y = x * 2
        y.mul_(x)
        y[0] = x[1] * x[2]
        return y.sum()

    close(func.grad(f)(tensor(X)), [0, 4 * X[1] + X[2], 4 * X[2] + X[1]])
    close(func.hessian(f)(tensor(X)), [[0, 0, 0], [0, 4, 1], [0, 1, 4]])


def test_vjp_accepts_a_dictionary_of_outputs_and_can_be_called_again():
    output, vjp_fn = func.vjp(lambda x, y: {"product": x * y, "sum": x.sum()}, tensor(X), tensor(X + 1))
    close(output["product"], X * (X + 1))
    assert not output["sum"].requires_grad
    first, second = vjp_fn({"product": tensor([1.0, 2.0, 3.0]), "sum": tensor(10.0)})
    close(first, np.array([1, 2, 3]) * (X + 1) + 10)
    close(second, np.array([1, 2, 3]) * X)
    again, _ = vjp_fn({"product": tensor([0.0, 0.0, 0.0]), "sum": tensor(1.0)})
    close(again, np.ones(3))


def test_vjp_is_linear_and_differentiable_in_the_cotangent():
    _, vjp_fn = func.vjp(fb.sin, tensor(X))
    close(func.grad(lambda v: vjp_fn(v)[0].sum())(tensor(X)), np.cos(X))
    _, vjp_fn, aux = func.vjp(lambda x: (x, "aux"), tensor(X), has_aux=True)
    assert aux == "aux"


def test_func_grad_of_a_complex_argument_is_correct():
    z = fb.tensor(1.0 + 2.0j, dtype=fb.complex128)
    assert func.grad(lambda z: z.abs() ** 2)(z).item() == pytest.approx(2 + 4j)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda x: func.grad(lambda x: x)(x), RuntimeError, "scalar tensor, got tensor with 1 dims"),
        (lambda x: func.grad(lambda x: 3.0)(x), RuntimeError, "to return a tensor, got <class 'float'>"),
        (lambda x: func.grad(lambda x: x.sum(), has_aux=True)(x), RuntimeError, "output, aux"),
        (lambda x: func.grad(lambda x: x.sum(), argnums=1)(x), RuntimeError, "argnum=1, but only 1"),
        (lambda x: func.grad(lambda x: x.sum(), argnums=())(x), RuntimeError, "non-empty"),
        (lambda x: func.grad(lambda x, y: x.sum(), argnums=(0, -2))(x, x), RuntimeError, "unique"),
        (lambda x: func.grad(lambda x: x.sum(), argnums=0.5)(x), RuntimeError, "argnums must be int"),
        (lambda x: func.grad(lambda x: x)(2.0), TypeError, "float"),
        (lambda x: func.grad(lambda x: x.sum())(fb.tensor([1, 2])), RuntimeError, "floating point"),
        (lambda x: func.vjp(lambda x: 2.0, x), RuntimeError, "only tensors"),
        (lambda x: func.vjp(lambda x: x, x)[1]((x, x)), RuntimeError, "structure"),
        (lambda x: func.vjp(lambda x: x, x)[1](x[:2]), RuntimeError, "shape"),
    ],
)
def test_func_grad_and_vjp_reject_invalid_calls(call, kind, text):
    with pytest.raises(kind, match=text):
        call(tensor(X))
