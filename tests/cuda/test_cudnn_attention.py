"""Tests of the derivative of attention by cuDNN, which the emulator provides."""

import os

import pytest
from process import run

pytestmark = pytest.mark.skipif("FLAMBEAU_CUDA_DRIVER" not in os.environ, reason="the emulator's library is asked")

# derivatives() returns the gradients of query, key and value, and prints the numbers of cuDNN's calls and of flambeau's
# kernels in the derivative. close() compares them with the gradients in float64 on the CPU.
PRELUDE = """
fb.manual_seed(0)
from flambeau.nn import functional as F

def on_cpu(q, k, v, grad, view=lambda t: t, **options):
    leaves = [t.double().requires_grad_() for t in (q, k, v)]
    return fb.autograd.grad(F.scaled_dot_product_attention(*map(view, leaves), **options), leaves, grad.double())

def derivatives(q, k, v, grad, view=lambda t: t, library=(True, True), **options):
    leaves = [t.cuda().requires_grad_() for t in (q, k, v)]
    fb.backends.cudnn.enabled = library[0]
    out = F.scaled_dot_product_attention(*map(view, leaves), **options)
    fb.backends.cudnn.enabled = library[1]
    there = grad.cuda()
    executed, launched = counts("cudnnBackendExecute"), counts("cuLaunchKernelEx")
    found = fb.autograd.grad(out, leaves, there)
    print(counts("cudnnBackendExecute") - executed, counts("cuLaunchKernelEx") - launched, end=" ")
    return found

def close(found, expected):
    unit = 2e-3 if found[0].dtype == fb.float16 else 2e-2
    print(all((x.cpu().double() - y).abs().amax() < unit * (1 + y.abs().amax()) for x, y in zip(found, expected)))

def operands(queries, keys, depth, width, batch=(2, 3), dtype=fb.float16):
    return [fb.randn(*batch, *s).to(dtype)
            for s in ((queries, depth), (keys, depth), (keys, width), (queries, width))]

def check(*tensors, **options):
    expected = on_cpu(*tensors, **{name: value for name, value in options.items() if name != "library"})
    close(derivatives(*tensors, **options), expected)
"""


def calls(code, **environment):
    library = os.environ["FLAMBEAU_CUDA_DRIVER"]
    return run(PRELUDE + code, **{"FLAMBEAU_CUDNN": library, **environment}).split("\n")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_cudnn_computes_the_derivatives_of_attention(dtype):
    code = f"""
for causal in (False, True):
    check(*operands(20, 20, 16, 24, dtype=fb.{dtype}), is_causal=causal)
    check(*operands(20, 30, 24, 16, batch=(), dtype=fb.{dtype}), is_causal=causal, scale=0.3)
    check(*operands(20, 12, 16, 16, batch=(5,), dtype=fb.{dtype}), is_causal=causal)
    check(*operands(20, 12, 16, 16, batch=(2, 1, 2), dtype=fb.{dtype}), is_causal=causal)
"""
    assert calls(code) == ["1 0 True"] * 8


def test_cudnn_computes_the_derivatives_of_transposed_heads():
    code = """
q, k, v = (fb.randn(2, 20, 3, 16).half() for _ in range(3))
check(q, k, v, fb.randn(2, 20, 3, 16).half().transpose(1, 2), view=lambda t: t.transpose(1, 2))
"""
    assert calls(code) == ["1 0 True"]


@pytest.mark.parametrize(("library", "executed"), [((False, True), "1 0 True"), ((True, False), "0 3 True")])
def test_attention_forward_and_backward_may_use_different_backends(library, executed):
    code = f"""
for causal in (False, True):
    check(*operands(20, 20, 16, 24), is_causal=causal, scale=0.3, library={library})
"""
    assert calls(code) == [executed] * 2


