"""Tests of models and optimizers on a GPU: saved to files and loaded, and with saved tensors offloaded to the CPU."""

import pickle

import pytest

import flambeau as fb
from flambeau import nn, optim
from flambeau.autograd import graph
from flambeau.testing import assert_close


def trained(device):
    fb.manual_seed(3)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.BatchNorm1d(5)).to(device)
    optimizer = optim.Adam(model.parameters())
    for _ in range(2):
        optimizer.zero_grad()
        model(fb.linspace(-1, 1, 12).reshape(3, 4).to(device)).square().sum().backward()
        optimizer.step()
    return model, optimizer


def test_a_state_dict_saved_on_the_gpu_loads_on_the_cpu_and_back(tmp_path):
    model, optimizer = trained("cuda")
    fb.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "state.pt")
    assert all(x.is_cuda for x in fb.load(tmp_path / "state.pt")["model"].values())
    for device in ("cpu", "cuda"):
        other, other_optimizer = trained(device)
        state = fb.load(tmp_path / "state.pt", map_location=device)
        other.load_state_dict(state["model"])
        other_optimizer.load_state_dict(state["optimizer"])
        for x, y in zip(model.state_dict().values(), other.state_dict().values(), strict=True):
            assert y.device.type == device
            assert_close(y.cpu(), x.cpu())
        moments = other_optimizer.state[next(other.parameters())]
        assert moments["exp_avg"].device.type == device


def test_a_module_is_pickled_with_its_device():
    model, _ = trained("cuda")
    other = pickle.loads(pickle.dumps(model))
    assert next(other.parameters()).is_cuda
    assert_close(other[0].weight.detach().cpu(), model[0].weight.detach().cpu())


@pytest.mark.parametrize("pinned", [False, True])
def test_save_on_cpu_moves_saved_tensors_to_the_cpu(pinned):
    x = fb.arange(3.0, device="cuda", requires_grad=True)
    kept = []
    hooks = graph.save_on_cpu(pin_memory=pinned)
    pack = hooks.pack_hook
    hooks.pack_hook = lambda tensor: kept.append(pack(tensor)) or kept[-1]
    with hooks:
        y = (x * x).sum()
    assert {(device.type, tensor.device.type, tensor.is_pinned()) for device, tensor in kept} == {
        ("cuda", "cpu", pinned)
    }
    y.backward()
    assert x.grad.tolist() == [0, 2, 4]
