"""Test that names of PyTorch's unsupported subsystems exist and raise errors."""

import functools
import importlib

import pytest

NAMES = {
    "checkpoint": ["save", "load", "async_save", "FileSystemReader", "FileSystemWriter", "DefaultSavePlanner"],
    "checkpoint.hf_storage": ["HuggingFaceStorageReader", "HuggingFaceStorageWriter"],
    "fsdp": ["FullyShardedDataParallel", "fully_shard"],
    "pipelining": ["pipeline", "PipelineStage", "ScheduleGPipe"],
    "rpc": ["init_rpc", "rpc_sync", "rpc_async", "remote", "shutdown"],
    "tensor": ["DTensor", "distribute_tensor", "distribute_module"],
}


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in NAMES.items() for name in names])
def test_an_unsupported_subsystem_raises_a_clear_error_when_used(module, name):
    found = getattr(importlib.import_module(f"flambeau.distributed.{module}"), name)
    with pytest.raises(NotImplementedError, match=r"flambeau (has no|does not)") as caught:
        found(1)
    assert ". " not in str(caught.value).removeprefix(f"flambeau.distributed.{module}.")


@pytest.mark.parametrize("module", NAMES)
def test_all_names_of_an_unsupported_subsystem_exist(module):
    found = importlib.import_module(f"flambeau.distributed.{module}")
    assert all(hasattr(found, name) for name in found.__all__)


def test_wrap_policies_of_fsdp_select_modules():
    fsdp = importlib.import_module("flambeau.distributed.fsdp")
    by_class = functools.partial(fsdp.transformer_auto_wrap_policy, transformer_layer_cls={list, dict})
    by_function = functools.partial(fsdp.lambda_auto_wrap_policy, lambda_fn=bool)
    assert by_class([], False, 0) and by_class((), True, 0) and not by_class((), False, 0)
    assert by_function((1,), False, 0) and by_function((), True, 0) and not by_function((), False, 0)
    either = functools.partial(fsdp._or_policy, policies=[by_class, by_function])
    assert either([], False, 0) and either((1,), False, 0) and not either((), False, 0)


def test_no_module_has_a_state_of_fsdp():
    fsdp = importlib.import_module("flambeau.distributed.fsdp")
    assert fsdp._get_module_state(object()) is None and not isinstance(object(), fsdp._FSDPState)
    assert [each.name for each in fsdp.BackwardPrefetch] == ["BACKWARD_PRE", "BACKWARD_POST"]
    assert fsdp.StateDictType["FULL_STATE_DICT"] in fsdp.StateDictType
