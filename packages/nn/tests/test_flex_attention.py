"""Attention with score functions and block masks, compared with NumPy."""

import numpy as np
import pytest

import flambeau as fb
from flambeau.autograd import gradcheck, gradgradcheck
from flambeau.nn.attention.flex_attention import (
    AuxRequest,
    BlockMask,
    and_masks,
    create_block_mask,
    create_mask,
    flex_attention,
    noop_mask,
    or_masks,
)

RNG = np.random.default_rng(0)
BATCHES, HEADS, LENGTH, KEYS = 2, 4, 21, 27
Q, K, V = (RNG.standard_normal((BATCHES, HEADS, n, w)) for n, w in ((LENGTH, 5), (KEYS, 5), (KEYS, 3)))
BIAS = RNG.standard_normal((HEADS, LENGTH + KEYS))
DOCUMENTS = np.arange(KEYS) // 6
PLACES = np.ogrid[:BATCHES, :HEADS, :LENGTH, :KEYS]

MASKS = {  # the function, and the number of heads that it is made for
    "none": (None, None),
    "causal": (lambda b, h, q, kv: q >= kv, None),
    "window": (lambda b, h, q, kv: (q >= kv) & (q - kv < 5), None),
    "documents": (lambda b, h, q, kv: fb.tensor(DOCUMENTS)[q] == fb.tensor(DOCUMENTS)[kv], None),
    "by head": (lambda b, h, q, kv: (q + h) % 3 >= kv % 3, HEADS),
    "blind queries": (lambda b, h, q, kv: q > kv + 8, None),
    "far keys": (lambda b, h, q, kv: (kv < 4) | (kv > 22), None),
}
SCORES = {
    "none": (None, lambda s, b, h, q, kv: s),
    "slopes": (lambda s, b, h, q, kv: s + (kv - q) * 2.0**-h, lambda s, b, h, q, kv: s + (kv - q) * 2.0**-h),
    "distances": (
        lambda s, b, h, q, kv: s + fb.tensor(BIAS)[h, q - kv + KEYS],
        lambda s, b, h, q, kv: s + BIAS[h, q - kv + KEYS],
    ),
    "soft limit": (lambda s, b, h, q, kv: 3 * fb.tanh(s / 3), lambda s, b, h, q, kv: 3 * np.tanh(s / 3)),
    "by batch": (lambda s, b, h, q, kv: s * (1 + b), lambda s, b, h, q, kv: s * (1 + b)),
}
SEEN = {
    "none": lambda b, h, q, kv: np.ones((1, 1, LENGTH, KEYS), bool),
    "documents": lambda b, h, q, kv: DOCUMENTS[q] == DOCUMENTS[kv],
    **{name: MASKS[name][0] for name in ("causal", "window", "by head", "blind queries", "far keys")},
}


def want(mask, score, scale=5**-0.5):
    """Return the expected output, log-sum-exp and maximum of the scores."""
    scores = SCORES[score][1](np.einsum("bhqe,bhke->bhqk", Q, K) * scale, *PLACES)
    scores = np.where(SEEN[mask](*PLACES), scores, -np.inf)
    largest = scores.max(-1)
    shifted = np.exp(scores - np.where(np.isinf(largest), 0, largest)[..., None])
    sums = shifted.sum(-1)
    weights = shifted / np.where(sums == 0, 1, sums)[..., None]
    with np.errstate(divide="ignore"):
        return np.einsum("bhqk,bhkv->bhqv", weights, V), np.log(sums) + np.where(sums == 0, 0, largest), largest


def block_mask(name, size=(4, 8)):
    function, heads = MASKS[name]
    return function and create_block_mask(function, None, heads, LENGTH, KEYS, device="cpu", BLOCK_SIZE=size)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("mask", MASKS)
def test_flex_attention_equals_its_definition(mask, score):
    q, k, v = map(fb.tensor, (Q, K, V))
    output, lse, largest = want(mask, score)
    got = flex_attention(q, k, v, SCORES[score][0], block_mask(mask))
    np.testing.assert_allclose(got.numpy(), output, rtol=1e-10, atol=1e-12)
    got, aux = flex_attention(q, k, v, SCORES[score][0], block_mask(mask), return_aux=AuxRequest(True, True))
    for one, expected in zip((got, *aux), (output, lse, largest), strict=True):
        np.testing.assert_allclose(one.numpy(), expected, rtol=1e-10, atol=1e-12)


