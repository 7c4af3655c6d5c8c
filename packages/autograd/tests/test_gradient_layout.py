"""The gradient that a leaf stores has the strides of the leaf."""

import pytest

import flambeau as fb

SHAPE = (2, 3, 4, 5)


def channels_last(shape=SHAPE):
    return fb.ones(shape).to(memory_format=fb.channels_last).requires_grad_()


@pytest.mark.parametrize(
    "gradient",
    [
        lambda: fb.arange(120.0).view(SHAPE),
        lambda: fb.arange(120.0).view(SHAPE).to(memory_format=fb.channels_last),
        lambda: fb.tensor(2.0).expand(SHAPE),
    ],
    ids=["contiguous", "channels last", "expanded"],
)
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_gradient_of_a_channels_last_leaf_is_channels_last(gradient, create_graph):
    x, given = channels_last(), gradient()
    x.backward(given, create_graph=create_graph)
    assert x.grad.stride() == x.stride()
    assert fb.equal(x.grad, given)
    assert x.grad.data_ptr() != given.data_ptr()


@pytest.mark.parametrize(
    ("leaf", "strides"),
    [
        (lambda: fb.ones(4, 3).t(), (1, 3)),
        (lambda: fb.ones(4, 6)[:, ::2], (3, 1)),
        (lambda: fb.ones(1, 3).expand(4, 3), (3, 1)),
        (lambda: fb.ones(8, 3)[::2].t(), (4, 1)),
        (lambda: fb.ones(4, 3), (3, 1)),
    ],
    ids=["dense", "gaps", "expanded", "transposed with gaps", "contiguous"],
)
def test_the_strides_of_a_gradient_follow_its_leaf(leaf, strides):
    x = leaf().requires_grad_()
    given = fb.arange(12.0).view(x.shape[::-1]).t()
    x.backward(given)
    assert x.grad.stride() == strides
    assert fb.equal(x.grad, given)


@pytest.mark.parametrize(
    "function",
    [fb.exp, fb.relu, lambda x: x * 2, lambda x: x * x, lambda x: x.double(), lambda x: x.clamp(0, 1)],
    ids=["exp", "relu", "scaled", "square", "converted", "clamp"],
)
def test_the_gradient_of_a_pointwise_operator_keeps_the_memory_order(function):
    x = channels_last()
    y = function(x)
    (gradient,) = fb.autograd.grad(y, x, fb.ones_like(y))
    assert y.stride() == gradient.stride() == x.stride()


def test_an_expanded_gradient_does_not_determine_the_memory_order():
    x = channels_last()
    (gradient,) = fb.autograd.grad((x * x).sum(), x)
    assert gradient.stride() == x.stride()


def test_an_accumulated_gradient_keeps_its_strides():
    x = channels_last()
    x.grad = fb.zeros(SHAPE)
    (x * x).sum().backward()
    assert x.grad.stride() == (60, 20, 5, 1)
    assert (x.grad == 2).all()


def test_a_channels_last_gradient_is_differentiable():
    x = channels_last()
    (x**3).sum().backward(create_graph=True)
    assert x.grad.stride() == x.stride()
    (second,) = fb.autograd.grad(x.grad.sum(), x)
    assert (second == 6).all()


def test_a_gradient_of_a_leaf_with_replaced_data_is_stored():
    x = channels_last()
    loss = x.sum()
    x.data = fb.ones(3, 2).t()
    loss.backward()
    assert x.grad.shape == SHAPE


def test_a_stored_gradient_with_a_graph_is_not_a_view():
    w = fb.tensor([1.0, 2.0, 3.0], requires_grad=True)
    (w + fb.ones(5, 3)).pow(2).sum().backward(create_graph=True)
    assert not w.grad._is_view()
    (second,) = fb.autograd.grad(w.grad.sum(), w)
    assert second.tolist() == [10, 10, 10]
    assert not w.grad.detach_().requires_grad
