"""Every layer: its value and gradient against NumPy, its repr, and how it survives saving and copying.

A layer is added to these tests by one row of LAYERS.
"""

import copy
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.special
from numpy.lib.stride_tricks import sliding_window_view

import flambeau as fb
from flambeau import nn

STEP = 1e-5  # of central differences, whose error is about STEP**2


def conv2d(x, weight, bias=0.0, stride=1, padding=(0, 0), dilation=1, groups=1):
    """Cross-correlation of (N, C, H, W); ``padding`` as (before, after) of both sides."""
    x = np.pad(x, ((0, 0), (0, 0), padding, padding))
    window = [dilation * (side - 1) + 1 for side in weight.shape[2:]]
    patches = sliding_window_view(x, window, axis=(2, 3))[:, :, ::stride, ::stride, ::dilation, ::dilation]
    pairs = zip(np.split(patches, groups, axis=1), np.split(weight, groups), strict=True)
    out = np.concatenate([np.einsum("nchwij,ocij->nohw", patch, part) for patch, part in pairs], axis=1)
    return out + np.reshape(bias, (-1, 1, 1))


def pool2d(summary, x, size, stride, padding=0, fill=0.0):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), constant_values=fill)
    return summary(sliding_window_view(x, size, axis=(2, 3))[:, :, ::stride, ::stride], axis=(4, 5))


def batch_norm(x, weight, bias, mean, var):
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean, var, weight, bias = (np.reshape(each, shape) for each in (mean, var, weight, bias))
    return (x - mean) / np.sqrt(var + 1e-5) * weight + bias


def batch_norm_of_batch(x, weight, bias, **state):
    axes = (0, *range(2, x.ndim))
    return batch_norm(x, weight, bias, x.mean(axis=axes), x.var(axis=axes))


def batch_norm_of_running(x, weight, bias, running_mean, running_var, num_batches_tracked):
    return batch_norm(x, weight, bias, running_mean, running_var)


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


class Layer(NamedTuple):
    text: str  # what repr must print, to the character
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    reference: Callable[..., np.ndarray]  # of the input and the state dict's entries


