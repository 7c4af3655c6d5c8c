"""Choice of the attention implementation: only allowed ones run, and all compute the same values."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.backends import cuda
from flambeau.nn.attention import SDPBackend, bias, sdpa_kernel
from flambeau.nn.functional import scaled_dot_product_attention

MATH, FLASH = SDPBackend.MATH, SDPBackend.FLASH_ATTENTION
KERNELS = [FLASH, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION, SDPBackend.OVERRIDEABLE]


@pytest.fixture
def query():
    fb.manual_seed(0)
    return fb.randn(2, 3, 5, 4, requires_grad=True)


@pytest.fixture
def saved_shapes():
    """Return a function that lists the shapes of the tensors saved for the backward pass."""
    shapes = []

    def pack(tensor):
        shapes.append(tuple(tensor.shape))
        return tensor

    with fb.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield shapes


def reference(q):
    scores = q @ q.swapaxes(-1, -2) / 2
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ q


@pytest.mark.parametrize("backends", [MATH, *KERNELS, [MATH, FLASH], KERNELS], ids=str)
def test_all_backends_give_equal_results(query, backends):
    with sdpa_kernel(backends):
        out = scaled_dot_product_attention(query, query, query)
    np.testing.assert_allclose(out.detach().numpy(), reference(query.detach().numpy()), rtol=1e-5)


def holds_scores(query, shapes):
    scaled_dot_product_attention(query, query, query)
    return (2, 3, 5, 5) in shapes


@pytest.mark.parametrize(
    ("backends", "priority", "expected"),
    [
        (MATH, False, True),
        (FLASH, False, False),
        ([MATH, FLASH], False, False),
        ([MATH, FLASH], True, True),
        ([FLASH, MATH], True, False),
        ([SDPBackend.ERROR, MATH], True, True),
    ],
)
def test_only_the_math_backend_stores_the_attention_scores(query, saved_shapes, backends, priority, expected):
    with sdpa_kernel(backends, set_priority=priority):
        assert holds_scores(query, saved_shapes) is expected
    saved_shapes.clear()
    assert not holds_scores(query, saved_shapes)


@pytest.mark.parametrize("backends", KERNELS, ids=str)
def test_unsupported_inputs_raise_without_the_math_backend(query, backends):
    mask = fb.zeros(5, 5, requires_grad=True)
    with sdpa_kernel(backends):
        with pytest.raises(RuntimeError, match=r"No viable backend .* dropout"):
            scaled_dot_product_attention(query, query, query, dropout_p=0.5)
        with pytest.raises(RuntimeError, match="No viable backend"):
            scaled_dot_product_attention(query, query, query, mask)
    assert scaled_dot_product_attention(query, query, query, mask, dropout_p=0.5).shape == query.shape


def test_attention_without_an_enabled_backend_raises(query):
    with sdpa_kernel([]), pytest.raises(RuntimeError, match=r"No viable backend .*: none is enabled"):
        scaled_dot_product_attention(query, query, query)


def test_nested_contexts_restore_the_backends(query, saved_shapes):
    with sdpa_kernel([MATH, FLASH], set_priority=True):
        with sdpa_kernel(FLASH):
            assert not cuda.math_sdp_enabled() and not holds_scores(query, saved_shapes)
        assert cuda.math_sdp_enabled() and cuda.flash_sdp_enabled() and not cuda.cudnn_sdp_enabled()
        assert holds_scores(query, saved_shapes)
    with pytest.raises(KeyError), sdpa_kernel(MATH):
        raise KeyError
    assert cuda.flash_sdp_enabled() and cuda.cudnn_sdp_enabled() and cuda.mem_efficient_sdp_enabled()
    saved_shapes.clear()
    assert not holds_scores(query, saved_shapes)


def test_sdpa_kernel_is_a_decorator(query, saved_shapes):
    assert sdpa_kernel(MATH)(holds_scores)(query, saved_shapes)


def test_switches_in_backends_cuda_select_attention_backends(query, saved_shapes):
    with cuda.sdp_kernel(enable_flash=False, enable_mem_efficient=False, enable_cudnn=False, enable_math=True):
        assert not cuda.flash_sdp_enabled()
        with sdpa_kernel(MATH):
            assert holds_scores(query, saved_shapes)
    saved_shapes.clear()
    cuda.enable_math_sdp(False)
    try:
        with pytest.raises(RuntimeError, match="No viable backend"):
            scaled_dot_product_attention(query, query, query, dropout_p=0.5)
    finally:
        cuda.enable_math_sdp(True)


def test_attention_layers_use_the_selected_backend(query, saved_shapes):
    layer = nn.MultiheadAttention(4, 2, batch_first=True)
    x = fb.randn(2, 5, 4)
    with sdpa_kernel(MATH):
        layer(x, x, x, need_weights=False)
    assert any(shape[-2:] == (5, 5) for shape in saved_shapes)


@pytest.mark.parametrize("wrong", [None, 0, (MATH,), "MATH"])
def test_invalid_backends_are_rejected(wrong):
    with pytest.raises(AssertionError, match="instance of SDPBackend or a list"), sdpa_kernel(wrong):
        pass


def test_the_backend_enumeration_has_the_values_of_pytorch():
    assert [(each.name, int(each)) for each in SDPBackend] == [
        ("ERROR", -1),
        ("MATH", 0),
        ("FLASH_ATTENTION", 1),
        ("EFFICIENT_ATTENTION", 2),
        ("CUDNN_ATTENTION", 3),
        ("OVERRIDEABLE", 4),
    ]
    assert SDPBackend.__module__ == "flambeau.nn.attention"
    assert repr(MATH) == "<SDPBackend.MATH: 0>" and SDPBackend(1) is FLASH


# Causal masks


@pytest.mark.parametrize(("queries", "keys"), [(3, 5), (4, 4), (5, 3)])
def test_causal_masks_hide_later_positions(queries, keys):
    i, j = np.indices((queries, keys))
    upper, lower = bias.causal_upper_left(queries, keys), bias.causal_lower_right(queries, keys)
    assert (upper.numpy() == (j <= i)).all() and (lower.numpy() == (j <= i + keys - queries)).all()
    assert isinstance(lower, bias.CausalBias) and isinstance(lower, fb.Tensor)
    assert lower.variant is bias.CausalVariant.LOWER_RIGHT and (lower.seq_len_q, lower.seq_len_kv) == (queries, keys)
    q, k = fb.randn(2, queries, 4), fb.randn(2, keys, 4)
    for mask in (upper, lower):
        out = scaled_dot_product_attention(q, k, k, mask)
        assert type(out) is fb.Tensor
        scores = np.where(mask.numpy(), q.numpy() @ k.numpy().swapaxes(1, 2) / 2, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True, initial=-1e30))
        expected = weights / np.maximum(weights.sum(-1, keepdims=True), 1e-30) @ k.numpy()
        np.testing.assert_allclose(out.numpy(), expected, rtol=1e-4, atol=1e-5)
    causal = scaled_dot_product_attention(q, k, k, is_causal=True)
    np.testing.assert_allclose(scaled_dot_product_attention(q, k, k, upper).numpy(), causal.numpy(), rtol=1e-5)


def test_invalid_causal_masks_are_rejected():
    for call in (bias.causal_upper_left, bias.causal_lower_right):
        with pytest.raises(AssertionError, match="only support 2D"):
            call(2, 3, 4)
    with pytest.raises(AssertionError, match="variant must be a CausalVariant"):
        bias.CausalBias(1, 2, 3)
