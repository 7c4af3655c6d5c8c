"""Tests that cuBLASLt and cuDNN, provided by the emulator, give the results of flambeau's own kernels."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from process import run

pytestmark = pytest.mark.skipif(
    "FLAMBEAU_CUDA_DRIVER" not in os.environ, reason="needs the emulator of CUDA and its libraries"
)

HERE = Path(__file__).parent
BOTH = {
    "FLAMBEAU_CUBLASLT": os.environ.get("FLAMBEAU_CUDA_DRIVER"),
    "FLAMBEAU_CUDNN": os.environ.get("FLAMBEAU_CUDA_DRIVER"),
}
TENSORS = """
g = fb.Generator().manual_seed(0)
x, w, b = (fb.randint(-3, 4, s, generator=g).float() for s in [(2, 3, 8, 7), (4, 3, 3, 3), (4,)])
there = [t.cuda() for t in (x, w, b)]
"""


@pytest.mark.parametrize("file", ["test_products.py", "test_convolution.py", "test_attention.py"])
def test_product_convolution_and_attention_tests_pass_with_the_libraries(file):
    if os.environ["FLAMBEAU_CUDNN"] != "none":
        pytest.skip("this process already runs the tests with the libraries")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(HERE / file)]
    command += ["--emulated-gpu", "--emulated-libraries"]
    done = subprocess.run(command, cwd=HERE.parents[3], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-4000:]


def test_matrix_products_use_cublaslt():
    code = "a, b = fb.ones(4, 5, device='cuda'), fb.ones(5, 6, device='cuda')\nfb.mm(a, b)\nfb.mm(a, b)\n"
    assert run(code + "print(counts('cublasLtMatmul'), counts('cublasLtMatmulAlgoGetHeuristic'))", **BOTH) == "2 1"
    without = run(code + "print(counts('cublasLtMatmul'), counts('cuLaunchKernelEx') > 0)", FLAMBEAU_CUBLASLT="none")
    assert without == "0 True"


def test_partial_sums_are_not_rounded_to_half_precision():
    code = """
for dtype, large in ((fb.float16, 2048), (fb.bfloat16, 256)):
    a = fb.tensor([[large, 1.0, -large, 0.0]]).to(dtype).cuda()
    print(fb.mm(a, fb.ones_like(a).mT).item())
"""
    assert run(code, **BOTH).split() == ["1.0", "1.0"]


def test_convolutions_use_cudnn():
    code = """
out = fb.conv2d(*there, padding=1, stride=2)
print(fb.equal(out.cpu(), fb.conv2d(x, w, b, padding=1, stride=2)), counts("cudnnBackendExecute"))
print(fb.backends.cudnn.version(), fb.backends.cudnn.is_available())
print(fb.backends.cudnn.is_acceptable(out), fb.backends.cudnn.is_acceptable(x))
with fb.backends.cudnn.flags(enabled=False):
    fb.conv2d(*there, padding=1, stride=2)
    print(counts("cudnnBackendExecute"), fb.backends.cudnn.is_acceptable(out))
"""
    assert run(TENSORS + code, **BOTH).split("\n") == ["True 1", "91900 True", "True False", "1 False"]


def test_cudnn_plans_of_convolutions_are_cached():
    """Test that a repeated convolution finalises one descriptor, the variant pack, and that TF32 needs another plan."""
    code = """
def finalized():
    before = counts("cudnnBackendFinalize")
    fb.conv2d(*there)
    return counts("cudnnBackendFinalize") - before
for precision in ("highest", "high", "highest", "high"):
    fb.set_float32_matmul_precision(precision)
    print(finalized())
"""
    first, second, third, fourth = map(int, run(TENSORS + code, **BOTH).split())
    assert first > 1 and second > 1 and third == fourth == 1


def test_cudnn_engines_are_deterministic_and_of_full_precision():
    """Test all functions and dtypes. The emulated cuDNN cannot run its engines with other numerical properties."""
    code = """
def check(function, *tensors, **options):
    here = function(*tensors, **options)
    there = [t.cuda() for t in tensors]
    executed, launched = counts("cudnnBackendExecute"), counts("cuLaunchKernelEx")
    made = function(*there, **options)
    print(counts("cudnnBackendExecute") - executed, counts("cuLaunchKernelEx") - launched, fb.equal(made.cpu(), here))
def weight_gradient(x, out, w):
    return fb._core.nn_conv2d_weight(x, w.shape, out, padding=1)
