"""Losses against their definitions in NumPy."""

import itertools

import numpy as np
import pytest
from scipy import special

import flambeau as fb

RNG = np.random.default_rng(0)


def reduced(losses, weights, reduction):
    if reduction == "none":
        return losses
    return losses.sum() / weights if reduction == "mean" else losses.sum()


def nll(log_p, target, weight, ignore, reduction):
    """Return the negative log-likelihood loss. The mean is divided by the sum of the weights that are not ignored."""
    classes = log_p.shape[1]
    w = np.ones(classes) if weight is None else weight
    valid = target != ignore
    safe = np.where(valid, target, 0)
    picked = np.take_along_axis(log_p, np.expand_dims(safe, 1), 1).squeeze(1)
    each = np.where(valid, w[safe], 0)
    return reduced(-picked * each, each.sum(), reduction)


def cross_entropy(x, target, weight=None, ignore=-100, reduction="mean", smoothing=0.0):
    log_p, classes = special.log_softmax(x, 1), x.shape[1]
    w = np.ones(classes) if weight is None else weight
    column = w.reshape(1, -1, *[1] * (x.ndim - 2))
    if target.dtype.kind == "f":
        p = target * (1 - smoothing) + smoothing / classes
        return reduced(-(log_p * p * column).sum(1), x.size / classes, reduction)
    valid = target != ignore
    each = np.where(valid, w[np.where(valid, target, 0)], 0)
    smooth = reduced(np.where(valid, -(log_p * column).sum(1), 0), each.sum(), reduction)
    return nll(log_p, target, weight, ignore, reduction) * (1 - smoothing) + smooth * smoothing / classes


CASES = list(
    itertools.product([(6, 4), (3, 4, 5), (2, 3, 4, 2)], ["none", "mean", "sum"], [False, True], [False, True])
)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "reduction", "weighted", "ignoring"), CASES)
def test_cross_entropy_with_class_indices_matches_numpy(shape, reduction, weighted, ignoring, dtype):
    x = (RNG.standard_normal(shape) * 5).astype(dtype)
    target = RNG.integers(0, shape[1], (shape[0], *shape[2:]))
    ignore = -100
    if ignoring:
        ignore = 1
        target.ravel()[0] = 1
    weight = RNG.random(shape[1]).astype(dtype) if weighted else None
    tensors = fb.tensor(x), fb.tensor(target), None if weight is None else fb.tensor(weight)
    close = {"rtol": 2e-5, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-12}
    for smoothing in (0.0, 0.1, 1.0):
        want = cross_entropy(x.astype(np.float64), target, weight, ignore, reduction, smoothing)
        got = fb.cross_entropy(*tensors, ignore_index=ignore, reduction=reduction, label_smoothing=smoothing)
        assert got.dtype is getattr(fb, dtype)
        np.testing.assert_allclose(got.numpy(), want, **close)
    log_p = special.log_softmax(x.astype(np.float64), 1).astype(dtype)
    got = fb.nll_loss(fb.tensor(log_p), *tensors[1:], ignore_index=ignore, reduction=reduction)
    np.testing.assert_allclose(got.numpy(), nll(log_p.astype(np.float64), target, weight, ignore, reduction), **close)


@pytest.mark.parametrize(("shape", "reduction", "weighted", "smoothing"), [(*c[:3], 0.1 * c[3]) for c in CASES])
def test_cross_entropy_with_class_probabilities_matches_numpy(shape, reduction, weighted, smoothing):
    x = RNG.standard_normal(shape) * 5
    p = special.softmax(RNG.standard_normal(shape), 1)
    weight = RNG.random(shape[1]) if weighted else None
    want = cross_entropy(x, p, weight, -100, reduction, smoothing)
    got = fb.cross_entropy(
        fb.tensor(x),
        fb.tensor(p),
        None if weight is None else fb.tensor(weight),
        reduction=reduction,
        label_smoothing=smoothing,
    )
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-12)


def test_cross_entropy_and_nll_loss_accept_a_sample_without_a_batch():
    x = RNG.standard_normal(5)
    got = fb.cross_entropy(fb.tensor(x), fb.tensor(3))
    assert got.item() == pytest.approx(-special.log_softmax(x)[3])
    assert fb.nll_loss(fb.tensor(x), fb.tensor(3)).item() == pytest.approx(-x[3])


def test_cross_entropy_of_extreme_logits_is_exact():
    x = fb.tensor([[1000.0, 0.0], [0.0, -1000.0], [-np.inf, 0.0]])
    assert fb.cross_entropy(x, fb.tensor([0, 0, 1]), reduction="none").tolist() == [0, 0, 0]
    assert fb.cross_entropy(x, fb.tensor([1, 1, 1]), reduction="none").tolist() == [1000, 1000, 0]


