"""Every layer: its value and gradient, compared with NumPy, its repr, saving and copying.

To test another layer, add a row to the module of its family in layer_rows.
"""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special
from layer_rows import LAYERS
from layer_rows.row import Layer

import flambeau as fb
from flambeau import nn

STEP = 1e-5  # step of central differences, whose error is about STEP**2

each_layer = pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.text)


def randomized(layer: Layer, dtype: Any = fb.float64) -> tuple[nn.Module, np.ndarray, dict[str, np.ndarray]]:
    """Return the module with random state in ``dtype``, and its input and state as float64 arrays."""
    random = np.random.default_rng(20240229)
    module = layer.make().to(dtype)
    state = {}
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(fb.from_numpy(random.uniform(0.5, 1.5, tuple(tensor.shape))))
        state[name] = tensor.detach().numpy().astype(np.float64, copy=True)
    return module, random.standard_normal(layer.shape), state


def central_differences(function: Callable[[np.ndarray], float], point: np.ndarray) -> np.ndarray:
    gradient = np.empty_like(point)
    for place in np.ndindex(point.shape):
        values = []
        for offset in (STEP, -STEP):
            moved = point.copy()
            moved[place] += offset
            values.append(function(moved))
        gradient[place] = (values[0] - values[1]) / (2 * STEP)
    return gradient


@each_layer
@pytest.mark.parametrize(("dtype", "tolerance"), [(fb.float32, 2e-6), (fb.float64, 1e-13)], ids=["f32", "f64"])
def test_layers_have_correct_values(layer, dtype, tolerance):
    module, x, state = randomized(layer, dtype)
    x = fb.from_numpy(x).to(dtype)
    with fb.no_grad():
        out = module(x)
    expected = layer.reference(x.numpy().astype(np.float64), **state)
    assert out.dtype == dtype
    assert tuple(out.shape) == expected.shape
    np.testing.assert_allclose(out.numpy(), expected, rtol=10 * tolerance, atol=tolerance * max(1, abs(expected).max()))


@each_layer
def test_layers_have_correct_gradients(layer):
    module, x, state = randomized(layer)
    cotangent = np.random.default_rng(7).standard_normal(layer.reference(x, **state).shape)
    tensor = fb.from_numpy(x).requires_grad_()
    (module(tensor) * fb.from_numpy(cotangent)).sum().backward()

    def loss(x, changed=None):
        return (layer.reference(x, **{**state, **(changed or {})}) * cotangent).sum()

    expected = {"input": central_differences(loss, x)}
    for name, _ in module.named_parameters():
        expected[name] = central_differences(lambda value, name=name: loss(x, {name: value}), state[name])
    actual = {"input": tensor.grad, **{name: parameter.grad for name, parameter in module.named_parameters()}}
    for name, gradient in expected.items():
        np.testing.assert_allclose(actual[name].numpy(), gradient, rtol=1e-6, atol=1e-8, err_msg=name)


@each_layer
def test_repr_of_a_layer_shows_its_options(layer):
    assert repr(layer.make()) == layer.text


@each_layer
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_copies_of_layers_are_equal_and_independent(layer, duplicate):
    module, x, _ = randomized(layer)
    twin = duplicate(module)
    assert repr(twin) == repr(module)
    x = fb.from_numpy(x)
    np.testing.assert_array_equal(twin(x).detach().numpy(), module(x).detach().numpy())
    before = {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}
    for tensor in twin.state_dict().values():
        tensor.zero_()
    for name, tensor in module.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name])


@pytest.mark.parametrize(
    ("module", "reference"),
    [
        (nn.ReLU(inplace=True), lambda x: np.maximum(x, 0)),
        (nn.SiLU(inplace=True), lambda x: x * scipy.special.expit(x)),
        (nn.LeakyReLU(0.1, inplace=True), lambda x: np.maximum(x, 0.1 * x)),
        (nn.Dropout(1.0, inplace=True), lambda x: 0 * x),
    ],
    ids=lambda v: repr(v) if isinstance(v, nn.Module) else "",
)
def test_inplace_layers_overwrite_their_input(module, reference):
    x = np.linspace(-2, 2, 9)
    tensor = fb.from_numpy(x.copy())
    assert module(tensor) is tensor
    np.testing.assert_allclose(tensor.numpy(), reference(x), rtol=1e-12)
    assert "inplace=True" in repr(module)


