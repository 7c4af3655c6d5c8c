"""Attention, transformers and embeddings, compared with NumPy, and their masks."""

import numpy as np
import pytest
import scipy.special

import flambeau as fb
from flambeau import nn

random = np.random.default_rng(5)


def attend(state, query, key, value, heads, hidden=None):
    """Compute multi-head attention of (L, E), one head after the other. ``hidden``, (L, S), is True for masked keys."""
    width = query.shape[1]
    if "in_proj_weight" in state:
        projections = np.split(state["in_proj_weight"], 3)
    else:
        projections = [state[f"{name}_proj_weight"] for name in "qkv"]
    biases = np.split(state["in_proj_bias"], 3)
    q, k, v = (x @ w.T + b for x, w, b in zip((query, key, value), projections, biases, strict=True))
    outputs, weights = [], []
    for part in np.split(np.arange(width), heads):
        scores = q[:, part] @ k[:, part].T / np.sqrt(width / heads)
        weights.append(scipy.special.softmax(scores if hidden is None else np.where(hidden, -np.inf, scores), axis=1))
        outputs.append(weights[-1] @ v[:, part])
    return np.concatenate(outputs, 1) @ state["out_proj.weight"].T + state["out_proj.bias"], np.mean(weights, 0)


def randomized(module):
    """Set the module's parameters to random values. Return the module and the values."""
    module.double()
    for parameter in module.parameters():
        parameter.data = fb.from_numpy(random.standard_normal(tuple(parameter.shape)))
    return module, {name: p.detach().numpy() for name, p in module.named_parameters()}


@pytest.mark.parametrize("sizes", [{}, {"kdim": 3, "vdim": 5}])
@pytest.mark.parametrize("batch_first", [False, True])
def test_multi_head_attention_matches_numpy(sizes, batch_first):
    module, state = randomized(nn.MultiheadAttention(4, 2, batch_first=batch_first, **sizes))
    query, key, value = (random.standard_normal((n, 2, e)) for n, e in ((3, 4), (5, module.kdim), (5, module.vdim)))
    hidden = random.uniform(size=(3, 5)) < 0.3
    hidden[:, 0] = False
    inputs = [fb.from_numpy(x.swapaxes(0, 1).copy() if batch_first else x) for x in (query, key, value)]
    output, weights = module(*inputs, attn_mask=fb.from_numpy(hidden))
    output = output.transpose(0, 1) if batch_first else output
    for n in range(2):
        expected, chances = attend(state, query[:, n], key[:, n], value[:, n], 2, hidden)
        np.testing.assert_allclose(output[:, n].detach().numpy(), expected, rtol=1e-10)
        np.testing.assert_allclose(weights[n].detach().numpy(), chances, rtol=1e-10)
        alone, _ = module(
            *(fb.from_numpy(x[:, n].copy()) for x in (query, key, value)), attn_mask=fb.from_numpy(hidden)
        )
        np.testing.assert_allclose(alone.detach().numpy(), expected, rtol=1e-10)
    assert module(*inputs, need_weights=False)[1] is None


def test_padding_does_not_change_results():
    module, _ = randomized(nn.MultiheadAttention(4, 2, batch_first=True))
    x = fb.from_numpy(random.standard_normal((1, 5, 4)))
    padding = fb.tensor([[False, False, False, True, True]])
    for weights in (True, False):
        padded, _ = module(x, x, x, key_padding_mask=padding, need_weights=weights)
        shorter, _ = module(x, x[:, :3], x[:, :3], need_weights=weights)
        np.testing.assert_allclose(padded.detach().numpy(), shorter.detach().numpy(), rtol=1e-10)


def test_add_bias_kv_and_add_zero_attn_add_two_keys():
    module, _ = randomized(nn.MultiheadAttention(4, 2, add_bias_kv=True, add_zero_attn=True))
    x = fb.from_numpy(random.standard_normal((3, 2, 4)))
    assert tuple(module(x, x, x)[1].shape) == (2, 3, 5)


