"""Rows of the padding layers."""

from layer_references import padded

from flambeau import nn
from layer_rows.row import Layer

ROWS = [
    Layer(
        "ConstantPad1d(padding=(1, 2), value=3.5)",
        lambda: nn.ConstantPad1d((1, 2), 3.5),
        (2, 3, 4),
        padded("constant", 1, 1, 2, constant_values=3.5),
    ),
    Layer(
        "ConstantPad2d(padding=(1, 1, 1, 1), value=-1)",
        lambda: nn.ConstantPad2d(1, -1),
        (2, 3, 4),
        padded("constant", 2, 1, 1, 1, 1, constant_values=-1),
    ),
    Layer(
        "ConstantPad3d(padding=(1, 0, 2, 0, 0, 1), value=2)",
        lambda: nn.ConstantPad3d((1, 0, 2, 0, 0, 1), 2),
        (2, 2, 3, 2),
        padded("constant", 3, 1, 0, 2, 0, 0, 1, constant_values=2),
    ),
    Layer("ZeroPad1d((2, 2))", lambda: nn.ZeroPad1d(2), (2, 3, 4), padded("constant", 1, 2, 2)),
    Layer("ZeroPad2d((0, 1, 2, 0))", lambda: nn.ZeroPad2d((0, 1, 2, 0)), (2, 3, 4), padded("constant", 2, 0, 1, 2, 0)),
    Layer("ZeroPad3d((1, 1, 1, 1, 1, 1))", lambda: nn.ZeroPad3d(1), (2, 2, 2, 2), padded("constant", 3, *[1] * 6)),
    Layer("ReflectionPad1d((2, 1))", lambda: nn.ReflectionPad1d((2, 1)), (2, 3, 4), padded("reflect", 1, 2, 1)),
    Layer(
        "ReflectionPad2d((1, 1, 2, 0))",
        lambda: nn.ReflectionPad2d((1, 1, 2, 0)),
        (1, 2, 3, 4),
        padded("reflect", 2, 1, 1, 2, 0),
    ),
    Layer(
        "ReflectionPad3d((1, 1, 1, 1, 1, 1))",
        lambda: nn.ReflectionPad3d(1),
        (1, 2, 2, 3, 2),
        padded("reflect", 3, *[1] * 6),
    ),
    Layer("ReplicationPad1d((2, 1))", lambda: nn.ReplicationPad1d((2, 1)), (2, 3, 2), padded("edge", 1, 2, 1)),
    Layer(
        "ReplicationPad2d((1, 1, 2, 0))",
        lambda: nn.ReplicationPad2d((1, 1, 2, 0)),
        (1, 2, 3, 4),
        padded("edge", 2, 1, 1, 2, 0),
    ),
    Layer(
        "ReplicationPad3d((1, 1, 1, 1, 1, 1))",
        lambda: nn.ReplicationPad3d(1),
        (1, 2, 2, 3, 2),
        padded("edge", 3, *[1] * 6),
    ),
    Layer("CircularPad1d((2, 1))", lambda: nn.CircularPad1d((2, 1)), (2, 3, 4), padded("wrap", 1, 2, 1)),
    Layer(
        "CircularPad2d((1, 1, 2, 0))",
        lambda: nn.CircularPad2d((1, 1, 2, 0)),
        (1, 2, 3, 4),
        padded("wrap", 2, 1, 1, 2, 0),
    ),
    Layer(
        "CircularPad3d((1, 1, 1, 1, 1, 1))", lambda: nn.CircularPad3d(1), (1, 2, 2, 3, 2), padded("wrap", 3, *[1] * 6)
    ),
]
