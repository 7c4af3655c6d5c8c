"""Tests of checkpoints of a whole training run, and of training processes that share a model's memory."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn, optim

ENDINGS = ["pt", "safetensors"]


def training() -> tuple[Any, Any, Any]:
    fb.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2))
    optimizer = optim.AdamW(model.parameters(), lr=0.01)
    return model, optimizer, optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)


def train(model: Any, optimizer: Any, schedule: Any, steps: int) -> list[float]:
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(fb.randn(8, 1, 6, 6)).square().mean()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("ending", ENDINGS)
def test_resumed_training_equals_uninterrupted_training(tmp_path: Path, ending: str, mapped: bool) -> None:
    path = tmp_path / f"checkpoint.{ending}"
    model, optimizer, schedule = training()
    train(model, optimizer, schedule, 3)
    parts = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}
    fb.save({**parts, "random": fb.get_rng_state()}, path)
    expected = train(model, optimizer, schedule, 4)

    loaded = fb.load(path, mmap=mapped)
    other_model, other_optimizer, other_schedule = training()
    for part, name in ((other_model, "model"), (other_optimizer, "optimizer"), (other_schedule, "schedule")):
        part.load_state_dict(loaded[name])
    fb.set_rng_state(loaded["random"])
    assert train(other_model, other_optimizer, other_schedule, 4) == expected
    for ours, theirs in zip(other_model.state_dict().values(), model.state_dict().values(), strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_tied_weights_stay_tied(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    model[1].weight = model[0].weight
    fb.save(model.state_dict(), tmp_path / "model")
    loaded = fb.load(tmp_path / "model")
    loaded["0.weight"].zero_()
    assert not loaded["1.weight"].any()


def test_a_pickled_module_can_be_loaded(tmp_path: Path) -> None:
    model, _, _ = training()
    fb.save(model, tmp_path / "model.pt")
    loaded = fb.load(tmp_path / "model.pt", weights_only=False)
    images = fb.randn(2, 1, 6, 6)
    np.testing.assert_array_equal(loaded.eval()(images).detach().numpy(), model.eval()(images).detach().numpy())
    assert repr(loaded) == repr(model)


def test_processes_train_one_model_in_shared_memory() -> None:
    fb.manual_seed(0)
    model = nn.Linear(4, 1)
    model.share_memory()
    inputs = fb.randn(64, 4)
    targets = inputs @ fb.tensor([[1.0], [-2.0], [3.0], [0.5]])

    def loss_of() -> Any:
        return nn.functional.mse_loss(model(inputs), targets)

    before = loss_of().item()
    children = []
    for _ in range(2):
        child = os.fork()
        if child == 0:
            optimizer = optim.SGD(model.parameters(), lr=0.05)
            for _ in range(100):
                optimizer.zero_grad()
                loss_of().backward()
                optimizer.step()
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    assert loss_of().item() < before / 100


def test_a_failed_load_does_not_change_the_model_or_the_optimizer(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    model, optimizer, schedule = training()
    train(model, optimizer, schedule, 1)
    fb.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    values = [value.tolist() for value in model.state_dict().values()]
    with pytest.raises(RuntimeError, match=r"cannot load '.*checkpoint\.pt': truncated or damaged"):
        fb.load(path)
    state = optimizer.state_dict()
    state["param_groups"].append(state["param_groups"][0])
    with pytest.raises(ValueError, match="2, but the optimizer has 1"):
        optimizer.load_state_dict(state)
    with pytest.raises(RuntimeError, match=r"size mismatch for 4\.bias"):
        model.load_state_dict({**model.state_dict(), "0.weight": fb.zeros(4, 1, 3, 3), "4.bias": fb.zeros(9)})
    assert [value.tolist() for value in model.state_dict().values()] == values
