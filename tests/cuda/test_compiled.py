"""Tests of compiled functions on a GPU, whose groups of pointwise operators run as generated kernels."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

import pytest

import flambeau as fb
from flambeau.nn import functional as F


def chain(x, y):
    return ((x + 1) * y - x / 2).tanh().clamp(-1, 1).pow(2).add(0.1).sqrt().exp() * 3 - y.sigmoid()


def two_results(x, y):
    product = x.exp() * y
    return product, product.tanh() - y


def masks(x, y):
    return fb.where(x > 0, x * y, y), x > y


def many_tensors(a, b, c, d, e, f, g):
    return ((a * b + c) * (d - e) + f * g).relu() + a


def many_numbers(x, y):
    for i in range(20):
        x = x * (1 + i / 100) + y
    return x


def many_operators(x, y):
    for _ in range(80):
        x = (x * y + x).sin()
    return x


def swish_gate(x, y):
    return F.silu(x) * y + F.gelu(y, approximate="tanh")


def drawn(*shapes, dtype=fb.float32, grad=False):
    return [fb.randn(shape, device="cuda", dtype=dtype).requires_grad_(grad) for shape in shapes]


def outcome(function, inputs):
    """Return all results and, if an input requires grad, all gradients."""
    leaves = [x.detach().requires_grad_(x.requires_grad) for x in inputs]
    results = function(*leaves)
    results = list(results) if isinstance(results, tuple) else [results]
    recorded = [r for r in results if r.requires_grad]
    if recorded:
        weights = [fb.linspace(-1, 1, r.numel(), device="cuda").reshape(r.shape).to(r.dtype) for r in recorded]
        results += fb.autograd.grad(recorded, [x for x in leaves if x.requires_grad], weights)
    return results


def require_same(function, inputs):
    compiled = fb.compile(function)
    outcome(compiled, inputs)  # the first call captures the function
    for got, wanted in zip(outcome(compiled, inputs), outcome(function, inputs), strict=True):
        assert got.device == wanted.device and got.dtype == wanted.dtype and got.stride() == wanted.stride()
        assert got.equal(wanted)
    return compiled


@pytest.fixture
def launches() -> Callable[[], int]:
    """Return a function that counts the kernels launched so far."""
    driver = os.environ.get("FLAMBEAU_CUDA_DRIVER", "")
    if "emulat" not in driver:
        pytest.skip("needs an emulated GPU, which counts launches")
    return lambda: ctypes.CDLL(driver).emulated_counts(b"cuLaunchKernelEx")


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("function", [two_results, masks, many_numbers, swish_gate])
def test_fused_results_equal_those_of_the_operators(function, grad):
    require_same(function, drawn((33, 20), (33, 20), grad=grad))


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.float16, fb.bfloat16])
def test_fused_intermediate_results_are_rounded_like_the_operators(dtype, grad):
    require_same(chain, drawn((33, 20), (33, 20), dtype=dtype, grad=grad))


@pytest.mark.parametrize("grad", [False, True])
def test_operands_beyond_the_limit_of_a_kernel_are_computed_first(grad):
    require_same(many_tensors, drawn(*[(5, 7)] * 7, grad=grad))


@pytest.mark.parametrize("shapes", [((4, 3, 20), (20,)), ((4, 3, 20), (3, 1)), ((1,), (7, 9)), ((0, 3), (0, 3))])
@pytest.mark.parametrize("function", [chain, swish_gate, masks])
def test_fused_kernels_broadcast_operands(function, shapes):
    require_same(function, drawn(*shapes))
    require_same(function, drawn(*shapes, grad=True))


def test_long_groups_are_divided_into_several_kernels():
    require_same(many_operators, drawn((5, 7), (5, 7)))


def test_another_size_uses_the_same_compiled_program():
    compiled = require_same(chain, drawn((8, 9), (8, 9)))
    for shape in ((5, 3), (70, 90), ()):
        x, y = drawn(shape, shape)
        assert compiled(x, y).equal(chain(x, y))


def test_fused_kernels_keep_the_layout_of_strided_operands():
    x, y = drawn((2, 3, 4, 5), (2, 3, 4, 5))
    last = x.contiguous(memory_format=fb.channels_last)
    require_same(chain, [last, y.contiguous(memory_format=fb.channels_last)])
    require_same(chain, [x.transpose(2, 3), y.transpose(2, 3)])


def test_fused_kernels_reject_operands_on_the_cpu():
    compiled = require_same(swish_gate, drawn((3, 4), (3, 4)))
    x, y = drawn((3, 4), (3, 4))
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
        compiled(x, y.cpu())
    assert compiled(x.cpu(), y.cpu()).device.type == "cpu"


def test_second_derivatives_of_compiled_functions_equal_eager_ones():
    x, y = drawn((3, 4), (3, 4), grad=True)

    def second(function):
        first = fb.autograd.grad(function(x, y).sum(), (x, y), create_graph=True)
        return fb.autograd.grad(sum(g.square().sum() for g in first), (x, y))

    compiled = require_same(swish_gate, [x, y])
    for got, wanted in zip(second(compiled), second(swish_gate), strict=True):
        fb.testing.assert_close(got, wanted)


@pytest.mark.parametrize(
    ("function", "kernels"), [(chain, 1), (two_results, 2), (swish_gate, 1), (many_numbers, 2), (many_operators, 5)]
)
def test_a_fused_group_launches_few_kernels(function, kernels, launches):
    x, y = drawn((33, 20), (33, 20))
    compiled = fb.compile(function)
    compiled(x, y), compiled(x, y)
    before = launches()
    compiled(x, y)
    assert launches() - before == kernels


def test_a_fused_backward_pass_launches_few_kernels(launches):
    x, y = drawn((33, 20), (33, 20), grad=True)
    counts = []
    for function in (chain, fb.compile(chain)):
        for _ in range(3):
            result = function(x, y)
            weight = fb.ones_like(result)
            before = launches()
            fb.autograd.grad(result, (x, y), weight)
        counts.append(launches() - before)
    assert counts[1] * 2 < counts[0]