def layer_norm(x, state, name):
    normal = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return normal * state[f"{name}.weight"] + state[f"{name}.bias"]


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("decodes", [False, True])
def test_transformer_layers_match_numpy(norm_first, decodes):
    kind = nn.TransformerDecoderLayer if decodes else nn.TransformerEncoderLayer
    module, state = randomized(kind(4, 2, 6, dropout=0.0, norm_first=norm_first))
    x, memory = random.standard_normal((3, 4)), random.standard_normal((5, 4))

    def attention(name, source=None):
        own = {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(name)}
        return lambda x: attend(own, x, *((x, x) if source is None else (source, source)), 2)[0]

    def feed_forward(x):
        middle = np.maximum(x @ state["linear1.weight"].T + state["linear1.bias"], 0)
        return middle @ state["linear2.weight"].T + state["linear2.bias"]

    expected = x
    parts = [attention("self_attn"), *([attention("multihead_attn", memory)] if decodes else []), feed_forward]
    for number, part in enumerate(parts, 1):
        if norm_first:
            expected = expected + part(layer_norm(expected, state, f"norm{number}"))
        else:
            expected = layer_norm(expected + part(expected), state, f"norm{number}")
    given = [fb.from_numpy(x), *([fb.from_numpy(memory)] if decodes else [])]
    np.testing.assert_allclose(module(*given).detach().numpy(), expected, rtol=1e-9)


def test_causal_models_do_not_depend_on_later_positions():
    fb.manual_seed(0)
    model = nn.Transformer(8, 2, 1, 2, 16, dropout=0.0, batch_first=True)
    source, target = fb.randn(2, 5, 8), fb.randn(2, 4, 8)
    mask = nn.Transformer.generate_square_subsequent_mask(4)
    before = model(source, target, tgt_mask=mask, tgt_is_causal=True)
    target[:, 2:] = 0
    after = model(source, target, tgt_mask=mask, tgt_is_causal=True)
    np.testing.assert_allclose(after[:, :2].detach().numpy(), before[:, :2].detach().numpy(), rtol=1e-5)
    assert abs(after[:, 2:] - before[:, 2:]).max() > 1e-3


@pytest.mark.parametrize("kind", [nn.Embedding, nn.EmbeddingBag])
def test_a_subclass_of_embedding_can_initialise_the_table_and_clear_the_padding_row(kind):
    class Ones(kind):
        def reset_parameters(self):
            nn.init.ones_(self.weight)
            self._fill_padding_idx_with_zero()

    assert Ones(3, 2, padding_idx=1).weight.tolist() == [[1, 1], [0, 0], [1, 1]]
    assert Ones(2, 1).weight.tolist() == [[1], [1]]


def test_embedding_selects_rows_and_rejects_invalid_indices():
    table = nn.Embedding(5, 3, padding_idx=-4)
    assert repr(table) == "Embedding(5, 3, padding_idx=1)"
    assert table.weight[1].tolist() == [0, 0, 0]
    indices = fb.tensor([[0, 1], [4, 0]])
    output = table(indices)
    np.testing.assert_array_equal(output.detach().numpy(), table.weight.detach().numpy()[indices.numpy()])
    output.sum().backward()
    assert table.weight.grad.sum(1).tolist() == [6, 0, 0, 0, 3]
    given = fb.arange(6.0).reshape(3, 2)
    frozen = nn.Embedding.from_pretrained(given)
    assert not frozen.weight.requires_grad
    assert frozen(fb.tensor(2)).tolist() == [4, 5]
    with pytest.raises(IndexError):
        table(fb.tensor([5]))
    with pytest.raises(AssertionError, match="padding_idx must be within num_embeddings"):
        nn.Embedding(5, 3, padding_idx=5)


def test_embedding_bag_from_pretrained_sums_rows_without_padding():
    given = fb.arange(6.0).reshape(3, 2)
    bag = nn.EmbeddingBag.from_pretrained(given, mode="sum", padding_idx=0)
    assert repr(bag) == "EmbeddingBag(3, 2, mode='sum', padding_idx=0)"
    assert bag(fb.tensor([0, 1, 2, 2]), fb.tensor([0, 2])).tolist() == [[2, 3], [8, 10]]
    assert not bag.weight.requires_grad
    assert nn.EmbeddingBag.from_pretrained(given, freeze=False).weight.requires_grad


