"""State dictionaries under the names of parameters. The expected results are those of PyTorch 2.13."""

import pytest

import flambeau as fb
from flambeau import distributed as dist, nn, optim
from flambeau.distributed.checkpoint import state_dict as module
from flambeau.distributed.checkpoint.state_dict import StateDictOptions


def model_and_optimizer(seed):
    fb.manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.BatchNorm1d(3))
    model[0].bias.requires_grad_(False)
    groups = [{"params": [model[0].weight]}, {"params": [model[2].weight, model[2].bias], "lr": 0.1}]
    return model, optim.Adam(groups)


@pytest.fixture
def trained():
    model, optimizer = model_and_optimizer(0)
    model(fb.randn(4, 2)).square().sum().backward()
    optimizer.step()
    return model, optimizer


def test_get_model_state_dict_returns_the_selected_keys_and_shares_the_tensors(trained):
    model, _ = trained
    running = ["2.running_mean", "2.running_var", "2.num_batches_tracked"]
    state = module.get_model_state_dict(model)
    assert list(state) == ["0.weight", "0.bias", "2.weight", "2.bias", *running]
    assert state["0.weight"].data_ptr() == model[0].weight.data_ptr() and not state["0.weight"].requires_grad
    thawed = module.get_model_state_dict(model, options=StateDictOptions(ignore_frozen_params=True))
    assert list(thawed) == ["0.weight", "2.weight", "2.bias", *running]
    assert list(module.get_model_state_dict(model, submodules={model[0]})) == ["0.weight", "0.bias"]
    short = StateDictOptions(keep_submodule_prefixes=False, cpu_offload=True)
    assert list(module.get_model_state_dict(model, submodules={model[0]}, options=short)) == ["weight", "bias"]


def test_missing_keys_of_a_model_are_reported(trained):
    model, _ = trained
    given = {"0.weight": fb.ones(3, 2)}
    loaded = module.set_model_state_dict(model, given, options=StateDictOptions(strict=False))
    assert "0.bias" in loaded.missing_keys and not loaded.unexpected_keys and model[0].weight.sum() == 6
    with pytest.raises(RuntimeError, match=r"Missing key\(s\) in state_dict: \"0.bias\""):
        module.set_model_state_dict(model, given)


def test_the_state_of_an_optimizer_has_the_names_of_the_parameters(trained):
    model, optimizer = trained
    state = module.get_optimizer_state_dict(model, optimizer)
    assert list(state["state"]) == ["0.weight", "2.weight", "2.bias"]
    assert all(sorted(value) == ["exp_avg", "exp_avg_sq", "step"] for value in state["state"].values())
    groups = [(group["params"], group["lr"]) for group in state["param_groups"]]
    assert groups == [(["0.weight"], 0.001), (["2.weight", "2.bias"], 0.1)]
    part = module.get_optimizer_state_dict(model, optimizer, submodules={model[2]})
    assert list(part["state"]) == ["2.weight", "2.bias"] and len(part["param_groups"]) == 1


@pytest.mark.parametrize("wrap", ["nothing", "compile", "ddp"])
def test_a_saved_state_continues_the_training(trained, wrap):
    model_state, optimizer_state = module.get_state_dict(*trained)
    model, optimizer = model_and_optimizer(1)
    used = model
    if wrap == "compile":
        pytest.importorskip("flambeau.compiler")
        used = fb.compile(model)
    if wrap == "ddp":
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
        used = nn.parallel.DistributedDataParallel(model)
    try:
        module.set_state_dict(used, optimizer, model_state_dict=model_state, optim_state_dict=optimizer_state)
        assert list(module.get_model_state_dict(used)) == list(model_state)
        for each, opt in ((trained[0], trained[1]), (used, optimizer)):
            fb.manual_seed(2)
            opt.zero_grad()
            each(fb.randn(4, 2)).square().sum().backward()
            opt.step()
    finally:
        if wrap == "ddp":
            dist.destroy_process_group()
    for name, value in trained[0].state_dict().items():
        fb.testing.assert_close(model.state_dict()[name], value)
    assert optimizer.param_groups[1]["lr"] == 0.1


def test_a_state_without_a_parameter_and_unsupported_options_raise(trained):
    model, optimizer = trained
    with pytest.raises(KeyError, match=r"no group with the parameters \['0.weight'"):
        module.set_optimizer_state_dict(model, optimizer, {"state": {}, "param_groups": []})
    for name in ("flatten_optimizer_state_dict", "broadcast_from_rank0"):
        with pytest.raises(NotImplementedError, match=f"{name}=True is not supported"):
            module.get_state_dict(model, optimizer, options=StateDictOptions(**{name: True}))
