"""Test the errors of DistributedDataParallel."""

import pytest
from small_models import Branches

import flambeau as fb
from flambeau import distributed as dist, nn
from flambeau.nn.parallel import DistributedDataParallel


def _other_models(kind):
    rank = dist.get_rank()
    module = {
        "shape": lambda: nn.ModuleDict({"same": nn.Linear(2, 2), "other": nn.Linear(2, 3 + rank)}),
        "number": lambda: nn.ModuleDict({"same": nn.Linear(2, 2, bias=rank == 0)}),
        "dtype": lambda: nn.ModuleDict({"same": nn.Linear(2, 2, dtype=[fb.float32, fb.float64][rank])}),
    }[kind]()
    with pytest.raises(RuntimeError, match="expects same model across all ranks") as caught:
        DistributedDataParallel(module)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["shape", "number", "dtype"])
def test_different_models_in_two_processes_raise_in_both(ranks, kind):
    named = {
        "shape": "params[2] ('other.weight' of shape [4, 2] and float32) in process 1",
        "number": "Rank 0 has 2 params, while rank 1 has inconsistent 1 params: 'same.bias'",
        "dtype": "params[0] ('same.weight' of shape [2, 2] and float64) in process 1",
    }[kind]
    for message in ranks.run(_other_models, kind):
        assert named in message.replace("flambeau.", "")


def test_a_module_without_trainable_parameters_is_rejected(one_process):
    for module in (nn.Tanh(), nn.Linear(2, 2).requires_grad_(False)):
        with pytest.raises(RuntimeError, match="doesn't have any parameter that requires a gradient"):
            DistributedDataParallel(module)


def test_uninitialized_lazy_modules_are_rejected(one_process):
    with pytest.raises(RuntimeError, match="uninitialized parameters"):
        DistributedDataParallel(nn.LazyLinear(2))


@pytest.mark.parametrize("places", [{"device_ids": [0]}, {"output_device": 1}, {"device_ids": [0, 1]}])
def test_device_ids_for_a_module_on_the_cpu_are_rejected(one_process, places):
    with pytest.raises(ValueError, match="device_ids"):
        DistributedDataParallel(nn.Linear(2, 2), **places)


def test_a_module_on_several_types_of_devices_is_rejected(one_process):
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, device="meta"))
    with pytest.raises(ValueError, match="same type of devices"):
        DistributedDataParallel(module)


def test_unsupported_options_are_rejected(one_process):
    for options in (
        {"mixed_precision": object()},
        {"device_mesh": object()},
        {"delay_all_reduce_named_params": [], "param_to_hook_all_reduce": object()},
    ):
        with pytest.raises(NotImplementedError, match=next(iter(options))):
            DistributedDataParallel(nn.Linear(2, 2), **options)
    with pytest.raises(ValueError, match="at the same time"):
        DistributedDataParallel(nn.Linear(2, 2), delay_all_reduce_named_params=[])


def test_data_parallel_requires_a_process_group():
    with pytest.raises(ValueError, match="init_process_group"):
        DistributedDataParallel(nn.Linear(2, 2))


def _outside():
    group = dist.new_group([0])
    if dist.get_rank() == 1:
        with pytest.raises(ValueError, match="does not belong to process_group"):
            DistributedDataParallel(Branches(), process_group=group)


def test_a_process_outside_the_group_is_rejected(ranks):
    ranks.run(_outside)


def test_invalid_hooks_are_rejected(one_process):
    model = DistributedDataParallel(nn.Linear(2, 2))

    def misled(state, bucket: int):
        raise AssertionError

    with pytest.raises(TypeError, match="must be callable"):
        model.register_comm_hook(None, 1)
    with pytest.raises(ValueError, match=r"should be dist\.GradBucket"):
        model.register_comm_hook(None, misled)
    number = fb.futures.Future()
    number.set_result(1)
    model.register_comm_hook(None, lambda state, bucket: number)
    with pytest.raises(RuntimeError, match="only be called once"):
        model.register_comm_hook(None, print)
    with pytest.raises(TypeError, match="should hold a tensor"):
        model(fb.ones(1, 2)).sum().backward()


def test_ignored_parameters_and_buffers_are_not_synchronised(one_process):
    module = Branches()
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(module, ["first.weight", "shift"])
    model = DistributedDataParallel(module)
    names = set(model.reducer.names.values())
    assert "first.weight" not in names and "first.bias" in names and model._synchronized_buffers() == []
