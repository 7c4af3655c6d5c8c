"""Tests that attention on the GPU equals attention on the CPU, and that the matrix of scores is never stored."""

import ctypes
import os
import subprocess
import sys

import numpy as np
import pytest

import flambeau as fb
from flambeau import _core
from flambeau.testing import assert_close

attention = _core._scaled_dot_product_attention


def both(*tensors, tolerance=1e-5, **options):
    there = attention(*(t.cuda() for t in tensors), **options)
    assert_close(there.cpu(), attention(*tensors, **options), rtol=tolerance, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("queries", "keys", "depth", "width"), [(5, 7, 8, 4), (40, 70, 24, 40), (33, 32, 16, 16), (1, 100, 64, 64)]
)
def test_attention_of_all_sizes_matches_the_cpu(queries, keys, depth, width, causal, host_calls):
    both(fb.randn(2, queries, depth), fb.randn(2, keys, depth), fb.randn(2, keys, width), is_causal=causal)
    assert not host_calls()


@pytest.mark.parametrize("dtype", [fb.float64, fb.float16, fb.bfloat16])
def test_attention_in_every_dtype_with_a_scale_matches_the_cpu(dtype, host_calls):
    q, k, v = (fb.randn(2, 9, 20).to(dtype) for _ in range(3))
    both(q, k, v, scale=0.3, tolerance={8: 1e-10, 2: 2e-2}[dtype.itemsize])
    assert not host_calls()


@pytest.mark.parametrize("shape", [(9, 40), (1, 40), (3, 1, 9, 40), (2, 1, 1, 1, 40)])
@pytest.mark.parametrize("kind", ["bool", "float"])
def test_attention_with_masks_matches_the_cpu(shape, kind, host_calls):
    q, k, v = fb.randn(2, 3, 4, 9, 16), fb.randn(3, 4, 40, 16), fb.randn(3, 4, 40, 16)
    mask = fb.randn(shape) > 0 if kind == "bool" else fb.randn(shape)
    both(q, k, v, mask)
    assert not host_calls()


def test_attention_with_masked_rows_and_nonfinite_values_matches_the_cpu():
    q, k, v = fb.randn(2, 6, 16), fb.randn(2, 5, 16), fb.randn(2, 5, 16)
    mask = fb.ones(6, 5, dtype=fb.bool)
    mask[2] = False
    both(q, k, v, mask)
    k[1, 3, 2] = float("nan")
    both(q, k, v)
    both(q, k[:, :0], v[:, :0])
    both(q[:, :0], k, v)
    both(q[:0], k[:0], v[:0])


def test_attention_with_long_rows_uses_composite_operators():
    q, k, v = fb.randn(1, 3, 300), fb.randn(1, 4, 300), fb.randn(1, 4, 300)
    both(q, k, v)
    both(q, k, v, is_causal=True)


def expected(q, k, v, mask=None, *, is_causal=False, scale=None):
    """Return attention computed in float64 from the values of the operands, which may have half precision."""
    q, k, v = (t.double().numpy() for t in (q, k, v))
    scores = q @ np.swapaxes(k, -1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if mask is not None:
        scores += np.where(mask.numpy(), 0, -np.inf) if mask.dtype == fb.bool else mask.numpy()
    if is_causal:
        scores = np.where(np.tril(np.ones(scores.shape[-2:], bool)), scores, -np.inf)
    most = scores.max(-1, keepdims=True, initial=-np.inf)
    weights = np.exp(scores - np.where(np.isinf(most), 0, most))
    total = weights.sum(-1, keepdims=True)
    return weights @ v / np.where(total == 0, 1, total)


def close_to_expected(q, k, v, *mask, **options):
    there = attention(*(t.cuda() for t in (q, k, v, *mask)), **options)
    assert there.dtype == q.dtype
    # The rounding error of the weights, for values of about 1. TF32 has as many bits of mantissa as float16, but the
    # other operands are rounded as well.
    unit = {fb.float16: 2e-3, fb.bfloat16: 1.6e-2, fb.float32: 4e-3}[q.dtype]
    np.testing.assert_allclose(there.cpu().double().numpy(), expected(q, k, v, *mask, **options), rtol=unit, atol=unit)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("batch", "queries", "keys", "depth", "width"),
    [
        (2, 70, 130, 64, 64),
        (1, 129, 129, 128, 128),
        (2, 5, 3, 8, 24),
        (1, 40, 70, 80, 48),
        (1, 20, 40, 256, 16),
        (1, 17, 33, 16, 256),
        (128, 65, 40, 32, 32),  # tiles of 128 queries
        (1, 64, 200, 96, 112),
    ],
)
def test_attention_on_tensor_cores_is_close_to_the_expected_result(
    batch, queries, keys, depth, width, causal, matrix_dtype, host_calls
):
    shapes = (batch, queries, depth), (batch, keys, depth), (batch, keys, width)
    close_to_expected(*(fb.randn(shape).to(matrix_dtype) for shape in shapes), is_causal=causal)
    assert not host_calls()


