"""Tests that derivatives of layers on the GPU equal those on the CPU."""

import ctypes
import os

import numpy as np
import pytest

import flambeau as fb
import flambeau.nn.functional as F
from flambeau.nn.attention import flex_attention
from flambeau.testing import assert_close


def derivatives(function, tensors, device):
    leaves = [t.detach().to(device).requires_grad_() for t in tensors]
    out = function(*leaves)
    weights = fb.linspace(-1, 1, out.numel(), dtype=out.dtype).reshape(out.shape)
    return [g.cpu() for g in fb.autograd.grad(out, leaves, weights.to(device))]


def both(function, *tensors, tolerance=1e-4):
    for here, there in zip(*(derivatives(function, tensors, d) for d in ("cpu", "cuda")), strict=True):
        assert_close(there, here, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, w, b: F.conv2d(x, w, b, padding=1),
        lambda x, w, b: F.conv2d(x, w, b, stride=(2, 1), padding=(0, 2), dilation=(1, 2)),
        lambda x, w, b: F.conv2d(x[:, :2].repeat(1, 2, 1, 1), w[:, :2], b, groups=2),
        lambda x, w, b: F.conv2d(x, w[:, :1], b[:8], groups=4),
        lambda x, w, b: F.conv_transpose2d(x, w[:4], b[:4], stride=2, padding=1, output_padding=1),
    ],
)
def test_convolution_and_its_gradients_match_the_cpu(function):
    both(function, fb.randn(3, 4, 9, 10), fb.randn(8, 4, 3, 2), fb.randn(8))


@pytest.mark.parametrize("dtype", [fb.float16, fb.bfloat16])
def test_transposed_convolution_in_half_precision_matches_the_cpu(dtype):
    def function(x, w, b):
        return F.conv_transpose2d(x, w, b, stride=2, padding=1)

    tensors = [fb.randint(-2, 3, shape).to(dtype) for shape in ((2, 4, 5, 6), (4, 6, 3, 3), (6,))]
    both(function, *tensors, tolerance=2e-2)


CHANNELS_LAST = """
from flambeau.nn import functional as F
x, w = (fb.randint(-3, 4, s).float() for s in [(2, 3, 8, 7), (4, 3, 3, 3)])
grad = fb.randint(-3, 4, (2, 4, 8, 7)).float()

def derivatives(change):
    leaves = [change(t).requires_grad_() for t in (x, w)]
    return fb.autograd.grad(F.conv2d(*leaves, padding=1), leaves, change(grad))

there = derivatives(lambda t: t.cuda().contiguous(memory_format=fb.channels_last))
print(*(fb.equal(t.cpu(), h) and t.is_contiguous(memory_format=fb.channels_last)
        for t, h in zip(there, derivatives(lambda t: t.clone()))), counts("cudnnBackendExecute"))
"""


@pytest.mark.skipif("FLAMBEAU_CUDA_DRIVER" not in os.environ, reason="the emulator's library is asked")
def test_derivatives_of_channels_last_convolutions_are_correct():
    from process import run

    assert run(CHANNELS_LAST, FLAMBEAU_CUDNN=os.environ["FLAMBEAU_CUDA_DRIVER"]) == "True True 3"


def test_convolution_of_wide_layers_matches_the_cpu():
    both(lambda x, w: F.conv2d(x, w), fb.randn(6, 20, 12, 12), fb.randn(18, 20, 3, 3), tolerance=1e-3)


@pytest.mark.parametrize("dtype", [fb.float16, fb.bfloat16])
@pytest.mark.parametrize("options", [{"padding": 1}, {"stride": (2, 1), "dilation": (1, 2)}, {"groups": 2}])
def test_gradients_of_half_precision_convolutions_round_exact_sums_once(dtype, options):
    """Test with small integers, for which the sums are exact in any order and are rounded once."""
    groups = options.get("groups", 1)
    x, w = (fb.randint(-2, 3, shape).to(dtype) for shape in [(3, 16 * groups, 9, 10), (18 * groups, 16, 3, 2)])
    grad = fb.randint(-2, 3, F.conv2d(x, w, **options).shape).to(dtype)
    results = []
    for device in ("cpu", "cuda"):
        leaves = [t.to(device).requires_grad_() for t in (x, w)]
        out = F.conv2d(*leaves, **options)
        results.append([g.cpu() for g in fb.autograd.grad(out, leaves, grad.to(device))])
    assert all(map(fb.equal, *results))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.max_pool2d(x, 3, 2, 1),
        lambda x: F.max_pool2d(x[..., :8], 3, 1, 1),
        lambda x: F.max_pool2d(x, 2, 1, dilation=2),
        lambda x: F.max_pool2d(x, (5, 9), (2, 1), (2, 4)),
        lambda x: F.adaptive_max_pool2d(x, (4, 3)),
        lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True),
        lambda x: F.adaptive_avg_pool2d(x, (4, 3)),
        lambda x: F.interpolate(x, (5, 20), mode="bilinear"),
        lambda x: F.interpolate(x, scale_factor=2),
        lambda x: F.pad(x, (2, 1, 0, 3), mode="reflect"),
    ],
)
def test_pooling_and_its_gradients_match_the_cpu(function):
    both(function, fb.randn(2, 3, 9, 10))


