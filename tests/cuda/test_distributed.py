"""Tests of training in several processes with models on a GPU."""

import sys
from pathlib import Path

import numpy as np
import pytest

import flambeau as fb
from flambeau import distributed as dist, nn
from flambeau.nn.parallel import DistributedDataParallel

sys.path.insert(0, str(Path(__file__).parents[2] / "packages/distributed/tests"))

from rank_fixtures import _ended, ranks  # noqa: F401

OPTIONS = {"views": {"gradient_as_bucket_view": True}, "small buckets": {"bucket_cap_mb": 16 / 2**20}}


def _model(seed):
    fb.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.SyncBatchNorm(4), nn.Tanh(), nn.Linear(4, 2))


def _batch(rank):
    return fb.arange(12.0).reshape(4, 3).sin() * (rank + 1)


def _learn(options):
    rank = dist.get_rank()
    model = DistributedDataParallel(_model(rank).to("cuda"), device_ids=[0], **options)
    for _ in range(2):
        model.zero_grad()
        output = model(_batch(rank))  # the model moves its input to the GPU
        assert output.device.type == "cuda"
        output.square().mean().backward()
    return {name: each.grad.cpu().numpy() for name, each in model.module.named_parameters()}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_two_processes_train_like_one(ranks, options):  # noqa: F811
    model = _model(0)
    for _ in range(2):
        model.zero_grad()
        model(fb.cat([_batch(0), _batch(1)])).square().mean().backward()
    for found in ranks.run(_learn, options):
        for name, parameter in model.named_parameters():
            np.testing.assert_allclose(found[name], parameter.grad.numpy(), rtol=1e-4, atol=1e-6, err_msg=name)


def test_device_ids_are_checked():
    dist.init_process_group(store=dist.HashStore(), rank=0, world_size=1)
    try:
        model = DistributedDataParallel(nn.Linear(2, 2).to("cuda"), device_ids=["cuda:0"])
        assert (model.device_ids, model.output_device) == ([0], 0)
        with pytest.raises(ValueError, match="single element"):
            DistributedDataParallel(nn.Linear(2, 2).to("cuda"), device_ids=[0, 1])
        with pytest.raises(ValueError, match="same type of devices"):
            DistributedDataParallel(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).to("cuda")))
    finally:
        dist.destroy_process_group()