def test_adaptive_softmax_gives_probabilities_with_the_sum_one():
    fb.manual_seed(0)
    layer = nn.AdaptiveLogSoftmaxWithLoss(8, 12, [3, 7], div_value=2.0, dtype=fb.float64)
    x, target = fb.randn(20, 8, dtype=fb.float64), fb.arange(20) % 12
    output, loss = layer(x, target)
    chances = layer.log_prob(x).detach().numpy()
    np.testing.assert_allclose(np.exp(chances).sum(1), 1, rtol=1e-12)
    np.testing.assert_allclose(output.detach().numpy(), chances[np.arange(20), target.numpy()], rtol=1e-10)
    assert loss.item() == pytest.approx(-output.mean().item())
    assert layer.predict(x).tolist() == chances.argmax(1).tolist()
    loss.backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())
    with pytest.raises(RuntimeError, match=r"in \[0, 11\], but values in range \[0, 12\]"):
        layer(x[:2], fb.tensor([0, 12]))
    with pytest.raises(ValueError, match="cutoffs"):
        nn.AdaptiveLogSoftmaxWithLoss(8, 12, [7, 3])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.MultiheadAttention(5, 2), AssertionError, "embed_dim must be divisible by num_heads"),
        (lambda: nn.MultiheadAttention(0, 2), ValueError, "must be greater than 0"),
        (lambda: nn.TransformerEncoderLayer(4, 2, activation="sin"), RuntimeError, "relu/gelu, not sin"),
        (
            lambda: nn.Transformer(4, 2, 1, 1, 4)(fb.zeros(3, 2, 4), fb.zeros(3, 1, 4)),
            RuntimeError,
            "batch number of src and tgt must be equal",
        ),
        (
            lambda: nn.Transformer(4, 2, 1, 1, 4)(fb.zeros(3, 2, 4), fb.zeros(3, 2, 5)),
            RuntimeError,
            r"equal to d_model \(4\)",
        ),
    ],
)
def test_attention_layers_reject_invalid_inputs(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("masks", "error", "message"),
    [
        ({"attn_mask": fb.ones(2, 2)}, RuntimeError, r"2D attn_mask is \[2, 2\], but should be \[3, 4\]"),
        ({"attn_mask": fb.ones(2, 3, 3)}, RuntimeError, r"3D attn_mask is \[2, 3, 3\], but should end with \[3, 4\]"),
        ({"key_padding_mask": fb.ones(1, 3)}, AssertionError, r"shape of \[1, 4\], .*, but got \[1, 3\]"),
    ],
)
def test_attention_masks_of_wrong_shape_raise(masks, error, message):
    query, memory = fb.ones(3, 1, 4), fb.ones(4, 1, 4)
    with pytest.raises(error, match=message):
        nn.MultiheadAttention(4, 2)(query, memory, memory, **masks)


def test_a_mask_with_a_wrong_number_of_heads_is_rejected():
    x = fb.ones(3, 4)
    with pytest.raises(AssertionError, match=r"Expected `attn_mask` shape to be \[2, 3, 3\] but got \[5, 3, 3\]"):
        nn.MultiheadAttention(4, 2)(x, x, x, attn_mask=fb.ones(5, 3, 3))


def test_keys_and_values_of_different_lengths_are_rejected():
    x, longer = fb.zeros(2, 1, 4), fb.zeros(3, 1, 4)
    with pytest.raises(AssertionError, match=r"key shape \[3, 1, 4\] does not match value shape \[2, 1, 4\]"):
        nn.MultiheadAttention(4, 2)(x, longer, x)
    with pytest.raises(AssertionError, match="does not match"):
        nn.MultiheadAttention(4, 2, kdim=4, vdim=5)(x, longer, fb.zeros(2, 1, 5))


@pytest.mark.parametrize("norm_first", [False, True])
def test_blocks_of_transformer_layers_can_be_overridden(norm_first):
    class Silent(nn.TransformerEncoderLayer):
        def _sa_block(self, x, attn_mask, key_padding_mask, is_causal=False):
            return fb.zeros_like(x)

        def _ff_block(self, x):
            return fb.zeros_like(x)

    class Deaf(nn.TransformerDecoderLayer):
        def _mha_block(self, x, mem, attn_mask, key_padding_mask, is_causal=False):
            return fb.zeros_like(x)

    x = fb.randn(5, 2, 8)
    layer = Silent(8, 2, 16, dropout=0, norm_first=norm_first)
    expected = x if norm_first else layer.norm2(layer.norm1(x))
    assert fb.equal(layer(x), expected)
    decoder = Deaf(8, 2, 16, dropout=0, norm_first=norm_first)
    assert fb.equal(decoder(x, fb.zeros(3, 2, 8)), decoder(x, fb.ones(3, 2, 8)))


@pytest.mark.parametrize(("padding", "is_zero"), [([0, 0, 1], True), ([1, 0, 0], False)])
def test_encoders_in_evaluation_mode_return_zero_at_padding_at_the_end(padding, is_zero):
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2).eval()
    mask = fb.tensor([padding, [0, 0, 0]]).bool()
    x = fb.randn(2, 3, 4)
    with fb.no_grad():
        result = encoder(x, src_key_padding_mask=mask)
        without_nested = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
        without_nested.load_state_dict(encoder.state_dict())
        plain = without_nested(x, src_key_padding_mask=mask)
    assert bool((result[mask] == 0).all()) is is_zero and not (plain[mask] == 0).any()
    assert fb.equal(result[~mask], plain[~mask])
    assert fb.equal(encoder(x, src_key_padding_mask=mask), plain)  # the parameters require gradients
