"""Recurrent networks: single steps and complete layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator

State = tuple[Tensor, ...]
Weights = tuple[Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]


def _in_dtype(tensors: Sequence[Tensor], dtype: Any) -> State:
    """Convert the results that autocast computed in a lower precision to the dtype of the state that they update."""
    return tuple(t if t.dtype is dtype else t.to(dtype) for t in tensors)


def _cell(
    mode: str,
    input: Tensor,
    state: State,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None,
    b_hh: Tensor | None,
) -> State:
    """Compute one step for a batch (N, in) or a single example (in,), as a layer over a sequence of length 1."""
    hx = state[0]
    if input.ndim not in (1, 2) or input.shape[-1] != w_ih.shape[1]:
        raise RuntimeError(f"input has inconsistent input_size: got {list(input.shape)}, expected [*, {w_ih.shape[1]}]")
    if hx.ndim != input.ndim or hx.shape[:-1] != input.shape[:-1] or hx.shape[-1] != w_hh.shape[1]:
        raise RuntimeError(
            f"hidden state has inconsistent size: got {list(hx.shape)}, expected {[*input.shape[:-1], w_hh.shape[1]]}"
        )
    if input.ndim == 1:
        rows = _cell(mode, input.unsqueeze(0), tuple(part.unsqueeze(0) for part in state), w_ih, w_hh, b_ih, b_hh)
        return tuple(part.squeeze(0) for part in rows)
    cell = state[1] if len(state) > 1 else None
    outputs = _core._recurrent_layer(mode, input, (len(input),), False, hx, w_ih, w_hh, b_ih, b_hh, None, cell)
    return _in_dtype(outputs[1:], state[-1].dtype) if mode in ("GRU", "LSTM") else outputs[1:]


@operator()
def rnn_tanh_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """Return tanh(w_ih @ input + b_ih + w_hh @ hx + b_hh), of shape (N, hidden).

    The input has shape (N, in), hx has shape (N, hidden). Gradient: defined for all tensors.

    >>> fb.rnn_tanh_cell(fb.zeros(2, 3), fb.zeros(2, 4), fb.zeros(4, 3), fb.zeros(4, 4)).shape
    flambeau.Size([2, 4])
    """
    return _cell("RNN_TANH", input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]


@operator()
def rnn_relu_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """Return max(w_ih @ input + b_ih + w_hh @ hx + b_hh, 0), of shape (N, hidden).

    The input has shape (N, in), hx has shape (N, hidden). Gradient: defined for all tensors.

    >>> fb.rnn_relu_cell(fb.zeros(2, 3), fb.zeros(2, 4), fb.zeros(4, 3), fb.zeros(4, 4)).shape
    flambeau.Size([2, 4])
    """
    return _cell("RNN_RELU", input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]


@operator()
def lstm_cell(
    input: Tensor,
    hx: Sequence[Tensor],
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Compute a step of a long short-term memory: the new state and cell from hx = (state, cell).

    The first size of the weights is 4 * hidden.

    Gradient: defined for all tensors. Source: Hochreiter, Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735.

    >>> state = (fb.zeros(2, 4), fb.zeros(2, 4))
    >>> h, c = fb.lstm_cell(fb.zeros(2, 3), state, fb.zeros(16, 3), fb.zeros(16, 4))
    >>> h.shape, c.shape
    (flambeau.Size([2, 4]), flambeau.Size([2, 4]))
    """
    if len(hx) != 2:
        raise RuntimeError(f"lstm_cell expects two hidden states, got {len(hx)}")
    return _cell("LSTM", input, tuple(hx), w_ih, w_hh, b_ih, b_hh)  # type: ignore[return-value]


@operator()
def gru_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """Compute a step of a gated recurrent unit. Gradient: defined for all tensors.

    The first size of the weights is 3 * hidden, for the reset, update and new gate.

    Source: Cho et al. 2014, arXiv:1406.1078.

    >>> fb.gru_cell(fb.zeros(2, 3), fb.zeros(2, 4), fb.zeros(12, 3), fb.zeros(12, 4)).shape
    flambeau.Size([2, 4])
    """
    return _cell("GRU", input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]


