"""Rows of the activations."""

import numpy as np
import scipy.special
from layer_references import SELU_ALPHA, SELU_SCALE, gelu_tanh

from flambeau import nn
from layer_rows.row import Layer

ROWS = [
    Layer("ReLU()", lambda: nn.ReLU(), (3, 4), lambda x: np.maximum(x, 0)),
    Layer("GELU(approximate='none')", lambda: nn.GELU(), (3, 4), lambda x: x * scipy.special.ndtr(x)),
    Layer("GELU(approximate='tanh')", lambda: nn.GELU("tanh"), (3, 4), gelu_tanh),
    Layer("SiLU()", lambda: nn.SiLU(), (3, 4), lambda x: x * scipy.special.expit(x)),
    Layer("LeakyReLU(negative_slope=0.01)", lambda: nn.LeakyReLU(), (3, 4), lambda x: np.where(x > 0, x, 0.01 * x)),
    Layer("LeakyReLU(negative_slope=0.2)", lambda: nn.LeakyReLU(0.2), (3, 4), lambda x: np.maximum(x, 0.2 * x)),
    Layer("Softplus(beta=1.0, threshold=20.0)", lambda: nn.Softplus(), (3, 4), lambda x: np.logaddexp(0, x)),
    Layer("Softplus(beta=3.0, threshold=20.0)", lambda: nn.Softplus(3.0), (3, 4), lambda x: np.logaddexp(0, 3 * x) / 3),
    Layer("Sigmoid()", lambda: nn.Sigmoid(), (3, 4), scipy.special.expit),
    Layer("Tanh()", lambda: nn.Tanh(), (3, 4), np.tanh),
    Layer("Softmax(dim=1)", lambda: nn.Softmax(dim=1), (3, 4, 2), lambda x: scipy.special.softmax(x, axis=1)),
    Layer("LogSoftmax(dim=-1)", lambda: nn.LogSoftmax(-1), (3, 4), lambda x: scipy.special.log_softmax(x, axis=-1)),
    Layer("ReLU6()", lambda: nn.ReLU6(), (3, 4), lambda x: np.clip(x, 0, 6)),
    Layer("ELU(alpha=1.5)", lambda: nn.ELU(1.5), (3, 4), lambda x: np.where(x > 0, x, 1.5 * np.expm1(x))),
    Layer("CELU(alpha=2.0)", lambda: nn.CELU(2.0), (3, 4), lambda x: np.where(x > 0, x, 2 * np.expm1(x / 2))),
    Layer("SELU()", lambda: nn.SELU(), (3, 4), lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(x))),
    Layer("Mish()", lambda: nn.Mish(), (3, 4), lambda x: x * np.tanh(np.logaddexp(0, x))),
    Layer("LogSigmoid()", lambda: nn.LogSigmoid(), (3, 4), lambda x: -np.logaddexp(0, -x)),
    Layer("Tanhshrink()", lambda: nn.Tanhshrink(), (3, 4), lambda x: x - np.tanh(x)),
    Layer("Softsign()", lambda: nn.Softsign(), (3, 4), lambda x: x / (1 + abs(x))),
    Layer("Hardsigmoid()", lambda: nn.Hardsigmoid(), (3, 4), lambda x: np.clip(x + 3, 0, 6) / 6),
    Layer("Hardswish()", lambda: nn.Hardswish(), (3, 4), lambda x: x * np.clip(x + 3, 0, 6) / 6),
    Layer("Hardshrink(0.3)", lambda: nn.Hardshrink(0.3), (3, 4), lambda x: np.where(abs(x) > 0.3, x, 0)),
    Layer("Softshrink(0.3)", lambda: nn.Softshrink(0.3), (3, 4), lambda x: np.sign(x) * np.maximum(abs(x) - 0.3, 0)),
    Layer("Hardtanh(min_val=-0.5, max_val=2.0)", lambda: nn.Hardtanh(-0.5, 2.0), (3, 4), lambda x: np.clip(x, -0.5, 2)),
    Layer(
        "Threshold(threshold=0.1, value=20)", lambda: nn.Threshold(0.1, 20), (3, 4), lambda x: np.where(x > 0.1, x, 20)
    ),
    Layer(
        "RReLU(lower=0.1, upper=0.3)",
        lambda: nn.RReLU(0.1, 0.3).eval(),
        (3, 4),
        lambda x: np.where(x > 0, x, 0.2 * x),
    ),
    Layer("PReLU(num_parameters=1)", lambda: nn.PReLU(), (3, 4), lambda x, weight: np.where(x > 0, x, weight * x)),
    Layer(
        "PReLU(num_parameters=4)",
        lambda: nn.PReLU(4),
        (3, 4, 2),
        lambda x, weight: np.where(x > 0, x, weight[:, None] * x),
    ),
    Layer("Softmin(dim=1)", lambda: nn.Softmin(1), (3, 4), lambda x: scipy.special.softmax(-x, axis=1)),
    Layer("Softmax2d()", lambda: nn.Softmax2d(), (2, 3, 2, 2), lambda x: scipy.special.softmax(x, axis=1)),
    Layer("GLU(dim=-1)", lambda: nn.GLU(), (3, 4), lambda x: x[:, :2] * scipy.special.expit(x[:, 2:])),
]