@pytest.mark.parametrize("kind", ["bool", "float"])
@pytest.mark.parametrize("scale", [None, -0.3, 0.0])
def test_attention_on_tensor_cores_accepts_masks_and_scales(kind, scale, matrix_dtype, host_calls):
    q, k, v = (fb.randn(2, 3, length, 32).to(matrix_dtype) for length in (20, 90, 90))
    mask = fb.randn(3, 20, 90) > 0 if kind == "bool" else fb.randn(3, 20, 90)
    if kind == "bool":
        mask[1, 4] = False
    close_to_expected(q, k, v, mask, scale=scale)
    close_to_expected(q, k, v, scale=scale)
    assert not host_calls()


def test_attention_on_tensor_cores_propagates_nonfinite_values(matrix_dtype):
    q, k, v = (fb.randn(2, length, 16).to(matrix_dtype) for length in (6, 40, 40))
    k[1, 33, 2] = float("nan")
    v[0, 3, 1] = float("inf")
    there = attention(q.cuda(), k.cuda(), v.cuda()).cpu().float()
    assert there[1].isnan().all() and there[0, :, 1].isinf().all() and there[0, :, 2:].isfinite().all()
    for empty in ((q, k[:, :0], v[:, :0]), (q[:, :0], k, v), (q[:0], k[:0], v[:0])):
        both(*empty)


def test_equal_scores_in_many_tiles_give_equal_weights(matrix_dtype, host_calls):
    """Test large scores, about 170,000, which are the same for all 1000 keys."""
    q = fb.arange(100, 116).to(matrix_dtype)[:, None].expand(1, 16, 16).contiguous()
    k, v = (t.to(matrix_dtype) for t in (fb.full((1, 1000, 16), 100), fb.arange(1000) < 500))
    close_to_expected(q, k, v[None, :, None].expand(1, 1000, 16).contiguous(), scale=1.0)
    assert not host_calls()


def test_tf32_operands_are_rounded_to_the_nearest(tf32):
    if not fb.cuda.is_tf32_supported():
        pytest.skip("needs compute capability 8.0")
    tensors = [fb.randn(2, length, 36) for length in (20, 70, 70)]

    def result(offset):
        bits = [(t.view(fb.int32) + offset) & -0x2000 for t in tensors]
        return attention(*(b.view(fb.float32).cuda() for b in bits))

    there = attention(*(t.cuda() for t in tensors))
    assert fb.equal(there, result(0x1000)) and not fb.equal(there, result(0))


def test_float32_keeps_its_precision_unless_tf32_is_allowed():
    tensors = [fb.randn(2, length, 32).cuda() for length in (20, 70, 70)]
    results = {}
    for precision in ("highest", "high", "medium", "highest"):
        fb.set_float32_matmul_precision(precision)
        there = attention(*tensors)
        assert fb.equal(there, results.setdefault(precision, there))
    exact = attention(*(t.cpu() for t in tensors))
    assert_close(results["highest"].cpu(), exact, rtol=1e-5, atol=1e-6)
    assert fb.equal(results["high"], results["highest"]) != fb.cuda.is_tf32_supported()


TURING = """
import flambeau as fb
from flambeau import _core
from flambeau.testing import assert_close
assert fb.cuda.get_device_capability() == (7, 5)
for dtype in (fb.float16, fb.bfloat16):
    q, k = fb.randn(2, 20, 32).to(dtype), fb.randn(2, 40, 32).to(dtype)
    attention = _core._scaled_dot_product_attention
    assert_close(attention(q.cuda(), k.cuda(), k.cuda()).cpu(), attention(q, k, k), rtol=2e-2, atol=2e-2)
    fb.set_float32_matmul_precision("high")
    q, k = q.float(), k.float()
    assert_close(attention(q.cuda(), k.cuda(), k.cuda()).cpu(), attention(q, k, k), rtol=1e-5, atol=1e-6)
    fb.set_float32_matmul_precision("highest")
    x, w = fb.randint(-2, 3, (2, 16, 6, 6)).to(dtype), fb.randint(-2, 3, (16, 16, 3, 3)).to(dtype)
    assert fb.equal(fb.conv2d(x.cuda(), w.cuda()).cpu(), fb.conv2d(x, w))
assert not _core._cuda_host_calls()
"""