LAYERS = [
    Layer("Identity()", lambda: nn.Identity(3, unused=True), (2, 3), lambda x: x),
    Layer(
        "Linear(in_features=5, out_features=3, bias=True)",
        lambda: nn.Linear(5, 3),
        (2, 4, 5),
        lambda x, weight, bias: x @ weight.T + bias,
    ),
    Layer(
        "Linear(in_features=5, out_features=3, bias=False)",
        lambda: nn.Linear(5, 3, bias=False),
        (5,),
        lambda x, weight: weight @ x,
    ),
    Layer("Conv2d(2, 3, kernel_size=(3, 3), stride=(1, 1))", lambda: nn.Conv2d(2, 3, 3), (2, 2, 5, 6), conv2d),
    Layer(
        "Conv2d(2, 3, kernel_size=(2, 3), stride=(2, 2), padding=(1, 1))",
        lambda: nn.Conv2d(2, 3, (2, 3), stride=2, padding=1),
        (2, 2, 6, 5),
        lambda x, **state: conv2d(x, **state, stride=2, padding=(1, 1)),
    ),
    Layer(
        "Conv2d(4, 6, kernel_size=(3, 3), stride=(1, 1), padding=same, dilation=(2, 2), groups=2, bias=False)",
        lambda: nn.Conv2d(4, 6, 3, padding="same", dilation=2, groups=2, bias=False),
        (2, 4, 5, 6),
        lambda x, weight: conv2d(x, weight, padding=(2, 2), dilation=2, groups=2),
    ),
    Layer(
        "Conv2d(2, 3, kernel_size=(2, 2), stride=(1, 1), padding=valid)",
        lambda: nn.Conv2d(2, 3, 2, padding="valid"),
        (2, 4, 5),
        lambda x, **state: conv2d(x[None], **state)[0],
    ),
    Layer(
        "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)",
        lambda: nn.MaxPool2d(2),
        (2, 3, 5, 6),
        lambda x: pool2d(np.max, x, (2, 2), 2),
    ),
    Layer(
        "MaxPool2d(kernel_size=(3, 2), stride=1, padding=1, dilation=1, ceil_mode=False)",
        lambda: nn.MaxPool2d((3, 2), stride=1, padding=1),
        (2, 3, 5, 6),
        lambda x: pool2d(np.max, x, (3, 2), 1, padding=1, fill=-np.inf),
    ),
    Layer(
        "AvgPool2d(kernel_size=2, stride=2, padding=0)",
        lambda: nn.AvgPool2d(2),
        (2, 3, 5, 6),
        lambda x: pool2d(np.mean, x, (2, 2), 2),
    ),
    Layer(
        "AvgPool2d(kernel_size=3, stride=2, padding=1)",
        lambda: nn.AvgPool2d(3, stride=2, padding=1),
        (3, 5, 6),
        lambda x: pool2d(np.mean, x[None], (3, 3), 2, padding=1)[0],
    ),
    Layer(
        "BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)",
        lambda: nn.BatchNorm1d(3),
        (6, 3),
        batch_norm_of_batch,
    ),
    Layer(
        "BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)",
        lambda: nn.BatchNorm2d(3),
        (4, 3, 2, 2),
        batch_norm_of_batch,
    ),
    Layer(
        "BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)",
        lambda: nn.BatchNorm2d(3).eval(),
        (4, 3, 2, 2),
        batch_norm_of_running,
    ),
    Layer(
        "BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=False, bias=False, track_running_stats=False)",
        lambda: nn.BatchNorm2d(3, affine=False, track_running_stats=False),
        (4, 3, 2, 2),
        lambda x: batch_norm_of_batch(x, np.ones(3), np.zeros(3)),
    ),
    Layer("Dropout(p=0.5, inplace=False)", lambda: nn.Dropout().eval(), (2, 3), lambda x: x),
    Layer("Dropout(p=0.0, inplace=False)", lambda: nn.Dropout(0.0), (2, 3), lambda x: x),
    Layer("Dropout(p=1.0, inplace=False)", lambda: nn.Dropout(1.0), (2, 3), lambda x: 0.0 * x),
    Layer("Flatten(start_dim=1, end_dim=-1)", lambda: nn.Flatten(), (2, 3, 4), lambda x: np.reshape(x, (len(x), -1))),
    Layer(
        "Flatten(start_dim=0, end_dim=1)",
        lambda: nn.Flatten(0, 1),
        (2, 3, 4),
        lambda x: np.reshape(x, (-1, x.shape[2])),
    ),
    Layer(
        "Unflatten(dim=-1, unflattened_size=(2, -1))",
        lambda: nn.Unflatten(-1, (2, -1)),
        (3, 6),
        lambda x: np.reshape(x, (len(x), 2, -1)),
    ),
    Layer("ReLU()", lambda: nn.ReLU(), (3, 4), lambda x: np.maximum(x, 0)),
    Layer("GELU(approximate='none')", lambda: nn.GELU(), (3, 4), lambda x: x * scipy.special.ndtr(x)),
    Layer("GELU(approximate='tanh')", lambda: nn.GELU("tanh"), (3, 4), gelu_tanh),
    Layer("SiLU()", lambda: nn.SiLU(), (3, 4), lambda x: x * scipy.special.expit(x)),
    Layer("LeakyReLU(negative_slope=0.01)", lambda: nn.LeakyReLU(), (3, 4), lambda x: np.where(x > 0, x, 0.01 * x)),
    Layer("LeakyReLU(negative_slope=0.2)", lambda: nn.LeakyReLU(0.2), (3, 4), lambda x: np.maximum(x, 0.2 * x)),
    Layer("Softplus(beta=1.0, threshold=20.0)", lambda: nn.Softplus(), (3, 4), lambda x: np.logaddexp(0, x)),
    Layer("Softplus(beta=3.0, threshold=20.0)", lambda: nn.Softplus(3.0), (3, 4), lambda x: np.logaddexp(0, 3 * x) / 3),
    Layer("Sigmoid()", lambda: nn.Sigmoid(), (3, 4), scipy.special.expit),
    Layer("Tanh()", lambda: nn.Tanh(), (3, 4), np.tanh),
    Layer("Softmax(dim=1)", lambda: nn.Softmax(dim=1), (3, 4, 2), lambda x: scipy.special.softmax(x, axis=1)),
    Layer("LogSoftmax(dim=-1)", lambda: nn.LogSoftmax(-1), (3, 4), lambda x: scipy.special.log_softmax(x, axis=-1)),
]

each_layer = pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.text)


def randomized(layer: Layer, dtype: Any = fb.float64) -> tuple[nn.Module, np.ndarray, dict[str, np.ndarray]]:
    """Return the module with random state, an input, and the state, both in float64."""
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
def test_value(layer, dtype, tolerance):
    module, x, state = randomized(layer, dtype)
    x = fb.from_numpy(x).to(dtype)
    with fb.no_grad():
        out = module(x)
    expected = layer.reference(x.numpy().astype(np.float64), **state)
    assert out.dtype == dtype
    assert tuple(out.shape) == expected.shape
    np.testing.assert_allclose(out.numpy(), expected, rtol=10 * tolerance, atol=tolerance * max(1, abs(expected).max()))


@each_layer
def test_gradient(layer):
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
def test_repr(layer):
    assert repr(layer.make()) == layer.text


@each_layer
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_copies_are_equal_and_independent(layer, duplicate):
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
def test_inplace_overwrites_the_input(module, reference):
    x = np.linspace(-2, 2, 9)
    tensor = fb.from_numpy(x.copy())
    assert module(tensor) is tensor
    np.testing.assert_allclose(tensor.numpy(), reference(x), rtol=1e-12)
    assert "inplace=True" in repr(module)


@pytest.mark.parametrize("p", [0.2, 0.7])
def test_dropout_drops_and_scales(p):
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


def test_a_failed_batch_does_not_count():
    module = nn.BatchNorm1d(3)
    with pytest.raises(ValueError, match="more than 1 value"):
        module(fb.zeros(1, 3))
    assert module.num_batches_tracked.item() == 0


def test_max_pool_tells_where_the_maxima_stand():
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
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_softmax_guesses_the_dimension_with_a_warning():
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
        out = nn.Softmax()(fb.zeros(2, 4))
    np.testing.assert_array_equal(out.numpy(), np.full((2, 4), 0.25))
