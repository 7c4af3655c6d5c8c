"""Test SyncBatchNorm against batch normalisation of the concatenated batch in one process."""

import numpy as np
import pytest
from small_models import made

import flambeau as fb
from flambeau import distributed as dist, nn
from flambeau.nn.parallel import DistributedDataParallel

SHAPES = {"one dimension": (), "image": (3, 2), "volume": (2, 1, 2)}
PLAIN = {(): nn.BatchNorm1d, (3, 2): nn.BatchNorm2d, (2, 1, 2): nn.BatchNorm3d}
ROWS = [4, 2, 0]  # batch size of each process


def _inputs(place, ranks, dtype=fb.float64, mean=0.0):
    generator = fb.Generator().manual_seed(7)
    shape = (sum(ROWS[:ranks]), 3, *place)
    x, y = (fb.randn(shape, dtype=fb.float64, generator=generator) + shift for shift in (mean, 0))
    return x.to(dtype), y.to(dtype)


def _layer(kind, options, dtype=fb.float64):
    layer = kind(3, dtype=dtype, **options)
    for number, parameter in enumerate(layer.parameters()):
        nn.init.constant_(parameter, number + 1.5)
    return layer


def _run(layer, x, y):
    """Run two forward and backward passes, and return the last output, the gradients and the buffers."""
    for scale in (1.0, 3.0):
        layer.zero_grad()
        x = (x.detach() * scale).requires_grad_()
        output = layer(x)
        (output * y).sum().backward()
    found = [output, x.grad, *(each.grad for each in layer.parameters()), *layer.buffers()]
    return [each.detach().double().numpy() for each in found]


def _on_a_rank(place, options, ranks, dtype, mean):
    rank = dist.get_rank()
    x, y = (each.split(ROWS[:ranks])[rank] for each in _inputs(place, ranks, dtype, mean))
    layer = _layer(nn.SyncBatchNorm, options, dtype)
    return _run(layer, x, y)


def _compare(pool, place, options, dtype=fb.float64, mean=0.0, tolerance=1e-9):
    ranks = pool.size
    whole, by_input, *others = _run(_layer(PLAIN[place], options, dtype), *_inputs(place, ranks, dtype, mean))
    found = pool.run(_on_a_rank, place, options, ranks, dtype, mean)
    parameters = len(list(_layer(PLAIN[place], options).parameters()))
    ends = np.cumsum([0, *ROWS])
    for rank, (output, grad, *rest) in enumerate(found):
        rows = slice(ends[rank], ends[rank + 1])
        np.testing.assert_allclose(output, whole[rows], rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(grad, by_input[rows], rtol=tolerance, atol=tolerance)
        for one, expected in zip(rest[parameters:], others[parameters:], strict=True):
            np.testing.assert_allclose(one, expected, rtol=tolerance)
    for number in range(parameters):  # each process's gradient is the sum over its rows
        total = sum(each[2 + number] for each in found)
        np.testing.assert_allclose(total, others[number], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("place", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("options", [{}, {"momentum": None}, {"affine": False}, {"bias": False}], ids=str)
def test_sync_batch_norm_weights_batches_by_their_sizes(ranks, place, options):
    _compare(ranks, place, options)


def test_sync_batch_norm_accepts_an_empty_batch_in_one_process(three_ranks):
    _compare(three_ranks, (3, 2), {})


def test_sync_batch_norm_works_without_running_statistics(ranks):
    _compare(ranks, (3, 2), {"track_running_stats": False})


def test_large_means_do_not_cancel_the_variance(ranks):
    _compare(ranks, (3, 2), {"affine": False}, fb.float32, mean=1000.0, tolerance=2e-3)


def _half(dtype):
    x, y = (each.split(ROWS[:2])[dist.get_rank()] for each in _inputs((3, 2), 2, dtype))
    x.requires_grad_()
    layer = nn.SyncBatchNorm(3)
    output = layer(x)
    (output * y).sum().backward()
    found = (output.detach(), x.grad, layer.running_mean, layer.running_var)
    return output.dtype == x.grad.dtype == dtype, [each.double().numpy() for each in found]


@pytest.mark.parametrize("dtype", [fb.float16, fb.bfloat16], ids=str)
def test_half_precision_inputs_are_normalised_in_float32(ranks, dtype):
    x, y = (each.double() for each in _inputs((3, 2), 2, dtype))
    x.requires_grad_()
    layer = nn.BatchNorm2d(3, dtype=fb.float64)
    whole = layer(x)
    (whole * y).sum().backward()
    tolerance = fb.finfo(dtype).eps * 4
    for rank, (same, (output, grad, mean, variance)) in enumerate(ranks.run(_half, dtype)):
        assert same
        rows = slice(0, 4) if rank == 0 else slice(4, 6)
        np.testing.assert_allclose(output, whole.detach().numpy()[rows], rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(grad, x.grad.numpy()[rows], rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(mean, layer.running_mean.numpy(), rtol=1e-5)  # not rounded to half precision
        np.testing.assert_allclose(variance, layer.running_var.numpy(), rtol=1e-5)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3))
        self.double()

    def forward(self, x):
        return self.layers(x)


def _network(x):
    half = x[:3] if dist.get_rank() == 0 else x[3:]
    plain = made(Network, dist.get_rank())
    model = DistributedDataParallel(nn.SyncBatchNorm.convert_sync_batchnorm(plain))
    assert isinstance(model.module.layers[1], nn.SyncBatchNorm)
    model(half).square().mean().backward()
    found = {name: each.grad.numpy() for name, each in model.module.named_parameters()}
    model.eval()
    with fb.no_grad():
        return found, model(half).numpy()


def test_a_converted_network_trains_as_in_one_process(ranks):
    model, x = made(Network, 0), fb.randn(6, 3, 5, 5, dtype=fb.float64)
    model(x).square().mean().backward()
    model.eval()
    outputs = model(x).detach().numpy()
    for rank, (found, evaluated) in enumerate(ranks.run(_network, x)):
        for name, parameter in model.named_parameters():
            np.testing.assert_allclose(found[name], parameter.grad.numpy(), rtol=1e-9, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(evaluated, outputs[:3] if rank == 0 else outputs[3:], rtol=1e-9)


def _rejected():
    rank = dist.get_rank()
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        nn.SyncBatchNorm(3)(fb.ones(1 - rank, 3))
    with pytest.raises(ValueError, match="expected 3 channels, but got 4"):
        nn.SyncBatchNorm(3)(fb.ones(2, 4))
    output = nn.SyncBatchNorm(3)(fb.ones(1, 3))  # one value per process is enough
    assert output.tolist() == [[0, 0, 0]]


def test_sync_batch_norm_rejects_too_few_values(ranks):
    ranks.run(_rejected)


def _in_a_group():
    group = dist.new_group([0, 2])
    rank = dist.get_rank()
    if rank == 1:
        return None
    return nn.SyncBatchNorm(1, eps=0, affine=False, process_group=group)(fb.tensor([[float(rank)]])).tolist()


def test_sync_batch_norm_in_a_subgroup_uses_only_the_batches_of_its_members(three_ranks):
    assert three_ranks.run(_in_a_group) == [[[-1.0]], None, [[1.0]]]


def test_sync_batch_norm_with_one_process_equals_batch_norm(one_process):
    x = fb.randn(4, 3, 2)
    np.testing.assert_array_equal(nn.SyncBatchNorm(3)(x).detach().numpy(), nn.BatchNorm1d(3)(x).detach().numpy())
