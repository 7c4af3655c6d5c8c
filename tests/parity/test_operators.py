"""Values and gradients of the operators, over PyTorch's own table of samples, with PyTorch as the oracle."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

import flambeau as fb

pytestmark = pytest.mark.filterwarnings("ignore")  # the samples go where both libraries warn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what PyTorch's test modules do on import is theirs
    from torch.testing._internal.common_methods_invocations import op_db
    from torch.testing._internal.opinfo.core import OpInfo, SampleInput

TABLE = """
    add sub mul div true_divide floor_divide remainder pow neg abs sign exp expm1 log log1p sqrt rsqrt sin cos tanh
    sigmoid erf floor ceil round clamp maximum minimum where
    eq ne lt le gt ge logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor bitwise_not
    sum mean prod var std max min argmax argmin any all logsumexp softmax log_softmax cumsum matmul addmm bmm
    cat stack gather index_select masked_fill view reshape transpose permute expand squeeze unsqueeze flatten narrow
    split chunk unbind
"""
FUNCTIONAL = """
    relu gelu silu leaky_relu softplus linear conv2d max_pool2d avg_pool2d batch_norm cross_entropy nll_loss
    mse_loss
"""
NAMES = {*TABLE.split(), *(f"nn.functional.{name}" for name in FUNCTIONAL.split())}
# Variants that test PyTorch's internals, or dtypes that flambeau has not.
SKIPPED_VARIANTS = {"decomposed", "triton_optimized", "complex", "without_cudnn"}
OPERATORS = [op for op in op_db if op.name in NAMES and op.variant_test_name not in SKIPPED_VARIANTS]
DTYPES = (torch.float32, torch.float64, torch.int64, torch.uint8, torch.bool)
TOLERANCE = {torch.float32: {"rtol": 1e-5, "atol": 1e-5}, torch.float64: {"rtol": 1e-9, "atol": 1e-9}}


def id_of(value: Any) -> str:
    if isinstance(value, OpInfo):
        return value.formatted_name
    return str(value).removeprefix("torch.")


def function(name: str) -> Callable[..., Any]:
    """The function of flambeau with PyTorch's dotted name, or the method where it is one only."""
    if name == "where":  # PyTorch's table puts the condition second
        return lambda first, condition, second: fb.where(condition, first, second)
    owner: Any = fb
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    return getattr(owner, last) if hasattr(owner, last) else getattr(fb.Tensor, last)


def convert(value: Any, seen: dict[int, Any]) -> Any:
    """A sample's argument for flambeau; a tensor that comes twice stays one tensor."""
    if isinstance(value, torch.Tensor):
        if id(value) not in seen:
            seen[id(value)] = fb.from_numpy(value.detach().clone().numpy()).requires_grad_(value.requires_grad)
        return seen[id(value)]
    if isinstance(value, torch.dtype):
        return getattr(fb, str(value).removeprefix("torch."))
    if isinstance(value, torch.Size):
        return tuple(value)
    if isinstance(value, tuple | list):
        return type(value)(convert(item, seen) for item in value)
    return value


def leaves(value: Any) -> Iterator[Any]:
    """The tensors in a nest of tuples and lists."""
    if isinstance(value, tuple | list):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, torch.Tensor | fb.Tensor):
        yield value


def assert_same(ours: Any, expected: torch.Tensor) -> None:
    actual = torch.from_numpy(np.array(ours.detach().numpy()))
    torch.testing.assert_close(actual, expected.detach(), equal_nan=True, **TOLERANCE.get(expected.dtype, {}))


def samples(op: OpInfo, dtype: torch.dtype, requires_grad: bool) -> list[SampleInput]:
    torch.manual_seed(0)
    return list(op.sample_inputs("cpu", dtype, requires_grad=requires_grad))


def call_both(op: OpInfo, sample: SampleInput) -> tuple[list[Any], list[Any], list[Any], list[torch.Tensor]]:
    """The inputs and results of flambeau, then those of PyTorch."""
    arguments = (sample.input, *sample.args)
    seen: dict[int, Any] = {}
    ours, kwargs = convert(arguments, seen), {key: convert(value, seen) for key, value in sample.kwargs.items()}
    results = function(op.name)(*ours, **kwargs)
    expected = op(*arguments, **sample.kwargs)
    inputs = [*leaves(ours), *leaves(list(kwargs.values()))]
    return (
        inputs,
        list(leaves(results)),
        [*leaves(arguments), *leaves(list(sample.kwargs.values()))],
        list(leaves(expected)),
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=id_of)
@pytest.mark.parametrize("op", OPERATORS, ids=id_of)
def test_values(op: OpInfo, dtype: torch.dtype) -> None:
    if dtype not in op.dtypes:
        pytest.skip("not defined by PyTorch")
    for sample in samples(op, dtype, requires_grad=False):
        _, results, _, expected = call_both(op, sample)
        assert len(results) == len(expected)
        for ours, theirs in zip(results, expected, strict=True):
            assert_same(ours, theirs)


@pytest.mark.parametrize("op", [op for op in OPERATORS if op.supports_autograd], ids=id_of)
def test_gradients(op: OpInfo) -> None:
    for sample in samples(op, torch.float64, requires_grad=True):
        our_inputs, results, their_inputs, expected = call_both(op, sample)
        for theirs in their_inputs:
            theirs.grad = None  # the table hands out some tensors more than once
        for ours, theirs in zip(results, expected, strict=True):
            assert ours.requires_grad == theirs.requires_grad
            if theirs.requires_grad:
                weight = np.random.default_rng(0).standard_normal(theirs.shape)
                ours.backward(fb.from_numpy(np.asarray(weight)).to(ours.dtype), retain_graph=True)
                theirs.backward(torch.from_numpy(np.asarray(weight)).to(theirs.dtype), retain_graph=True)
        for ours, theirs in zip(our_inputs, their_inputs, strict=True):
            assert (ours.grad is None) == (theirs.grad is None)
            if theirs.grad is not None:
                assert_same(ours.grad, theirs.grad)