@pytest.mark.parametrize("p", [0.2, 0.7])
def test_dropout_zeroes_and_scales_elements(p):
    fb.manual_seed(0)
    count = 100_000
    out = nn.Dropout(p)(fb.ones(count)).numpy()
    kept = out != 0
    np.testing.assert_allclose(out[kept], 1 / (1 - p), rtol=1e-6)
    deviation = np.sqrt(p * (1 - p) / count)
    assert abs(kept.mean() - (1 - p)) < 5 * deviation


def test_batch_norm_keeps_running_statistics():
    x = np.random.default_rng(0).standard_normal((8, 3, 2, 2)) * [[[[2.0]], [[3.0]], [[4.0]]]] + 1
    values = x.transpose(1, 0, 2, 3).reshape(3, -1)
    module = nn.BatchNorm2d(3, momentum=0.3, dtype=fb.float64)
    module(fb.from_numpy(x))
    np.testing.assert_allclose(module.running_mean.numpy(), 0.3 * values.mean(1), rtol=1e-12)
    np.testing.assert_allclose(module.running_var.numpy(), 0.7 + 0.3 * values.var(1, ddof=1), rtol=1e-12)
    assert module.num_batches_tracked.item() == 1
    module.eval()(fb.from_numpy(x))
    assert module.num_batches_tracked.item() == 1
    module.reset_running_stats()
    np.testing.assert_array_equal(module.running_mean.numpy(), np.zeros(3))
    np.testing.assert_array_equal(module.running_var.numpy(), np.ones(3))


def test_batch_norm_without_momentum_averages_all_batches():
    batches = np.random.default_rng(0).standard_normal((3, 5, 2))
    module = nn.BatchNorm1d(2, momentum=None, dtype=fb.float64)
    for batch in batches:
        module(fb.from_numpy(batch))
    np.testing.assert_allclose(module.running_mean.numpy(), batches.mean((0, 1)), rtol=1e-12, atol=1e-15)


def test_batch_norm_of_no_images_has_no_statistics():
    module = nn.BatchNorm2d(3)
    module(fb.zeros(0, 3, 2, 2)).sum().backward()
    np.testing.assert_array_equal(module.running_mean.numpy(), np.zeros(3))
    np.testing.assert_array_equal(module.weight.grad.numpy(), np.zeros(3))


def test_a_failed_batch_does_not_change_running_statistics():
    module = nn.BatchNorm1d(3)
    with pytest.raises(ValueError, match="more than 1 value"):
        module(fb.zeros(1, 3))
    assert module.num_batches_tracked.item() == 0


def test_max_pool_returns_indices():
    values, indices = nn.MaxPool2d(2, return_indices=True)(fb.tensor([[[1.0, 9.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]]]))
    assert values.tolist() == [[[9.0, 7.0]]]
    assert indices.tolist() == [[[1, 7]]]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.BatchNorm2d(3)(fb.zeros(2, 3)), ValueError, r"expected 4D input \(got 2D input\)"),
        (lambda: nn.BatchNorm1d(3)(fb.zeros(3)), ValueError, r"expected 2D or 3D input \(got 1D input\)"),
        (lambda: nn.BatchNorm1d(3)(fb.zeros(1, 3)), ValueError, r"more than 1 value per channel.*\[1, 3\]"),
        (lambda: nn.Dropout(1.5), ValueError, "between 0 and 1, but got 1.5"),
        (lambda: nn.Conv2d(3, 4, 1, groups=2), ValueError, "in_channels must be divisible by groups"),
        (lambda: nn.Conv2d(4, 3, 1, groups=2), ValueError, "out_channels must be divisible by groups"),
        (lambda: nn.Conv2d(4, 4, 1, groups=0), ValueError, "groups must be a positive integer"),
        (lambda: nn.Conv2d(1, 1, 3, padding="some"), ValueError, "Invalid padding string 'some'"),
        (lambda: nn.Conv2d(1, 1, 3, padding="same", stride=2), ValueError, "not supported for strided"),
        (lambda: nn.Conv2d(1, 1, 3, padding_mode="mirror"), ValueError, "padding_mode must be one of .*'mirror'"),
        (lambda: nn.Unflatten(1, (2, 4))(fb.zeros(3, 6)), RuntimeError, r"\(2, 4\) don't multiply up to .* \(6\)"),
        (lambda: nn.Unflatten(2, (2, 3))(fb.zeros(3, 6)), IndexError, "Dimension out of range"),
    ],
)
def test_layers_reject_invalid_inputs(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_softmax_without_a_dimension_warns():
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
        out = nn.Softmax()(fb.zeros(2, 4))
    np.testing.assert_array_equal(out.numpy(), np.full((2, 4), 0.25))
