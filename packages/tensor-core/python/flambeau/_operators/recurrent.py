"""One step of recurrent networks."""

from __future__ import annotations

from collections.abc import Sequence

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator


def _gates(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None, b_hh: Tensor | None
) -> tuple[Tensor, Tensor]:
    """What input and state contribute to the gates."""
    if input.ndim not in (1, 2) or input.shape[-1] != w_ih.shape[1]:
        raise RuntimeError(f"input has inconsistent input_size: got {list(input.shape)}, expected (*, {w_ih.shape[1]})")
    if hx.ndim != input.ndim or hx.shape[:-1] != input.shape[:-1] or hx.shape[-1] != w_hh.shape[1]:
        raise RuntimeError(
            f"hidden state has inconsistent size: got {list(hx.shape)} for input {list(input.shape)} and a weight for "
            f"{w_hh.shape[1]}"
        )
    return _core.linear(input, w_ih, b_ih), _core.linear(hx, w_hh, b_hh)


@operator()
def rnn_tanh_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """tanh(w_ih @ input + b_ih + w_hh @ hx + b_hh): (N, in), (N, hidden) give (N, hidden). Gradient: all."""
    x, h = _gates(input, hx, w_ih, w_hh, b_ih, b_hh)
    return (x + h).tanh()


@operator()
def rnn_relu_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """max(w_ih @ input + b_ih + w_hh @ hx + b_hh, 0): (N, in), (N, hidden) give (N, hidden). Gradient: all."""
    x, h = _gates(input, hx, w_ih, w_hh, b_ih, b_hh)
    return (x + h).relu()


@operator()
def lstm_cell(
    input: Tensor,
    hx: Sequence[Tensor],
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """A long short-term memory: the new state and cell, from hx = (state, cell) and weights (4 * hidden, ...).

    Gradient: all. Source: Hochreiter, Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735.
    """
    if len(hx) != 2:
        raise RuntimeError(f"lstm_cell expects two hidden states, got {len(hx)}")
    state, cell = hx
    x, h = _gates(input, state, w_ih, w_hh, b_ih, b_hh)
    write, forget, value, read = (x + h).chunk(4, -1)
    cell = forget.sigmoid() * cell + write.sigmoid() * value.tanh()
    return read.sigmoid() * cell.tanh(), cell


@operator()
def gru_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """A gated recurrent unit, its weights (3 * hidden, ...) for reset, update and new. Gradient: all.

    Source: Cho et al. 2014, arXiv:1406.1078.
    """
    x, h = _gates(input, hx, w_ih, w_hh, b_ih, b_hh)
    x_reset, x_update, x_new = x.chunk(3, -1)
    h_reset, h_update, h_new = h.chunk(3, -1)
    new = (x_new + (x_reset + h_reset).sigmoid() * h_new).tanh()
    update = (x_update + h_update).sigmoid()
    return new + update * (hx - new)