def recurrent_layers(
    mode: str,
    rows: Tensor,
    sizes: Sequence[int],
    state: State,
    weights: Sequence[Weights],
    dropout: float = 0.0,
    bidirectional: bool = False,
) -> tuple[Tensor, State]:
    """Compute all layers over the rows of all time steps.

    Args:
        mode: ``"RNN_TANH"``, ``"RNN_RELU"``, ``"LSTM"`` or ``"GRU"``.
        rows: the inputs of all time steps, one after another.
        sizes: the number of rows of each time step.
        state: initial state of each layer and direction, a tensor ``(layers * directions, N, hidden)``; an LSTM has
            two.
        weights: ``w_ih, w_hh, b_ih, b_hh, w_hr`` for each layer and direction. The last three can be None.
        dropout: dropout probability between layers.
        bidirectional: if True, each layer has a second direction.
    Returns: the outputs of the last layer as rows, and the final state of each sequence.
    Raises: RuntimeError for sequences of length 0.
    """
    if not sizes:
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
    directions = 2 if bidirectional else 1
    finals: list[State] = []
    starts = list(zip(*(part.unbind(0) for part in state), strict=True))
    for first in range(0, len(weights), directions):
        outputs = []
        for index in range(first, first + directions):
            start = starts[index]
            cell = start[1] if len(start) > 1 else None
            output, *final = _core._recurrent_layer(mode, rows, sizes, index > first, start[0], *weights[index], cell)
            if mode == "GRU":
                output, *final = _in_dtype((output, *final), start[0].dtype)
            outputs.append(output)
            finals.append(tuple(final))
        rows = outputs[0] if directions == 1 else _core.cat(outputs, -1)
        if dropout and first + directions < len(weights):
            rows = _core.dropout(rows, dropout, True)
    return rows, tuple(_core.stack(parts) for parts in zip(*finals, strict=True))


def weights_of_layers(params: Sequence[Tensor], has_biases: bool, projected: bool) -> list[Weights]:
    """Convert a flat list of parameters to the format of `recurrent_layers`.

    If ``projected``, each layer and direction has a projection ``w_hr``.
    """
    each = 2 + 2 * has_biases + projected
    if len(params) % each:
        raise RuntimeError(f"expected {each} parameters for each layer and direction, got {len(params)} in total")
    layers: list[Weights] = []
    for first in range(0, len(params), each):
        w_ih, w_hh, *rest = params[first : first + each]
        b_ih, b_hh = rest[:2] if has_biases else (None, None)
        layers.append((w_ih, w_hh, b_ih, b_hh, rest[-1] if projected else None))
    return layers


def _run_layers(mode: str, input: Tensor, *arguments: Any) -> State:
    """Implement `lstm`, `gru`, `rnn_tanh` and `rnn_relu`: compute all layers over a batch of sequences.

    If ``arguments`` begin with batch sizes, the input consists of packed rows.
    """
    batch_sizes, batch_first = None, False
    if isinstance(arguments[2], (list, tuple)):
        batch_sizes, *arguments = arguments  # type: ignore[assignment]
    else:
        *arguments, batch_first = arguments  # type: ignore[assignment]
    hx, params, has_biases, num_layers, dropout, train, bidirectional = arguments
    state = tuple(hx) if mode == "LSTM" else (hx,)
    weights = weights_of_layers(params, has_biases, mode == "LSTM" and state[0].shape[-1] != state[1].shape[-1])
    if len(weights) != num_layers * (1 + bool(bidirectional)):
        raise RuntimeError(
            f"expected the parameters of {num_layers * (1 + bool(bidirectional))} layers and directions for "
            f"num_layers={num_layers} and bidirectional={bidirectional}, got those of {len(weights)}"
        )
    options = (weights, dropout if train else 0.0, bool(bidirectional))
    if batch_sizes is not None:
        output, final = recurrent_layers(mode, input, batch_sizes.tolist(), state, *options)
        return output, *final
    unbatched = input.ndim == 2
    x = input.unsqueeze(1) if unbatched else input.transpose(0, 1) if batch_first else input
    state = tuple(part.unsqueeze(1) for part in state) if unbatched else state
    times, batch = x.shape[:2]
    rows, final = recurrent_layers(mode, x.flatten(0, 1), [batch] * times, state, *options)
    output = rows.unflatten(0, (times, batch))
    if unbatched:
        return output.squeeze(1), *(part.squeeze(1) for part in final)
    return output.transpose(0, 1) if batch_first else output, *final