@pytest.mark.skipif("FLAMBEAU_CUDA_DRIVER" not in os.environ, reason="needs an emulated GPU")
def test_attention_works_on_compute_capability_7_5():
    """Test compute capability 7.5, whose tensor cores support only float16 and have another shape."""
    environment = {**os.environ, "FLAMBEAU_EMULATED_CAPABILITY": "75"}
    subprocess.run([sys.executable, "-c", TURING], env=environment, timeout=600, check=True)


def test_attention_of_misaligned_half_precision_rows_matches_the_cpu(host_calls):
    """Test rows that tensor cores cannot read: unaligned rows, or rows whose length is no multiple of 16 bytes."""
    room = fb.randn(1 + 2 * 9 * 16).to(fb.float16)
    q, k = room[1:].cuda().view(2, 9, 16), fb.randn(2, 12, 16).to(fb.float16)
    there = attention(q, k.cuda(), k.cuda())
    assert_close(there.cpu(), attention(q.cpu(), k, k), rtol=2e-3, atol=2e-3)
    both(*(fb.randn(2, 9, 20).to(fb.float16) for _ in range(3)), tolerance=2e-3)
    assert not host_calls()


PARTS = [(1, 1, 1024, 16, 16), (3, 16, 1500, 24, 40), (2, 70, 2050, 64, 64), (1, 1, 70_000, 8, 8)]


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64])
@pytest.mark.parametrize(("batch", "queries", "keys", "depth", "width"), PARTS)
def test_attention_with_split_keys_matches_the_cpu(batch, queries, keys, depth, width, dtype, host_calls):
    shapes = (batch, queries, depth), (batch, keys, depth), (batch, keys, width)
    tolerance = 1e-5 if dtype == fb.float32 else 1e-12
    both(*(fb.randn(shape, dtype=dtype) for shape in shapes), tolerance=tolerance)
    assert not host_calls()


@pytest.mark.skipif("FLAMBEAU_CUDA_DRIVER" not in os.environ, reason="needs an emulated GPU")
@pytest.mark.parametrize(
    ("batch", "queries", "keys", "launches"), [(1, 1, 1023, 1), (1, 1, 1024, 2), (129, 1, 1024, 1), (2, 70, 1100, 2)]
)
def test_keys_are_split_if_there_are_few_queries(batch, queries, keys, launches):
    emulator = ctypes.CDLL(os.environ["FLAMBEAU_CUDA_DRIVER"])
    q, k = fb.randn(batch, queries, 8, device="cuda"), fb.randn(batch, keys, 8, device="cuda")
    before = emulator.emulated_counts(b"cuLaunchKernelEx")
    attention(q, k, k)
    assert emulator.emulated_counts(b"cuLaunchKernelEx") == before + launches


@pytest.mark.parametrize(("batch", "queries", "keys", "depth", "width"), PARTS)
def test_attention_with_split_keys_on_tensor_cores_is_close_to_the_expected_result(
    batch, queries, keys, depth, width, matrix_dtype, host_calls
):
    shapes = (batch, queries, depth), (batch, keys, depth), (batch, keys, width)
    close_to_expected(*(fb.randn(shape).to(matrix_dtype) for shape in shapes))
    assert not host_calls()


@pytest.fixture(params=["float32", "float16", "tf32"])
def dtype_and_error(request):
    """Return a dtype and the tolerance for its results, with kernels with and without tensor cores."""
    if request.param == "tf32":
        request.getfixturevalue("tf32")
    return {"float32": (fb.float32, 1e-5), "float16": (fb.float16, 2e-3), "tf32": (fb.float32, 4e-3)}[request.param]


@pytest.mark.parametrize("kind", ["bool", "float", "causal"])
def test_attention_with_split_keys_accepts_masks_that_exclude_whole_parts(kind, dtype_and_error, host_calls):
    """Test masks that exclude all keys in some parts of the sequence, and all keys for some queries."""
    (dtype, error), (queries, keys) = dtype_and_error, (1500, 1600) if kind == "causal" else (3, 1500)
    q, k, v = (fb.randn(2, 1, length, 16).to(dtype) for length in (queries, keys, keys))
    mask = fb.randn(2, 1, queries, keys) > 0 if kind == "bool" else fb.randn(1, queries, keys)
    mask[..., 0, 300:] = False if kind == "bool" else float("-inf")
    mask[..., 1, :1400] = False if kind == "bool" else float("-inf")
    mask[..., 2, :] = False if kind == "bool" else float("-inf")
    options = ([], {"is_causal": True}) if kind == "causal" else ([mask], {})
    there = attention(*(t.cuda() for t in (q, k, v, *options[0])), **options[1]).cpu().double().numpy()
    np.testing.assert_allclose(there, expected(q, k, v, *options[0], **options[1]), rtol=error, atol=error)
    assert not host_calls()


