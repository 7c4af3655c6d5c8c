"""Activations with and without ``inplace``, softmaxes and dropouts."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.nn import functional as F

RNG = np.random.default_rng(0)
X = RNG.standard_normal(50) * 4
CALLS = {
    "relu": (F.relu, np.maximum(X, 0)),
    "relu6": (F.relu6, np.clip(X, 0, 6)),
    "silu": (F.silu, X / (1 + np.exp(-X))),
    "leaky_relu": (F.leaky_relu, np.where(X > 0, X, 0.01 * X)),
    "elu": (lambda x, **o: F.elu(x, 0.7, **o), np.where(X > 0, X, 0.7 * np.expm1(X))),
    "celu": (lambda x, **o: F.celu(x, 0.7, **o), np.where(X > 0, X, 0.7 * np.expm1(X / 0.7))),
    "selu": (F.selu, 1.0507009873554805 * np.where(X > 0, X, 1.6732632423543772 * np.expm1(X))),
    "hardtanh": (F.hardtanh, np.clip(X, -1, 1)),
    "hardswish": (F.hardswish, X * np.clip(X + 3, 0, 6) / 6),
    "hardsigmoid": (F.hardsigmoid, np.clip(X + 3, 0, 6) / 6),
    "mish": (F.mish, X * np.tanh(np.logaddexp(0, X))),
    "threshold": (lambda x, **o: F.threshold(x, 0.5, -2.0, **o), np.where(X > 0.5, X, -2)),
    "rrelu": (F.rrelu, np.where(X > 0, X, X * (1 / 8 + 1 / 3) / 2)),
}


@pytest.mark.parametrize("name", CALLS)
def test_activations_have_correct_values_also_in_place(name):
    call, want = CALLS[name]
    x = fb.tensor(X)
    np.testing.assert_allclose(call(x).numpy(), want, rtol=1e-12, atol=1e-14)
    assert np.array_equal(x.numpy(), X)
    assert call(x, inplace=True) is x
    np.testing.assert_allclose(x.numpy(), want, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", CALLS)
def test_in_place_activations_have_the_correct_gradient(name):
    """Compare with central differences. An operation's result is overwritten here, and the gradient remains correct."""
    call, _ = CALLS[name]
    x, step = fb.tensor(X, requires_grad=True), 1e-6
    call(x * 1, inplace=True).sum().backward()
    slope = (call(x.detach() + step) - call(x.detach() - step)) / (2 * step)
    np.testing.assert_allclose(x.grad.numpy(), slope.numpy(), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "celu", "selu", "hardtanh", "rrelu"])
def test_activations_with_a_trailing_underscore_work_in_place(name):
    x = fb.tensor(X)
    want = getattr(F, name)(x)
    assert getattr(F, name + "_")(x) is x
    assert fb.equal(x, want)


def test_softmin_without_a_dimension_warns_and_chooses_one():
    x = fb.tensor(X.reshape(5, 10))
    assert fb.allclose(F.softmin(x, 1), F.softmax(-x, 1))
    with pytest.warns(UserWarning, match="Implicit dimension"):
        assert fb.equal(F.softmin(x), F.softmin(x, 1))
    assert F.softmax(fb.arange(3), 0, dtype=fb.float64).dtype is fb.float64


@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("transposed", [False, True])
def test_glu_writes_both_halves_of_its_gradient(dim, transposed):
    values = RNG.standard_normal((4, 6, 2))
    x = fb.tensor(values.swapaxes(1, 2).copy()).mT if transposed else fb.tensor(values)
    x.requires_grad_()
    y = F.glu(x, dim)
    assert type(y.grad_fn).__name__ == "GluBackward0"
    g = RNG.standard_normal(tuple(y.shape))
    first, second = np.split(values, 2, dim)
    gate = 1 / (1 + np.exp(-second))
    want = np.concatenate([g * gate, g * first * gate * (1 - gate)], dim)
    for create_graph in (False, True):
        (found,) = fb.autograd.grad(y, x, fb.tensor(g), retain_graph=True, create_graph=create_graph)
        np.testing.assert_allclose(found.detach().numpy(), want, rtol=1e-12)


