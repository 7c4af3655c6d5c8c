"""Layers that compute one step of a recurrent network."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from flambeau import Tensor, empty, gru_cell, lstm_cell, rnn_relu_cell, rnn_tanh_cell

from .. import init
from ..parameter import Parameter
from .module import Module


class RNNCellBase(Module):
    """Base class of recurrent cells, with the parameters of ``num_chunks`` gates.

    The parameters are initialised with uniform random numbers in ``±1/sqrt(hidden_size)``.

    >>> issubclass(nn.LSTMCell, nn.RNNCellBase)
    True
    """

    function: ClassVar[Callable[..., Tensor]]
    bias_ih: Tensor | None
    bias_hh: Tensor | None

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows, options = num_chunks * hidden_size, {"device": device, "dtype": dtype}
        self.weight_ih = Parameter(empty((rows, input_size), **options))
        self.weight_hh = Parameter(empty((rows, hidden_size), **options))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(rows, **options)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise the parameters again, with new random values."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0.0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        self._check_dims("input", input)
        if hx is None:
            hx = input.new_zeros(*input.shape[:-1], self.hidden_size)
        self._check_dims("hidden", hx)
        state: Tensor = self._function()(input, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        return state

    def _function(self) -> Callable[..., Any]:
        return type(self).function

    def _check_dims(self, name: str, tensor: Tensor) -> None:
        if tensor.ndim not in (1, 2):
            raise ValueError(f"{self._get_name()}: Expected {name} to be 1D or 2D, got {tensor.ndim}D instead")

    def extra_repr(self) -> str:
        nonlinearity = getattr(self, "nonlinearity", "tanh")
        parts = [f"{self.input_size}, {self.hidden_size}"]
        parts += [] if self.bias else ["bias=False"]
        parts += [] if nonlinearity == "tanh" else [f"nonlinearity={nonlinearity}"]
        return ", ".join(parts)


class RNNCell(RNNCellBase):
    """One step of `RNN`: ``h = tanh(w_ih @ x + b_ih + w_hh @ h + b_hh)``.

    Shapes: input ``(N, input_size)`` or ``(input_size,)``, state ``(N, hidden_size)`` or ``(hidden_size,)``, or
        None for zeros. The result is the next state.

    >>> tuple(nn.RNNCell(10, 20)(fb.zeros(3, 10)).shape)
    (3, 20)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def _function(self) -> Callable[..., Any]:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity!r}; expected 'tanh' or 'relu'")
        return rnn_tanh_cell if self.nonlinearity == "tanh" else rnn_relu_cell


class GRUCell(RNNCellBase):
    """One step of `GRU`. Shapes as in `RNNCell`.

    >>> nn.GRUCell(3, 5)(fb.zeros(2, 3)).shape
    flambeau.Size([2, 5])
    """

    function = gru_cell

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)


class LSTMCell(RNNCellBase):
    """One step of `LSTM`. Shapes as in `RNNCell`; the state is a pair of ``h`` and ``c``.

    >>> h, c = nn.LSTMCell(3, 5)(fb.zeros(2, 3))
    >>> h.shape, c.shape
    (flambeau.Size([2, 5]), flambeau.Size([2, 5]))
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(  # type: ignore[override]
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        self._check_dims("input", input)
        if hx is None:
            zeros = input.new_zeros(*input.shape[:-1], self.hidden_size)
            hx = (zeros, zeros)
        for index, part in enumerate(hx):
            self._check_dims(f"hx[{index}]", part)
        return lstm_cell(input, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
