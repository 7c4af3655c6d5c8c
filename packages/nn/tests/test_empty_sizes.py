"""Layers with empty inputs or weights: the results, and gradients of zero instead of errors or NaN."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.nn import functional as F


def gradients(output, inputs, twice=False):
    first = fb.autograd.grad(output.sum(), inputs, retain_graph=True, create_graph=twice, allow_unused=True)
    if not twice:
        return first
    return fb.autograd.grad(sum((g * g).sum() for g in first if g.requires_grad), inputs, allow_unused=True)


def leaf(*shape):
    return fb.ones(shape, requires_grad=True)


@pytest.mark.parametrize("shape", [(3,), (2, 4, 3), (0, 3), (2, 0)])
@pytest.mark.parametrize("features", [0, 2])
def test_linear_accepts_sizes_of_zero(shape, features):
    x, weight, bias = leaf(*shape), leaf(features, shape[-1]), leaf(features)
    output = F.linear(x, weight, bias)
    assert output.shape == (*shape[:-1], features)
    for given, found in zip((x, weight, bias), gradients(output, (x, weight, bias)), strict=True):
        assert found.shape == given.shape


@pytest.mark.parametrize("padding", [None, 0])
@pytest.mark.parametrize("sparse", [False, True])
def test_an_embedding_may_have_the_width_zero(padding, sparse):
    weight = leaf(3, 0)
    index = fb.tensor([[0, 2]])
    output = F.embedding(index, weight, padding, sparse=sparse)
    assert output.shape == (1, 2, 0)
    output.sum().backward()
    assert weight.grad.shape == (3, 0)


def test_attention_without_keys_is_zero_and_twice_differentiable():
    q, k, v = leaf(2, 1, 4, 3), leaf(2, 1, 0, 3), leaf(2, 1, 0, 5)
    output = F.scaled_dot_product_attention(q, k, v)
    assert output.shape == (2, 1, 4, 5) and (output == 0).all()
    assert (gradients(output, (q, k, v))[0] == 0).all()
    gradients(output, (q, k, v), twice=True)


@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 4), (2, 3, 0, 4), (0, 3, 2, 2, 2)])
def test_batch_norm_of_an_empty_batch_gives_finite_weight_gradients(shape):
    layer = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}[len(shape)](3)
    layer(fb.ones(shape)).sum().backward()
    assert layer.weight.grad.tolist() == layer.bias.grad.tolist() == [0, 0, 0]


@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_cross_entropy_of_ignored_targets_is_zero_without_classes(reduction):
    logits = leaf(2, 0)
    loss = F.cross_entropy(logits, fb.tensor([0, 0]), fb.ones(0), ignore_index=0, reduction=reduction)
    assert (loss == 0).all()
    assert gradients(loss, (logits,))[0].shape == (2, 0)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"stride": 2, "padding": 1, "dilation": 2}, {"groups": 3}])
@pytest.mark.parametrize(("batch", "channels", "filters"), [(2, 0, 6), (0, 3, 6), (0, 0, 6)])
def test_gradients_of_convolutions_without_elements_are_correct(dims, options, batch, channels, filters):
    layer = getattr(nn, f"Conv{dims}d")(channels, filters, 3, **options)
    x = leaf(batch, channels, *(7,) * dims)
    output = layer(x)
    assert output.shape[:2] == (batch, filters)
    wanted = float(np.prod([batch, *output.shape[2:]]))
    x_gradient, weight, bias = gradients(output, (x, layer.weight, layer.bias))
    assert x_gradient.shape == x.shape and (weight == 0).all() and (bias == wanted).all()
    gradients(output, (x, layer.weight), twice=True)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_gradients_of_transposed_convolutions_without_filters_are_zero(dims):
    layer = getattr(nn, f"ConvTranspose{dims}d")(3, 0, 3, stride=2)
    x = leaf(2, 3, *(5,) * dims)
    output = layer(x)
    assert output.shape == (2, 0, *(11,) * dims)
    assert (gradients(output, (x,))[0] == 0).all()


def test_adaptive_average_pooling_accepts_zero_channels_but_no_empty_image():
    assert F.adaptive_avg_pool1d(fb.zeros(2, 0, 4), 2).shape == (2, 0, 2)
    assert F.adaptive_avg_pool2d(fb.zeros(2, 0, 4, 4), (2, 1)).shape == (2, 0, 2, 1)
    with pytest.raises(RuntimeError, match="non-zero sizes"):
        F.adaptive_avg_pool2d(fb.zeros(2, 3, 0, 4), (2, 2))
    with pytest.raises(RuntimeError, match="non-zero sizes"):
        F.adaptive_max_pool2d(fb.zeros(2, 0, 4, 4), 2)


def test_max_unpool_rejects_padding_that_leaves_no_image():
    with pytest.raises(ValueError, match=r"non-negative spatial dimensions, but got output_size\[0\]=-1"):
        F.max_unpool2d(fb.ones(1, 1, 1, 1), fb.zeros(1, 1, 1, 1, dtype=fb.int64), 1, 1, 1)


def test_unflatten_of_an_empty_dimension_infers_one_size():
    assert nn.Unflatten(1, (-1, 2))(fb.zeros(3, 0)).shape == (3, 0, 2)
    with pytest.raises(RuntimeError, match="don't multiply up to the size of dim 1"):
        nn.Unflatten(1, (0, -1))(fb.zeros(3, 0))
