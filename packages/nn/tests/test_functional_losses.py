"""Loss functions, one line each, compared with a formula. test_losses.py tests the layers."""

import math

import numpy as np
import pytest
import scipy.spatial
import scipy.special

import flambeau as fb
from flambeau import nn
from flambeau.autograd import gradcheck, gradgradcheck
from flambeau.nn import functional as F

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((2, 5, 3))
P, Q = RNG.uniform(0.05, 0.95, (2, 5, 3))
SIGNS = np.where(RNG.random((5, 3)) < 0.5, -1.0, 1.0)
COUNTS = RNG.integers(0, 6, (5, 3)).astype(float)
LABELS = np.array([0, 2, 1, 1, 0])
SEVERAL = np.array([[2, 0, -1], [-1, 1, 2], [1, -1, 0], [0, 1, 2], [0, -1, -1]])
A, B, C = RNG.standard_normal((3, 5, 4))
D = np.abs(X - Y)


def distance(a, b):
    return np.linalg.norm(a - b + 1e-6, axis=-1)


def cosine(a, b):
    return (a * b).sum(-1) / np.sqrt(((a * a).sum(-1) + 1e-12) * ((b * b).sum(-1) + 1e-12))


def multi_margin(x, labels, p=1, margin=1.0, weight=None):
    out = []
    for row, y in zip(x, labels, strict=True):
        terms = [
            max(0, margin - row[y] + row[j]) ** p * (1 if weight is None else weight[y]) for j in range(3) if j != y
        ]
        out.append(sum(terms) / 3)
    return np.array(out)


def multilabel_margin(x, labels):
    out = []
    for row, targets in zip(x, labels, strict=True):
        own = []
        for t in targets:
            if t < 0:
                break
            own.append(t)
        out.append(sum(max(0, 1 - row[y] + row[j]) for y in own for j in range(3) if j not in own) / 3)
    return np.array(out)


WEIGHTS = RNG.random(3)
STIRLING = np.where(
    COUNTS > 1, COUNTS * np.log(np.maximum(COUNTS, 1)) - COUNTS + 0.5 * np.log(2 * np.pi * np.maximum(COUNTS, 1)), 0
)
# name: (call, operands, the value of every element)
LOSSES = {
    "l1": (F.l1_loss, (X, Y), D),
    "mse": (F.mse_loss, (X, Y), D**2),
    "smooth_l1": (
        lambda x, y, **o: F.smooth_l1_loss(x, y, beta=0.7, **o),
        (X, Y),
        np.where(D < 0.7, D**2 / 1.4, D - 0.35),
    ),
    "smooth_l1 of 0": (lambda x, y, **o: F.smooth_l1_loss(x, y, beta=0.0, **o), (X, Y), D),
    "huber": (lambda x, y, **o: F.huber_loss(x, y, delta=0.7, **o), (X, Y), scipy.special.huber(0.7, D)),
    "binary": (F.binary_cross_entropy, (P, Q), -(Q * np.log(P) + (1 - Q) * np.log(1 - P))),
    "logits": (F.binary_cross_entropy_with_logits, (X, Q), np.logaddexp(0, -X) + (1 - Q) * X),
    "logits, weighted": (
        lambda x, y, **o: F.binary_cross_entropy_with_logits(x, y, pos_weight=fb.tensor(WEIGHTS), **o),
        (X, Q),
        (1 + (WEIGHTS - 1) * Q) * np.logaddexp(0, -X) + (1 - Q) * X,
    ),
    "kl": (F.kl_div, (X, P), scipy.special.xlogy(P, P) - P * X),
    "kl of logarithms": (lambda x, y, **o: F.kl_div(x, y, log_target=True, **o), (X, Y), np.exp(Y) * (Y - X)),
    "poisson": (F.poisson_nll_loss, (X, COUNTS), np.exp(X) - COUNTS * X),
    "poisson of rates": (
        lambda x, y, **o: F.poisson_nll_loss(x, y, log_input=False, **o),
        (P, COUNTS),
        P - COUNTS * np.log(P + 1e-8),
    ),
    "poisson, full": (
        lambda x, y, **o: F.poisson_nll_loss(x, y, full=True, **o),
        (X, COUNTS),
        np.exp(X) - COUNTS * X + STIRLING,
    ),
    "gaussian": (F.gaussian_nll_loss, (X, Y, P), 0.5 * (np.log(P) + D**2 / P)),
    "gaussian, full": (
        lambda x, y, v, **o: F.gaussian_nll_loss(x, y, v, full=True, **o),
        (X, Y, P[:, :1]),
        0.5 * (np.log(P[:, :1]) + D**2 / P[:, :1]) + 0.5 * math.log(2 * math.pi),
    ),
    "hinge embedding": (F.hinge_embedding_loss, (X, SIGNS), np.where(SIGNS == 1, X, np.maximum(0, 1 - X))),
    "soft margin": (F.soft_margin_loss, (X, SIGNS), np.logaddexp(0, -SIGNS * X)),
    "margin ranking": (
        lambda a, b, y, **o: F.margin_ranking_loss(a, b, y, 0.5, **o),
        (X, Y, SIGNS),
        np.maximum(0, -SIGNS * (X - Y) + 0.5),
    ),
    "cosine embedding": (
        lambda a, b, y, **o: F.cosine_embedding_loss(a, b, y, 0.1, **o),
        (A, B, SIGNS[:, 0]),
        np.where(SIGNS[:, 0] == 1, 1 - cosine(A, B), np.maximum(0, cosine(A, B) - 0.1)),
    ),
    "triplet": (F.triplet_margin_loss, (A, B, C), np.maximum(0, distance(A, B) - distance(A, C) + 1)),
    "triplet, swapped": (
        lambda a, b, c, **o: F.triplet_margin_loss(a, b, c, swap=True, **o),
        (A, B, C),
        np.maximum(0, distance(A, B) - np.minimum(distance(A, C), distance(B, C)) + 1),
    ),
    "triplet with distance": (
        lambda a, b, c, **o: F.triplet_margin_with_distance_loss(
            a, b, c, distance_function=lambda p, q: (p - q).abs().sum(-1), **o
        ),
        (A, B, C),
        np.maximum(0, np.abs(A - B).sum(-1) - np.abs(A - C).sum(-1) + 1),
    ),
    "multi margin": (F.multi_margin_loss, (X, LABELS), multi_margin(X, LABELS)),
    "multi margin, squared": (
        lambda x, y, **o: F.multi_margin_loss(x, y, 2, 0.5, fb.tensor(WEIGHTS), **o),
        (X, LABELS),
        multi_margin(X, LABELS, 2, 0.5, WEIGHTS),
    ),
    "multilabel margin": (F.multilabel_margin_loss, (X, SEVERAL), multilabel_margin(X, SEVERAL)),
    "multilabel soft margin": (
        F.multilabel_soft_margin_loss,
        (X, Q),
        (np.logaddexp(0, -X) + (1 - Q) * X).mean(-1),
    ),
    "cross entropy": (F.cross_entropy, (X, LABELS), -scipy.special.log_softmax(X, 1)[range(5), LABELS]),
    "nll": (F.nll_loss, (X, LABELS), -X[range(5), LABELS]),
    "linear cross entropy": (
        lambda x, y, **o: F.linear_cross_entropy(x, fb.tensor(B[:3, :3]), y, linear_bias=fb.tensor(WEIGHTS), **o),
        (X, LABELS),
        -scipy.special.log_softmax(X @ B[:3, :3].T + WEIGHTS, 1)[range(5), LABELS],
    ),
}


