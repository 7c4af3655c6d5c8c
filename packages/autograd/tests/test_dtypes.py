"""Gradients have the shape and dtype of their tensors, and do not depend on the number of threads."""

import numpy as np
import pytest

import flambeau as fb


@pytest.mark.parametrize("dtype", [fb.float16, fb.bfloat16, fb.float32, fb.float64])
def test_gradients_have_the_floating_dtype_of_the_leaf(dtype):
    x = fb.tensor([1.0, 2.0, 4.0], dtype=dtype, requires_grad=True)
    y = (x * x + x.exp().log()).sum()
    y.backward()
    assert x.grad.dtype is dtype
    np.testing.assert_allclose(x.grad.double().numpy(), [3, 5, 9], rtol=2e-2)


def test_each_gradient_has_the_dtype_of_its_operand():
    half = fb.ones(3, dtype=fb.float16, requires_grad=True)
    double = fb.full((2, 1), 2.0, dtype=fb.float64, requires_grad=True)
    scalar = fb.tensor(3.0, requires_grad=True)
    (half * double + scalar).sum().backward()
    assert (half.grad.dtype, half.grad.shape) == (fb.float16, (3,))
    assert (double.grad.dtype, double.grad.shape) == (fb.float64, (2, 1))
    assert (scalar.grad.dtype, scalar.grad.shape) == (fb.float32, ())
    assert half.grad.tolist() == [4, 4, 4] and double.grad.tolist() == [[3], [3]] and scalar.grad.item() == 6


@pytest.mark.parametrize("convert", ["float", "half", "bfloat16", "double"])
def test_conversions_pass_the_gradient_on(convert):
    x = fb.tensor([1.5, 2.5], dtype=fb.float64, requires_grad=True)
    (getattr(x, convert)() * 2).sum().backward()
    assert x.grad.dtype is fb.float64 and x.grad.tolist() == [2, 2]


def test_conversions_to_integers_have_no_history():
    x = fb.tensor([1.5, 2.5], requires_grad=True)
    assert not x.long().requires_grad and not x.bool().requires_grad and not (x > 2).requires_grad


def test_products_with_integer_and_boolean_tensors_have_gradients():
    x = fb.tensor([1.5, 2.5], requires_grad=True)
    (x * fb.tensor([2, 3]) + x * fb.tensor([True, False])).sum().backward()
    assert x.grad.tolist() == [3, 3]


@pytest.mark.parametrize("shapes", [((), (2, 3)), ((3,), (2, 1)), ((1, 1, 3), (2, 1)), ((2, 3), (2, 3))])
def test_broadcast_gradients_are_summed(shapes):
    a, b = (fb.full(s, 2.0, requires_grad=True) for s in shapes)
    out = a * b
    out.backward(fb.ones(out.shape))
    for t in (a, b):
        assert t.grad.shape == t.shape
        assert t.grad.flatten().tolist() == [2.0 * out.numel() / t.numel()] * t.numel()


def test_output_gradients_are_cast_to_the_dtype_of_the_output():
    x = fb.tensor([1.0, 2.0], requires_grad=True)
    (x * 2).backward(fb.tensor([1.0, 1.0], dtype=fb.float64))
    assert x.grad.dtype is fb.float32


def test_gradients_of_empty_tensors_have_the_shape_of_the_tensor():
    x = fb.zeros(0, 3, requires_grad=True)
    (x * 2).sum().backward()
    assert x.grad.shape == (0, 3)
    x.grad = None
    fb.linear(x, fb.ones(2, 3), fb.ones(2)).sum().backward()
    assert x.grad.shape == (0, 3)


def test_results_do_not_depend_on_the_number_of_threads():
    def gradients(threads):
        fb.set_num_threads(threads)
        fb.manual_seed(0)
        x = fb.randn(8, 3, 24, 24, requires_grad=True)
        w = fb.randn(6, 3, 3, 3, requires_grad=True)
        head = fb.randn(10, 6 * 11 * 11, requires_grad=True)
        h = fb.max_pool2d(fb.relu(fb.batch_norm(fb.conv2d(x, w), None, None, training=True)), 2)
        logits = fb.linear(fb.dropout(h.flatten(1), 0.3), head)
        (fb.cross_entropy(logits, fb.arange(8)) + x.std() + x.exp().sum()).backward()
        return [t.grad.numpy() for t in (x, w, head)]

    alone = gradients(1)
    for threads in (2, 3, 4):
        for expected, got in zip(alone, gradients(threads), strict=True):
            assert np.array_equal(expected, got)
