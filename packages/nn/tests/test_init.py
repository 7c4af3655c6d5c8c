"""Initialisation: gains, fans, and the bounds and moments of the distributions."""

import math

import numpy as np
import pytest
import scipy.stats

import flambeau as fb
from flambeau import nn
from flambeau.nn import init

SHAPE = (60, 40, 3, 2)
FAN_IN, FAN_OUT = 40 * 6, 60 * 6


def is_uniform(values, bound):
    """Return True if a Kolmogorov-Smirnov test accepts that a sample comes from U(-bound, bound)."""
    return scipy.stats.kstest((values.ravel() + bound) / (2 * bound), "uniform").pvalue > 1e-3


def is_normal(values, std):
    return scipy.stats.kstest(values.ravel() / std, "norm").pvalue > 1e-3


@pytest.fixture(autouse=True)
def _seed():
    fb.manual_seed(1)


@pytest.mark.parametrize(
    ("fill", "bound"),
    [
        (lambda t: init.uniform_(t, -2.0, 2.0), 2.0),
        (init.xavier_uniform_, math.sqrt(6 / (FAN_IN + FAN_OUT))),
        (lambda t: init.xavier_uniform_(t, gain=3.0), 3 * math.sqrt(6 / (FAN_IN + FAN_OUT))),
        (init.kaiming_uniform_, math.sqrt(6 / FAN_IN)),
        (lambda t: init.kaiming_uniform_(t, a=math.sqrt(5)), 1 / math.sqrt(FAN_IN)),
        (lambda t: init.kaiming_uniform_(t, mode="fan_out", nonlinearity="relu"), math.sqrt(6 / FAN_OUT)),
        (lambda t: init.kaiming_uniform_(t, nonlinearity="linear"), math.sqrt(3 / FAN_IN)),
    ],
)
def test_uniform_initialisers_draw_from_the_right_interval(fill, bound):
    tensor = nn.Parameter(fb.empty(SHAPE))
    assert fill(tensor) is tensor
    assert tensor.is_leaf
    assert tensor.requires_grad
    assert is_uniform(tensor.detach().numpy(), bound)


@pytest.mark.parametrize(
    ("fill", "std"),
    [
        (lambda t: init.normal_(t, std=2.0), 2.0),
        (init.xavier_normal_, math.sqrt(2 / (FAN_IN + FAN_OUT))),
        (init.kaiming_normal_, math.sqrt(2 / FAN_IN)),
        (lambda t: init.kaiming_normal_(t, a=2.0, mode="fan_out"), math.sqrt(2 / 5 / FAN_OUT)),
    ],
)
def test_normal_initialisers_draw_with_the_right_standard_deviation(fill, std):
    assert is_normal(fill(fb.empty(SHAPE)).numpy(), std)


@pytest.mark.parametrize(
    ("layer", "fan_in"),
    [
        (lambda: nn.Linear(100, 80), 100),
        (lambda: nn.Conv2d(30, 60, (3, 2)), 180),
        (lambda: nn.Conv2d(30, 60, 3, groups=5), 54),
    ],
)
def test_default_weights_are_within_one_over_sqrt_fan_in(layer, fan_in):
    biases = []
    for _ in range(10):
        module = layer()
        assert is_uniform(module.weight.detach().numpy(), 1 / math.sqrt(fan_in))
        biases.append(module.bias.detach().numpy())
    assert is_uniform(np.concatenate(biases), 1 / math.sqrt(fan_in))


def test_layers_without_inputs_can_be_initialised():
    with pytest.warns(UserWarning, match="zero-element"):
        init.kaiming_uniform_(fb.empty(3, 0))
    layer = nn.Linear(0, 3)
    np.testing.assert_array_equal(layer(fb.zeros(2, 0)).detach().numpy(), np.zeros((2, 3)))


def test_constant_initialisers_fill_with_the_expected_values():
    np.testing.assert_array_equal(init.constant_(fb.empty(2), 0.5).numpy(), [0.5, 0.5])
    np.testing.assert_array_equal(init.zeros_(fb.empty(2)).numpy(), [0, 0])
    np.testing.assert_array_equal(init.ones_(fb.empty(2)).numpy(), [1, 1])
    np.testing.assert_array_equal(init.eye_(fb.empty(2, 3)).numpy(), np.eye(2, 3))
    assert init.calculate_fan(fb.empty(SHAPE)) == (FAN_IN, FAN_OUT)


@pytest.mark.parametrize(
    ("arguments", "gain"),
    [
        (("linear",), 1),
        (("conv2d",), 1),
        (("sigmoid",), 1),
        (("tanh",), 5 / 3),
        (("relu",), math.sqrt(2)),
        (("leaky_relu",), math.sqrt(2 / (1 + 1e-4))),
        (("leaky_relu", 2), math.sqrt(2 / 5)),
        (("selu",), 3 / 4),
    ],
)
def test_calculate_gain_returns_the_gain_of_each_nonlinearity(arguments, gain):
    assert init.calculate_gain(*arguments) == pytest.approx(gain, rel=1e-15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: init.calculate_gain("step"), "Unsupported nonlinearity 'step'; expected one of 'conv1d'"),
        (lambda: init.calculate_gain("leaky_relu", True), "negative_slope True not a valid number"),
        (lambda: init.calculate_fan(fb.empty(3)), "fewer than 2 dimensions"),
        (lambda: init.eye_(fb.empty(3)), "Only tensors with 2 dimensions"),
        (lambda: init.kaiming_normal_(fb.empty(2, 2), mode="fan"), "Mode fan not supported"),
    ],
)
def test_initialisers_reject_invalid_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_initialisers_are_reproducible_with_seeds_and_generators():
    fb.manual_seed(5)
    first = nn.Linear(3, 3).weight.detach().numpy()
    fb.manual_seed(5)
    np.testing.assert_array_equal(nn.Linear(3, 3).weight.detach().numpy(), first)
    draws = [init.normal_(fb.empty(4), generator=fb.Generator().manual_seed(2)).numpy() for _ in range(2)]
    np.testing.assert_array_equal(*draws)


