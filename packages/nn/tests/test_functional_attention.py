"""Attention, compared with its formula."""

import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.special

import flambeau as fb
from flambeau import nn
from flambeau.autograd import gradcheck, gradgradcheck
from flambeau.nn import functional as F

RNG = np.random.default_rng(0)


def attention(q, k, v, mask=None, causal=False, scale=None):
    scores = q @ np.swapaxes(k, -1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if causal:
        mask = np.tril(np.ones(scores.shape[-2:], bool))
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    with np.errstate(invalid="ignore"):
        weights = scipy.special.softmax(scores, -1)
    return np.nan_to_num(weights) @ v


def draw(*shape):
    return RNG.standard_normal(shape)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("queries", "keys"), [(5, 7), (1, 1), (70, 300), (130, 515)])
def test_scaled_dot_product_attention_equals_its_definition(queries, keys, dtype):
    q, k, v = (draw(2, 3, n, d).astype(dtype) for n, d in ((queries, 8), (keys, 8), (keys, 6)))
    tolerance = 1e-12 if dtype == "float64" else 2e-5
    mask = draw(queries, keys).astype(dtype)
    seen = RNG.random((2, 1, queries, keys)) < 0.7
    for options in ({}, {"attn_mask": mask}, {"attn_mask": seen}, {"is_causal": True}, {"scale": 0.3}):
        want = attention(
            *(a.astype(float) for a in (q, k, v)),
            options.get("attn_mask"),
            options.get("is_causal", False),
            options.get("scale"),
        )
        tensors = {n: fb.tensor(o) if isinstance(o, np.ndarray) else o for n, o in options.items()}
        got = F.scaled_dot_product_attention(*map(fb.tensor, (q, k, v)), **tensors)
        np.testing.assert_allclose(got.numpy(), want, atol=tolerance)


@pytest.mark.parametrize(
    ("queries", "keys", "depth", "width"),
    [(1, 77, 17, 33), (3, 5, 32, 32), (100, 130, 64, 48), (300, 700, 128, 128), (520, 1100, 40, 24), (9, 20, 4, 4)],
)
def test_attention_of_bfloat16_rounds_weights_and_results_only(queries, keys, depth, width):
    q, k, v = (fb.tensor(draw(2, n, d)).bfloat16() for n, d in ((queries, depth), (keys, depth), (keys, width)))
    mask, seen = fb.tensor(draw(queries, keys)), fb.tensor(RNG.random((queries, keys)) < 0.7)
    for options in ({}, {"attn_mask": mask}, {"attn_mask": seen}, {"is_causal": True}, {"scale": 0.3}):
        got = F.scaled_dot_product_attention(q, k, v, **options)
        want = F.scaled_dot_product_attention(q.double(), k.double(), v.double(), **options)
        # Rounding to bfloat16 changes a number by up to 2**-9 of its value.
        assert float((got.double() - want).abs().max()) <= 2**-8 * float(v.double().abs().max())


