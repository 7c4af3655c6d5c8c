"""Pooling, compared with loops over the windows."""

import itertools

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.autograd import gradcheck, gradgradcheck
from flambeau.nn import functional as F

RNG = np.random.default_rng(0)
SIZES = {1: (13,), 2: (8, 9), 3: (5, 6, 7)}
MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVERAGE = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
ADAPTIVE_AVERAGE = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
ADAPTIVE_MAX = {1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d}
UNPOOL = {1: F.max_unpool1d, 2: F.max_unpool2d, 3: F.max_unpool3d}
UNPOOL_LAYERS = {1: nn.MaxUnpool1d, 2: nn.MaxUnpool2d, 3: nn.MaxUnpool3d}
FRACTIONAL_LAYERS = {2: nn.FractionalMaxPool2d, 3: nn.FractionalMaxPool3d}
POWER = {1: F.lp_pool1d, 2: F.lp_pool2d, 3: F.lp_pool3d}
OPTIONS = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2},
    {"kernel_size": 3, "stride": 1, "padding": 1},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    {"kernel_size": 2, "stride": 3, "ceil_mode": True},
]


def axis(n, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """Return the windows along one dimension as (indices inside, indices with padding)."""
    stride = stride or kernel_size
    room = n + 2 * padding - dilation * (kernel_size - 1) - 1
    count = (-(-room // stride) if ceil_mode else room // stride) + 1
    if ceil_mode and (count - 1) * stride >= n + padding:
        count -= 1
    for o in range(count):
        places = [o * stride - padding + k * dilation for k in range(kernel_size)]
        yield [p for p in places if 0 <= p < n], sum(p < n + padding for p in places)


def windows(shape, **options):
    axes = [list(axis(n, **options)) for n in shape]
    for o in itertools.product(*[range(len(a)) for a in axes]):
        inside = [axes[d][i][0] for d, i in enumerate(o)]
        yield o, inside, np.prod([axes[d][i][1] for d, i in enumerate(o)])


def pooled(x, found):
    """Collect the values of all windows in an array (N, C, ...)."""
    found = dict(found)
    shape = [max(o[d] for o in found) + 1 for d in range(x.ndim - 2)]
    out = np.zeros((*x.shape[:2], *shape))
    for o, value in found.items():
        out[(slice(None), slice(None), *o)] = value
    return out


def block(x, inside):
    return x[np.ix_(range(x.shape[0]), range(x.shape[1]), *inside)]


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_max_pool_matches_numpy(dims, options, dtype):
    x = (RNG.standard_normal((2, 3, *SIZES[dims])) * 9).astype(dtype)
    for dilation in (1, 2):
        found = [
            (o, block(x, i).max(tuple(range(2, dims + 2))))
            for o, i, _ in windows(x.shape[2:], **options, dilation=dilation)
        ]
        values, places = MAX[dims](fb.tensor(x), **options, dilation=dilation, return_indices=True)
        assert np.array_equal(values.numpy(), pooled(x, found))
        flat = x.reshape(2, 3, -1)
        assert np.array_equal(
            np.take_along_axis(flat, places.numpy().reshape(2, 3, -1), 2), values.numpy().reshape(2, 3, -1)
        )
        alone = MAX[dims](fb.tensor(x[0]), **options, dilation=dilation)
        assert np.array_equal(alone.numpy(), values.numpy()[0])


def test_max_pool_selects_the_first_maximum_and_nan():
    values, places = F.max_pool1d(fb.tensor([[1.0, 1.0, float("nan"), 0.0]]), 2, return_indices=True)
    assert values[0, 0] == 1 and values[0, 1].isnan() and places.tolist() == [[0, 2]]
    lowest = fb.full((1, 5), -float("inf"))
    assert F.max_pool1d(lowest, 3, 1, return_indices=True)[1].tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_avg_pool_matches_numpy(dims, options):
    x = RNG.standard_normal((2, 3, *SIZES[dims]))
    for include in (True, False):
        found = [
            (o, block(x, i).sum(tuple(range(2, dims + 2))) / (whole if include else np.prod([len(a) for a in i])))
            for o, i, whole in windows(x.shape[2:], **options)
        ]
        got = AVERAGE[dims](fb.tensor(x), **options, count_include_pad=include)
        np.testing.assert_allclose(got.numpy(), pooled(x, found), atol=1e-14)
    if dims > 1:
        found = [(o, block(x, i).sum(tuple(range(2, dims + 2))) / 7) for o, i, _ in windows(x.shape[2:], **options)]
        got = AVERAGE[dims](fb.tensor(x), **options, divisor_override=7)
        np.testing.assert_allclose(got.numpy(), pooled(x, found), atol=1e-14)


def test_avg_pool_of_integers_rounds_towards_zero():
    assert F.avg_pool1d(fb.tensor([[-3, -2, 5, 2]]), 2).tolist() == [[-2, 3]]


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 3, 5, 11])
def test_adaptive_pooling_matches_numpy(dims, count):
    x = RNG.standard_normal((2, 3, *SIZES[dims]))
    axes = [[list(range(o * n // count, -(-(o + 1) * n // count))) for o in range(count)] for n in x.shape[2:]]
    places = list(itertools.product(range(count), repeat=dims))
    inside = {o: [axes[d][i] for d, i in enumerate(o)] for o in places}
    over = tuple(range(2, dims + 2))
    got = ADAPTIVE_AVERAGE[dims](fb.tensor(x), count)
    np.testing.assert_allclose(
        got.numpy(), pooled(x, [(o, block(x, i).mean(over)) for o, i in inside.items()]), atol=1e-14
    )
    values, at = ADAPTIVE_MAX[dims](fb.tensor(x), count, return_indices=True)
    assert np.array_equal(values.numpy(), pooled(x, [(o, block(x, i).max(over)) for o, i in inside.items()]))
    flat = np.take_along_axis(x.reshape(2, 3, -1), at.numpy().reshape(2, 3, -1), 2)
    assert np.array_equal(flat, values.numpy().reshape(2, 3, -1))


def test_adaptive_pooling_keeps_a_size_given_as_none():
    assert F.adaptive_avg_pool2d(fb.zeros(1, 2, 5, 6), (None, 3)).shape == (1, 2, 5, 3)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_lp_pool_matches_numpy(dims):
    x = RNG.random((2, 3, *SIZES[dims]))
    over = tuple(range(2, dims + 2))
    found = [(o, (block(x, i) ** 3).sum(over) ** (1 / 3)) for o, i, _ in windows(x.shape[2:], kernel_size=2)]
    np.testing.assert_allclose(POWER[dims](fb.tensor(x), 3.0, 2).numpy(), pooled(x, found), atol=1e-12)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_lp_pool_of_infinite_power_is_the_maximum_of_absolute_values(dims):
    x = RNG.standard_normal((2, 3, *SIZES[dims]))
    over = tuple(range(2, dims + 2))
    found = [(o, np.abs(block(x, i)).max(over)) for o, i, _ in windows(x.shape[2:], kernel_size=2)]
    np.testing.assert_array_equal(POWER[dims](fb.tensor(x), float("inf"), 2).numpy(), pooled(x, found))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_max_unpool_restores_the_maxima_at_their_positions(dims):
    x = fb.tensor(RNG.standard_normal((2, 3, *[8] * dims)))
    values, places = MAX[dims](x, 2, return_indices=True)
    back = UNPOOL[dims](values, places, 2)
    assert back.shape == x.shape
    kept = back != 0
    assert fb.equal(back[kept], x[kept]) and int(kept.sum()) == values.numel()
    assert fb.equal(UNPOOL_LAYERS[dims](2)(values, places), back)
    assert UNPOOL[dims](values, places, 2, output_size=[9] * dims).shape == (2, 3, *[9] * dims)
    with pytest.raises(ValueError, match="output_size"):
        UNPOOL[dims](values, places, 2, output_size=[12] * dims)
    with pytest.raises(RuntimeError, match="invalid max index"):
        UNPOOL[dims](values, places + 10**6, 2)


@pytest.mark.parametrize("dims", [2, 3])
def test_fractional_max_pool_returns_the_values_at_the_returned_indices(dims):
    x = fb.tensor(RNG.standard_normal((2, 3, *[9] * dims)))
    pool = F.fractional_max_pool2d if dims == 2 else F.fractional_max_pool3d
    samples = fb.rand(2, 3, dims, dtype=fb.float64)
    values, places = pool(x, 2, output_size=4, return_indices=True, _random_samples=samples)
    assert values.shape == (2, 3, *[4] * dims)
    assert fb.equal(x.flatten(2).gather(2, places.flatten(2)), values.flatten(2))
    layer = FRACTIONAL_LAYERS[dims](2, output_size=4, return_indices=True, _random_samples=samples)
    assert all(map(fb.equal, layer(x), (values, places)))
    starts = [int((i + float(samples[0, 0, 0])) * 7 / 3) - int(float(samples[0, 0, 0]) * 7 / 3) for i in range(3)] + [7]
    line = values[0, 0].amax(list(range(dims - 1)))  # in two dimensions, the first random sample is for the width
    if dims == 2:
        assert all(float(line[i]) <= float(x[0, 0, :, s : s + 2].amax()) for i, s in enumerate(starts))
    assert pool(x, 2, output_ratio=0.5).shape == (2, 3, *[4] * dims)
    with pytest.raises(ValueError, match="either"):
        pool(x, 2)
    with pytest.raises(ValueError, match="between 0 and 1"):
        pool(x, 2, output_ratio=1.5)
    for wrong in ((), (2,), (2,) * (dims + 1)):
        with pytest.raises(RuntimeError, match=f"kernel_size must either be a single int or a tuple of {dims} ints"):
            pool(x, wrong, output_size=4)
        with pytest.raises(RuntimeError, match="output_size must either be a single int"):
            pool(x, 2, output_size=wrong)
    for side, name in zip(range(-dims, 0), ("time", "height", "width")[-dims:], strict=True):
        sizes = [4] * dims
        sizes[side] = 9
        with pytest.raises(RuntimeError, match=f"too large relative to input {name}"):
            pool(x, 2, output_size=sizes)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_pooling_functions_pass_gradcheck(dims):
    x = fb.tensor(RNG.permutation(2 * 5**dims).reshape(1, 2, *[5] * dims) / 10.0).requires_grad_()
    for call in (
        lambda x: AVERAGE[dims](x, 3, 2, 1, ceil_mode=True, count_include_pad=False),
        lambda x: ADAPTIVE_AVERAGE[dims](x, 3),
        lambda x: ADAPTIVE_MAX[dims](x, 3),
        lambda x: MAX[dims](x, 3, 2, 1),
        lambda x: POWER[dims](x + 1, 3.0, 2),
    ):
        assert gradcheck(call, (x,))
        assert gradgradcheck(lambda x, call=call: call(x).square(), (x,))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.max_pool2d(fb.zeros(2, 3), 2), RuntimeError, r"\[2, 3\]"),
        (lambda: F.max_pool1d(fb.zeros(1, 3), 4), RuntimeError, "too small"),
        (lambda: F.max_pool1d(fb.zeros(1, 3), 2, padding=2), RuntimeError, "half of effective kernel size"),
        (lambda: F.max_pool1d(fb.zeros(1, 3), 0), RuntimeError, "positive"),
        (lambda: F.max_pool1d(fb.zeros(1, 3), 2, stride=-1), RuntimeError, "positive"),
        (lambda: F.max_pool1d(fb.zeros(1, 3), 2, stride=0), RuntimeError, "stride should not be zero"),
        (lambda: F.avg_pool2d(fb.zeros(1, 3, 0, 4), 2), RuntimeError, "Expected input to be a 3D or 4D"),
        (lambda: F.max_pool1d(fb.zeros(1, 3), (2, 2)), RuntimeError, "kernel_size"),
        (lambda: F.avg_pool3d(fb.zeros(1, 3, 4, 4), 2, divisor_override=0), RuntimeError, "divisor"),
        (lambda: F.adaptive_avg_pool1d(fb.zeros(1, 3), -1), RuntimeError, "greater than or equal to 0"),
        (lambda: F.adaptive_max_pool2d(fb.zeros(3, 3), (2, 2)), ValueError, "at least 3"),
        (lambda: F.adaptive_avg_pool2d(fb.zeros(1, 3, 0), 2), RuntimeError, "non-zero"),
        (lambda: F.max_pool2d(fb.zeros(1, 4, 4), 2, dilation=2**40), RuntimeError, "2\\*\\*31"),
    ],
)
def test_pooling_functions_reject_invalid_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 1), (5, 4)])
@pytest.mark.parametrize("shape", [(2, 3, 7, 9), (1, 2, 30, 41), (3, 1, 5, 600)])
def test_adaptive_max_pool_takes_the_first_of_equal_values(shape, size):
    x = np.random.default_rng(0).integers(0, 9, shape).astype(np.float64)
    values, indices = F.adaptive_max_pool2d(fb.tensor(x), size, return_indices=True)
    edges = [[(o * n // k, -(-(o + 1) * n // k)) for o in range(k)] for n, k in zip(shape[2:], size, strict=True)]
    for i, (top, bottom) in enumerate(edges[0]):
        for j, (left, right) in enumerate(edges[1]):
            window = x[:, :, top:bottom, left:right].reshape(*shape[:2], -1)
            first = window.argmax(-1)
            assert np.array_equal(values[:, :, i, j].numpy(), window.max(-1))
            row, column = np.divmod(first, right - left)
            assert np.array_equal(indices[:, :, i, j].numpy(), (top + row) * shape[3] + left + column)


@pytest.mark.parametrize("length", [2, 7, 16, 37, 64])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_max_pool1d_of_pairs_matches_numpy_and_propagates_nan(length, dtype):
    x = np.round(2 * np.random.default_rng(1).standard_normal((3, 5, length))).astype(
        dtype
    )  # many maxima are equal: the first one is selected
    pairs = x[..., : length // 2 * 2].reshape(3, 5, -1, 2)
    got, indices = fb.max_pool1d_with_indices(fb.tensor(x), 2)
    assert np.array_equal(got.numpy(), pairs.max(-1))
    assert np.array_equal(indices.numpy(), pairs.argmax(-1) + np.arange(0, length // 2 * 2, 2))
    if dtype != "int64":
        x[0, 1, 1] = np.nan
        got, indices = fb.max_pool1d_with_indices(fb.tensor(x), 2)
        assert np.argwhere(np.isnan(got.numpy())).tolist() == [[0, 1, 0]] and indices[0, 1, 0].item() == 1


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_windows_entirely_in_the_padding_give_the_smallest_value(dtype):
    """Pool one element with padding 1, kernel size 2 and dilation 2, so that the window contains only padding."""
    least = np.iinfo(np.int64).min if dtype == "int64" else -np.inf
    x = fb.ones(1, 1, 1, dtype=getattr(fb, dtype))
    assert F.max_pool1d(x, 2, padding=1, dilation=2).item() == least
    assert F.max_pool2d(x, 2, padding=1, dilation=2).item() == least


@pytest.mark.parametrize("dims", [2, 3])
def test_fractional_max_pool_may_have_no_windows(dims):
    pool = F.fractional_max_pool2d if dims == 2 else F.fractional_max_pool3d
    assert pool(fb.zeros(1, 2, *[5] * dims), 2, output_size=[0] * dims).shape == (1, 2, *[0] * dims)