def test_large_attention_derivatives_are_computed_in_parts():
    """Test that the workspace for the gradients of the scores is limited to 1/64 of the memory, here 64 KiB."""
    code = """
check(*operands(64, 128, 8, 8, batch=(4, 1)), is_causal=True)  # 64 KiB
check(*operands(64, 128, 8, 8, batch=(5, 1)), is_causal=True)  # parts of 2 and 3
check(*operands(64, 128, 8, 16, batch=(1, 9)), is_causal=True)  # 4 and 5, which is 2 and 3
check(*operands(64, 128, 16, 8, batch=(2, 5)), is_causal=True)
check(*operands(64, 128, 16, 8, batch=(3, 2), dtype=fb.bfloat16))
q, k, v, grad = (fb.randn(3, 128, 2, 8).half() for _ in range(4))
check(q, k, v, grad.transpose(1, 2), view=lambda t: t.transpose(1, 2))
"""
    # The float32 statistics of each part begin at multiples of 16 bytes.
    code += """
check(*operands(62, 128, 8, 8, batch=(10, 2)))  # 5 and 5, which are 2 and 1 and 2
check(*operands(63, 64, 8, 8, batch=(9, 1)))  # 4 and 5, of 8 KiB each
check(*operands(63, 128, 8, 8, batch=(9, 1)))  # 4 and 5, which is too large and cannot be divided
"""
    expected = ["1 0 True", "2 0 True", "3 0 True", "4 0 True", "2 0 True", "3 0 True"]
    expected += ["6 0 True", "2 0 True", "1 3 True"]
    assert calls(code, FLAMBEAU_EMULATED_MEMORY=1 << 22) == expected


def test_derivatives_that_cudnn_does_not_support_use_other_kernels():
    code = """
check(*operands(20, 20, 16, 24), scale=-0.3)
mask = fb.zeros(20, 20, device="cuda")
leaves = [t.cuda().requires_grad_() for t in operands(20, 20, 16, 16)[:3]]
out = F.scaled_dot_product_attention(*leaves, mask)
executed = counts("cudnnBackendExecute")
out.sum().backward()
print(counts("cudnnBackendExecute") - executed)
"""
    assert calls(code) == ["0 3 True", "0"]


def test_cudnn_computes_only_the_forward_pass_of_shared_heads():
    code = """
q, k, v, grad = operands(20, 20, 16, 16, batch=(2, 6))
leaves = [t.cuda().requires_grad_() for t in (q, k[:, :2], v[:, :2])]
out = F.scaled_dot_product_attention(*leaves, enable_gqa=True)
print(counts("cudnnBackendExecute"))
found = fb.autograd.grad(out, leaves, grad.cuda())
print(counts("cudnnBackendExecute"))
close(found, on_cpu(q, k[:, :2], v[:, :2], grad, enable_gqa=True))
"""
    assert calls(code) == ["1", "1", "True"]


def test_an_error_of_cudnn_in_the_derivative_disables_it():
    code = """
tensors = operands(20, 20, 16, 16)
leaves = [t.cuda().requires_grad_() for t in tensors[:3]]
for _ in range(2):
    out = F.scaled_dot_product_attention(*leaves)
    if not _: fail("cudnnBackendExecute", 5000)
    close(fb.autograd.grad(out, leaves, tensors[3].cuda()), on_cpu(*tensors))
    print(counts("cudnnBackendExecute"))
"""
    assert calls(code) == ["True", "2", "True", "3"]


def test_second_derivatives_of_cudnn_attention_match_the_cpu():
    code = """
q, k, v, grad = (t.cuda().requires_grad_() for t in operands(6, 6, 8, 8, batch=(1, 1)))
first, = fb.autograd.grad(F.scaled_dot_product_attention(q, k, v), q, grad, create_graph=True)
second, = fb.autograd.grad(first.float().pow(2).sum(), q)
q, k, v, grad = (t.detach().cpu().double().requires_grad_() for t in (q, k, v, grad))
first, = fb.autograd.grad(F.scaled_dot_product_attention(q, k, v), q, grad, create_graph=True)
close([second], fb.autograd.grad(first.pow(2).sum(), q))
"""
    assert calls(code) == ["True"]
