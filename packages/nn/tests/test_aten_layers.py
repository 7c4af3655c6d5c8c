"""Layers as operators of ``ops.aten``: the order of their arguments, and reductions encoded as numbers."""

import numpy as np
import pytest

import flambeau as fb

aten = fb.ops.aten
X = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]], "f4")
X_TENSOR, TARGET = fb.from_numpy(X), fb.tensor([2, 1])
LOG = X - np.log(np.exp(X).sum(1, keepdims=True))
PICKED = -LOG[[0, 1], [2, 1]]


@pytest.mark.parametrize(("reduction", "reduce"), [(0, np.asarray), (1, np.mean), (2, np.sum)])
def test_aten_losses_take_the_reduction_as_a_number(reduction, reduce):
    found = aten.cross_entropy_loss(X_TENSOR, TARGET, None, reduction, -100, 0.0)
    np.testing.assert_allclose(found.numpy(), reduce(PICKED), rtol=1e-6)
    loss, total = aten.nll_loss_forward(fb.from_numpy(LOG), TARGET, None, reduction, 1)
    np.testing.assert_allclose(loss.sum().item(), PICKED[0], rtol=1e-6)
    assert total.item() == (1 if reduction else 0)
    found = aten.huber_loss(X_TENSOR, fb.zeros(2, 3), reduction, 0.75)
    size = np.abs(X)
    np.testing.assert_allclose(found.numpy(), reduce(np.where(size < 0.75, X**2 / 2, 0.75 * (size - 0.375))), rtol=1e-6)


def test_aten_embedding_bag_returns_four_results():
    weight, indices = fb.arange(8.0).reshape(4, 2), fb.tensor([1, 3, 0])
    bags, *others = aten.embedding_bag(weight, indices, fb.tensor([0, 2]), False, 1, False, None, False, -1)
    assert bags.tolist() == [[4.0, 5.0], [0.0, 1.0]] and others == [None] * 3


def test_aten_interpolation_accepts_sizes_and_factors():
    image = fb.arange(4.0).reshape(1, 1, 2, 2)
    rows = [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]
    assert aten.upsample_nearest2d(image, [4, 4])[0, 0].tolist() == rows
    assert aten.upsample_nearest2d(image, None, [2.0, 2.0])[0, 0].tolist() == rows
    assert aten.upsample_nearest2d(image, [4, 4], 2.0, 2.0)[0, 0].tolist() == rows
    aligned = aten.upsample_bilinear2d(image, [3, 3], True, None)[0, 0]
    np.testing.assert_allclose(aligned.numpy(), [[0, 0.5, 1], [1, 1.5, 2], [2, 2.5, 3]], rtol=1e-6)


def test_aten_padding_and_im2col_return_the_expected_elements():
    row = fb.arange(3.0).reshape(1, 1, 3)
    assert aten.reflection_pad1d(row, [1, 2])[0, 0].tolist() == [1, 0, 1, 2, 1, 0]
    assert aten.replication_pad1d(row, [1, 0])[0, 0].tolist() == [0, 0, 1, 2]
    windows = aten.im2col(fb.arange(4.0).reshape(1, 1, 2, 2), [2, 1], [1, 1], [0, 0], [1, 1])
    assert windows[0].tolist() == [[0, 1], [2, 3]]


@pytest.mark.parametrize("norm_first", [False, True])
def test_aten_transformer_encoder_layer_equals_the_module(norm_first):
    layer = fb.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=norm_first).double().eval()
    x, mask = fb.randn(2, 5, 8, dtype=fb.float64), fb.tensor([[False] * 5, [False] * 3 + [True] * 2])
    attention = layer.self_attn
    weights = [attention.in_proj_weight, attention.in_proj_bias, attention.out_proj.weight, attention.out_proj.bias]
    norms = [layer.norm1.weight, layer.norm1.bias, layer.norm2.weight, layer.norm2.bias]
    linear = [layer.linear1.weight, layer.linear1.bias, layer.linear2.weight, layer.linear2.bias]
    found = aten._transformer_encoder_layer_fwd(
        x, 8, 2, *weights, False, norm_first, layer.norm1.eps, *norms, *linear, mask, 1
    )
    expected = layer(x, src_key_padding_mask=mask)
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), atol=1e-12)


def test_aten_multi_head_attention_returns_averaged_weights_or_none():
    x, weight = fb.randn(1, 3, 4), fb.randn(12, 4)
    arguments = (x, x, x, 4, 2, weight, fb.zeros(12), fb.eye(4), fb.zeros(4), None)
    _, weights = aten._native_multi_head_attention(*arguments)
    np.testing.assert_allclose(weights.sum(-1).numpy(), np.ones((1, 3)), rtol=1e-6)
    assert aten._native_multi_head_attention(*arguments, True, False)[1].shape == (1, 2, 3, 3)
    assert aten._native_multi_head_attention(*arguments, False)[1] is None
