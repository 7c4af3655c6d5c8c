"""Gradients, compared with formulas in NumPy."""

import numpy as np
import pytest

import flambeau as fb


def leaf(array):
    return fb.tensor(array, requires_grad=True)


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def close(tensor, expected):
    np.testing.assert_allclose(tensor.detach().numpy(), expected, rtol=1e-10, atol=1e-12)


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_gradient_of_a_quadratic_form_matches_the_formula(generator):
    a, x = generator.standard_normal((4, 4)), generator.standard_normal(4)
    v = leaf(x)
    (v @ fb.tensor(a) @ v).backward()
    close(v.grad, (a + a.T) @ x)


def test_gradient_of_the_matrix_product_matches_the_formula(generator):
    a, b, g = (generator.standard_normal(s) for s in ((3, 4), (4, 2), (3, 2)))
    x, y = leaf(a), leaf(b)
    (x @ y).backward(fb.tensor(g))
    close(x.grad, g @ b.T)
    close(y.grad, a.T @ g)


def test_gradient_of_cross_entropy_matches_the_formula(generator):
    logits, classes = generator.standard_normal((5, 3)), np.array([0, 2, 1, 1, 0])
    z = leaf(logits)
    fb.cross_entropy(z, fb.tensor(classes)).backward()
    close(z.grad, (softmax(logits) - np.eye(3)[classes]) / 5)


def test_weighted_smoothed_cross_entropy_and_its_gradient_match_the_formula(generator):
    logits, classes, w = generator.standard_normal((5, 3)), np.array([0, 2, 1, 1, 0]), np.array([0.5, 2.0, 1.0])
    z = leaf(logits)
    loss = fb.cross_entropy(z, fb.tensor(classes), fb.tensor(w), label_smoothing=0.3)
    loss.backward()
    targets = 0.7 * np.eye(3)[classes] + 0.1
    total = w[classes].sum()
    logs = np.log(softmax(logits))
    assert loss.item() == pytest.approx(-(targets * w * logs).sum() / total, rel=1e-12)
    weighted = targets * w
    close(z.grad, (softmax(logits) * weighted.sum(1, keepdims=True) - weighted) / total)


def test_gradient_of_mean_squared_error_matches_the_formula(generator):
    a, b = generator.standard_normal((2, 3)), generator.standard_normal((2, 3))
    x, y = leaf(a), leaf(b)
    fb.mse_loss(x, y).backward()
    close(x.grad, 2 * (a - b) / 6)
    close(y.grad, 2 * (b - a) / 6)


def test_gradients_of_softmax_and_logsumexp_match_the_formulas(generator):
    z, g = generator.standard_normal((2, 4)), generator.standard_normal((2, 4))
    x = leaf(z)
    x.softmax(1).backward(fb.tensor(g))
    s = softmax(z)
    close(x.grad, s * (g - (g * s).sum(1, keepdims=True)))
    x.grad = None
    x.logsumexp(1).sum().backward()
    close(x.grad, s)


def test_gradient_of_batch_norm_includes_the_batch_statistics(generator):
    a, g = generator.standard_normal((6, 2)), generator.standard_normal((6, 2))
    x = leaf(a)
    fb.batch_norm(x, None, None, training=True, eps=1e-5).backward(fb.tensor(g))
    deviation = np.sqrt(a.var(0) + 1e-5)
    normal = (a - a.mean(0)) / deviation
    close(x.grad, (g - g.mean(0) - normal * (g * normal).mean(0)) / deviation)


def test_gradients_of_convolution_equal_sums_over_windows(generator):
    image, kernel = generator.standard_normal((1, 1, 4, 4)), generator.standard_normal((1, 1, 2, 2))
    x, w = leaf(image), leaf(kernel)
    fb.conv2d(x, w).sum().backward()
    windows = np.lib.stride_tricks.sliding_window_view(image[0, 0], (2, 2))
    close(w.grad[0, 0], windows.sum((0, 1)))
    spread = np.zeros((4, 4))
    for i in range(3):
        for j in range(3):
            spread[i : i + 2, j : j + 2] += kernel[0, 0]
    close(x.grad[0, 0], spread)