@pytest.mark.parametrize("dtype", [fb.float16, fb.bfloat16, fb.float32])
def test_trunc_normal_does_not_return_bounds_far_from_the_mean(dtype):
    drawn = nn.init.trunc_normal_(fb.empty(200_000, dtype=dtype), std=0.02)
    assert drawn.abs().max() < 0.02 * 6 and abs(drawn.float().std().item() - 0.02) < 5e-4


# Values of PyTorch 2.13.0 after torch.manual_seed(0).
PYTORCH = {
    "Linear": (
        lambda: nn.Linear(3, 2).weight.detach(),
        [
            [-0.004322517663240433, 0.3097158372402191, -0.4751853346824646],
            [-0.4248946011066437, -0.2223689705133438, 0.15482072532176971],
        ],
    ),
    "trunc_normal_": (
        lambda: init.trunc_normal_(fb.empty(2, 3)),
        [
            [1.5409960746765137, -0.293428897857666, -0.7192575931549072],
            [0.5684312582015991, -1.0845223665237427, -1.3985954523086548],
        ],
    ),
    "kaiming_normal_": (
        lambda: init.kaiming_normal_(fb.empty(2, 3)),
        [
            [1.2582180500030518, -0.23958370089530945, -1.7789740562438965],
            [0.4641222059726715, -0.8855087757110596, -1.1419483423233032],
        ],
    ),
    "xavier_uniform_": (
        lambda: init.xavier_uniform_(fb.empty(2, 3)),
        [
            [-0.008201400749385357, 0.5876445174217224, -0.9016007781028748],
            [-0.8061808347702026, -0.4219154715538025, 0.29375168681144714],
        ],
    ),
    "orthogonal_": (
        lambda: init.orthogonal_(fb.empty(2, 3)),
        [
            [0.5739809274673462, -0.10929460823535919, -0.8115421533584595],
            [-0.3454151153564453, -0.9308826923370361, -0.11893554031848907],
        ],
    ),
}


@pytest.mark.parametrize("name", PYTORCH)
def test_initial_values_from_a_seed_equal_those_of_pytorch(name):
    draw, expected = PYTORCH[name]
    fb.random.use_pytorch_streams()
    try:
        fb.manual_seed(0)
        np.testing.assert_allclose(draw().numpy(), np.array(expected), rtol=1e-6)
    finally:
        fb.random.use_pytorch_streams(False)


def test_trunc_normal_in_a_tail_follows_the_density():
    drawn = init.trunc_normal_(fb.empty(100_000), a=1.0, b=1.2)  # 4.4 % of the normal distribution
    assert 1 <= drawn.min() < 1.001 and 1.199 < drawn.max() <= 1.2
    # Mean of the normal distribution between the limits, by the densities there and the probability: 1.09634.
    np.testing.assert_allclose(drawn.mean().item(), 1.09634, atol=5e-4)


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.float16])
@pytest.mark.parametrize("limits", [(1.0, 1e60), (-math.inf, -5.0)])
@pytest.mark.filterwarnings("ignore:mean is more than 2 std")
def test_trunc_normal_in_a_tail_with_a_distant_limit_follows_the_density(limits, dtype):
    drawn = init.trunc_normal_(fb.empty(100_000, dtype=dtype), 0.0, 1.0, *limits).double()
    assert limits[0] <= drawn.min() and drawn.max() <= limits[1]
    np.testing.assert_allclose(drawn.mean().item(), scipy.stats.truncnorm.mean(*limits), atol=6e-3)


@pytest.mark.filterwarnings("ignore:mean is more than 2 std")
def test_trunc_normal_far_from_the_mean_terminates():
    drawn = init.trunc_normal_(fb.empty(10_000, dtype=fb.float64), a=1e6, b=1e6 + 1)
    np.testing.assert_allclose((drawn - 1e6).mean().item(), 1e-6, rtol=0.05)  # the tail is exponential, with rate 1e6
    assert (init.trunc_normal_(fb.empty(3), 1e300, 1e-300, 0.0, 1.0) == 1).all()


def test_trunc_normal_takes_tensor_bounds_and_is_unchanged_after_errors():
    tensor = fb.zeros(3)
    with pytest.raises(ValueError, match="only one element"):
        nn.init.trunc_normal_(tensor, mean=fb.ones(2))
    assert tensor.tolist() == [0, 0, 0]
    with pytest.raises(NotImplementedError, match="complex64"):
        nn.init.trunc_normal_(fb.zeros(3, dtype=fb.complex64))
    with pytest.raises(RuntimeError, match="vmap"):  # the number of draws depends on the values
        fb.vmap(nn.init.trunc_normal_, randomness="different")(tensor)
    assert tensor.tolist() == [0, 0, 0]
    narrow = nn.init.trunc_normal_(fb.empty(100), fb.tensor([[3.0]]), fb.tensor([1.0]), 2.9, 3.1)
    assert narrow.min() >= 2.9 - 1e-6 and narrow.max() <= 3.1 + 1e-6