def test_rrelu_draws_slopes_between_its_bounds():
    x = fb.full((10_000,), -1.0)
    y = F.rrelu(x, 0.2, 0.4, True)
    assert float(y.max()) <= -0.2 and float(y.min()) >= -0.4 and abs(float(y.mean()) + 0.3) < 0.005
    with pytest.raises(RuntimeError, match="Lower bound"):
        F.rrelu(x, 0.5, 0.2)


def test_gumbel_softmax_draws_classes_with_the_right_frequency():
    logits = fb.tensor([0.0, 1.0, 2.0]).expand(20_000, 3)
    hard = F.gumbel_softmax(logits, hard=True)
    assert bool((hard.sum(1) - 1).abs().max() < 1e-6)
    want = np.exp([0, 1, 2]) / np.exp([0, 1, 2]).sum()
    np.testing.assert_allclose(hard.mean(0).numpy(), want, atol=5 * np.sqrt(0.25 / 20_000))
    x = fb.zeros(4, requires_grad=True)
    F.gumbel_softmax(x, hard=True, dim=0)[0].backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: F.hardtanh(x, 1.0, -1.0), ValueError, "min_val"),
        (lambda x: F.celu(x, 0.0), RuntimeError, "alpha"),
        (lambda x: F.softshrink(x, -1.0), RuntimeError, "lambda"),
        (lambda x: F.glu(x), RuntimeError, "even"),
        (lambda x: F.dropout(x, 1.5), ValueError, "1.5"),
        (lambda x: F.dropout2d(x, -0.5), ValueError, "-0.5"),
        (lambda x: F.dropout1d(x, 0.5), RuntimeError, "1D input"),
        (lambda x: F.alpha_dropout(x, 2.0), ValueError, "2.0"),
    ],
)
def test_activations_reject_invalid_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call(fb.ones(3))


# Dropout of channels


@pytest.mark.parametrize(
    ("call", "shape"), [(F.dropout1d, (40, 50, 3)), (F.dropout2d, (40, 50, 2, 3)), (F.dropout3d, (40, 50, 2, 1, 3))]
)
def test_dropout2d_drops_whole_channels(call, shape):
    y = call(fb.ones(shape), 0.25)
    channels = y.flatten(2)
    assert bool((channels == channels[..., :1]).all())
    kept = channels[..., 0] != 0
    assert fb.allclose(channels[kept], fb.tensor(4 / 3))
    assert abs(float(kept.float().mean()) - 0.75) < 5 * np.sqrt(0.25 * 0.75 / 2000)
    assert call(fb.ones(shape), 0.25, False).min() == 1
    x = fb.ones(shape)
    assert call(x, 0.5, inplace=True) is x and float(x.min()) == 0


@pytest.mark.parametrize("shape", [(100,), (100, 50), (100, 5, 10)])
def test_dropout3d_of_an_input_without_5_dimensions_drops_along_the_first_dimension(shape):
    with pytest.warns(UserWarning, match="dropout3d"):
        y = F.dropout3d(fb.ones(shape), 0.5)
    assert y.shape == shape
    kept = y.reshape(100, -1) != 0
    assert bool((kept == kept[:, :1]).all()) and 20 < int(kept[:, 0].sum()) < 80


@pytest.mark.parametrize("call", [F.alpha_dropout, F.feature_alpha_dropout])
def test_alpha_dropout_keeps_mean_and_variance(call):
    x = fb.randn(200, 500)
    y = call(x, 0.2, True)
    assert abs(float(y.mean())) < 0.02 and abs(float(y.var()) - 1) < 0.03
    assert call(x, 0.2) is x


def test_dropout2d_warns_of_unusual_numbers_of_dimensions():
    with pytest.warns(UserWarning, match="dropout2d"):
        F.dropout2d(fb.ones(2, 3), 0.5)
    with pytest.warns(UserWarning, match="assuming that channel-wise 1D dropout behavior is desired"):
        dropped = F.dropout2d(fb.ones(20, 10, 3), 0.5)
    assert set(dropped.sum(2).flatten().tolist()) == {0, 6}


def test_hardtanh_accepts_the_deprecated_names_of_its_limits():
    with pytest.warns(FutureWarning, match="deprecated and renamed to `m.._val`"):
        layer = nn.Hardtanh(min_value=0.0, max_value=2.0)
    assert (layer.min_val, layer.max_val) == (0, 2) and layer(fb.tensor([-1.0, 3.0])).tolist() == [0, 2]