def linear_cross_entropy():
    layer = nn.LinearCrossEntropyLoss(3, 3, bias=True, dtype=fb.float64)
    layer.load_state_dict({"linear.weight": fb.tensor(B[:3, :3]), "linear.bias": fb.tensor(WEIGHTS)})
    return layer


# The layers of some of these losses; test_losses.py has the others.
LAYERS = {
    "smooth_l1": nn.SmoothL1Loss(beta=0.7),
    "huber": nn.HuberLoss(delta=0.7),
    "kl": nn.KLDivLoss(),
    "poisson": nn.PoissonNLLLoss(),
    "gaussian": nn.GaussianNLLLoss(),
    "hinge embedding": nn.HingeEmbeddingLoss(),
    "soft margin": nn.SoftMarginLoss(),
    "margin ranking": nn.MarginRankingLoss(0.5),
    "cosine embedding": nn.CosineEmbeddingLoss(0.1),
    "triplet": nn.TripletMarginLoss(),
    "triplet with distance": nn.TripletMarginWithDistanceLoss(distance_function=lambda p, q: (p - q).abs().sum(-1)),
    "multi margin": nn.MultiMarginLoss(),
    "multilabel margin": nn.MultiLabelMarginLoss(),
    "multilabel soft margin": nn.MultiLabelSoftMarginLoss(),
    "linear cross entropy": linear_cross_entropy(),
}


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("name", LOSSES)
def test_losses_equal_their_definitions(name):
    call, operands, want = LOSSES[name]
    tensors = [fb.tensor(a) for a in operands]
    np.testing.assert_allclose(call(*tensors, reduction="none").numpy(), want, rtol=1e-10, atol=1e-12)
    assert call(*tensors, reduction="sum").item() == pytest.approx(want.sum())
    assert call(*tensors).item() == pytest.approx(want.mean())
    with pytest.raises(ValueError, match="median"):
        call(*tensors, reduction="median")


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("name", LAYERS)
def test_layers_have_the_values_of_their_functions(name):
    _, operands, want = LOSSES[name]
    assert LAYERS[name](*map(fb.tensor, operands)).item() == pytest.approx(want.mean())


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("name", LOSSES)
def test_losses_pass_gradcheck(name):
    call, operands, _ = LOSSES[name]
    fixed = {"hinge embedding", "soft margin", "margin ranking", "cosine embedding", "poisson", "poisson, full"}
    fixed |= {"poisson of rates"}
    tensors = [fb.tensor(a) for a in operands]
    for i, t in enumerate(tensors):
        if t.dtype.is_floating_point and not (name in fixed and i == len(tensors) - 1):
            t.requires_grad_()
    assert gradcheck(call, tensors)
    assert gradgradcheck(call, tensors)


