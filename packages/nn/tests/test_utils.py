"""`nn.utils`: clipping gradients, parameters as one vector."""

import math

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn

GRADIENTS = [np.array([[3.0, -1.0], [0.5, 2.0]]), np.array([-4.0, 0.25])]


def parameters():
    made = [nn.Parameter(fb.zeros(*each.shape, dtype=fb.float64)) for each in GRADIENTS]
    for parameter, gradient in zip(made, GRADIENTS, strict=True):
        parameter.grad = fb.from_numpy(gradient.copy())
    return [*made, nn.Parameter(fb.zeros(1))]


@pytest.mark.parametrize("order", [1.0, 2.0, 3.0, math.inf])
@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_clip_grad_norm_scales_gradients_and_returns_their_norm(order, limit):
    norm = np.linalg.norm(np.concatenate([each.ravel() for each in GRADIENTS]), order)
    given = parameters()
    returned = nn.utils.clip_grad_norm_(iter(given), limit, norm_type=order)
    assert returned.item() == pytest.approx(norm, rel=1e-12)
    factor = min(1.0, limit / (norm + 1e-6))
    for parameter, gradient in zip(given, GRADIENTS, strict=False):
        np.testing.assert_allclose(parameter.grad.numpy(), gradient * factor, rtol=1e-12)
    assert given[-1].grad is None


@pytest.mark.parametrize("dtype", [fb.float16, fb.bfloat16])
def test_clip_grad_norm_does_not_overflow_if_the_squares_of_a_gradient_do(dtype):
    parameter = nn.Parameter(fb.zeros(4, dtype=dtype))
    parameter.grad = fb.full((4,), 300.0, dtype=dtype)
    assert nn.utils.clip_grad_norm_(parameter, 1.0).item() == 600
    np.testing.assert_allclose(parameter.grad.float().numpy(), 0.5, rtol=1e-2)


@pytest.mark.parametrize(("order", "norm"), [(0.0, 1.0), (-math.inf, 5.0)])
def test_total_norm_accepts_the_orders_of_vector_norm(order, norm):
    assert nn.utils.get_total_norm([fb.tensor([-5.0])], order).item() == norm


def test_clip_grad_norm_warns_of_an_exhausted_generator():
    parameters = nn.Linear(2, 2).parameters()
    list(parameters)
    with pytest.warns(UserWarning, match="empty generator"):
        nn.utils.clip_grad_norm_(parameters, 1.0)


def test_clip_grad_norm_changes_the_gradient_in_place():
    (parameter, *_) = parameters()
    gradient = parameter.grad
    nn.utils.clip_grad_norm_(parameter, 1.0)
    assert parameter.grad is gradient
    assert np.linalg.norm(gradient.numpy()) == pytest.approx(1.0, rel=1e-5)


def test_clip_grad_norm_without_gradients_is_zero():
    assert nn.utils.clip_grad_norm_([nn.Parameter(fb.zeros(1))], 1.0).item() == 0


def test_clip_grad_norm_can_raise_if_the_norm_is_not_finite():
    (parameter, *_) = parameters()
    parameter.grad = fb.tensor([[1.0, math.inf], [0.0, 0.0]], dtype=fb.float64)
    with pytest.raises(RuntimeError, match=r"total norm of order 2\.0 .* is non-finite"):
        nn.utils.clip_grad_norm_(parameter, 1.0, error_if_nonfinite=True)
    np.testing.assert_array_equal(parameter.grad.numpy(), [[1, math.inf], [0, 0]])


def test_clip_grad_value_clamps_gradients():
    given = parameters()
    nn.utils.clip_grad_value_(given, 1.5)
    for parameter, gradient in zip(given, GRADIENTS, strict=False):
        np.testing.assert_array_equal(parameter.grad.numpy(), np.clip(gradient, -1.5, 1.5))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda: nn.Linear(2, 2), r"got the module .*\.Linear; write model\.parameters\(\)"),
        (lambda: nn.Linear(2, 2).named_parameters(), r"element 0 is tuple; write model\.parameters\(\), not"),
        (lambda: [fb.ones(1), 3], "element 1 is int"),
        (lambda: 3, "expected a Tensor or an iterable of Tensors, got int"),
    ],
)
def test_gradient_clipping_rejects_objects_other_than_parameters(given, message):
    with pytest.raises(TypeError, match=f"clip_grad_norm_: .*{message}"):
        nn.utils.clip_grad_norm_(given(), 1.0)
    with pytest.raises(TypeError, match=f"clip_grad_value_: .*{message}"):
        nn.utils.clip_grad_value_(given(), 1.0)
    with pytest.raises(TypeError, match=f"get_total_norm: .*{message}"):
        nn.utils.get_total_norm(given())
    with pytest.raises(TypeError, match=f"parameters_to_vector: .*{message}"):
        nn.utils.parameters_to_vector(given())
    with pytest.raises(TypeError, match=f"vector_to_parameters: .*{message}"):
        nn.utils.vector_to_parameters(fb.ones(9), given())


def test_vector_to_parameters_inverts_parameters_to_vector():
    layer = nn.Linear(2, 3)
    vector = nn.utils.parameters_to_vector(layer.parameters())
    expected = [layer.weight.detach().numpy().ravel(), layer.bias.detach().numpy()]
    np.testing.assert_array_equal(vector.detach().numpy(), np.concatenate(expected))
    nn.utils.vector_to_parameters(fb.arange(9.0), layer.parameters())
    np.testing.assert_array_equal(layer.weight.detach().numpy(), np.arange(6.0).reshape(3, 2))
    np.testing.assert_array_equal(layer.bias.detach().numpy(), [6, 7, 8])
    assert layer.weight.is_leaf


@pytest.mark.parametrize(
    ("vector", "error", "message"),
    [
        (lambda: fb.zeros(8), ValueError, "parameters have 9 elements, but the vector has 8"),
        (lambda: [0.0] * 9, TypeError, "expected vec to be a Tensor, but got: list"),
    ],
)
def test_vector_to_parameters_with_a_wrong_size_changes_nothing(vector, error, message):
    layer = nn.Linear(2, 3)
    before = layer.weight.detach().numpy().copy()
    with pytest.raises(error, match=message):
        nn.utils.vector_to_parameters(vector(), layer.parameters())
    np.testing.assert_array_equal(layer.weight.detach().numpy(), before)
