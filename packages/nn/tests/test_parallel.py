"""Splitting and gathering without GPUs. The tests in tests/cuda need GPUs."""

import importlib
from typing import Any, NamedTuple

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.nn.parallel import scatter_gather

without_gpu = pytest.mark.skipif(fb.cuda.is_available(), reason="there is a GPU")


class Pair(NamedTuple):
    x: Any
    y: Any


def test_replicas_have_the_copies_of_their_device(monkeypatch):
    module = importlib.import_module("flambeau.nn.parallel.replicate")
    monkeypatch.setattr(module.comm, "broadcast", lambda tensor, devices: tuple(tensor + device for device in devices))
    first, second = module._broadcast_coalesced_reshape([fb.zeros(1), fb.ones(1)], [3, 4])
    assert [value.item() for value in first + second] == [3, 4, 4, 5]
    layer = nn.Linear(2, 1)
    replicas = nn.parallel.replicate(layer, [3, 4])
    assert all(fb.equal(replica.weight, layer.weight + n) for replica, n in zip(replicas, (3, 4), strict=True))
    assert len(nn.parallel.replicate(nn.ReLU(), [3, 4])) == 2


@without_gpu
def test_data_parallel_without_gpus_calls_the_module():
    layer = nn.Linear(3, 2)
    for devices in (None, [0], [0, 1], ["cuda:0", "cuda:1"]):
        model = nn.DataParallel(layer, devices)
        x = fb.ones(4, 3)
        assert model.device_ids == [] and fb.equal(model(input=x), layer(x))
    assert list(model.state_dict()) == ["module.weight", "module.bias"]
    with pytest.raises(RuntimeError, match="CUDA is not available"):
        nn.parallel.data_parallel(layer, x)


def test_scatter_replicates_objects_that_are_not_tensors():
    scatter = nn.parallel.scatter
    assert scatter("text", [0, 1]) == ["text", "text"] and scatter((), [0, 1]) == [(), ()]
    assert scatter(Pair(1, [2, 3]), [0, 1]) == [Pair(1, [2, 3])] * 2
    assert scatter({"a": None, "b": (1,)}, [0, 1]) == [{"a": None, "b": (1,)}] * 2


def test_scattered_arguments_have_one_item_per_device():
    scatter_kwargs = scatter_gather.scatter_kwargs
    assert scatter_kwargs((1,), {}, [0, 1]) == (((1,), (1,)), ({}, {}))
    assert scatter_kwargs((), {"a": 1}, [0, 1]) == (((), ()), ({"a": 1}, {"a": 1}))
    assert scatter_kwargs((), None, [0, 1]) == ((), ())


def test_gather_joins_results_item_by_item():
    a, b = fb.tensor([1.0]), fb.tensor([2.0])
    whole = nn.parallel.gather([Pair({"s": a}, [b, None]), Pair({"s": b}, [a, None])], "cpu")
    assert isinstance(whole, Pair) and whole.x["s"].tolist() == [1, 2]
    assert whole.y[0].tolist() == [2, 1] and whole.y[1] is None
    with pytest.warns(UserWarning, match="all input tensors were scalars"):
        assert nn.parallel.gather([a[0], b[0]], "cpu").tolist() == [1, 2]
    with pytest.raises(ValueError, match="same number of keys"):
        nn.parallel.gather([{"a": a}, {"b": a}], "cpu")


def test_parallel_apply_rejects_different_numbers_of_modules_and_inputs():
    layer = nn.Identity()
    for arguments in (([],), ([1], [{}, {}]), ([1], None, [0, 1])):
        with pytest.raises(AssertionError, match="The number of modules 1 is not equal"):
            nn.parallel.parallel_apply([layer], *arguments)