@pytest.mark.parametrize("isa", ["avx512", "avx512bf16"])
def test_attention_of_bfloat16_is_correct_with_the_kernels_of_other_processors(isa):
    only = f"{__file__}::{test_attention_of_bfloat16_rounds_weights_and_results_only.__name__}"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", only]
    done = subprocess.run(command, env={**os.environ, "FLAMBEAU_ISA": isa}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("causal", [False, True])
def test_attention_over_many_blocks_matches_numpy(causal):
    q, k, v, g = (draw(33, n, d) for n, d in ((300, 5), (530, 5), (530, 3), (300, 3)))
    inputs = [fb.tensor(a).requires_grad_() for a in (q, k, v)]
    out = F.scaled_dot_product_attention(*inputs, is_causal=causal)
    np.testing.assert_allclose(out.detach().numpy(), attention(q, k, v, causal=causal), atol=1e-12)
    out.backward(fb.tensor(g))
    p = attention(q, k, np.eye(530), causal=causal)
    dp = g @ v.swapaxes(1, 2)
    ds = p * (dp - (dp * p).sum(-1, keepdims=True)) * 5**-0.5
    for tensor, want in zip(inputs, (ds @ k, ds.swapaxes(1, 2) @ q, p.swapaxes(1, 2) @ g), strict=True):
        np.testing.assert_allclose(tensor.grad.numpy(), want, atol=1e-12)


def test_attention_of_empty_inputs_has_the_right_shape_and_zero_gradients():
    for shapes in (((2, 0, 4), (2, 3, 4), (2, 3, 5)), ((2, 3, 4), (2, 3, 4), (2, 3, 0)), ((0, 3, 4),) * 3):
        inputs = [fb.tensor(draw(*s)).requires_grad_() for s in shapes]
        out = F.scaled_dot_product_attention(*inputs)
        assert out.shape == (*shapes[0][:2], shapes[2][2])
        out.sum().backward()
        assert all(bool((t.grad == 0).all()) for t in inputs)


@pytest.mark.parametrize("p", [0.0, 0.5])
def test_attention_of_queries_without_keys_is_zero(p):
    queries, keys = fb.ones(2, 3, 4), fb.ones(2, 0, 4)
    assert F.scaled_dot_product_attention(queries, keys, keys, dropout_p=p).tolist() == fb.zeros(2, 3, 4).tolist()
    assert F.scaled_dot_product_attention(keys, keys, keys, dropout_p=p).shape == (2, 0, 4)


def test_attention_supports_half_precision_and_shared_heads():
    q, k, v = draw(1, 4, 5, 8), draw(1, 2, 6, 8), draw(1, 2, 6, 8)
    want = attention(q, np.repeat(k, 2, 1), np.repeat(v, 2, 1))
    got = F.scaled_dot_product_attention(*map(fb.tensor, (q, k, v)), enable_gqa=True)
    np.testing.assert_allclose(got.numpy(), want, atol=1e-12)
    half = F.scaled_dot_product_attention(*(fb.tensor(a).bfloat16() for a in (q, k, v)), enable_gqa=True)
    assert half.dtype is fb.bfloat16
    np.testing.assert_allclose(half.float().numpy(), want, atol=0.05)


@pytest.mark.parametrize("mask_shape", [(5, 6), (1, 5, 6), (4, 5, 6), (3, 1, 5, 6), (3, 4, 1, 6)])
@pytest.mark.parametrize("heads", [(2, 2), (1, 1), (2, 4), (4, 2), (1, 2)])
def test_shared_heads_equal_repeated_heads(heads, mask_shape):
    q, k, v = (fb.tensor(draw(3, h, *s)) for h, s in zip((4, *heads), ((5, 8), (6, 8), (6, 7)), strict=True))
    mask = fb.tensor(draw(*mask_shape))
    repeated = [t.repeat_interleave(4 // t.shape[1], 1) for t in (k, v)]
    got = F.scaled_dot_product_attention(q, k, v, mask, enable_gqa=True)
    np.testing.assert_allclose(got.numpy(), F.scaled_dot_product_attention(q, *repeated, mask).numpy(), atol=1e-12)


def test_attention_broadcasts_leading_dimensions():
    q, k, v = draw(3, 1, 4, 5), draw(2, 6, 5), draw(6, 5)
    got = F.scaled_dot_product_attention(*map(fb.tensor, (q, k, v)))
    np.testing.assert_allclose(got.numpy(), attention(q, k, v), atol=1e-12)


def test_fully_masked_queries_give_zeros():
    q = fb.tensor(draw(3, 4)).requires_grad_()
    mask = fb.tensor([[True, False, True], [False] * 3, [True] * 3])
    out = F.scaled_dot_product_attention(q, q, q, mask)
    assert out[1].tolist() == [0] * 4
    out.sum().backward()
    assert bool(q.grad.isfinite().all())


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": 0.7}, "mask", "bool"], ids=str)
def test_scaled_dot_product_attention_passes_gradcheck(options):
    inputs = [fb.tensor(draw(2, *s)).requires_grad_() for s in ((3, 4), (5, 4), (5, 3))]
    if options == "mask":
        inputs.append(fb.tensor(draw(3, 5)).requires_grad_())
        options = {}
    elif options == "bool":
        options = {"attn_mask": fb.tensor(RNG.random((3, 5)) < 0.6)}

    def call(*tensors):
        return F.scaled_dot_product_attention(*tensors, **options)

    assert gradcheck(call, inputs)
    assert gradgradcheck(call, inputs)


def test_derivative_of_attention_over_several_blocks_equals_the_unblocked_derivative():
    """Compare the blocked derivative with the one through the complete score matrix."""
    shapes = ((2, 70, 8), (2, 600, 8), (2, 600, 4))
    for causal in (False, True):
        blocked = [fb.tensor(draw(*s)).requires_grad_() for s in shapes]
        whole = [t.detach().clone().requires_grad_() for t in blocked]
        grad = fb.tensor(draw(2, 70, 4))
        F.scaled_dot_product_attention(*blocked, is_causal=causal).backward(grad)
        scores = whole[0] @ whole[1].transpose(1, 2) / 8**0.5
        if causal:
            scores = scores.masked_fill(~fb.ones(70, 600, dtype=fb.bool).tril(), -float("inf"))
        (scores.softmax(-1) @ whole[2]).backward(grad)
        for a, b in zip(blocked, whole, strict=True):
            np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), atol=1e-12)


def test_attention_dropout_keeps_the_expected_value():
    q = fb.ones(1, 1, 4)
    k, v = fb.zeros(1, 2000, 4), fb.ones(1, 2000, 1)
    value = F.scaled_dot_product_attention(q, k, v, dropout_p=0.5).item()
    assert value != 1 and abs(value - 1) < 0.2


@pytest.mark.parametrize("kind", ["bool", "float"])
def test_is_causal_can_be_combined_with_a_mask(kind):
    q, k, v = (fb.randn(2, 3, n, 4, requires_grad=True) for n in (4, 5, 5))
    seen = fb.rand(3, 1, 5) > 0.3
    seen[..., 0] = True
    mask = seen if kind == "bool" else fb.where(seen, fb.rand(3, 4, 5), -np.inf)
    earlier = fb.ones(4, 5, dtype=fb.bool).tril()
    both = seen & earlier if kind == "bool" else mask.masked_fill(~earlier, -np.inf)
    found = F.scaled_dot_product_attention(q, k, v, mask, is_causal=True)
    want = (q @ k.mT / 2).masked_fill(~both, -np.inf) if kind == "bool" else q @ k.mT / 2 + both
    fb.testing.assert_close(found, want.softmax(-1) @ v)
    assert q.grad is None and found.requires_grad


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.scaled_dot_product_attention(fb.zeros(2, 3), fb.zeros(2, 4), fb.zeros(2, 4)), r"\[2, 3\].*\[2, 4\]"),
        (lambda: F.scaled_dot_product_attention(fb.zeros(3), fb.zeros(3), fb.zeros(3)), "2 dimensions"),
        (lambda: F.scaled_dot_product_attention(*[fb.zeros(2, 3)] * 3, fb.zeros(3, 3)), r"\[3, 3\]"),
        (lambda: F.scaled_dot_product_attention(fb.zeros(2, 3), *[fb.zeros(2, 3).double()] * 2), "dtype"),
        (
            lambda: F.scaled_dot_product_attention(fb.zeros(3, 2, 3), *[fb.zeros(2, 2, 3)] * 2, enable_gqa=True),
            "Number of heads",
        ),
    ],
)
def test_attention_rejects_invalid_arguments(call, message):
    with pytest.raises(RuntimeError, match=message):
        call()