def test_flex_attention_shares_heads_and_batches():
    q, k, v = map(fb.tensor, (Q, K[:, :2], V[:, :2]))
    mask = create_block_mask(MASKS["causal"][0], BATCHES, None, LENGTH, KEYS, device="cpu", BLOCK_SIZE=8)
    got = flex_attention(q, k, v, block_mask=mask, enable_gqa=True)
    every = flex_attention(q, k.repeat_interleave(2, 1), v.repeat_interleave(2, 1), block_mask=mask)
    assert fb.equal(got, every)
    shared, lse = flex_attention(q, k[:1], v[:1], block_mask=mask, enable_gqa=True, return_lse=True)
    assert fb.allclose(shared[0], got[0]) and lse.shape == (BATCHES, HEADS, LENGTH)


@pytest.mark.parametrize("dtype", [fb.float32, fb.float16, fb.bfloat16])
def test_flex_attention_supports_several_dtypes(dtype):
    got = flex_attention(*(fb.tensor(a, dtype=dtype) for a in (Q, K, V)), SCORES["slopes"][0], block_mask("causal"))
    assert got.dtype is dtype
    tolerance = {fb.float32: 1e-5, fb.float16: 3e-3, fb.bfloat16: 3e-2}[dtype]
    np.testing.assert_allclose(got.double().numpy(), want("causal", "slopes")[0], atol=tolerance)


def test_flex_attention_passes_gradcheck():
    q, k, v, bias = (fb.tensor(RNG.standard_normal(s), requires_grad=True) for s in ((1, 2, 5, 3),) * 3 + ((5, 5),))
    mask = create_block_mask(lambda b, h, i, j: i > j, None, None, 5, 5, device="cpu", BLOCK_SIZE=2)

    def call(q, k, v, bias):
        return flex_attention(q, k, v, lambda s, b, h, i, j: s + bias[i, j], mask)

    assert gradcheck(call, (q, k, v, bias))
    assert gradgradcheck(call, (q, k, v, bias))
    assert gradcheck(lambda q, k, v: flex_attention(q, k, v, block_mask=mask), (q, k, v))


def test_create_block_mask_lists_partial_and_full_blocks():
    mask = create_block_mask(lambda b, h, q, kv: q >= kv, 2, 3, 256, 384, device="cpu")
    assert mask.shape == (2, 3, 256, 384) and mask.numel() == 2 * 3 * 256 * 384
    assert mask.kv_num_blocks.shape == (2, 3, 2) and mask.kv_indices.shape == (2, 3, 2, 3)
    assert mask.kv_num_blocks[0, 0].tolist() == [1, 1] and mask.full_kv_num_blocks[0, 0].tolist() == [0, 1]
    assert mask.q_num_blocks[0, 0].tolist() == [1, 1, 0] and mask.full_q_num_blocks[0, 0].tolist() == [1, 0, 0]
    assert mask.to_dense()[1, 2].tolist() == [[1, 0, 0], [1, 1, 0]]
    assert mask.sparsity() == pytest.approx(50.0)
    together = create_block_mask(lambda b, h, q, kv: q >= kv, 2, 3, 256, 384, device="cpu", separate_full_blocks=False)
    assert together.full_kv_num_blocks is None and together.kv_num_blocks[0, 0].tolist() == [1, 2]
    assert fb.equal(together.to_dense(), mask.to_dense())


def test_blocks_not_listed_in_a_block_mask_are_masked():
    """Check that blocks that are not listed are masked, and that full blocks ignore the mask function."""
    q, k, v = (fb.tensor(a[..., :16, :]) for a in (Q, K, V))
    partial = fb.tensor([[[1, 1]]]), fb.tensor([[[[0, 1], [1, 0]]]])
    full = fb.tensor([[[0, 1]]]), fb.tensor([[[[0, 1], [0, 1]]]])
    mask = BlockMask.from_kv_blocks(*partial, *full, BLOCK_SIZE=8, mask_mod=lambda b, h, q, kv: q >= kv)
    seen = fb.ones(16, 16, dtype=fb.bool).tril()
    seen[8:, :8] = True
    expected = fb.nn.functional.scaled_dot_product_attention(q, k, v, seen)
    assert fb.allclose(flex_attention(q, k, v, block_mask=mask), expected)
    assert BlockMask.from_kv_blocks(fb.tensor([[[1]]]), fb.tensor([[[[0]]]])).mask_mod is noop_mask