def test_attention_with_split_keys_propagates_nonfinite_values(dtype_and_error):
    q, k, v = (fb.randn(2, length, 16).to(dtype_and_error[0]) for length in (2, 1300, 1300))
    k[1, 1200, 2] = float("nan")
    v[0, 3, 1] = float("inf")
    there = attention(q.cuda(), k.cuda(), v.cuda()).cpu().float()
    assert there[1].isnan().all() and there[0, :, 1].isinf().all()
    assert there[0, :, :1].isfinite().all() and there[0, :, 2:].isfinite().all()


@pytest.fixture
def launches():
    """Return a function that counts the kernels and copies that a function launches."""
    emulator = ctypes.CDLL(os.environ["FLAMBEAU_CUDA_DRIVER"])
    names = b"cuLaunchKernelEx", b"cuMemcpyDtoDAsync_v2"

    def count(function, *arguments, **options):
        before = sum(map(emulator.emulated_counts, names))
        function(*arguments, **options)
        return sum(map(emulator.emulated_counts, names)) - before

    return count


def heads(length, width, dtype):
    return fb.randn(2, length, 3, width).to(dtype).cuda()


LAYOUTS = {  # (2, 3, length, width) in memory
    "transposed heads": lambda length, width, dtype: heads(length, width, dtype).transpose(1, 2),
    "slice of a cache": lambda length, width, dtype: (
        heads(3, width, dtype).new_zeros(3, 4, length + 9, width).normal_()[1:, :3, 4 : 4 + length]
    ),
    "part of a projection": lambda length, width, dtype: heads(length, 3 * width, dtype).transpose(1, 2)[
        ..., width : 2 * width
    ],
    "one for all heads": lambda length, width, dtype: (
        heads(length, width, dtype)[:, :, :1].transpose(1, 2).expand(2, 3, length, width)
    ),
    "sequence first": lambda length, width, dtype: (
        heads(length, width, dtype).permute(1, 0, 2, 3).transpose(0, 1).transpose(1, 2)
    ),
    "one row apart": lambda length, width, dtype: heads(2 * length, width, dtype)[:, ::2].transpose(1, 2),
}


@pytest.mark.skipif("FLAMBEAU_CUDA_DRIVER" not in os.environ, reason="needs an emulated GPU")
@pytest.mark.parametrize(("queries", "keys"), [(20, 40), (1, 1300)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_strided_layouts_are_read_without_copies(layout, queries, keys, dtype_and_error, launches, host_calls):
    dtype, error = dtype_and_error
    q, k, v = (LAYOUTS[layout](*size, dtype) for size in ((queries, 16), (keys, 16), (keys, 24)))
    assert not k.is_contiguous() and k.shape == (2, 3, keys, 16)
    mask = (fb.randn(2, 1, queries, keys) > 0).cuda()
    with fb.backends.cudnn.flags(enabled=False):
        for options in ({"is_causal": True}, {"attn_mask": mask}, {}):
            there = attention(q, k, v, **options)
            contiguous = [t.contiguous() for t in (q, k, v)]
            assert fb.equal(there, attention(*contiguous, **options))
            assert launches(attention, q, k, v, **options) == launches(attention, *contiguous, **options)
    np.testing.assert_allclose(
        there.cpu().double().numpy(), expected(*(t.cpu() for t in (q, k, v))), rtol=error, atol=error
    )
    assert not host_calls()


def test_noncontiguous_or_misaligned_rows_are_copied(dtype_and_error, host_calls):
    """Test rows that are not contiguous, or at addresses that tensor cores cannot read."""
    dtype, error = dtype_and_error
    wide = fb.randn(2, 3, 20, 40).to(dtype)
    there = wide.cuda()
    for view in (lambda t: t[..., 1:17], lambda t: t[..., ::2], lambda t: t.mT, lambda t: t[..., :1]):
        x, y = view(there), view(wide)
        assert_close(attention(x, x, x).cpu(), attention(y, y, y), rtol=error, atol=error)
    assert not host_calls()