def test_gradient_of_cumsum_is_a_reversed_cumsum():
    x = leaf(np.arange(4.0))
    x.cumsum(0).backward(fb.tensor([1.0, 2.0, 3.0, 4.0], dtype=fb.float64))
    close(x.grad, [10, 9, 7, 4])


@pytest.mark.parametrize(
    ("reduce", "expected"),
    [
        (lambda x: x.max(), [0.0, 0.5, 0.5]),
        (lambda x: x.amax(0), [0.0, 0.5, 0.5]),
        (lambda x: x.max(0).values, [0.0, 1.0, 0.0]),
        (lambda x: (-x).min(), [0.0, -0.5, -0.5]),
        (lambda x: (-x).min(0).values, [0.0, -1.0, 0.0]),
        (lambda x: x.norm(float("inf")), [0.0, 0.5, 0.5]),
    ],
)
def test_the_gradient_is_shared_by_equal_extremes_or_goes_to_one(reduce, expected):
    x = leaf(np.array([1.0, 3.0, 3.0]))
    reduce(x).backward()
    close(x.grad, expected)


def test_gradient_of_prod_is_correct_with_zeros_among_the_elements():
    for values, expected in (([2, 0, 3], [0, 6, 0]), ([0, 0, 3], [0, 0, 0]), ([2, 4, 3], [12, 6, 8])):
        x = leaf(np.array(values, float))
        x.prod().backward()
        close(x.grad, expected)


def test_gradients_of_norm_and_std_are_zero_where_the_result_is_zero():
    for reduce in (fb.norm, lambda x: x.norm(3), fb.std):
        x = leaf(np.zeros(3))
        reduce(x).backward()
        close(x.grad, np.zeros(3))


def test_gradients_of_repeated_indices_are_summed():
    x = leaf(np.arange(3.0))
    x[fb.tensor([0, 2, 2, 2])].sum().backward()
    close(x.grad, [1, 0, 3])


def test_gradient_of_dropout_is_the_scaled_mask():
    x = leaf(np.ones(1000))
    y = fb.dropout(x, 0.25)
    y.sum().backward()
    close(x.grad, y.detach().numpy())
    assert set(np.unique(x.grad.numpy())) == {0.0, 1 / 0.75}


def test_four_derivatives_of_the_sine_match_the_formulas():
    x = leaf(np.linspace(-3, 3, 7))
    derivative = x.sin()
    for expected in (np.cos, lambda v: -np.sin(v), lambda v: -np.cos(v), np.sin):
        (derivative,) = fb.autograd.grad(derivative.sum(), x, create_graph=True)
        close(derivative, expected(np.linspace(-3, 3, 7)))


def test_a_hessian_equals_repeated_gradients():
    x = leaf(np.array([1.0, 2.0, 3.0]))
    (gradient,) = fb.autograd.grad((x**3).sum() + x.prod(), x, create_graph=True)
    rows = [fb.autograd.grad(g, x, retain_graph=True)[0].numpy() for g in gradient]
    np.testing.assert_allclose(rows, [[6, 3, 2], [3, 12, 1], [2, 1, 18]], atol=1e-12)


def test_fake_quantisation_passes_the_gradient_within_its_range():
    x = fb.tensor([0.05, 0.15, 0.25, -0.3, fb.inf], requires_grad=True)
    fb.fake_quantize_per_tensor_affine(x, 0.1, 0, -2, 2).backward(fb.tensor([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert x.grad.tolist() == [1.0, 2.0, 3.0, 0.0, 0.0]
    y = fb.tensor([[0.05, 3.0], [0.15, 1.0]], requires_grad=True)
    scales, points = fb.tensor([0.1, 1.0]), fb.tensor([0, 1], dtype=fb.int32)
    fb.fake_quantize_per_channel_affine(y, scales, points, 1, -3, 3).sum().backward()
    assert y.grad.tolist() == [[1.0, 0.0], [1.0, 1.0]]
