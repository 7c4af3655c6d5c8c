"""Embeddings with sparse gradients."""

import gc
import weakref

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn

F = nn.functional
TABLE = np.random.default_rng(0).normal(size=(6, 3))
INPUT = fb.tensor([[1, 2], [2, 4]])


def weight():
    return nn.Parameter(fb.tensor(TABLE))


def factors(shape):
    return fb.arange(float(np.prod(shape)), dtype=fb.float64).reshape(shape)


def run(call, w):
    """Return the gradient of a weighted sum of ``call(w)``."""
    result = call(w)
    (result * factors(result.shape)).sum().backward()
    return w.grad


CALLS = {
    "embedding": lambda w, s: F.embedding(INPUT, w, sparse=s),
    "padding": lambda w, s: F.embedding(INPUT, w, padding_idx=2, sparse=s),
    "bags": lambda w, s: F.embedding_bag(INPUT, w, mode="sum", sparse=s),
    "means": lambda w, s: F.embedding_bag(INPUT, w, mode="mean", sparse=s),
    "padded means": lambda w, s: F.embedding_bag(INPUT, w, mode="mean", padding_idx=2, sparse=s),
    "offsets": lambda w, s: F.embedding_bag(INPUT.reshape(-1), w, fb.tensor([0, 1, 1]), mode="mean", sparse=s),
    "last offset": lambda w, s: F.embedding_bag(
        INPUT.reshape(-1), w, fb.tensor([0, 3, 4]), include_last_offset=True, mode="sum", sparse=s
    ),
    "indices in no bag": lambda w, s: F.embedding_bag(
        INPUT.reshape(-1), w, fb.tensor([0, 2, 3]), include_last_offset=True, mode="mean", padding_idx=2, sparse=s
    ),
    "weighted": lambda w, s: F.embedding_bag(
        INPUT, w, mode="sum", per_sample_weights=fb.tensor([[0.5, 2.0], [1.0, 3.0]], dtype=fb.float64), sparse=s
    ),
    "two lookups": lambda w, s: F.embedding(INPUT, w, sparse=s) + F.embedding(INPUT.t(), w, sparse=s),
}


@pytest.mark.parametrize("name", CALLS)
def test_sparse_embedding_gradients_equal_dense_gradients(name):
    dense, sparse = (run(lambda w, s=s: CALLS[name](w, s), weight()) for s in (False, True))
    assert sparse.layout is fb.sparse_coo and (sparse.sparse_dim(), sparse.dense_dim()) == (1, 1)
    assert sparse._nnz() <= 8 and set(sparse._indices()[0].tolist()) <= {1, 2, 4}
    np.testing.assert_allclose(sparse.to_dense().numpy(), dense.numpy(), rtol=1e-12)


def test_per_sample_weights_of_sparse_bags_have_gradients():
    gradients = []
    for sparse in (False, True):
        given = fb.tensor([[0.5, 2.0], [1.0, 3.0]], dtype=fb.float64, requires_grad=True)
        run(lambda w: F.embedding_bag(INPUT, w, mode="sum", per_sample_weights=given, sparse=sparse), weight())  # noqa: B023
        gradients.append(given.grad.numpy())
    np.testing.assert_allclose(gradients[1], gradients[0], rtol=1e-12)


def test_sparse_gradients_of_several_backward_passes_are_summed():
    w, once = weight(), run(lambda w: F.embedding(INPUT, w, sparse=True), weight()).to_dense()
    for count in (1, 2, 3):
        run(lambda w: F.embedding(INPUT, w, sparse=True), w)
        assert w.grad.is_sparse
        np.testing.assert_allclose(w.grad.to_dense().numpy(), count * once.numpy())
    run(lambda w: w, w)
    assert not w.grad.is_sparse
    np.testing.assert_allclose(w.grad.numpy(), 3 * once.numpy() + factors((6, 3)).numpy())
    former = w.grad
    run(lambda w: F.embedding(INPUT, w, sparse=True), w)
    assert w.grad is former
    np.testing.assert_allclose(w.grad.numpy(), 4 * once.numpy() + factors((6, 3)).numpy())


def test_another_use_of_the_weight_makes_its_gradient_dense():
    w = weight()
    once = run(lambda w: F.embedding(INPUT, w, sparse=True), weight()).to_dense()
    for _ in range(2):
        w.grad = None
        looked_up = F.embedding(INPUT, w, sparse=True)
        ((looked_up * factors(looked_up.shape)).sum() + (w * w).sum()).backward()
        assert not w.grad.is_sparse
        np.testing.assert_allclose(w.grad.numpy(), once.numpy() + 2 * TABLE)


