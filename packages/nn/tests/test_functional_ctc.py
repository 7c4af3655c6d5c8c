"""CTC loss, compared with the sum over all alignments."""

import itertools

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.autograd import gradcheck
from flambeau.nn import functional as F

RNG = np.random.default_rng(0)


def likelihood(probabilities, target, blank):
    """Sum the probabilities of all paths that collapse to the target."""
    total = 0.0
    steps, classes = probabilities.shape
    for path in itertools.product(range(classes), repeat=steps):
        labels = [c for i, c in enumerate(path) if c != blank and (i == 0 or path[i - 1] != c)]
        if labels == list(target):
            total += np.prod([probabilities[t, c] for t, c in enumerate(path)])
    return total


@pytest.mark.parametrize("blank", [0, 2])
def test_ctc_loss_sums_over_all_alignments(blank):
    steps, batch, classes = 5, 4, 3
    logits = RNG.standard_normal((steps, batch, classes))
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    others = [c for c in range(classes) if c != blank]
    targets = [[others[0], others[1]], [others[1], others[1]], [others[0]], []]
    lengths = [5, 4, 3, 2]
    want = np.array([-np.log(likelihood(probabilities[:n, i], targets[i], blank)) for i, n in enumerate(lengths)])
    padded = fb.tensor([t + [others[0]] * (2 - len(t)) for t in targets])
    joined = fb.tensor([label for t in targets for label in t])
    sizes = [len(t) for t in targets]
    logs = fb.tensor(np.log(probabilities))
    for target in (padded, joined):
        got = F.ctc_loss(logs, target, lengths, sizes, blank, "none")
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-10)
    by_tensor = F.ctc_loss(logs, padded, fb.tensor(lengths), fb.tensor(sizes), blank, "none")
    assert fb.equal(by_tensor, got)
    mean = F.ctc_loss(logs, padded, lengths, sizes, blank).item()
    assert mean == pytest.approx((want / np.maximum(sizes, 1)).mean())
    assert F.ctc_loss(logs, padded, lengths, sizes, blank, "sum").item() == pytest.approx(want.sum())
    assert nn.CTCLoss(blank, "sum")(logs, padded, lengths, sizes).item() == pytest.approx(want.sum())
    alone = F.ctc_loss(logs[:, 0], padded[0], [5], [2], blank, "none")
    assert alone.shape == () and alone.item() == pytest.approx(want[0])


def test_ctc_loss_passes_gradcheck():
    logits = fb.tensor(RNG.standard_normal((6, 3, 4))).requires_grad_()
    target = fb.tensor([[1, 2, 2], [3, 1, 0], [1, 0, 0]])

    def call(x):
        return F.ctc_loss(x.log_softmax(-1), target, [6, 5, 2], [3, 2, 1], reduction="none")

    assert gradcheck(call, (logits,))


def test_ctc_loss_of_targets_without_an_alignment_is_infinite():
    logs = fb.zeros(2, 1, 3).log_softmax(-1).requires_grad_()
    target = fb.tensor([[1, 1]])  # needs at least three steps, because a blank must separate the labels
    assert F.ctc_loss(logs, target, [2], [2]).item() == float("inf")
    loss = F.ctc_loss(logs, target, [2], [2], zero_infinity=True)
    loss.backward()
    assert loss.item() == 0 and logs.grad.count_nonzero().item() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_lengths": [3]}, "at most 2"),
        ({"input_lengths": [2, 2]}, "batch_size"),
        ({"target_lengths": [3]}, "at least 3"),
        ({"target_lengths": [-1]}, "at least 0"),
        ({"blank": 3}, "blank"),
        ({"targets": fb.tensor([[5, 1]])}, "out of range"),
        ({"targets": fb.tensor([1, 2, 1])}, "do not add up"),
        ({"targets": fb.zeros(1, 2)}, "integers"),
        ({"log_probs": fb.zeros(2, 1, 3, dtype=fb.int64)}, "floating"),
    ],
)
def test_ctc_loss_rejects_invalid_arguments(options, message):
    arguments = {
        "log_probs": fb.zeros(2, 1, 3),
        "targets": fb.tensor([[1, 2]]),
        "input_lengths": [2],
        "target_lengths": [2],
    } | options
    with pytest.raises(RuntimeError, match=message):
        F.ctc_loss(**arguments)


@pytest.mark.parametrize("name", ["input_lengths", "target_lengths"])
def test_ctc_loss_rejects_one_length_for_a_batch(name):
    arguments = {"input_lengths": [2], "target_lengths": [2]} | {name: 2}
    with pytest.raises(TypeError, match=rf"ctc_loss: {name} must hold one length for each sample .* write \[2\]"):
        F.ctc_loss(fb.zeros(2, 1, 3), fb.tensor([[1, 2]]), **arguments)


def ctc_of(scores, labels):
    return F.ctc_loss(scores.unsqueeze(1).log_softmax(2), labels.unsqueeze(0), (4,), (2,)).sum()


def test_changing_ctc_labels_before_backward_raises():
    scores, labels = fb.arange(12.0).view(4, 3).sin().requires_grad_(), fb.tensor([1, 2])
    loss = ctc_of(scores, labels)
    labels.fill_(10**7)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    with fb.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t if t.dtype is not fb.int64 else t + 10**7):
        loss = ctc_of(scores, fb.tensor([1, 2]))
    with pytest.raises(RuntimeError, match="out of range"):
        loss.backward()