@pytest.mark.parametrize(("name", "normalized"), [("l1", True), ("mse", True), ("huber", False)])
def test_weighted_losses_divide_by_the_sum_of_weights(name, normalized):
    call, operands, want = LOSSES[name]
    weight = RNG.random(want.shape)
    got = call(*map(fb.tensor, operands), weight=fb.tensor(weight)).item()
    assert got == pytest.approx((want * weight).sum() / (weight.sum() if normalized else weight.size))


def test_deprecated_reduction_arguments_of_losses_warn_and_select_the_reduction():
    x, y = fb.tensor(X), fb.tensor(Y)
    for options, want in (
        ({"size_average": False}, D.sum()),
        ({"size_average": True}, D.mean()),
        ({"reduce": False}, D),
        ({"reduce": True}, D.mean()),
    ):
        with pytest.warns(UserWarning, match="reduction="):
            np.testing.assert_allclose(F.l1_loss(x, y, **options).numpy(), want)


def test_kl_div_with_reduction_batchmean_divides_by_the_batch_size():
    want = (scipy.special.xlogy(P, P) - P * X).sum() / 5
    assert F.kl_div(fb.tensor(X), fb.tensor(P), reduction="batchmean").item() == pytest.approx(want)
    with pytest.warns(UserWarning, match="'batchmean' divides only by the batch size"):
        assert F.kl_div(fb.tensor(X), fb.tensor(P)).item() == pytest.approx(want * 5 / X.size)


def test_binary_cross_entropy_of_certain_predictions_is_finite():
    p = fb.tensor([0.0, 1.0, 0.0, 1.0]).requires_grad_()
    loss = F.binary_cross_entropy(p, fb.tensor([0.0, 1.0, 1.0, 0.0]), reduction="none")
    assert loss.tolist() == [0, 0, 100, 100]
    loss.sum().backward()
    assert bool(p.grad.isfinite().all())
    assert F.binary_cross_entropy_with_logits(fb.tensor([1000.0, -1000.0]), fb.tensor([1.0, 0.0])).item() == 0


def test_cross_entropy_supports_label_smoothing_and_class_probabilities():
    x, shares = RNG.standard_normal((2, 3, 4)), RNG.dirichlet(np.ones(3), (2, 4)).transpose(0, 2, 1)
    labels, logs = RNG.integers(0, 3, (2, 4)), scipy.special.log_softmax(x, 1)
    hit = np.eye(3)[labels].transpose(0, 2, 1)
    for target, chances in ((labels, hit), (shares, shares)):
        smooth = chances * 0.8 + 0.2 / 3
        got = F.cross_entropy(fb.tensor(x), fb.tensor(target), label_smoothing=0.2, reduction="none")
        np.testing.assert_allclose(got.numpy(), -(logs * smooth).sum(1), atol=1e-12)
    ignoring = labels.copy()
    ignoring[0, :2] = -100
    kept = ignoring >= 0
    got = F.cross_entropy(fb.tensor(x), fb.tensor(ignoring)).item()
    assert got == pytest.approx(-(logs * hit).sum(1)[kept].mean())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: F.binary_cross_entropy(x, x[:2]), ValueError, "size"),
        (lambda x: F.binary_cross_entropy(x + 2, x), RuntimeError, "between 0 and 1"),
        (lambda x: F.binary_cross_entropy_with_logits(x, x[:2]), ValueError, "size"),
        (lambda x: F.smooth_l1_loss(x, x, beta=-1.0), RuntimeError, "negative"),
        (lambda x: F.huber_loss(x, x, delta=0.0), RuntimeError, "non-positive"),
        (lambda x: F.gaussian_nll_loss(x, x, -x - 1), ValueError, "negative"),
        (lambda x: F.gaussian_nll_loss(x, x, x[:, :2]), ValueError, "incorrect size"),
        (lambda x: F.margin_ranking_loss(x, x, x[0]), RuntimeError, "same dimension"),
        (lambda x: F.triplet_margin_loss(x, x, x, margin=0), ValueError, "greater than 0"),
        (lambda x: F.triplet_margin_loss(x, x, x[0]), RuntimeError, "same number of dimensions"),
        (lambda x: F.cosine_embedding_loss(x, x, x), RuntimeError, "target"),
        (lambda x: F.multi_margin_loss(x, fb.tensor([0, 1, 2]), p=3), ValueError, "p == 1 and p == 2"),
        (lambda x: F.multi_margin_loss(x, fb.tensor([0])), RuntimeError, "inconsistent"),
        (lambda x: F.multi_margin_loss(x, fb.tensor([0, 1, 3])), RuntimeError, "out of range"),
        (lambda x: F.multi_margin_loss(x, fb.tensor([0, 1, 2]).int()), RuntimeError, "expected scalar type Long"),
        (lambda x: F.multilabel_margin_loss(x, fb.tensor([[0, 1, 2]])), RuntimeError, "inconsistent"),
        (lambda x: F.multilabel_margin_loss(x, fb.zeros_like(x)), RuntimeError, "expected scalar type Long"),
        (lambda x: F.cross_entropy(x, fb.tensor([0, 1, 3])), IndexError, "3"),
        (lambda x: F.linear_cross_entropy(x, x[:, :2], fb.tensor([0, 1, 2])), RuntimeError, "in_features"),
    ],
)
def test_losses_reject_invalid_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call(fb.full((3, 3), 0.5))