# Several heads


@pytest.mark.parametrize("need_weights", [True, False])
def test_multi_head_attention_forward_matches_numpy(need_weights):
    length, sources, batch, width, heads = 3, 4, 2, 6, 2
    q, k, v = draw(length, batch, width), draw(sources, batch, width), draw(sources, batch, width)
    weight, bias, out, out_bias = draw(3 * width, width), draw(3 * width), draw(width, width), draw(width)
    hidden = RNG.random((length, sources)) < 0.3
    padding = np.zeros((batch, sources), bool)
    padding[1, -1] = True
    parts = [
        x @ weight[i * width : (i + 1) * width].T + bias[i * width : (i + 1) * width] for i, x in enumerate((q, k, v))
    ]
    split = [p.reshape(p.shape[0], batch, heads, -1).transpose(1, 2, 0, 3) for p in parts]
    seen = ~(hidden | padding[:, None, None, :])
    want = attention(*split, np.broadcast_to(seen, (batch, heads, length, sources)))
    want = want.transpose(2, 0, 1, 3).reshape(length, batch, width) @ out.T + out_bias
    tensors = [fb.tensor(a) for a in (q, k, v)]
    got, weights = F.multi_head_attention_forward(
        *tensors,
        width,
        heads,
        fb.tensor(weight),
        fb.tensor(bias),
        None,
        None,
        False,
        0.0,
        fb.tensor(out),
        fb.tensor(out_bias),
        key_padding_mask=fb.tensor(padding),
        attn_mask=fb.tensor(hidden),
        need_weights=need_weights,
    )
    rows = seen.any(-1).all((0, 1))  # for queries without keys, the reference weights are NaN
    np.testing.assert_allclose(got.numpy()[rows], want[rows], atol=1e-12)
    assert (weights is None) != need_weights
    if weights is not None:
        assert weights.shape == (batch, length, sources)
        np.testing.assert_allclose(weights.numpy()[:, rows].sum(-1), 1, atol=1e-12)