for dtype in (fb.float32, fb.float64, fb.float16, fb.bfloat16):
    image, weight = x.to(dtype), w.to(dtype)
    out = fb.conv2d(image, weight, padding=1)
    check(fb.conv2d, image, weight, padding=1)
    check(fb.conv_transpose2d, out, weight, padding=1)
    check(weight_gradient, image, fb.ones_like(out), weight)
"""
    lines = run(TENSORS + code, **BOTH).split("\n")
    assert lines[0::3] == lines[1::3] == ["1 0 True"] * 4
    assert (
        lines[2::3] == ["1 1 True"] * 4
    )  # a kernel fills a placeholder for the weight, of which only the size is used


def test_cudnn_computes_convolutions_of_misaligned_tensors():
    code = """
x, w = fb.randint(-3, 4, (3, 1, 5, 5)).float(), w[:, :1].contiguous()
images, weight = [x.cuda(), x.cuda()[1:]], w.cuda()
launched = counts("cuLaunchKernelEx")
made = [fb.conv2d(image, weight) for image in images]
print(counts("cudnnBackendExecute"), counts("cuLaunchKernelEx") - launched)
print(fb.equal(made[0].cpu(), fb.conv2d(x, w)), fb.equal(made[1].cpu(), fb.conv2d(x[1:], w)))
"""
    assert run(TENSORS + code, **BOTH).split("\n") == ["2 0", "True True"]


def test_a_transposed_convolution_with_a_bias_is_one_call_of_cudnn():
    code = """
x, w, b = x.bfloat16(), w.bfloat16(), fb.randint(-99, 99, (w.shape[1],)).bfloat16() / 128
arguments = fb.conv2d(x, w, padding=1), w, b
there = [t.cuda() for t in arguments]
launched = counts("cuLaunchKernelEx")
out = fb.conv_transpose2d(*there, padding=1)
print(counts("cuLaunchKernelEx") - launched, counts("cudnnBackendExecute"))
print(fb.equal(out.cpu(), fb.conv_transpose2d(*arguments, padding=1)))
"""
    assert run(TENSORS + code, **BOTH).split("\n") == ["1 1", "True"]


CHANNELS_LAST = """
for dims, shapes in ((2, [(2, 4, 6, 5), (6, 2, 3, 2)]), (3, [(2, 4, 3, 4, 5), (6, 2, 1, 2, 3)])):
    format = (fb.channels_last, fb.channels_last_3d)[dims - 2]
    forward, transposed = getattr(fb, f"conv{dims}d"), getattr(fb, f"conv_transpose{dims}d")
    for dtype in (fb.float16, fb.float32, fb.float64):
        x, w = (fb.randint(-3, 4, s).to(dtype) for s in shapes)
        b, c = fb.arange(6).to(dtype), fb.arange(4).to(dtype)
        out = forward(x, w, b, groups=2, padding=1)
        there = [t.cuda().contiguous(memory_format=format) for t in (x, w, out)] + [b.cuda(), c.cuda()]
        launched = counts("cuLaunchKernelEx")
        made = forward(there[0], there[1], there[3], groups=2, padding=1)
        back = transposed(there[2], there[1], there[4], groups=2, padding=1)
        launched = counts("cuLaunchKernelEx") - launched
        print(fb.equal(made.cpu(), out), fb.equal(back.cpu(), transposed(out, w, c, groups=2, padding=1)),
              *(t.is_contiguous(memory_format=format) and not t.is_contiguous() for t in (made, back)), launched,
              made.stride() == there[2].stride())
"""


def test_weights_are_converted_to_the_memory_format_of_the_image():
    code = """
w = there[1].contiguous(memory_format=fb.channels_last)
out = fb.conv2d(there[0], w, there[2])
print(out.is_contiguous(), fb.equal(out.cpu(), fb.conv2d(x, w.cpu(), b)))
"""
    assert run(TENSORS + code, **BOTH) == "True True"


def test_cudnn_convolutions_do_not_copy_channels_last_operands():
    """Test that channels-last operands are not copied, except for the bias and for float64, which is unsupported."""
    lines = run(CHANNELS_LAST, **BOTH).split("\n")
    assert lines[0:2] == lines[3:5] == ["True True True True 2 True"] * 2
    assert all(line.startswith("True True False False ") for line in (lines[2], lines[5]))


def test_calls_that_a_library_rejects_fall_back_to_kernels():
    code = """