# Distances


def test_pairwise_distance_pdist_and_cosine_similarity_match_numpy():
    np.testing.assert_allclose(F.pairwise_distance(fb.tensor(A), fb.tensor(B)).numpy(), distance(A, B))
    np.testing.assert_allclose(F.pdist(fb.tensor(A), 3).numpy(), scipy.spatial.distance.pdist(A, "minkowski", p=3))
    want = (A * B).sum(0) / np.linalg.norm(A, axis=0) / np.linalg.norm(B, axis=0)
    np.testing.assert_allclose(F.cosine_similarity(fb.tensor(A), fb.tensor(B), 0).numpy(), want)
    assert F.cosine_similarity(fb.zeros(3), fb.ones(3), 0).item() == 0
    assert fb.equal(nn.PairwiseDistance()(fb.tensor(A), fb.tensor(B)), F.pairwise_distance(fb.tensor(A), fb.tensor(B)))
    np.testing.assert_allclose(nn.CosineSimilarity(0)(fb.tensor(A), fb.tensor(B)).numpy(), want)
    a, b = fb.tensor(A[:2]).requires_grad_(), fb.tensor(B[:2]).requires_grad_()
    for call in (F.pairwise_distance, F.cosine_similarity):
        assert gradcheck(call, (a, b))
        assert gradgradcheck(call, (a, b))


@pytest.mark.parametrize("dtype", [fb.float16, fb.bfloat16])
def test_the_multilabel_soft_margin_of_half_precision_is_rounded_once(dtype):
    x, y, w = (fb.from_numpy(np.random.default_rng(i).standard_normal((5, 5))).to(dtype) for i in range(3))
    want = F.multilabel_soft_margin_loss(x.float(), y.float(), w.float(), reduction="none").to(dtype)
    assert F.multilabel_soft_margin_loss(x, y, w, reduction="none").equal(want)


@pytest.mark.parametrize("shape", [(), (3,), (1, 3)])
def test_multi_margin_loss_without_reduction_has_the_shape_of_the_target(shape):
    for target in (fb.tensor(0), fb.tensor([0])):
        assert F.multi_margin_loss(fb.ones(shape), target, reduction="none").shape == target.shape


@pytest.mark.parametrize("shift", [0.0, 100.0, 1e4, 1e6])
def test_the_gradient_of_cross_entropy_does_not_depend_on_a_shift_of_the_logits(shift):
    logits = fb.tensor([[1.0, 2.0, 3.0], [0.0, 5.0, 1.0]])
    shifted = (logits + shift).requires_grad_()
    labels = fb.tensor([0, 2])
    F.cross_entropy(shifted, labels, reduction="sum").backward()
    want = scipy.special.softmax(logits.double().numpy(), 1) - np.eye(3)[[0, 2]]
    np.testing.assert_allclose(shifted.grad.numpy(), want, rtol=1e-6, atol=1e-7)


def test_the_gradient_of_cross_entropy_is_correct_for_many_positions():
    logits = fb.randn(2, 5, 300, dtype=fb.float64, requires_grad=True)
    labels = fb.randint(0, 5, (2, 300))
    F.cross_entropy(logits, labels).backward()
    want = (scipy.special.softmax(logits.detach().numpy(), 1) - np.eye(5)[labels.numpy()].transpose(0, 2, 1)) / 600
    np.testing.assert_allclose(logits.grad.numpy(), want, atol=1e-12)