@pytest.mark.parametrize(
    ("queries", "keys", "depth", "width", "options"),
    [
        (9, 7, 8, 4, {}),
        (40, 70, 40, 24, {"is_causal": True}),
        (20, 34, 100, 20, {"scale": 0.2}),
        (2, 1100, 16, 16, {}),  # the keys are divided into parts
        (3, 4, 260, 5, {}),
    ],
)
def test_attention_and_its_gradients_match_the_cpu(queries, keys, depth, width, options):
    both(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **options),
        fb.randn(2, 2, queries, depth),
        fb.randn(2, 2, keys, depth),
        fb.randn(2, keys, width),
    )


def test_attention_with_masks_matches_the_cpu():
    tensors = fb.randn(2, 3, 9, 16), fb.randn(2, 3, 20, 16), fb.randn(2, 3, 20, 8)
    for mask in (fb.randn(2, 1, 9, 20), fb.randn(9, 20) > 1.5, fb.randn(1, 20) > 0):
        both(lambda q, k, v, mask=mask: F.scaled_dot_product_attention(q, k, v, mask.to(q.device)), *tensors)


def attention_derivatives(q, k, v, grad, mask, scale, causal):
    """Return the derivatives of attention, computed in float64 from the values of the operands."""
    q, k, v, grad = (t.double().numpy() for t in (q, k, v, grad))
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    scores = q @ np.swapaxes(k, -1, -2) * scale
    if mask is not None:
        scores += np.where(mask.numpy(), 0, -np.inf) if mask.dtype == fb.bool else mask.numpy()
    if causal:
        scores = np.where(np.tril(np.ones(scores.shape[-2:], bool)), scores, -np.inf)
    most = scores.max(-1, keepdims=True)
    weights = np.exp(scores - np.where(np.isinf(most), 0, most))
    weights /= np.maximum(weights.sum(-1, keepdims=True), 1e-300)
    products = grad @ np.swapaxes(v, -1, -2)
    inner = weights * (products - (weights * products).sum(-1, keepdims=True)) * scale
    return inner @ k, np.swapaxes(inner, -1, -2) @ q, np.swapaxes(weights, -1, -2) @ grad


@pytest.mark.parametrize(
    ("batch", "queries", "keys", "depth", "width", "options"),
    [
        (2, 40, 70, 64, 64, {}),
        (2, 70, 40, 64, 32, {"is_causal": True}),
        (1, 130, 130, 128, 128, {"is_causal": True}),
        (1, 33, 100, 128, 80, {"scale": -0.1}),
        (1, 70, 50, 80, 80, {}),
        (3, 5, 3, 8, 24, {"mask": "bool"}),
        (2, 5, 1100, 16, 16, {"mask": "bool"}),  # the keys are divided into parts
        (2, 50, 90, 40, 56, {"mask": "float"}),
        (128, 65, 70, 16, 16, {"is_causal": True}),  # tiles of 128 rows
    ],
)
def test_gradients_of_attention_on_tensor_cores_are_accurate(batch, queries, keys, depth, width, options, matrix_dtype):
    q, k, v, grad = (
        fb.randn(batch, *shape).to(matrix_dtype)
        for shape in ((queries, depth), (keys, depth), (keys, width), (queries, width))
    )
    kind, options = options.get("mask"), {name: value for name, value in options.items() if name != "mask"}
    mask = {"bool": fb.randn(queries, keys) > 0, "float": fb.randn(queries, keys)}.get(kind)
    if kind == "bool":
        mask[2] = False
    leaves = [t.cuda().requires_grad_() for t in (q, k, v)]
    out = F.scaled_dot_product_attention(*leaves, None if mask is None else mask.cuda(), **options)
    expected = attention_derivatives(q, k, v, grad, mask, options.get("scale"), options.get("is_causal", False))
    # The relative error of an operand or a result. All operands of TF32 products are rounded, by up to 2**-11, and
    # gradients depend on three of them.
    unit = {fb.float16: 2.0**-10, fb.bfloat16: 2.0**-7, fb.float32: 2.0**-9}[matrix_dtype]
    for found, here in zip(fb.autograd.grad(out, leaves, grad.cuda()), expected, strict=True):
        np.testing.assert_allclose(found.cpu().double().numpy(), here, rtol=unit, atol=unit * np.abs(here).max())


def test_gradients_of_attention_keep_their_precision_unless_tf32_is_allowed():
    q, k, v = (fb.randn(2, length, 32) for length in (20, 70, 70))
    results = {}
    for precision in ("highest", "high", "highest"):
        fb.set_float32_matmul_precision(precision)
        there = derivatives(F.scaled_dot_product_attention, (q, k, v), "cuda")
        assert all(map(fb.equal, there, results.setdefault(precision, there)))
    for exact, rounded in zip(results["highest"], results["high"], strict=True):
        assert fb.equal(exact, rounded) != fb.cuda.is_tf32_supported()
    both(F.scaled_dot_product_attention, q, k, v, tolerance=1e-5)