out = fb.conv_transpose2d(there[0].mT, there[1].mT[:3], stride=1, dilation=2, output_padding=1)
print(counts("cudnnBackendExecute"), fb.equal(out.cpu(),
      fb.conv_transpose2d(x.mT, w.mT[:3], stride=1, dilation=2, output_padding=1)))
for function, call in (("cudnnBackendExecute", 1), ("cudnnBackendCreateDescriptor", 3), ("cudnnBackendFinalize", 6)):
    w, there[1] = w[1:], there[1][1:]
    fail(function, 5000, call)
    for _ in range(2):
        print(fb.equal(fb.conv2d(*there[:2]).cpu(), fb.conv2d(x, w)), counts("cudnnBackendExecute"))
"""
    assert run(TENSORS + code, **BOTH).split("\n") == ["0 True"] + ["True 1"] * 6


def test_cudnn_plans_use_less_workspace_if_memory_is_short():
    code = """
x, w = x.half(), w.half()
for _ in range(2):
    print(fb.equal(fb.conv2d(x.cuda(), w.cuda()).cpu(), fb.conv2d(x, w)), counts("cudnnBackendExecute"))
a = fb.ones(3, 4)
print(fb.equal(fb.mm(a.cuda(), a.T.cuda()).cpu(), fb.mm(a, a.T)), counts("cublasLtMatmul"))
"""
    assert run(TENSORS + code, FLAMBEAU_EMULATED_MEMORY=1 << 24, **BOTH).split("\n") == ["True 1", "True 2", "True 0"]


def test_a_library_that_lacks_functions_is_not_used():
    import ctypes.util

    other = ctypes.util.find_library("c")
    code = "print(fb.equal(fb.conv2d(*there).cpu(), fb.conv2d(x, w, b)), fb.backends.cudnn.is_available())"
    assert run(TENSORS + code, FLAMBEAU_CUDNN=other, FLAMBEAU_CUBLASLT=other) == "True False"


def test_cudnn_convolutions_can_be_captured_in_graphs():
    code = """
side, graph = fb.cuda.Stream(), fb.cuda.CUDAGraph()
fb.conv2d(*there)
with fb.cuda.graph(graph):
    out = fb.conv2d(*there)
there[0].copy_(x + 1)
graph.replay()
print(fb.equal(out.cpu(), fb.conv2d(x + 1, w, b)))
"""
    assert run(TENSORS + code, **BOTH) == "True"


ATTENTION = """
from flambeau import _core
def attention(q, k, v, view=lambda t: t, **options):
    executed, launched = counts("cudnnBackendExecute"), counts("cuLaunchKernelEx")
    there = _core._scaled_dot_product_attention(*(view(t.cuda()) for t in (q, k, v)), **options)
    print(counts("cudnnBackendExecute") - executed, counts("cuLaunchKernelEx") - launched, end=" ")
    here = _core._scaled_dot_product_attention(*(view(t) for t in (q, k, v)), **options)
    print((there.cpu().float() - here.float()).abs().amax().item() < (2e-3 if q.dtype == fb.float16 else 2e-2))
def heads(*shapes, dtype=fb.float16):
    return [fb.randn(*shape).to(dtype) for shape in shapes]
"""


def attention_calls(code, **environment):
    """Return one line for each call of attention: cuDNN's calls, flambeau's kernels, and if the result is correct."""
    return run(ATTENTION + code, **{**BOTH, **environment}).split("\n")


def test_attention_in_half_precision_uses_cudnn():
    code = """
for dtype in (fb.float16, fb.bfloat16):
    for causal in (False, True):
        attention(*heads((2, 3, 40, 16), (2, 3, 40, 16), (2, 3, 40, 24), dtype=dtype), is_causal=causal)
    attention(*heads((2, 3, 20, 16), (2, 3, 40, 16), (2, 3, 40, 24), dtype=dtype), is_causal=True, scale=0.4)
    attention(
        *heads((2, 40, 3, 16), (2, 20, 3, 16), (2, 20, 3, 16), dtype=dtype), lambda t: t.transpose(1, 2), is_causal=True
    )
attention(*heads((20, 16), (30, 16), (30, 16)))
attention(*heads((5, 20, 16), (5, 30, 16), (5, 30, 16)))
attention(*heads((2, 3, 2, 20, 16), (2, 3, 2, 30, 16), (2, 3, 2, 30, 16)))
attention(*heads((2, 6, 20, 16), (2, 1, 30, 16), (2, 1, 30, 16)), lambda t: t.expand(2, 6, -1, 16))
"""
    assert set(attention_calls(code)) == {"1 0 True"}


def test_cudnn_plans_of_attention_are_cached():
    code = """
