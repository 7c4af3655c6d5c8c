"""Recurrent layers. The order of gates in ONNX differs from PyTorch's: i, o, f, g for LSTM, and z, r, n for GRU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._graph import Graph, Name, converts
from ._merge import Repeated
from ._values import Value

ORDERS = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN_TANH": (0,), "RNN_RELU": (0,)}


@converts("_recurrent_layer")
def recurrent_layer(
    g: Graph, mode: str, input: Value, sizes: Sequence[Any], backwards: bool, hidden: Value,
    weight_ih: Value, weight_hh: Value, bias_ih: Value | None, bias_hh: Value | None, projection: Value | None,
    state: Value | None,
) -> list[Name]:  # fmt: skip
    if projection is not None:
        raise NotImplementedError("an LSTM with proj_size cannot be exported")
    batch, times = (sizes[0], sizes[1]) if isinstance(sizes, Repeated) else (sizes[0], len(sizes))
    if not isinstance(sizes, Repeated) and any(str(size) != str(batch) for size in sizes):
        raise NotImplementedError("recurrent layers with packed sequences cannot be exported: pass padded sequences")
    kind = mode.partition("_")[0]
    starts = [g.op("Unsqueeze", x, g.constant([0])) for x in (hidden, state) if x]
    outputs = g.several(
        1 + len(starts), kind, g.reshaped(input, [times, batch, input.tensor.shape[-1]]),
        _ordered(g, weight_ih, mode), _ordered(g, weight_hh, mode), _biases(g, bias_ih, bias_hh, mode), None, *starts,
        hidden_size=hidden.tensor.shape[-1], direction="reverse" if backwards else "forward",
        linear_before_reset=1 if kind == "GRU" else None, activations=["Relu"] if mode == "RNN_RELU" else None,
    )  # fmt: skip
    rows = g.reshaped(outputs[0], g.result.shape)  # (times, 1, batch, width)
    return [rows, *(g.op("Squeeze", part, g.constant([0])) for part in outputs[1:])]


def _ordered(g: Graph, parameter: Value, mode: str) -> Name:
    """Reorder the rows of a parameter to ONNX's order of gates, and add a leading dimension for the direction."""
    order = ORDERS[mode]
    name = g.name(parameter)
    if len(order) > 1:
        gates = g.several(len(order), "Split", name, axis=0, num_outputs=len(order))
        name = g.op("Concat", *(gates[i] for i in order), axis=0)
    return g.op("Unsqueeze", name, g.constant([0]))


def _biases(g: Graph, bias_ih: Value | None, bias_hh: Value | None, mode: str) -> Name | None:
    if bias_ih is None or bias_hh is None:
        return None
    return g.op("Concat", _ordered(g, bias_ih, mode), _ordered(g, bias_hh, mode), axis=1)
