"""The value and gradient of every loss, compared with NumPy. To test another loss, add a row to LOSSES."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.special

import flambeau as fb
from flambeau import nn

STEP = 1e-5
random = np.random.default_rng(3)
LOGITS = random.standard_normal((6, 4))
CLASSES = np.array([0, 3, 1, 2, 1, 0])
IGNORING = np.array([0, 3, -100, 2, 1, -100])
IMAGES = random.standard_normal((2, 3, 2, 2))
PIXELS = random.integers(0, 3, (2, 2, 2))
SHARES = random.dirichlet(np.ones(4), 6)
WEIGHT = np.array([0.5, 1.0, 2.0, 0.25])
PREDICTED, WANTED = random.standard_normal((2, 5, 3))
CHANCES, HITS = random.uniform(0.01, 0.99, (2, 5, 3))


def reduced(losses, reduction):
    return {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](losses)


def nll(x, target, weight=None, ignore=-100, reduction="mean"):
    """Compute the negative log-likelihood with plain loops; x is (N, C, ...)."""
    weight = np.ones(x.shape[1]) if weight is None else weight
    losses, weights = np.zeros(target.shape), np.zeros(target.shape)
    for place in np.ndindex(target.shape):
        label = target[place]
        if label != ignore:
            weights[place] = weight[label]
            losses[place] = -weight[label] * x[(place[0], label, *place[1:])]
    return losses.sum() / weights.sum() if reduction == "mean" else reduced(losses, reduction)


def cross_entropy(x, target, **options):
    return nll(scipy.special.log_softmax(x, axis=1), target, **options)


def soft_cross_entropy(x, target, reduction="mean"):
    return reduced(-(target * scipy.special.log_softmax(x, axis=1)).sum(1), reduction)


def smoothed(classes, amount, count=4):
    return (1 - amount) * np.eye(count)[classes] + amount / count


def bce(p, y, weight=1.0, reduction="mean"):
    return reduced(-weight * (y * np.log(p) + (1 - y) * np.log1p(-p)), reduction)


def bce_of_logits(x, y, pos_weight=1.0):
    return np.mean(pos_weight * y * np.logaddexp(0, -x) + (1 - y) * np.logaddexp(0, x))


class Loss(NamedTuple):
    name: str
    module: nn.Module
    input: np.ndarray
    target: np.ndarray
    reference: Callable[..., Any]


def weights(values=WEIGHT):
    return fb.from_numpy(values.copy())


LOSSES = [
    Loss("cross entropy", nn.CrossEntropyLoss(), LOGITS, CLASSES, cross_entropy),
    Loss("one sample", nn.CrossEntropyLoss(), LOGITS[0], CLASSES[0], lambda x, y: cross_entropy(x[None], y[None])),
    Loss("images", nn.CrossEntropyLoss(), IMAGES, PIXELS, cross_entropy),
    Loss("ignoring", nn.CrossEntropyLoss(), LOGITS, IGNORING, cross_entropy),
    Loss(
        "weighted",
        nn.CrossEntropyLoss(weights()),
        LOGITS,
        IGNORING,
        lambda x, y: cross_entropy(x, y, weight=WEIGHT),
    ),
    Loss(
        "another ignored class",
        nn.CrossEntropyLoss(ignore_index=1, reduction="sum"),
        LOGITS,
        CLASSES,
        lambda x, y: cross_entropy(x, y, ignore=1, reduction="sum"),
    ),
    Loss(
        "each",
        nn.CrossEntropyLoss(weights(), reduction="none"),
        LOGITS,
        CLASSES,
        lambda x, y: cross_entropy(x, y, weight=WEIGHT, reduction="none"),
    ),
    Loss(
        "smoothed",
        nn.CrossEntropyLoss(label_smoothing=0.2),
        LOGITS,
        CLASSES,
        lambda x, y: soft_cross_entropy(x, smoothed(y, 0.2)),
    ),
    Loss("soft targets", nn.CrossEntropyLoss(), LOGITS, SHARES, soft_cross_entropy),
    Loss("nll", nn.NLLLoss(), LOGITS, CLASSES, nll),
    Loss("nll of images", nn.NLLLoss2d(), IMAGES, PIXELS, nll),
    Loss(
        "nll weighted",
        nn.NLLLoss(weights(WEIGHT[:3])),
        IMAGES,
        PIXELS,
        lambda x, y: nll(x, y, weight=WEIGHT[:3]),
    ),
    Loss("mse", nn.MSELoss(), PREDICTED, WANTED, lambda x, y: np.mean((x - y) ** 2)),
    Loss("mse sum", nn.MSELoss(reduction="sum"), PREDICTED, WANTED, lambda x, y: np.sum((x - y) ** 2)),
    Loss("mse each", nn.MSELoss(reduction="none"), PREDICTED, WANTED, lambda x, y: (x - y) ** 2),
    Loss("l1", nn.L1Loss(), PREDICTED, WANTED, lambda x, y: np.mean(abs(x - y))),
    Loss("l1 sum", nn.L1Loss(reduction="sum"), PREDICTED, WANTED, lambda x, y: np.sum(abs(x - y))),
    Loss("bce", nn.BCELoss(), CHANCES, HITS, bce),
    Loss(
        "bce weighted",
        nn.BCELoss(weights(WEIGHT[:3]), reduction="sum"),
        CHANCES,
        HITS,
        lambda x, y: bce(x, y, weight=WEIGHT[:3], reduction="sum"),
    ),
    Loss("bce of logits", nn.BCEWithLogitsLoss(), PREDICTED, HITS, bce_of_logits),
    Loss("bce of middling logits", nn.BCEWithLogitsLoss(), 12 * PREDICTED, HITS, bce_of_logits),
    Loss("bce of large logits", nn.BCEWithLogitsLoss(), 1e3 * PREDICTED, HITS, bce_of_logits),
    Loss(
        "bce of logits weighted",
        nn.BCEWithLogitsLoss(pos_weight=weights(WEIGHT[:3])),
        PREDICTED,
        HITS,
        lambda x, y: bce_of_logits(x, y, pos_weight=WEIGHT[:3]),
    ),
]

each_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)


def tensors(loss):
    return fb.from_numpy(loss.input.copy()).requires_grad_(), fb.from_numpy(np.array(loss.target))


@each_loss
def test_loss_layers_have_correct_values(loss):
    out = loss.module(*tensors(loss)).detach().numpy()
    expected = loss.reference(loss.input, loss.target)
    assert out.shape == np.shape(expected)
    np.testing.assert_allclose(out, expected, rtol=1e-12)


@each_loss
def test_loss_layers_have_correct_gradients(loss):
    x, target = tensors(loss)
    loss.module(x, target).sum().backward()
    expected = np.empty_like(loss.input)
    step = STEP * max(1.0, abs(loss.input).max())
    for place in np.ndindex(loss.input.shape):
        moved = [loss.input.copy(), loss.input.copy()]
        moved[0][place] += step
        moved[1][place] -= step
        above, below = (np.sum(loss.reference(each, loss.target)) for each in moved)
        expected[place] = (above - below) / (2 * step)
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-6, atol=1e-8)


def test_bce_with_logits_has_the_correct_gradient_at_zero():
    logits = fb.zeros(2, requires_grad=True)
    nn.BCEWithLogitsLoss(reduction="sum")(logits, fb.tensor([0.0, 1.0])).backward()
    np.testing.assert_allclose(logits.grad.numpy(), [0.5, -0.5])


def test_bce_of_certain_predictions_is_finite():
    certain = fb.tensor([0.0, 1.0, 0.0, 1.0], requires_grad=True)
    losses = nn.BCELoss(reduction="none")(certain, fb.tensor([0.0, 1.0, 1.0, 0.0]))
    np.testing.assert_array_equal(losses.detach().numpy(), [0, 0, 100, 100])
    losses.sum().backward()
    assert np.isfinite(certain.grad.numpy()).all()


@pytest.mark.parametrize("kind", [nn.MSELoss, nn.L1Loss])
def test_losses_reject_sizes_that_would_broadcast(kind):
    with pytest.raises(ValueError, match=r"target size \[3, 1\] .*input size \[3\] .*\[3, 3\].*reshape"):
        kind()(fb.zeros(3), fb.zeros(3, 1))


@pytest.mark.parametrize("kind", [nn.MSELoss, nn.L1Loss])
def test_losses_warn_of_a_target_that_is_broadcast(kind):
    with pytest.warns(UserWarning, match=r"target size \[1\] .*input size \[3\]"):
        kind()(fb.zeros(3), fb.zeros(1))


@pytest.mark.parametrize("kind", [nn.BCELoss, nn.BCEWithLogitsLoss])
def test_losses_reject_targets_of_another_size(kind):
    with pytest.raises(ValueError, match=r"Target size \[3, 1\] must be the same as input size \[3\]"):
        kind()(fb.zeros(3), fb.zeros(3, 1))


def test_losses_reject_an_unknown_reduction():
    with pytest.raises(ValueError, match="average is not a valid value for reduction"):
        nn.MSELoss(reduction="average")


def test_class_weights_of_losses_are_buffers():
    loss = nn.CrossEntropyLoss(fb.ones(3)).double()
    assert loss.weight.dtype == fb.float64
    assert list(loss.state_dict()) == ["weight"]


def test_the_default_distance_of_a_triplet_loss_is_a_module():
    loss = nn.TripletMarginWithDistanceLoss()
    assert type(loss.distance_function) is nn.PairwiseDistance
    assert repr(loss) == "TripletMarginWithDistanceLoss(\n  (distance_function): PairwiseDistance()\n)"
