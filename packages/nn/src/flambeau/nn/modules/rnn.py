"""Recurrent layers over whole sequences."""

from __future__ import annotations

import math
import warnings
from typing import Any, ClassVar, overload

import flambeau
from flambeau import Tensor, empty
from flambeau._operators.recurrent import recurrent_layers, weights_of_layers

from .. import init
from ..parameter import Parameter
from ..utils.rnn import PackedSequence
from ._cells import GRUCell as GRUCell, LSTMCell as LSTMCell, RNNCell as RNNCell, RNNCellBase as RNNCellBase
from ._sizes import check_sizes
from .module import Module

State = tuple[Tensor, ...]

GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


class RNNBase(Module):
    """Base class of `RNN`, `LSTM` and `GRU`, with the parameters and the handling of batches and packed sequences.

    Parameters: each layer k has ``weight_ih_lk`` ``(gates * hidden_size, inputs)``, ``weight_hh_lk``
    ``(gates * hidden_size, outputs)``, ``bias_ih_lk`` and ``bias_hh_lk`` ``(gates * hidden_size,)``, and, with
    ``proj_size``, ``weight_hr_lk``. The names for the backward direction end with ``_reverse``. All parameters are
    uniform in ``±1/sqrt(hidden_size)``.

    >>> issubclass(nn.LSTM, nn.RNNBase)
    True
    """

    states: ClassVar[tuple[str, ...]] = ("hx",)

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_sizes(self, input_size=input_size)
        _check_sizes(hidden_size, num_layers, proj_size)
        _check_dropout(dropout, num_layers)
        if mode not in GATES:
            raise ValueError(f"Unrecognized RNN mode: {mode!r}; expected one of {', '.join(map(repr, GATES))}")
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        for layer in range(num_layers):
            for suffix in ("", "_reverse")[: self._directions]:
                self._add_weights(layer, suffix, {"device": device, "dtype": dtype})
        self.reset_parameters()

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def _output_size(self) -> int:
        return self.proj_size or self.hidden_size

    def _add_weights(self, layer: int, suffix: str, options: dict[str, Any]) -> None:
        rows = GATES[self.mode] * self.hidden_size
        inputs = self.input_size if layer == 0 else self._output_size * self._directions
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, inputs), "weight_hh": (rows, self._output_size)}
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        for name, shape in shapes.items():
            setattr(self, f"{name}_l{layer}{suffix}", Parameter(empty(shape, **options)))

    def reset_parameters(self) -> None:
        """Initialise the parameters again, with new random values."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def flatten_parameters(self) -> None:
        """Do nothing. In PyTorch, this method creates a memory layout for cuDNN."""

    @property
    def _all_weights(self) -> list[list[str]]:
        """Names of the parameters of each layer and direction."""
        kinds = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if self.bias else [])]
        kinds += ["weight_hr"] if self.proj_size else []
        suffixes = ("", "_reverse")[: self._directions]
        return [[f"{kind}_l{layer}{at}" for kind in kinds] for layer in range(self.num_layers) for at in suffixes]

    @property
    def _flat_weights_names(self) -> list[str]:
        return [name for group in self._all_weights for name in group]

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """Parameters of each layer and direction."""
        own: dict[str, Any] = self._parameters
        # A pruned or parametrized weight is a plain attribute, which is not in _parameters.
        return [[own[name] if name in own else getattr(self, name) for name in group] for group in self._all_weights]

    @property
    def _flat_weights(self) -> list[Parameter]:
        return [parameter for group in self.all_weights for parameter in group]

    @overload
    def forward(self, input: PackedSequence, hx: Any = None) -> tuple[PackedSequence, Any]: ...

    @overload
    def forward(self, input: Tensor, hx: Any = None) -> tuple[Tensor, Any]: ...

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        batched = self._is_batched(input)
        hx = self._batched_state(hx, batched)
        x = input.unsqueeze(1) if not batched else input.transpose(0, 1) if self.batch_first else input
        state = self._initial_state(x, x.shape[1], hx)
        output, final = self._run_layers(x.flatten(0, 1), [x.shape[1]] * x.shape[0], state)
        output = output.unflatten(0, x.shape[:2])
        if not batched:
            return output.squeeze(1), self._as_hidden(tuple(part.squeeze(1) for part in final))
        return output.transpose(0, 1) if self.batch_first else output, self._as_hidden(final)

    def _forward_packed(self, input: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
        data, batch_sizes, order, back = input
        sizes = batch_sizes.tolist()
        state = self._initial_state(data, sizes[0], None if hx is None else self._state_tensors(hx))
        if hx is not None and order is not None:
            state = tuple(part.index_select(1, order) for part in state)
        output, final = self._run_layers(data, sizes, state)
        if back is not None:
            final = tuple(part.index_select(1, back) for part in final)
        return PackedSequence(output, batch_sizes, order, back), self._as_hidden(final)

    def _run_layers(self, x: Tensor, sizes: list[int], state: State) -> tuple[Tensor, State]:
        """Apply all layers to ``x``, the rows of all time steps; ``sizes`` is the number of rows at each step."""
        parameters = self._flat_weights
        if x.dtype != parameters[0].dtype and not flambeau.is_autocast_enabled(x.device.type):
            raise ValueError(
                f"RNN input dtype ({x.dtype}) does not match weight dtype ({parameters[0].dtype}). Convert input: "
                f"input.to({parameters[0].dtype}), or convert model: model.to({x.dtype})"
            )
        weights = weights_of_layers(parameters, self.bias, self.proj_size > 0)
        dropout = self.dropout if self.training else 0.0
        return recurrent_layers(self.mode, x, sizes, state, weights, dropout, self.bidirectional)

    # Checks

    def _is_batched(self, input: Tensor) -> bool:
        if input.ndim not in (2, 3):
            raise ValueError(f"{self._get_name()}: Expected input to be 2D or 3D, got {input.ndim}D instead")
        return input.ndim == 3

    def _batched_state(self, hx: Any, batched: bool) -> State | None:
        """Return the initial state as a tuple of tensors (layers, N, size), with N = 1 for an unbatched input."""
        if hx is None:
            return None
        parts = self._state_tensors(hx)
        dims = 3 if batched else 2
        if any(part.ndim != dims for part in parts):
            kind = "batched" if batched else "unbatched"
            got = ", ".join(f"{part.ndim}-D" for part in parts)
            raise RuntimeError(
                f"For {kind} {dims}-D input, {' and '.join(self.states)} should also be {dims}-D but got {got}"
            )
        return parts if batched else tuple(part.unsqueeze(1) for part in parts)

    def _initial_state(self, x: Tensor, batch: int, state: State | None) -> State:
        """Return the state before the first step, zeros if None. Raises: RuntimeError if the sizes do not match."""
        self._check_features(x)
        if state is None:
            return tuple(x.new_zeros(shape) for shape in self._state_shapes(batch))
        self._check_state(state, batch)
        return state

    def _check_features(self, x: Tensor) -> None:
        if x.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {x.shape[-1]}"
            )

    def _state_shapes(self, batch: int) -> list[tuple[int, int, int]]:
        sizes = (self._output_size, self.hidden_size)[: len(self.states)]
        return [(self.num_layers * self._directions, batch, size) for size in sizes]

    def _check_state(self, state: State, batch: int) -> None:
        for index, (part, shape) in enumerate(zip(state, self._state_shapes(batch), strict=True)):
            name = f"hidden[{index}]" if len(state) > 1 else "hidden"
            self.check_hidden_size(part, shape, f"Expected {name} size {{}}, got {{}}")

    # These methods are public in PyTorch, and forward() of subclasses may call them. batch_sizes is the attribute of a
    # PackedSequence, or None.

    def check_input(self, input: Tensor, batch_sizes: Tensor | None) -> None:
        """Raise RuntimeError unless ``input`` has the right number of dimensions and features."""
        dims = 3 if batch_sizes is None else 2
        if input.ndim != dims:
            raise RuntimeError(f"input must have {dims} dimensions, got {input.ndim}")
        self._check_features(input)

    def get_expected_hidden_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:
        """Return the shape of the hidden state for this input."""
        return self._state_shapes(self._batch_of(input, batch_sizes))[0]

    def check_hidden_size(
        self, hx: Tensor, expected_hidden_size: tuple[int, int, int], msg: str = "Expected hidden size {}, got {}"
    ) -> None:
        """Raise RuntimeError unless ``hx`` has the expected shape."""
        if tuple(hx.shape) != tuple(expected_hidden_size):
            raise RuntimeError(msg.format(expected_hidden_size, list(hx.shape)))

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        """Raise RuntimeError unless the input and the initial state have the right shapes."""
        self.check_input(input, batch_sizes)
        self._check_state(self._state_tensors(hidden), self._batch_of(input, batch_sizes))

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        """Return the state with the samples of the batch in the order of ``permutation``."""
        if permutation is None:
            return hx
        return self._as_hidden(tuple(part.index_select(1, permutation) for part in self._state_tensors(hx)))

    def _batch_of(self, input: Tensor, batch_sizes: Tensor | None) -> int:
        return int(batch_sizes[0]) if batch_sizes is not None else input.shape[0 if self.batch_first else 1]

    def _state_tensors(self, hx: Any) -> State:
        if not isinstance(hx, Tensor):
            raise RuntimeError(f"{self.mode} expects one hidden state, a Tensor, got {type(hx).__name__}")
        return (hx,)

    def _as_hidden(self, state: State) -> Tensor | State:
        return state[0]

    def extra_repr(self) -> str:
        usual = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        parts = [f"{self.input_size}, {self.hidden_size}"]
        parts += [f"proj_size={self.proj_size}"] if self.proj_size else []
        parts += [f"{name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value]
        return ", ".join(parts)


def _check_sizes(hidden_size: int, num_layers: int, proj_size: int) -> None:
    for name, size in (("hidden_size", hidden_size), ("num_layers", num_layers)):
        if not isinstance(size, int):
            raise TypeError(f"{name} should be of type int, got: {type(size).__name__}")
        if size <= 0:
            raise ValueError(f"{name} must be greater than zero, got {size}")
    if not 0 <= proj_size < hidden_size:
        raise ValueError(
            f"proj_size should be a positive integer or zero to disable projections, and smaller than hidden_size, "
            f"got {proj_size}"
        )


def _check_dropout(dropout: float, num_layers: int) -> None:
    if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout <= 1:
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an element being zeroed, got "
            f"{dropout}"
        )
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers "
            f"greater than 1, but got dropout={dropout} and num_layers=1",
            stacklevel=4,
        )


class RNN(RNNBase):
    """Elman network: ``h = tanh(w_ih @ x + b_ih + w_hh @ h + b_hh)`` at each time step.

    Args:
        input_size, hidden_size: sizes of the input and the state at each time step.
        num_layers: number of stacked layers; each layer receives the outputs of the previous layer.
        nonlinearity: ``"tanh"`` or ``"relu"``.
        bias: if False, the layers have no biases.
        batch_first: batches are ``(N, L, *)`` instead of ``(L, N, *)``.
        dropout: dropout probability between layers.
        bidirectional: if True, also process the sequence backwards; the outputs of both directions are concatenated.
        device, dtype: device and dtype of the parameters.
    Shapes: input ``(L, N, input_size)``, ``(L, input_size)`` or a `PackedSequence`, and the first state
        ``(num_layers * directions, N, hidden_size)``. The results are the outputs
        ``(L, N, directions * hidden_size)`` and the last state.
    Parameters: see `RNNBase`.
    Raises: ValueError or RuntimeError if the sizes do not match.

    >>> output, state = nn.RNN(3, 5, num_layers=2)(fb.zeros(7, 4, 3))
    >>> tuple(output.shape), tuple(state.shape)
    ((7, 4, 5), (2, 4, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity {nonlinearity!r}. Select from 'tanh' or 'relu'.")
        options = (num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype)
        super().__init__(f"RNN_{nonlinearity.upper()}", input_size, hidden_size, *options)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory.

    For each time step::

        i, f, g, o = w_ih @ x + b_ih + w_hh @ h + b_hh
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype: as in `RNN`.
        proj_size: if not 0, a matrix projects ``h`` to this size.
    Shapes: as in `RNN`; the state is a pair of ``h`` and ``c``.
    Source: Hochreiter, Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735; projections: Sak, Senior, Beaufays 2014,
        arXiv:1402.1128.

    >>> output, (h, c) = nn.LSTM(3, 5)(fb.zeros(7, 4, 3))
    >>> tuple(output.shape), tuple(c.shape)
    ((7, 4, 5), (1, 4, 5))
    """

    states = ("hx", "cx")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        options = (num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype)
        super().__init__("LSTM", input_size, hidden_size, *options)

    def get_expected_cell_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:
        """Return the shape of the cell state for this input."""
        return self._state_shapes(self._batch_of(input, batch_sizes))[1]

    def _state_tensors(self, hx: Any) -> State:
        if not isinstance(hx, (tuple, list)) or len(hx) != 2:
            got = f"{len(hx)} of them" if isinstance(hx, (tuple, list)) else type(hx).__name__
            raise RuntimeError(f"LSTM expects two hidden states, (h, c), got {got}")
        return tuple(hx)

    def _as_hidden(self, state: State) -> State:
        return state


class GRU(RNNBase):
    """Gated recurrent units.

    For each time step::

        r, z = sigmoid(w_i* @ x + b_i* + w_h* @ h + b_h*)
        n = tanh(w_in @ x + b_in + r * (w_hn @ h + b_hn))
        h = (1 - z) * n + z * h

    See `RNN` for the arguments and shapes. Source: Cho et al. 2014, arXiv:1406.1078.

    >>> output, state = nn.GRU(3, 5, batch_first=True, bidirectional=True)(fb.zeros(4, 7, 3))
    >>> tuple(output.shape), tuple(state.shape)
    ((4, 7, 10), (2, 4, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        options = (num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype)
        super().__init__("GRU", input_size, hidden_size, *options)
