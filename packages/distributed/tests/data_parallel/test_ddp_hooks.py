"""Test communication hooks of DistributedDataParallel."""

import numpy as np
import pytest
from small_models import Branches, batch, descend, gradients, loss, made

import flambeau as fb
from flambeau import distributed as dist, nn
from flambeau.distributed.algorithms.ddp_comm_hooks import (
    DDPCommHookType,
    default_hooks,
    powerSGD_hook,
    register_ddp_comm_hook,
)
from flambeau.nn.parallel import DistributedDataParallel

HOOKS = {
    "allreduce": (default_hooks.allreduce_hook, fb.float64),
    "fp16": (default_hooks.fp16_compress_hook, fb.float16),
    "bf16": (default_hooks.bf16_compress_hook, fb.bfloat16),
    "fp16 wrapper": (default_hooks.fp16_compress_wrapper(default_hooks.allreduce_hook), fb.float16),
    "bf16 wrapper": (default_hooks.bf16_compress_wrapper(default_hooks.allreduce_hook), fb.bfloat16),
}


def _with(name, views):
    rank = dist.get_rank()
    model = DistributedDataParallel(made(Branches, 0), gradient_as_bucket_view=views)
    if name:
        model.register_comm_hook(None, HOOKS[name][0])
    loss(model, *batch(rank)).backward()
    return gradients(model)


@pytest.mark.parametrize("views", [False, True])
@pytest.mark.parametrize("name", HOOKS)
def test_compression_hooks_average_gradients_in_a_narrower_dtype(ranks, name, views):
    own = []
    for rank in range(2):
        model = made(Branches, 0)
        loss(model, *batch(rank)).backward()
        own.append(gradients(model))
    found = ranks.run(_with, name, views)
    dtype = HOOKS[name][1]
    for key, gradient in own[0].items():
        if gradient is None:
            continue
        halves = [(fb.tensor(each[key]).to(dtype) / 2).double().numpy() for each in own]
        expected = fb.tensor(halves[0] + halves[1]).to(dtype).double().numpy()
        tolerance = 1e-6 if key == "narrow" and dtype == fb.float64 else 1e-12  # it is always float32
        for each in found:
            np.testing.assert_allclose(each[key], expected, rtol=tolerance)


def _by_name(name):
    model = DistributedDataParallel(made(Branches, 0))
    register_ddp_comm_hook(DDPCommHookType[name], model)
    loss(model, *batch(dist.get_rank())).backward()
    return gradients(model)


@pytest.mark.parametrize(
    ("name", "hook"),
    [("ALLREDUCE", None), ("FP16_COMPRESS", "fp16"), ("BF16_COMPRESS", "bf16"), ("POWER_SGD", None)],
)
def test_hooks_can_be_registered_by_name(ranks, name, hook):
    for found, expected in zip(ranks.run(_by_name, name), ranks.run(_with, hook, False), strict=True):
        for key in expected:
            np.testing.assert_array_equal(found[key], expected[key])


def _compressed():
    """Train a regression with PowerSGD compression from the third step on."""
    rank = dist.get_rank()
    generator = fb.Generator().manual_seed(rank)
    fb.manual_seed(0)
    model = DistributedDataParallel(nn.Linear(16, 12, bias=False))
    model.register_comm_hook(powerSGD_hook.PowerSGDState(None, start_powerSGD_iter=2), powerSGD_hook.powerSGD_hook)
    goal = fb.arange(192.0).reshape(12, 16).sin()
    losses = []
    for _ in range(300):
        x = fb.randn(32, 16, generator=generator)
        losses.append(loss(model, x, x @ goal.T))
        losses[-1].backward()
        descend(model, 0.5)
    return [each.item() for each in losses]


def test_a_model_learns_with_power_sgd(ranks):
    for losses in ranks.run(_compressed):
        assert losses[-1] < losses[0] / 100


def _seen():
    found = []

    def hook(state, bucket: dist.GradBucket):
        parts = bucket.gradients()
        found.append((state, bucket.index(), bucket.is_last(), [tuple(each.shape) for each in bucket.parameters()]))
        assert bucket.buffer().tolist() == [each for part in parts for each in part.flatten().tolist()]
        future = fb.futures.Future()
        future.set_result(bucket.buffer() * 0 + bucket.index() + 1)
        return future

    model = DistributedDataParallel(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)), bucket_cap_mb=16 / 2**20)
    model.register_comm_hook("state", hook)
    model(fb.ones(1, 2)).sum().backward()
    return found, [set(each.grad.flatten().tolist()) for each in model.parameters()]


def test_hooks_receive_the_state_and_the_gradient_bucket(one_process):
    found, values = _seen()
    assert found == [
        ("state", 0, False, [(1,), (1, 3)]),
        ("state", 1, True, [(3,), (3, 2)]),
    ]
    assert values == [{2.0}, {2.0}, {1.0}, {1.0}]