def test_a_block_mask_can_be_indexed_and_resized():
    mask = create_block_mask(lambda b, h, q, kv: q >= kv, 2, 3, 256, 256, device="cpu")
    assert mask[0].shape == (1, 3, 256, 256) and mask[:, 1:, 1].kv_num_blocks.tolist() == [[[1]] * 2] * 2
    with pytest.raises(RuntimeError, match="sliced BlockMask"):
        mask[0].mask_mod(*[fb.tensor(0)] * 4)
    corner = mask._adjust(128, 200)
    assert corner.shape == (2, 3, 128, 200) and corner.to_dense()[0, 0].tolist() == [[1, 0]]
    assert fb.equal(mask.to("cpu").kv_indices, mask.kv_indices)
    assert len(mask.as_tuple()) == 13 and len(mask.as_tuple(flatten=False)) == 11


def test_and_masks_and_or_masks_combine_mask_functions():
    window = and_masks(MASKS["causal"][0], MASKS["window"][0])
    places = np.ogrid[:LENGTH, :KEYS]
    near = (places[0] >= places[1]) & (places[0] - places[1] < 5)
    assert np.array_equal(create_mask(window, None, None, LENGTH, KEYS, device="cpu")[0, 0].numpy(), near)
    either = or_masks(MASKS["window"][0], MASKS["far keys"][0])
    expected = near | (places[1] < 4) | (places[1] > 22)
    assert np.array_equal(create_mask(either, 1, 1, LENGTH, KEYS, device="cpu")[0, 0].numpy(), expected)
    of_scores = create_mask(lambda s, b, h, q, kv: s.masked_fill(q < kv, -np.inf), 1, 1, 2, 2, device="cpu")
    assert of_scores[0, 0].tolist() == [[True, False], [True, True]]


def test_str_of_a_block_mask_draws_its_blocks():
    mask = create_block_mask(lambda b, h, q, kv: q >= kv, 1, 2, 384, 384, device="cpu")
    picture = "░░\n██░░\n████░░"
    assert str(mask) == f"BlockMask(shape=(1, 2, 384, 384), sparsity=33.33%,\n{picture}\n\n{picture}\n)"
    assert mask.to_string(limit=1).endswith("...")


WITHOUT_FIRST_HEAD = {"query": Q[:, 1:], "key": K[:, 1:], "value": V[:, 1:]}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"query": Q[0]}, NotImplementedError, r"\[B, H, L, E\], got shapes \[4, 21, 5\]"),
        ({"query": Q[..., :4]}, ValueError, "E=4 and E=5"),
        ({"query": Q.astype("float32")}, ValueError, "same dtype.*float32"),
        ({"value": V[:, :, 1:]}, ValueError, "same shape except for the last dimension"),
        ({"key": K[:, :2], "value": V[:, :2]}, ValueError, "Hq=4 and Hkv=2. Try setting enable_gqa=True"),
        ({"key": K[:, :3], "value": V[:, :3], "enable_gqa": True}, ValueError, "multiple.*Hq=4 and Hkv=3"),
        ({"key": K[:1], "value": V[:1]}, ValueError, "Bq=2 and Bkv=1"),
        ({"query": Q[:, :, 1:], "block_mask": block_mask("causal")}, ValueError, "q_len=20 and kv_len=27"),
        ({**WITHOUT_FIRST_HEAD, "block_mask": block_mask("by head")}, ValueError, "4 heads"),
        ({"return_lse": True, "return_aux": AuxRequest(lse=True)}, ValueError, "not both"),
    ],
)
def test_flex_attention_rejects_invalid_arguments(change, error, message):
    given = {"query": Q, "key": K, "value": V, **change}
    with pytest.raises(error, match=message):
        flex_attention(
            **{name: fb.tensor(each) if isinstance(each, np.ndarray) else each for name, each in given.items()}
        )


def test_block_masks_reject_invalid_arguments():
    with pytest.raises(AssertionError, match="mask_mod"):
        create_block_mask(lambda s, b, h, q, kv: s, 1, 1, 4, 4, device="cpu")
    with pytest.raises(RuntimeError, match="at least 2 dimensions"):
        BlockMask.from_kv_blocks(fb.tensor(1), fb.tensor([0]))
    with pytest.raises(AssertionError, match="both provided"):
        BlockMask.from_kv_blocks(fb.tensor([1]), fb.tensor([[0]]), fb.tensor([1]))
    with pytest.raises(RuntimeError, match="callable"):
        and_masks(3)