def test_cross_entropy_without_counted_elements_is_nan():
    x = fb.zeros(2, 3)
    assert np.isnan(fb.cross_entropy(x, fb.tensor([-100, -100])).item())
    assert fb.cross_entropy(x, fb.tensor([-100, -100]), reduction="sum").item() == 0
    assert np.isnan(fb.cross_entropy(fb.zeros(0, 3), fb.zeros(0, dtype=fb.int64)).item())


def test_cross_entropy_in_half_precision_is_close_to_numpy():
    x = RNG.standard_normal((5, 7)).astype(np.float16)
    target = RNG.integers(0, 7, 5)
    got = fb.cross_entropy(fb.tensor(x), fb.tensor(target))
    assert got.dtype is fb.float16
    assert got.item() == pytest.approx(cross_entropy(x.astype(float), target), rel=3e-3)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_mse_loss_matches_numpy(reduction, dtype):
    a, b = RNG.standard_normal((4, 5)).astype(dtype), RNG.standard_normal((4, 5)).astype(dtype)
    want = reduced((a.astype(np.float64) - b) ** 2, a.size, reduction)
    got = fb.mse_loss(fb.tensor(a), fb.tensor(b), reduction=reduction)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-5)


SWAPPED = r"for 'int64': input and target look swapped; .*int64 and shape \[2\], .*float32 and shape \[2, 3\]"


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: fb.cross_entropy(fb.zeros(2, 3), fb.tensor([0, 5])),
            IndexError,
            "Target 5 is out of bounds.*3 classes",
        ),
        (lambda: fb.cross_entropy(fb.zeros(2, 3), fb.tensor([0, -1])), IndexError, "Target -1"),
        (lambda: fb.nll_loss(fb.zeros(2, 3), fb.tensor([0, 5])), IndexError, "Target 5"),
        (lambda: fb.nll_loss(fb.zeros(2, 3, dtype=fb.int8), fb.tensor([0, 1])), NotImplementedError, "nll_loss.*int8"),
        (lambda: fb.cross_entropy(fb.tensor([0, 1]), fb.zeros(2, 3)), NotImplementedError, SWAPPED),
        (lambda: fb.nll_loss(fb.tensor([0, 1]), fb.zeros(2, 3)), NotImplementedError, SWAPPED),
        (lambda: fb.cross_entropy(fb.ones(2, 3).long(), fb.zeros(2, 3)), NotImplementedError, "look swapped"),
        (
            lambda: fb.cross_entropy(fb.zeros(2, 3), fb.tensor([0, 1, 2])),
            ValueError,
            r"\(2\).*\(3\).*\[2, 3\] and \[3\]",
        ),
        (
            lambda: fb.cross_entropy(fb.zeros(2, 3, 4), fb.zeros(2, 5, dtype=fb.int64)),
            RuntimeError,
            r"\[2, 4\].*\[2, 5\]",
        ),
        (lambda: fb.cross_entropy(fb.zeros(2, 3), fb.zeros(2, 4)), RuntimeError, r"\[2, 3\].*\[2, 4\]"),
        (lambda: fb.cross_entropy(fb.zeros(2, 3), fb.tensor([0, 1], dtype=fb.int16)), RuntimeError, "int16"),
        (lambda: fb.cross_entropy(fb.zeros(2, 3, dtype=fb.int64), fb.tensor([0, 1])), RuntimeError, "int64"),
        (lambda: fb.cross_entropy(fb.zeros(2, 3), fb.tensor([0, 1]), fb.ones(4)), RuntimeError, r"3 classes.*\[4\]"),
        (lambda: fb.cross_entropy(fb.zeros(2, 3), fb.tensor([0, 1]), reduction="avg"), ValueError, "avg"),
        (lambda: fb.cross_entropy(fb.zeros(2, 3), fb.tensor([0, 1]), label_smoothing=1.5), RuntimeError, "1.5"),
        (lambda: fb.cross_entropy(fb.tensor(1.0), fb.tensor(0)), ValueError, "dimensions"),
        (lambda: fb.mse_loss(fb.zeros(2, 3), fb.zeros(4, 3)), RuntimeError, r"\[2, 3\] and \[4, 3\]"),
        (lambda: fb.mse_loss(fb.tensor([1]), fb.tensor([2])), RuntimeError, "int64"),
    ],
)
def test_losses_reject_invalid_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_cross_entropy_of_one_sample_accepts_a_one_element_target(reduction):
    x = fb.tensor([1.0, 3.0, 2.0])
    for loss in (fb.nll_loss, fb.cross_entropy):
        alone = loss(x, fb.tensor(1), reduction=reduction)
        assert loss(x, fb.tensor([1]), reduction=reduction).tolist() == alone.tolist() and alone.dim() == 0