q, k, v = heads((2, 3, 40, 16), (2, 3, 40, 16), (2, 3, 40, 16))
for scale in (0.1, 0.2):
    attention(q, k, v, scale=scale)
    print(counts("cudnnBackendFinalize"))
attention(q, k, v, is_causal=True)
print(counts("cudnnBackendFinalize"))
"""
    lines = attention_calls(code)
    assert lines[::2] == ["1 0 True"] * 3
    first, second, third = map(int, lines[1::2])
    assert second == first + 1 and third > second + 1  # one variant pack; a new graph


def test_attention_that_cudnn_does_not_support_uses_kernels():
    code = """
tensors = heads((2, 3, 40, 16), (2, 3, 40, 16), (2, 3, 40, 16))
for options in ({"attn_mask": fb.zeros(40, 40)}, {"scale": -0.1}, {"scale": 0.0}):
    if "attn_mask" in options:
        _core._scaled_dot_product_attention(*(t.cuda() for t in tensors), options["attn_mask"].cuda())
        print(counts("cudnnBackendExecute"), counts("cuLaunchKernelEx"), True)
    else:
        attention(*tensors, **options)
attention(*heads((2, 3, 40, 16), (2, 3, 40, 16), (2, 3, 40, 16), dtype=fb.float32))
attention(*heads((2, 3, 40, 20), (2, 3, 40, 20), (2, 3, 40, 20)))
attention(*heads((2, 3, 1, 16), (2, 3, 40, 16), (2, 3, 40, 16)))
attention(*heads(*[(1, 3, 40, 16)] * 3), lambda t: t.expand(4, 3, 40, 16))
with fb.backends.cudnn.flags(enabled=False):
    attention(*tensors)
"""
    assert set(attention_calls(code)) == {"0 1 True"}


@pytest.mark.parametrize(
    "environment",
    [{"FLAMBEAU_EMULATED_CUDNN": 91500}, {"FLAMBEAU_EMULATED_CAPABILITY": 75}, {"FLAMBEAU_CUDNN": "none"}],
)
def test_attention_without_a_suitable_cudnn_uses_kernels(environment):
    assert attention_calls("attention(*heads(*[(2, 3, 40, 16)] * 3))", **environment) == ["0 1 True"]


@pytest.mark.parametrize(
    ("function", "calls"),
    [
        ("cudnnBackendCreateDescriptor", range(1, 35, 3)),
        ("cudnnBackendSetAttribute", range(1, 120, 7)),
        ("cudnnBackendGetAttribute", [1, 2, 10, 11, 12]),  # calls 3 to 9 concern engines that cannot be used
        ("cudnnBackendFinalize", range(1, 30, 4)),
        ("cudnnSetStream", [1]),
        ("cudnnBackendExecute", [1]),
    ],
)
def test_an_error_of_cudnn_attention_disables_it(function, calls):
    """Test that flambeau's kernel computes attention if a call of cuDNN fails, and does so again without an attempt."""
    code = f"""
for i, call in enumerate({list(calls)}):
    tensors = heads(*[(1, 1, 8 + i, 16)] * 3)
    fail({function!r}, 5000, call)
    attention(*tensors)
    made = counts("cudnnBackendCreateDescriptor")
    attention(*tensors)
    print(counts("cudnnBackendCreateDescriptor") - made)
"""
    lines = attention_calls(code)
    assert len(lines) == 3 * len(calls)
    executed = "1" if function == "cudnnBackendExecute" else "0"
    assert set(lines[::3]) == {f"{executed} 1 True"} and set(lines[1::3]) == {"0 1 True"} and set(lines[2::3]) == {"0"}


def test_cudnn_attention_can_be_captured_in_graphs():
    code = """
q, k, v = (t.cuda() for t in heads(*[(2, 3, 40, 16)] * 3))
graph = fb.cuda.CUDAGraph()
_core._scaled_dot_product_attention(q, k, v, scale=0.3)
with fb.cuda.graph(graph):
    out = _core._scaled_dot_product_attention(q, k, v, scale=0.3)
q.copy_(q * 2)
graph.replay()
print(fb.equal(out, _core._scaled_dot_product_attention(q, k, v, scale=0.3)), counts("cudnnBackendExecute"))
"""
    assert attention_calls(code) == ["True 3"]
