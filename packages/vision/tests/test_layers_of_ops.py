from __future__ import annotations

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.vision import ops


def test_conv_norm_activation_pads_and_has_a_bias_only_without_a_norm() -> None:
    layer = ops.Conv2dNormActivation(3, 4, kernel_size=5, dilation=2)
    assert [type(part) for part in layer] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU] and layer[0].bias is None
    assert tuple(layer(fb.zeros(1, 3, 9, 9)).shape) == (1, 4, 9, 9)
    bare = ops.Conv2dNormActivation(3, 4, norm_layer=None, activation_layer=None)
    assert len(bare) == 1 and bare[0].bias is not None


def test_squeeze_excitation_scales_channels() -> None:
    fb.manual_seed(0)
    layer = ops.SqueezeExcitation(4, 2)
    x = fb.randn(2, 4, 3, 3)
    ratio = (layer(x) / x).detach().numpy()
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[..., :1, :1], ratio.shape), rtol=1e-4)
    mean = x.mean((2, 3)).numpy()
    first, second = (w.weight.detach().numpy()[..., 0, 0] for w in (layer.fc1, layer.fc2))
    hidden = np.maximum(mean @ first.T + layer.fc1.bias.detach().numpy(), 0)
    expected = 1 / (1 + np.exp(-(hidden @ second.T + layer.fc2.bias.detach().numpy())))
    np.testing.assert_allclose(ratio[..., 0, 0], expected, rtol=1e-4)


def test_frozen_batch_norm_equals_batch_norm_in_evaluation() -> None:
    normal, frozen = nn.BatchNorm2d(3), ops.FrozenBatchNorm2d(3)
    normal(fb.randn(8, 3, 4, 4) * 3 + 1)
    nn.init.normal_(normal.weight)
    state = normal.state_dict()
    del state["num_batches_tracked"]
    frozen.load_state_dict(state)
    x = fb.randn(2, 3, 4, 4)
    np.testing.assert_allclose(frozen(x).numpy(), normal.eval()(x).detach().numpy(), rtol=1e-4, atol=1e-5)
    assert list(frozen.parameters()) == [] and repr(frozen) == "FrozenBatchNorm2d(3, eps=1e-05)"


def test_stochastic_depth_drops_whole_samples_and_scales_the_others() -> None:
    fb.manual_seed(0)
    x = fb.ones(1000, 2, 2)
    rows = ops.stochastic_depth(x, 0.25, "row")
    kept = (rows != 0).flatten(1).all(1)
    assert ((rows == 0).flatten(1).all(1) | kept).all() and 0.7 < kept.float().mean() < 0.8
    np.testing.assert_allclose(rows[kept].numpy(), 1 / 0.75, rtol=1e-6)
    assert {ops.stochastic_depth(x[:1], 0.5, "batch").sum().item() for _ in range(50)} == {0.0, 8.0}
    assert ops.StochasticDepth(0.5, "row").eval()(x) is x and not ops.stochastic_depth(x, 1.0, "row").any()
    with pytest.raises(ValueError, match="either 'batch' or 'row', but got column"):
        ops.stochastic_depth(x, 0.5, "column")
    with pytest.raises(ValueError, match="between 0 and 1, but got 2"):
        ops.stochastic_depth(x, 2, "row")


def test_mlp_and_permute_build_the_documented_layers() -> None:
    layer = ops.MLP(4, [8, 3], norm_layer=nn.LayerNorm)
    assert [type(part) for part in layer] == [nn.Linear, nn.LayerNorm, nn.ReLU, nn.Dropout, nn.Linear, nn.Dropout]
    assert tuple(ops.Permute((0, 2, 1))(fb.zeros(1, 2, 3)).shape) == (1, 3, 2)
