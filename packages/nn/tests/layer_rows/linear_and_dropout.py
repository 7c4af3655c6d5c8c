"""Rows of the linear layers, and of dropout with a probability of 0 or 1."""

import scipy.special

from flambeau import nn
from layer_rows.row import Layer


def swiglu(x, **state):
    def project(x, name):
        return x @ state[f"{name}_proj.weight"].T + state[f"{name}_proj.bias"]

    gate = project(x, "gate")
    return project(gate * scipy.special.expit(gate) * project(x, "up"), "down")


ROWS = [
    Layer("Identity()", lambda: nn.Identity(3, unused=True), (2, 3), lambda x: x),
    Layer(
        "Linear(in_features=5, out_features=3, bias=True)",
        lambda: nn.Linear(5, 3),
        (2, 4, 5),
        lambda x, weight, bias: x @ weight.T + bias,
    ),
    Layer(
        "Linear(in_features=5, out_features=3, bias=False)",
        lambda: nn.Linear(5, 3, bias=False),
        (5,),
        lambda x, weight: weight @ x,
    ),
    Layer(
        "SwiGLU(\n"
        "  (gate_proj): Linear(in_features=3, out_features=4, bias=True)\n"
        "  (up_proj): Linear(in_features=3, out_features=4, bias=True)\n"
        "  (down_proj): Linear(in_features=4, out_features=2, bias=True)\n"
        ")",
        lambda: nn.SwiGLU(3, 4, 2),
        (2, 3),
        swiglu,
    ),
    Layer("Dropout(p=0.5, inplace=False)", lambda: nn.Dropout().eval(), (2, 3), lambda x: x),
    Layer("Dropout(p=0.0, inplace=False)", lambda: nn.Dropout(0.0), (2, 3), lambda x: x),
    Layer("Dropout(p=1.0, inplace=False)", lambda: nn.Dropout(1.0), (2, 3), lambda x: 0.0 * x),
    Layer("Dropout3d(p=0.5, inplace=False)", lambda: nn.Dropout3d().eval(), (2, 3, 2, 2, 2), lambda x: x),
    Layer("AlphaDropout(p=0.5, inplace=False)", lambda: nn.AlphaDropout().eval(), (2, 3), lambda x: x),
    Layer("FeatureAlphaDropout(p=0.5, inplace=False)", lambda: nn.FeatureAlphaDropout().eval(), (2, 3, 4), lambda x: x),
    Layer("Dropout1d(p=0.5, inplace=False)", lambda: nn.Dropout1d().eval(), (2, 3, 4), lambda x: x),
    Layer("Dropout2d(p=0.5, inplace=False)", lambda: nn.Dropout2d().eval(), (2, 3, 2, 2), lambda x: x),
]
