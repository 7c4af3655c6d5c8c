"""One step of recurrent networks against NumPy."""

import numpy as np
import pytest

import flambeau as fb

RNG = np.random.default_rng(0)
X, H, C = RNG.standard_normal((3, 5)), RNG.standard_normal((3, 4)), RNG.standard_normal((3, 4))


def weights(gates):
    shapes = (gates * 4, 5), (gates * 4, 4), (gates * 4,), (gates * 4,)
    return [RNG.standard_normal(s) for s in shapes]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gates(w_ih, w_hh, b_ih, b_hh, count):
    return np.split(X @ w_ih.T + b_ih, count, 1), np.split(H @ w_hh.T + b_hh, count, 1)


@pytest.mark.parametrize(
    ("cell", "function"), [("rnn_tanh_cell", np.tanh), ("rnn_relu_cell", lambda x: np.maximum(x, 0))]
)
def test_rnn_equals_its_definition(cell, function):
    w = weights(1)
    (x,), (h,) = gates(*w, 1)
    got = getattr(fb, cell)(fb.tensor(X), fb.tensor(H), *map(fb.tensor, w))
    np.testing.assert_allclose(got.numpy(), function(x + h))


def test_lstm_equals_its_definition():
    w = weights(4)
    x, h = gates(*w, 4)
    i, f, g, o = (a + b for a, b in zip(x, h, strict=True))
    cell = sigmoid(f) * C + sigmoid(i) * np.tanh(g)
    got = fb.lstm_cell(fb.tensor(X), (fb.tensor(H), fb.tensor(C)), *map(fb.tensor, w))
    np.testing.assert_allclose(got[1].numpy(), cell)
    np.testing.assert_allclose(got[0].numpy(), sigmoid(o) * np.tanh(cell))


def test_gru_equals_its_definition():
    w = weights(3)
    x, h = gates(*w, 3)
    reset, update = sigmoid(x[0] + h[0]), sigmoid(x[1] + h[1])
    new = np.tanh(x[2] + reset * h[2])
    got = fb.gru_cell(fb.tensor(X), fb.tensor(H), *map(fb.tensor, w))
    np.testing.assert_allclose(got.numpy(), (1 - update) * new + update * H)
    alone = fb.gru_cell(fb.tensor(X[0]), fb.tensor(H[0]), *map(fb.tensor, w))
    np.testing.assert_allclose(alone.numpy(), got.numpy()[0])


def test_recurrent_functions_reject_invalid_arguments():
    w = [fb.tensor(a) for a in weights(1)]
    with pytest.raises(RuntimeError, match="input_size"):
        fb.rnn_tanh_cell(fb.zeros(3, 4), fb.zeros(3, 4), *w)
    with pytest.raises(RuntimeError, match="hidden state"):
        fb.rnn_tanh_cell(fb.zeros(3, 5), fb.zeros(2, 4), *w)
    with pytest.raises(RuntimeError, match="two hidden states"):
        fb.lstm_cell(fb.zeros(3, 5), (fb.zeros(3, 4),), *w)
