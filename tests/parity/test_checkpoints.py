"""Tests of checkpoints that are exchanged with PyTorch: models, optimizers and schedules, in both directions."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import flambeau as fb

pytestmark = pytest.mark.filterwarnings("ignore")  # where the samples of schedules warn, both libraries do


def transformer(lib: Any) -> Any:
    return lib.nn.Transformer(16, 4, 1, 2, 32, dropout=0.0, batch_first=True)


def recurrent(lib: Any) -> Any:
    nn = lib.nn

    class Model(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(7, 6)
            self.lstm = nn.LSTM(6, 5, num_layers=2, bidirectional=True, batch_first=True)
            self.gru = nn.GRU(10, 4, batch_first=True)
            self.head = nn.Linear(4, 2)

        def forward(self, tokens: Any) -> Any:
            return self.head(self.gru(self.lstm(self.embed(tokens))[0])[0])

    return Model()


def residual(lib: Any) -> Any:
    nn = lib.nn

    class Block(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self, ins: int, outs: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(ins, outs, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(outs)
            self.conv2 = nn.Conv2d(outs, outs, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outs)
            self.downsample = nn.Sequential(nn.Conv2d(ins, outs, 1, stride, bias=False), nn.BatchNorm2d(outs))

        def forward(self, x: Any) -> Any:
            y = nn.functional.relu(self.bn1(self.conv1(x)))
            return nn.functional.relu(self.bn2(self.conv2(y)) + self.downsample(x))

    return nn.Sequential(
        Block(3, 4, 1), Block(4, 8, 2), nn.GroupNorm(2, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
    )


def inputs(name: str) -> list[np.ndarray[Any, Any]]:
    draw = np.random.default_rng(0)
    if name == "recurrent":
        return [draw.integers(0, 7, (2, 5))]
    if name == "residual":
        return [draw.standard_normal((2, 3, 8, 8)).astype(np.float32)]
    return [draw.standard_normal((2, 5, 16)).astype(np.float32), draw.standard_normal((2, 3, 16)).astype(np.float32)]


MODELS = {"transformer": transformer, "recurrent": recurrent, "residual": residual}


def run(lib: Any, model: Any, name: str) -> Any:
    return model(*(lib.from_numpy(value.copy()) for value in inputs(name)))


def step(lib: Any, model: Any, optimizer: Any, name: str) -> None:
    def closure() -> Any:
        optimizer.zero_grad()
        loss = run(lib, model, name).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)


def assert_outputs_agree(ours: Any, theirs: Any, name: str) -> None:
    for model in (ours, theirs):
        model.eval()
    expected = run(torch, theirs, name).detach().numpy()
    np.testing.assert_allclose(run(fb, ours, name).detach().numpy(), expected, rtol=2e-4, atol=2e-5)


def assert_same(ours: Any, theirs: Any) -> None:
    """Assert that both values have the same structure and equal elements."""
    if isinstance(theirs, torch.Tensor):
        assert str(ours.dtype).rpartition(".")[2] == str(theirs.dtype).rpartition(".")[2]
        np.testing.assert_array_equal(ours.detach().numpy(), theirs.detach().numpy())
    elif isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            assert_same(ours[key], value)
    elif isinstance(theirs, list | tuple):
        assert len(ours) == len(theirs)
        for mine, other in zip(ours, theirs, strict=True):
            assert_same(mine, other)
    else:
        assert ours == theirs


def their_load(path: Path) -> Any:
    """Load a file with PyTorch, with and without ``weights_only``, and check that both results are equal."""
    careful, trusting = torch.load(path, weights_only=True), torch.load(path, weights_only=False)
    assert repr(careful) == repr(trusting)
    return careful


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_models_saved_by_pytorch_load(tmp_path: Path, name: str, ending: str) -> None:
    path = tmp_path / f"model.{ending}"
    theirs, ours = MODELS[name](torch), MODELS[name](fb)
    if ending == "pt":
        torch.save(theirs.state_dict(), path)
    else:
        pytest.importorskip("safetensors.torch").save_file(theirs.state_dict(), path)
    for mapped in (False, True):
        ours.load_state_dict(fb.load(path, mmap=mapped))
        assert_outputs_agree(ours, theirs, name)


@pytest.mark.parametrize("name", MODELS)
def test_pytorch_loads_models_saved_by_flambeau(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.pt"
    theirs, ours = MODELS[name](torch), MODELS[name](fb)
    fb.save(ours.state_dict(), path)
    theirs.load_state_dict(their_load(path))
    assert_outputs_agree(ours, theirs, name)
    theirs.load_state_dict(torch.load(path, mmap=True))


OPTIMIZERS: dict[str, dict[str, Any]] = {
    **{
        name: {}
        for name in fb.optim.__all__
        if isinstance(getattr(torch.optim, name, None), type)
        and name not in ("Optimizer", "Muon", "SparseAdam")  # Muon takes matrices, SparseAdam sparse gradients
    },
    "Adam": {"lr": 0.01},
    "Adam with amsgrad": {"lr": 0.01, "amsgrad": True},
    "AdamW": {"lr": 0.01, "weight_decay": 0.1},
    "Rprop": {"lr": 0.001},
    "ASGD": {"lr": 0.01},
    "RMSprop": {"centered": True, "momentum": 0.9, "lr": 0.001},
    "SGD": {"lr": 0.01},
    "SGD with momentum": {"lr": 0.01, "momentum": 0.9, "nesterov": True},
    "LBFGS": {"lr": 0.1, "max_iter": 3},
}


def optimizer_of(lib: Any, name: str, model: Any) -> Any:
    options = OPTIMIZERS[name]
    if name == "LBFGS":
        return lib.optim.LBFGS(model.parameters(), **options)
    body, head = list(model.parameters())[:-2], list(model.parameters())[-2:]
    groups = [{"params": body}, {"params": head, "lr": 0.002}]
    return getattr(lib.optim, name.partition(" ")[0])(groups, **options)


def checkpoint_of(model: Any, optimizer: Any) -> dict[str, Any]:
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "best": 0.5}


def restored(lib: Any, checkpoint: dict[str, Any], name: str) -> tuple[Any, Any]:
    model = residual(lib)
    optimizer = optimizer_of(lib, name, model)
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    return model, optimizer


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_continues_in_the_other_library(tmp_path: Path, name: str) -> None:
    path = tmp_path / "checkpoint.pt"
    theirs = residual(torch)
    their_optimizer = optimizer_of(torch, name, theirs)
    for _ in range(2):
        step(torch, theirs, their_optimizer, "residual")
    torch.save(checkpoint_of(theirs, their_optimizer), path)

    loaded = fb.load(path)
    assert loaded["epoch"] == 3
    ours, our_optimizer = restored(fb, loaded, name)
    assert_same(our_optimizer.state_dict(), their_optimizer.state_dict())
    step(fb, ours, our_optimizer, "residual")
    step(torch, theirs, their_optimizer, "residual")
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(mine.detach().numpy(), other.detach().numpy(), rtol=1e-3, atol=2e-4)

    fb.save(checkpoint_of(ours, our_optimizer), path)
    again, again_optimizer = restored(torch, their_load(path), name)
    assert_same(our_optimizer.state_dict(), again_optimizer.state_dict())
    assert_same(ours.state_dict(), again.state_dict())
    step(torch, again, again_optimizer, "residual")


SCHEDULES: dict[str, tuple[str, dict[str, Any]]] = {
    "StepLR": ("StepLR", {"step_size": 2}),
    "MultiStepLR": ("MultiStepLR", {"milestones": [1, 3]}),
    "ConstantLR": ("ConstantLR", {}),
    "LinearLR": ("LinearLR", {}),
    "ExponentialLR": ("ExponentialLR", {"gamma": 0.9}),
    "PolynomialLR": ("PolynomialLR", {"power": 2.0}),
    "CosineAnnealingLR": ("CosineAnnealingLR", {"T_max": 5}),
    "CosineAnnealingWarmRestarts": ("CosineAnnealingWarmRestarts", {"T_0": 3}),
    "LambdaLR": ("LambdaLR", {"lr_lambda": lambda epoch: 0.9**epoch}),
    "MultiplicativeLR": ("MultiplicativeLR", {"lr_lambda": lambda epoch: 0.9}),
    "CyclicLR": ("CyclicLR", {"base_lr": 0.001, "max_lr": 0.1}),
    "OneCycleLR": ("OneCycleLR", {"max_lr": 0.1, "total_steps": 20}),
    "ReduceLROnPlateau": ("ReduceLROnPlateau", {"patience": 0}),
}


def scheduled(lib: Any, name: str) -> tuple[Any, Any]:
    optimizer = lib.optim.SGD([lib.nn.Parameter(lib.zeros(1))], lr=0.1, momentum=0.9)
    if name == "SequentialLR":
        parts = [lib.optim.lr_scheduler.ConstantLR(optimizer), lib.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)]
        return optimizer, lib.optim.lr_scheduler.SequentialLR(optimizer, parts, [2])
    if name == "ChainedScheduler":
        parts = [lib.optim.lr_scheduler.ConstantLR(optimizer), lib.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)]
        return optimizer, lib.optim.lr_scheduler.ChainedScheduler(parts)
    kind, options = SCHEDULES[name]
    return optimizer, getattr(lib.optim.lr_scheduler, kind)(optimizer, **copy.deepcopy(options))


def advance(optimizer: Any, schedule: Any, steps: int) -> list[float]:
    rates = []
    for _ in range(steps):
        optimizer.step()
        schedule.step(*([1.0] if type(schedule).__name__ == "ReduceLROnPlateau" else []))
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


# Attributes that PyTorch stores for a call in progress or copies from the constructor's arguments.
INTERNAL = {"_get_lr_called_within_step", "_is_initial", "use_beta1"}


@pytest.mark.parametrize("name", [*SCHEDULES, "SequentialLR", "ChainedScheduler"])
def test_schedules_continue_in_the_other_library(tmp_path: Path, name: str) -> None:
    path = tmp_path / "schedule.pt"
    for source, target, save, load in (
        (torch, fb, torch.save, fb.load),
        (fb, torch, fb.save, their_load),
    ):
        optimizer, schedule = scheduled(source, name)
        advance(optimizer, schedule, 3)
        save([optimizer.state_dict(), schedule.state_dict()], path)
        other_optimizer, other_schedule = scheduled(target, name)
        optimizer_state, schedule_state = load(path)
        other_optimizer.load_state_dict(optimizer_state)
        other_schedule.load_state_dict(schedule_state)
        assert other_schedule.state_dict().keys() ^ schedule.state_dict().keys() <= INTERNAL
        np.testing.assert_allclose(
            advance(other_optimizer, other_schedule, 5), advance(optimizer, schedule, 5), rtol=1e-12
        )


def test_shared_memory_stays_shared(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    base = fb.arange(12.0).reshape(3, 4)
    fb.save({"base": base, "row": base[1], "transposed": base.t()}, path)
    loaded = their_load(path)
    loaded["base"].zero_()
    assert not loaded["row"].any()
    assert not loaded["transposed"].any()
    assert loaded["transposed"].stride() == (1, 4)


DTYPES = (
    *("bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"),
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
)


@pytest.mark.parametrize("name", DTYPES)
def test_tensors_of_every_dtype_load_in_both_libraries(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.pt"
    fb.save({"x": fb.tensor([0, 1, 1]).to(getattr(fb, name))}, path)
    theirs = their_load(path)["x"]
    assert theirs.dtype == getattr(torch, name)
    assert theirs.tolist() == [0, 1, 1]
    for new_format in (True, False):
        torch.save({"x": theirs}, path, _use_new_zipfile_serialization=new_format)
        ours = fb.load(path)["x"]
        assert ours.dtype == getattr(fb, name)
        assert ours.tolist() == [0, 1, 1]


def test_parameters_buffers_and_attributes_load_in_both_libraries(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    parameter = fb.nn.Parameter(fb.ones(2))
    noted = fb.nn.Parameter(fb.ones(2), requires_grad=False)
    noted.note = "kept"
    fb.save([parameter, noted, fb.nn.Buffer(fb.ones(1), persistent=False), fb.ones(1, requires_grad=True)], path)
    first, second, buffer, leaf = their_load(path)
    assert type(first) is torch.nn.Parameter
    assert type(second) is torch.nn.Parameter
    assert (first.requires_grad, second.requires_grad, second.note) == (True, False, "kept")
    assert isinstance(buffer, torch.nn.Buffer)
    assert not buffer.persistent
    assert leaf.requires_grad