def test_autograd_grad_returns_a_sparse_gradient():
    w = weight()
    w.grad = kept = fb.ones_like(w)
    (gradient,) = fb.autograd.grad(F.embedding(INPUT, w, sparse=True).sum(), w)
    assert gradient.is_sparse and gradient.coalesce().values()[:, 0].tolist() == [1, 2, 1]
    assert w.grad is kept and w.grad.sum() == 18


def test_non_leaf_embedding_weights_get_a_dense_gradient():
    w = weight()
    assert not run(lambda w: F.embedding(INPUT, 2 * w, sparse=True), w).is_sparse


def test_hooks_receive_the_sparse_gradient_of_an_embedding():
    table, seen = nn.Embedding(6, 3, sparse=True), []
    table.weight.register_hook(lambda g: seen.append(g.is_sparse) or g * 2)
    table.weight.register_post_accumulate_grad_hook(lambda w: seen.append(w.grad is None))
    table(INPUT).sum().backward()
    assert seen == [True, False]
    assert table.weight.grad.is_sparse and table.weight.grad.to_dense()[2].tolist() == [4, 4, 4]


def test_a_failed_backward_pass_keeps_no_sparse_rows():
    class Fails(fb.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, grad):
            raise ArithmeticError("no derivative")

    w = weight()
    first = w * 1
    broken = Fails.apply(first)
    with pytest.raises(ArithmeticError):
        (broken.sum() + F.embedding(INPUT, w, sparse=True).sum()).backward()
    assert w.grad is None
    F.embedding(INPUT, w, sparse=True).sum().backward()
    assert w.grad.to_dense().sum() == 12


def test_embedding_weights_are_freed():
    table = nn.Embedding(6, 3, sparse=True)
    for _ in range(2):
        table(INPUT).sum().backward()
    gradient, kept = weakref.ref(table.weight.grad), weakref.ref(table.weight)
    del table
    gc.collect()
    assert kept() is None and gradient() is None


@pytest.mark.parametrize("kind", [nn.Embedding, nn.EmbeddingBag])
def test_embedding_layers_with_sparse_true_have_sparse_gradients(kind):
    layer = kind(6, 3, sparse=True)
    layer(INPUT).sum().backward()
    assert layer.weight.grad.is_sparse and layer.weight.grad._nnz() == 4
    layer.zero_grad()
    assert layer.weight.grad is None
    with fb.no_grad():
        assert not layer(INPUT).requires_grad
    assert "sparse=True" in repr(layer) or kind is nn.EmbeddingBag


def test_clip_grad_norm_scales_sparse_gradients():
    table = nn.Embedding(6, 3, sparse=True)
    table(INPUT).sum().backward()
    norm = nn.utils.clip_grad_norm_(table.parameters(), 1.0)
    np.testing.assert_allclose(norm.item(), np.sqrt(3 * (1 + 4 + 1)), rtol=1e-6)
    assert table.weight.grad.is_sparse
    np.testing.assert_allclose(table.weight.grad.norm().item(), 1, rtol=1e-5)


def test_sparse_embeddings_reject_unsupported_options():
    w = weight()
    with pytest.raises(RuntimeError, match="scale_grad_by_freq not supported with sparse gradients"):
        F.embedding(INPUT, w, scale_grad_by_freq=True, sparse=True).sum().backward()
    with pytest.raises(NotImplementedError, match="Own: not implemented for tensors of a sparse layout"):
        type("Own", (nn.Parameter,), {})(fb.ones(2, 2).to_sparse())


def test_a_module_can_have_a_sparse_buffer():
    layer = nn.Linear(3, 2)
    layer.register_buffer("adjacency", fb.sparse_coo_tensor([[0, 1], [1, 0]], [1.0, 2.0], (2, 2)))
    layer.double()
    assert layer.adjacency.dtype is fb.float64 and "adjacency" in layer.state_dict()
    other = nn.Linear(3, 2)
    other.register_buffer("adjacency", fb.sparse_coo_tensor((2, 2)))
    other.load_state_dict(layer.state_dict())
    assert other.adjacency.to_dense().tolist() == [[0, 1], [2, 0]] and other.adjacency.dtype is fb.float32
