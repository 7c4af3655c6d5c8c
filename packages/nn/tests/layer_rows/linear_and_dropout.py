"""Linear layers, and dropout that drops nothing or all."""

from flambeau import nn
from layer_rows.row import Layer

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
    Layer("Dropout(p=0.5, inplace=False)", lambda: nn.Dropout().eval(), (2, 3), lambda x: x),
    Layer("Dropout(p=0.0, inplace=False)", lambda: nn.Dropout(0.0), (2, 3), lambda x: x),
    Layer("Dropout(p=1.0, inplace=False)", lambda: nn.Dropout(1.0), (2, 3), lambda x: 0.0 * x),
    Layer("Dropout3d(p=0.5, inplace=False)", lambda: nn.Dropout3d().eval(), (2, 3, 2, 2, 2), lambda x: x),
    Layer("AlphaDropout(p=0.5, inplace=False)", lambda: nn.AlphaDropout().eval(), (2, 3), lambda x: x),
    Layer("FeatureAlphaDropout(p=0.5, inplace=False)", lambda: nn.FeatureAlphaDropout().eval(), (2, 3, 4), lambda x: x),
    Layer("Dropout1d(p=0.5, inplace=False)", lambda: nn.Dropout1d().eval(), (2, 3, 4), lambda x: x),
    Layer("Dropout2d(p=0.5, inplace=False)", lambda: nn.Dropout2d().eval(), (2, 3, 2, 2), lambda x: x),
]