def test_multi_head_attention_rejects_invalid_arguments():
    x, w = fb.zeros(2, 3, 4), fb.zeros(12, 4)
    rest = (None, None, None, False, 0.0, fb.zeros(4, 4), None)
    with pytest.raises(AssertionError, match="divisible"):
        F.multi_head_attention_forward(x, x, x, 4, 3, w, *rest)
    with pytest.raises(AssertionError, match="embedding dimension"):
        F.multi_head_attention_forward(x, x, x, 5, 2, w, *rest)
    with pytest.raises(RuntimeError, match="is_causal"):
        F.multi_head_attention_forward(x, x, x, 4, 2, w, *rest, is_causal=True)


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize(("queries", "keys", "batch"), [(3, 4, 0), (0, 4, 2), (3, 0, 2)])
def test_multi_head_attention_of_empty_inputs_has_the_right_shapes(queries, keys, batch, need_weights):
    layer = nn.MultiheadAttention(4, 2)
    source = fb.randn(keys, batch, 4)
    output, weights = layer(fb.randn(queries, batch, 4), source, source, need_weights=need_weights)
    assert output.shape == (queries, batch, 4)
    assert weights is None if not need_weights else weights.shape == (batch, queries, keys)


def test_a_mask_of_another_floating_dtype_is_added_in_the_dtype_of_the_query():
    layer, x = nn.MultiheadAttention(4, 2), fb.rand(3, 1, 4)
    mask = np.triu(np.full((3, 3), -np.inf), 1)
    narrow = layer(x, x, x, attn_mask=fb.tensor(mask, dtype=fb.float32))
    wide = layer(x, x, x, attn_mask=fb.tensor(mask))
    for one, other in zip(narrow, wide, strict=True):
        np.testing.assert_array_equal(one.detach().numpy(), other.detach().numpy())


def test_projections_with_packed_and_separate_weights_match_numpy():
    from flambeau.nn.functional import _in_projection, _in_projection_packed

    rng = np.random.default_rng(0)
    w, b = rng.standard_normal((6, 2)), rng.standard_normal(6)
    inputs = [rng.standard_normal((3, 2)) for _ in range(3)]
    tensors = [fb.tensor(x) for x in inputs]
    packed = _in_projection_packed(*tensors, fb.tensor(w), fb.tensor(b))
    separate = _in_projection(*tensors, *(fb.tensor(w[i : i + 2]) for i in (0, 2, 4)))
    for i, x in enumerate(inputs):
        part = slice(2 * i, 2 * i + 2)
        np.testing.assert_allclose(packed[i].numpy(), x @ w[part].T + b[part])
        np.testing.assert_allclose(separate[i].numpy(), x @ w[part].T)


def test_masks_of_different_dtypes_warn():
    layer, x = nn.MultiheadAttention(4, 2), fb.randn(3, 2, 4)
    padding = fb.zeros(2, 3, dtype=fb.bool)
    with pytest.warns(UserWarning, match="mismatched key_padding_mask and attn_mask is deprecated"):
        layer(x, x, x, key_padding_mask=padding, attn_mask=fb.zeros(3, 3))
    layer(x, x, x, key_padding_mask=padding, attn_mask=fb.zeros(3, 3, dtype=fb.bool))
