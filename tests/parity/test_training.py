"""Tests of optimizers over PyTorch's table of samples, with PyTorch as the reference."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch

import flambeau as fb

pytestmark = pytest.mark.filterwarnings("ignore")  # some samples cause warnings in both libraries

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # PyTorch's test modules warn on import
    from torch.testing._internal.common_optimizers import OptimizerInfo, OptimizerInput, optim_db

OPTIMIZERS = [info for info in optim_db if hasattr(fb.optim, info.optim_cls.__name__)]
# Options that select PyTorch's implementation of the same update.
IMPLEMENTATIONS = {"foreach", "fused", "capturable", "differentiable"}


def id_of(info: OptimizerInfo) -> str:
    return str(info.name)


def convert(value: Any) -> Any:
    """Convert a sample's argument for flambeau."""
    if isinstance(value, torch.Tensor):
        return fb.from_numpy(value.detach().clone().numpy()).requires_grad_(value.requires_grad)
    if isinstance(value, torch.dtype):
        return getattr(fb, str(value).removeprefix("torch."))
    if isinstance(value, tuple | list):
        return type(value)(map(convert, value))
    return value


def assert_same(ours: Any, expected: torch.Tensor | None) -> None:
    if expected is None:
        assert ours is None
    else:
        actual = torch.from_numpy(np.array(ours.detach().numpy()))
        torch.testing.assert_close(actual, expected.detach(), equal_nan=True)


def optimizer_samples(info: OptimizerInfo) -> list[OptimizerInput]:
    every = info.optim_inputs_func(device="cpu")
    return [sample for sample in every if not IMPLEMENTATIONS & sample.kwargs.keys()]


@pytest.mark.parametrize("info", OPTIMIZERS, ids=id_of)
def test_optimizers_take_the_same_steps_as_pytorch(info: OptimizerInfo) -> None:
    for sample in optimizer_samples(info):
        draw = np.random.default_rng(0).standard_normal
        shapes = ((3, 4), (5, 2)) if info.name == "Muon" else ((3, 4), (5,), (1,))
        values = [draw(shape) for shape in shapes]
        theirs, ours = [torch.tensor(value) for value in values], [fb.tensor(value) for value in values]
        kwargs = {key: convert(value) for key, value in sample.kwargs.items()}
        their_optimizer = info.optim_cls(theirs, **sample.kwargs)
        our_optimizer = getattr(fb.optim, info.optim_cls.__name__)(ours, **kwargs)
        for _ in range(10):
            gradients = [draw(shape) for shape in shapes]
            step(torch, their_optimizer, theirs, gradients)
            step(fb, our_optimizer, ours, gradients)
        # Muon iterates in bfloat16, in which the order of summation in products changes the result.
        close = {"rtol": 1e-7, "atol": 1e-3 if info.name == "Muon" else 1e-7}
        for own, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(torch.from_numpy(own.numpy()), other, **close)
        if info.name != "LBFGS":  # its state has a different layout
            assert_same_state(our_optimizer.state_dict()["state"], their_optimizer.state_dict()["state"])
        their_optimizer.load_state_dict(to_torch(our_optimizer.state_dict()))


def step(library: Any, optimizer: Any, params: list[Any], gradients: list[np.ndarray]) -> None:
    """Apply one step with given gradients; for LBFGS, minimise a quadratic function with that gradient."""

    def closure() -> Any:
        loss = 0
        for param, gradient in zip(params, gradients, strict=True):
            target = library.tensor(gradient)
            away = param - target
            param.grad = 2 * away + 0.4 * away**3
            loss = loss + (away**2 + 0.1 * away**4).sum()
        return loss

    if type(optimizer).__name__ == "LBFGS":
        optimizer.step(closure)
        return
    for param, gradient in zip(params, gradients, strict=True):
        dense = library.tensor(gradient)
        param.grad = dense.to_sparse() if type(optimizer).__name__ == "SparseAdam" else dense
    optimizer.step()


def to_torch(value: Any) -> Any:
    """Convert flambeau's state for PyTorch."""
    if isinstance(value, fb.Tensor):
        return torch.from_numpy(value.numpy())
    if isinstance(value, dict):
        return {key: to_torch(each) for key, each in value.items()}
    return [to_torch(each) for each in value] if isinstance(value, list) else value


def assert_same_state(ours: dict[int, Any], theirs: dict[int, Any]) -> None:
    assert ours.keys() == theirs.keys()
    for number, state in theirs.items():
        kept = {name: value for name, value in state.items() if value is not None}
        assert ours[number].keys() == kept.keys()
        for name, value in kept.items():
            if isinstance(value, int):
                assert ours[number][name] == value
            else:
                assert_same(ours[number][name], value)