def _layers_operator(mode: str, name: str, doc: str) -> Callable[..., State]:
    """Return the operator ``name``, with the docstring ``doc``, that computes all layers in a mode."""

    def layers(
        input: Tensor,
        hx: Any,
        params: Any,
        has_biases: Any,
        num_layers: Any,
        dropout: Any,
        train: Any,
        bidirectional: Any,
        batch_first: Any = False,
    ) -> tuple[Tensor, ...]:
        options = (has_biases, num_layers, dropout, train, bidirectional, batch_first)
        return _run_layers(mode, input, hx, params, *options)

    layers.__name__, layers.__doc__ = name, doc
    return operator()(layers)


lstm = _layers_operator(
    "LSTM",
    "lstm",
    """Compute a long short-term memory of several layers: output, hidden state and cell state.

    input (times, N, inputs), hx = (h, c), params in the order of ``nn.LSTM``. The other form, for a packed sequence:
    ``lstm(data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional)``.

    Gradient: defined for all tensors. Source: Hochreiter, Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735.

    >>> params = [fb.ones(4, 1), fb.ones(4, 1)]
    >>> state = (fb.zeros(1, 2, 1), fb.zeros(1, 2, 1))
    >>> output, h, c = fb.lstm(fb.ones(5, 2, 1), state, params, False, 1, 0.0, False, False, False)
    >>> output.shape, h.shape, c.shape
    (flambeau.Size([5, 2, 1]), flambeau.Size([1, 2, 1]), flambeau.Size([1, 2, 1]))
    """,
)
gru = _layers_operator(
    "GRU",
    "gru",
    """Compute a gated recurrent network of several layers: output and state. Call it like `lstm`, with hx = h.

    Gradient: defined for all tensors. Source: Cho et al. 2014, arXiv:1406.1078.

    >>> params = [fb.ones(3, 1), fb.ones(3, 1)]
    >>> output, h = fb.gru(fb.ones(2, 1, 1), fb.zeros(1, 1, 1), params, False, 1, 0.0, False, False, False)
    >>> output.flatten()
    tensor([0.2048, 0.3468])
    """,
)
rnn_tanh = _layers_operator(
    "RNN_TANH",
    "rnn_tanh",
    """Compute a recurrent tanh network of several layers: output and state. Call it like `lstm`, with hx = h.

    Gradient: defined for all tensors. Source: Elman 1990, doi:10.1207/s15516709cog1402_1.

    >>> params = [fb.ones(1, 1), fb.ones(1, 1)]
    >>> output, h = fb.rnn_tanh(fb.ones(2, 1, 1), fb.zeros(1, 1, 1), params, False, 1, 0.0, False, False, False)
    >>> output.flatten()
    tensor([0.7616, 0.9427])
    """,
)
rnn_relu = _layers_operator(
    "RNN_RELU",
    "rnn_relu",
    """Compute a recurrent relu network of several layers: output and state. Call it like `lstm`, with hx = h.

    Gradient: defined for all tensors.

    >>> params = [fb.ones(1, 1), fb.ones(1, 1)]
    >>> output, h = fb.rnn_relu(fb.ones(2, 1, 1), fb.zeros(1, 1, 1), params, False, 1, 0.0, False, False, False)
    >>> output.flatten()
    tensor([1., 2.])
    """,
)