SHARED_HEADS = [(4, 4), (2, 2), (1, 1), (2, 4)]  # numbers of heads of keys and of values


@pytest.mark.parametrize("heads", SHARED_HEADS)
@pytest.mark.parametrize("mask_shape", [None, (9, 20), (4, 9, 20), (2, 1, 1, 20)])
def test_attention_with_shared_heads_matches_the_cpu(heads, mask_shape):
    mask = None if mask_shape is None else fb.randn(mask_shape) > -1
    both(
        lambda q, k, v: F.scaled_dot_product_attention(
            q, k, v, None if mask is None else mask.to(q.device), enable_gqa=True
        ),
        fb.randn(2, 4, 9, 16),
        fb.randn(2, heads[0], 20, 16),
        fb.randn(2, heads[1], 20, 8),
    )


@pytest.mark.skipif("FLAMBEAU_CUDA_DRIVER" not in os.environ, reason="needs an emulated GPU")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "tf32"])
@pytest.mark.parametrize("options", [{}, {"is_causal": True}])
def test_attention_reads_strided_tensors_without_copies(dtype, options, request):
    """Test that heads of a projection and a transposed gradient are read without copies, with the same results."""
    emulator = ctypes.CDLL(os.environ["FLAMBEAU_CUDA_DRIVER"])
    if dtype == "tf32":
        request.getfixturevalue("tf32")
    dtype = fb.bfloat16 if dtype == "bfloat16" else fb.float32

    def derivatives(*tensors):
        *leaves, grad = (t.detach() for t in tensors)
        leaves = [t.requires_grad_() for t in leaves]
        before = emulator.emulated_counts(b"cuLaunchKernelEx")
        results = fb.autograd.grad(F.scaled_dot_product_attention(*leaves, **options), leaves, grad)
        return results, emulator.emulated_counts(b"cuLaunchKernelEx") - before

    projected, grad = fb.randn(2, 40, 3, 3, 16).to(dtype).cuda(), fb.randn(2, 40, 3, 16).to(dtype).cuda()
    strided = [t.transpose(1, 2) for t in (*projected.unbind(2), grad)]
    assert not any(t.is_contiguous() for t in strided)
    there, launches = derivatives(*strided)
    expected, expected_launches = derivatives(*(t.contiguous() for t in strided))
    assert launches == expected_launches
    for found, like in zip(there, expected, strict=True):
        assert fb.equal(found, like)


@pytest.mark.skipif("FLAMBEAU_CUDA_DRIVER" not in os.environ, reason="needs an emulated GPU")
def test_shared_heads_are_not_copied():
    emulator = ctypes.CDLL(os.environ["FLAMBEAU_CUDA_DRIVER"])
    q, cache = fb.randn(2, 6, 5, 16).half().cuda(), fb.randn(2, 2, 30, 16).half().cuda()
    before = emulator.emulated_counts(b"cuLaunchKernelEx")
    F.scaled_dot_product_attention(q, cache[:, :, :20], cache[:, :, 5:25], enable_gqa=True)
    assert emulator.emulated_counts(b"cuLaunchKernelEx") == before + 1


def test_matrix_products_and_their_gradients_match_the_cpu():
    both(F.linear, fb.randn(2, 20, 17), fb.randn(33, 17), fb.randn(33))
    both(fb.matmul, fb.randn(2, 20, 17), fb.randn(2, 17, 18))
    both(fb.addmm, *(fb.randn(s).bfloat16() for s in ((18,), (20, 17), (17, 18))), tolerance=5e-2)


def test_causal_masks_follow_the_query():
    from flambeau.nn.attention.bias import causal_lower_right

    q, k = fb.randn(2, 3, 8), fb.randn(2, 5, 8)
    mask = causal_lower_right(3, 5)
    there = F.scaled_dot_product_attention(q.cuda(), k.cuda(), k.cuda(), mask)
    assert_close(there.cpu(), F.scaled_dot_product_attention(q, k, k, mask), rtol=1e-4, atol=1e-5)


def test_flex_attention_with_a_block_mask_matches_the_cpu():
    q, k, v = (fb.randn(1, 2, n, 8) for n in (40, 50, 50))
    bias = fb.randn(2, 90)

    def attend(q, k, v, bias):
        mask = flex_attention.create_block_mask(
            lambda b, h, i, j: i + 12 >= j, None, None, 40, 50, device=q.device, BLOCK_SIZE=16
        )
        moved = flex_attention.flex_attention(q, k, v, lambda score, b, h, i, j: score + bias[h, i - j + 49], mask)
        return moved + flex_attention.flex_attention(q, k, v, block_mask=mask)

    there = attend(*(each.cuda() for each in (q, k, v, bias)))
    assert there.is_cuda
    assert_close(there.cpu(), attend(q, k, v, bias), rtol=1e-4, atol=1e-5)
