"""Recurrent layers and cells, compared with loops in NumPy; packed sequences, compared with separate sequences."""

import copy

import numpy as np
import pytest
import scipy.special

import flambeau as fb
from flambeau import nn
from flambeau.autograd import gradcheck, gradgradcheck
from flambeau.nn.utils import rnn

sigmoid = scipy.special.expit
random = np.random.default_rng(11)


def tanh_step(x, state, w):
    return (np.tanh(x @ w["weight_ih"].T + w.get("bias_ih", 0) + state[0] @ w["weight_hh"].T + w.get("bias_hh", 0)),)


def relu_step(x, state, w):
    return (np.maximum(x @ w["weight_ih"].T + w["bias_ih"] + state[0] @ w["weight_hh"].T + w["bias_hh"], 0),)


def lstm_step(x, state, w):
    gates = x @ w["weight_ih"].T + w["bias_ih"] + state[0] @ w["weight_hh"].T + w["bias_hh"]
    i, f, g, o = np.split(gates, 4, axis=-1)
    cell = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
    hidden = sigmoid(o) * np.tanh(cell)
    return (hidden @ w["weight_hr"].T if "weight_hr" in w else hidden), cell


def gru_step(x, state, w):
    a, b = x @ w["weight_ih"].T + w["bias_ih"], state[0] @ w["weight_hh"].T + w["bias_hh"]
    (ar, az, an), (br, bz, bn) = np.split(a, 3, axis=-1), np.split(b, 3, axis=-1)
    z = sigmoid(az + bz)
    return ((1 - z) * np.tanh(an + sigmoid(ar + br) * bn) + z * state[0],)


def run(step, module, x, state):
    """Run all layers on x (L, N, inputs) and a state (layers * directions, N, size)."""
    weights = {name: p.detach().numpy() for name, p in module.named_parameters()}
    finals = []
    for layer in range(module.num_layers):
        outputs = []
        for suffix in ["", "_reverse"][: 2 if module.bidirectional else 1]:
            ending = f"_l{layer}{suffix}"
            own = {name.removesuffix(ending): w for name, w in weights.items() if name.endswith(ending)}
            now = tuple(part[len(finals)] for part in state)
            order = range(len(x))[:: -1 if suffix else 1]
            out = [None] * len(x)
            for t in order:
                now = step(x[t], now, own)
                out[t] = now[0]
            finals.append(now)
            outputs.append(np.stack(out))
        x = np.concatenate(outputs, -1)
    return x, tuple(np.stack(parts) for parts in zip(*finals, strict=True))


LAYERS = [
    (tanh_step, lambda: nn.RNN(3, 4, dtype=fb.float64)),
    (tanh_step, lambda: nn.RNN(3, 4, bias=False, num_layers=2, dtype=fb.float64)),
    (relu_step, lambda: nn.RNN(3, 4, nonlinearity="relu", bidirectional=True, dtype=fb.float64)),
    (lstm_step, lambda: nn.LSTM(3, 4, dtype=fb.float64)),
    (lstm_step, lambda: nn.LSTM(3, 4, num_layers=2, bidirectional=True, dtype=fb.float64)),
    (lstm_step, lambda: nn.LSTM(3, 5, num_layers=2, proj_size=2, dtype=fb.float64)),
    (gru_step, lambda: nn.GRU(3, 4, num_layers=2, bidirectional=True, dtype=fb.float64)),
]
each_layer = pytest.mark.parametrize(("step", "make"), LAYERS)


def initial(module, batch):
    places = module.num_layers * (2 if module.bidirectional else 1)
    sizes = [module.proj_size or module.hidden_size, module.hidden_size][: 2 if module.mode == "LSTM" else 1]
    return tuple(random.standard_normal((places, batch, size)) for size in sizes)


def tensors(state):
    parts = tuple(fb.from_numpy(part) for part in state)
    return parts if len(parts) > 1 else parts[0]


def arrays(state):
    return [part.detach().numpy() for part in (state if isinstance(state, tuple) else (state,))]


@each_layer
def test_recurrent_layers_equal_their_definition(step, make):
    module, x = make(), random.standard_normal((5, 2, 3))
    state = initial(module, 2)
    expected, finals = run(step, module, x, state)
    output, final = module(fb.from_numpy(x), tensors(state))
    np.testing.assert_allclose(output.detach().numpy(), expected, rtol=1e-10, atol=1e-12)
    for got, want in zip(arrays(final), finals, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


@each_layer
def test_recurrent_layers_pass_gradcheck(step, make):
    module = make()
    x = fb.from_numpy(random.standard_normal((3, 2, 3))).requires_grad_()
    names = [name for name, _ in module.named_parameters()]
    values = [p.detach().clone().requires_grad_() for p in module.parameters()]

    def outputs(x, *values):
        for name, value in zip(names, values, strict=True):
            delattr(module, name)
            setattr(module, name, value)
        module._parameters.update(zip(names, values, strict=True))
        output, final = module(x)
        return (output, *(final if isinstance(final, tuple) else (final,)))

    assert fb.autograd.gradcheck(outputs, (x, *values))


@each_layer
def test_batch_first_and_unbatched_inputs_give_the_same_results(step, make):
    module, x = make(), fb.from_numpy(random.standard_normal((5, 2, 3)))
    output, final = module(x)
    alone, own = module(x[:, 1])
    np.testing.assert_allclose(alone.detach().numpy(), output[:, 1].detach().numpy(), rtol=1e-12)
    for got, want in zip(arrays(own), arrays(final), strict=True):
        np.testing.assert_allclose(got, want[:, 1], rtol=1e-12)
    module.batch_first = True
    np.testing.assert_allclose(
        module(x.transpose(0, 1))[0].detach().numpy(), output.transpose(0, 1).detach().numpy(), rtol=1e-12
    )


@each_layer
def test_packed_sequences_equal_single_sequences(step, make):
    module = make()
    lengths = [2, 4, 1, 4]
    sequences = [fb.from_numpy(random.standard_normal((length, 3))) for length in lengths]
    state = initial(module, len(lengths))
    output, final = module(rnn.pack_sequence(sequences, enforce_sorted=False), tensors(state))
    parts = rnn.unpack_sequence(output)
    for place, sequence in enumerate(sequences):
        own_state = tuple(np.ascontiguousarray(part[:, place]) for part in state)
        alone, own = module(sequence, tensors(own_state))
        np.testing.assert_allclose(parts[place].detach().numpy(), alone.detach().numpy(), rtol=1e-12)
        for got, want in zip(arrays(final), arrays(own), strict=True):
            np.testing.assert_allclose(got[:, place], want, rtol=1e-12)


@pytest.mark.parametrize(
    ("step", "cell"),
    [
        (tanh_step, nn.RNNCell(3, 4, dtype=fb.float64)),
        (relu_step, nn.RNNCell(3, 4, nonlinearity="relu", dtype=fb.float64)),
        (lstm_step, nn.LSTMCell(3, 4, dtype=fb.float64)),
        (gru_step, nn.GRUCell(3, 4, dtype=fb.float64)),
    ],
    ids=lambda v: repr(v) if isinstance(v, nn.Module) else "",
)
def test_recurrent_cells_equal_their_definition(step, cell):
    x = random.standard_normal((2, 3))
    state = tuple(random.standard_normal((2, 4)) for _ in range(2 if step is lstm_step else 1))
    weights = {name: p.detach().numpy() for name, p in cell.named_parameters()}
    for got, want in zip(arrays(cell(fb.from_numpy(x), tensors(state))), step(x, state, weights), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)
    zeros = tuple(np.zeros((2, 4)) for _ in state)
    np.testing.assert_allclose(arrays(cell(fb.from_numpy(x)))[0], step(x, zeros, weights)[0], rtol=1e-12)


@pytest.mark.parametrize("batch", [1, 4, 5, 9, 40])
@pytest.mark.parametrize("make", [nn.LSTM, nn.GRU, nn.RNN])
def test_inference_in_bfloat16_is_accurate_and_independent_of_the_number_of_threads(make, batch):
    model = make(33, 100, 2, bidirectional=True).to(fb.bfloat16)
    x = fb.tensor(random.standard_normal((20, batch, 33))).to(fb.bfloat16)
    packed = rnn.pack_padded_sequence(x, [max(1, 20 - i) for i in range(batch)])
    results = {}
    threads = fb.get_num_threads()
    try:
        for number in (1, 3):
            fb.set_num_threads(number)
            with fb.no_grad():
                results[number] = model(x)[0], model(packed)[0].data
    finally:
        fb.set_num_threads(threads)
    assert all(fb.equal(one, three) for one, three in zip(*results.values(), strict=True))
    want = copy.deepcopy(model).double()(x.double())[0].detach()
    assert float((results[1][0].double() - want).abs().max()) <= 2**-8


@pytest.mark.parametrize(("sizes", "features"), [((), 33), ((0, 0), 33), ((9, 4), 0)])
def test_inference_in_bfloat16_accepts_zero_steps_and_zero_features(sizes, features):
    input, hidden, weight_ih, weight_hh = (
        fb.ones(shape, dtype=fb.bfloat16) for shape in ((sum(sizes), features), (9, 64), (64, features), (64, 64))
    )
    with fb.no_grad():
        output, last = fb._core._recurrent_layer("RNN_RELU", input, sizes, False, hidden, weight_ih, weight_hh)
    assert output.shape == (sum(sizes), 64)
    assert output[:9].unique().tolist() == ([64] if sum(sizes) else [])
    assert last.shape == (9, 64)


def test_dropout_is_applied_between_layers_only_in_training():
    module = nn.LSTM(3, 4, num_layers=2, dropout=1.0)
    x = fb.ones(5, 2, 3)
    top = nn.LSTM(4, 4)
    top.load_state_dict({k.replace("_l1", "_l0"): v for k, v in module.state_dict().items() if k.endswith("_l1")})
    np.testing.assert_allclose(
        module(x)[0].detach().numpy(), top(fb.zeros(5, 2, 4))[0].detach().numpy(), rtol=1e-5, atol=1e-7
    )
    assert abs(module.eval()(x)[0] - module.train()(x)[0]).max() > 1e-3


def test_repr_of_recurrent_layers_shows_their_options():
    assert repr(nn.LSTM(3, 5, 2, proj_size=2, batch_first=True)) == (
        "LSTM(3, 5, proj_size=2, num_layers=2, batch_first=True)"
    )
    assert repr(nn.GRU(3, 5, bias=False, bidirectional=True)) == "GRU(3, 5, bias=False, bidirectional=True)"
    assert repr(nn.RNNCell(3, 5, bias=False, nonlinearity="relu")) == "RNNCell(3, 5, bias=False, nonlinearity=relu)"


def test_pad_packed_sequence_inverts_pack_padded_sequence():
    batch = fb.tensor([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
    packed = rnn.pack_padded_sequence(batch, fb.tensor([2.0, 1.0, 3.0]), batch_first=True, enforce_sorted=False)
    assert packed.data.tolist() == [4, 1, 3, 5, 2, 6]
    assert packed.batch_sizes.tolist() == [3, 2, 1]
    assert packed.sorted_indices.tolist() == [2, 0, 1]
    padded, lengths = rnn.pad_packed_sequence(packed, batch_first=True, padding_value=-1, total_length=4)
    assert padded.tolist() == [[1, 2, -1, -1], [3, -1, -1, -1], [4, 5, 6, -1]]
    assert lengths.tolist() == [2, 1, 3]
    assert rnn.pad_sequence([fb.tensor([1, 2]), fb.tensor([3])], padding_side="left").tolist() == [[1, 0], [2, 3]]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("layer", "options"),
    [
        (nn.LSTM, {"num_layers": 2}),
        (nn.LSTM, {"proj_size": 2, "bidirectional": True}),
        (nn.GRU, {"bidirectional": True}),
        (nn.GRU, {"bias": False}),
        (nn.RNN, {"nonlinearity": "tanh", "bidirectional": True}),
        (nn.RNN, {"nonlinearity": "relu", "bias": False}),
    ],
)
def test_recurrent_functions_pass_gradcheck(layer, options, packed):
    """Compare first and second derivatives of all inputs, states and parameters with finite differences."""
    fb.manual_seed(1)
    module = layer(2, 3, dtype=fb.float64, **options)
    names = [name for name, _ in module.named_parameters()]
    x = fb.randn(3, 2, 2, dtype=fb.float64)
    _, state = module(x)
    states = state if isinstance(state, tuple) else (state,)

    def call(x, *others):
        hx, parameters = others[: len(states)], dict(zip(names, others[len(states) :], strict=True))
        input = rnn.pack_padded_sequence(x, [3, 1]) if packed else x
        output, final = fb.func.functional_call(module, parameters, (input, hx if len(hx) > 1 else hx[0]))
        return (output.data if packed else output, *(final if isinstance(final, tuple) else (final,)))

    inputs = [t.detach().clone().requires_grad_() for t in (x, *states, *module.parameters())]
    assert gradcheck(call, inputs)
    assert gradgradcheck(call, inputs, fast_mode=True)


def test_recurrent_functions_equal_the_layers():
    fb.manual_seed(0)
    x, lengths = fb.randn(4, 3, 2), [4, 2, 1]
    packed = rnn.pack_padded_sequence(x, lengths)
    for layer, function in ((nn.LSTM, fb.lstm), (nn.GRU, fb.gru), (nn.RNN, fb.rnn_tanh)):
        module = layer(2, 5, num_layers=2, bidirectional=True)
        hx = fb.randn(4, 3, 5)
        state = (hx, fb.randn(4, 3, 5)) if layer is nn.LSTM else hx
        weights, options = list(module.parameters()), (True, 2, 0.0, False, True)
        output, final = module(x, state)
        found = function(x, state, weights, *options, False)
        assert fb.equal(found[0], output)
        assert fb.equal(found[1], final[0] if layer is nn.LSTM else final)
        assert fb.equal(function(x.transpose(0, 1), state, weights, *options, True)[0], output.transpose(0, 1))
        assert fb.equal(
            function(packed.data, packed.batch_sizes, state, weights, *options)[0], module(packed, state)[0].data
        )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.LSTM(3, 4)(fb.zeros(0, 2, 3)), RuntimeError, "sequence length to be larger than 0"),
        (
            lambda: fb.gru(fb.zeros(1, 2, 3), fb.zeros(1, 2, 4), [fb.zeros(12, 3)], True, 1, 0, False, False, False),
            RuntimeError,
            "expected 4 parameters for each layer and direction, got 1",
        ),
        (lambda: nn.LSTM(3, 4)(fb.zeros(5, 2, 2)), RuntimeError, "Expected 3, got 2"),
        (lambda: nn.LSTM(3, 4)(fb.zeros(5, 2, 3, 1)), ValueError, "to be 2D or 3D, got 4D"),
        (lambda: nn.GRU(3, 4)(fb.zeros(5, 2, 3), fb.zeros(1, 3, 4)), RuntimeError, r"Expected hidden size \(1, 2, 4\)"),
        (lambda: nn.GRU(3, 4)(fb.zeros(5, 2, 3), fb.zeros(1, 4)), RuntimeError, "hx should also be 3-D but got 2-D"),
        (lambda: nn.RNN(3, 4, nonlinearity="sin"), ValueError, "Unknown nonlinearity 'sin'"),
        (lambda: nn.LSTM(3, 4, proj_size=4), ValueError, "proj_size"),
        (lambda: nn.LSTM(3, 0), ValueError, "hidden_size must be greater than zero"),
        (lambda: nn.LSTM(3, 4.0), TypeError, "hidden_size should be of type int"),
        (lambda: nn.LSTMCell(3, 4)(fb.zeros(2, 2, 3)), ValueError, "to be 1D or 2D, got 3D"),
        (lambda: rnn.pack_padded_sequence(fb.zeros(3, 2), [1, 3]), RuntimeError, "sorted in decreasing order"),
        (lambda: rnn.pack_padded_sequence(fb.zeros(3, 2), [4, 3]), RuntimeError, "at most 3, .* but got 4"),
        (lambda: rnn.pack_padded_sequence(fb.zeros(3, 2), [1, 0]), RuntimeError, "greater than 0"),
        (lambda: rnn.pack_padded_sequence(fb.zeros(3, 2), [1]), RuntimeError, "equal to batch_size"),
    ],
)
def test_recurrent_layers_reject_invalid_inputs(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_state_with_the_wrong_batch_size_for_packed_sequences_raises():
    packed = rnn.pack_padded_sequence(fb.ones(3, 2, 1), [1, 3], enforce_sorted=False)
    with pytest.raises(RuntimeError, match=r"Expected hidden size \(1, 2, 4\), got \[1, 1, 4\]"):
        nn.GRU(1, 4)(packed, fb.zeros(1, 1, 4))


def test_recurrent_layers_reject_inputs_of_another_dtype():
    layer = nn.GRU(2, 3)
    with pytest.raises(ValueError, match=r"float64\) does not match weight dtype \(flambeau\.float32\)\. Convert"):
        layer(fb.zeros(4, 1, 2, dtype=fb.float64))


@pytest.mark.parametrize(
    ("name", "dtype"), [("byte", "uint8"), ("char", "int8"), ("short", "int16"), ("int", "int32"), ("long", "int64")]
)
def test_packed_sequences_are_converted_like_tensors(name, dtype):
    packed = rnn.pack_sequence([fb.tensor([1.0, 2.0]), fb.tensor([3.0])])
    converted = getattr(packed, name)()
    assert converted.data.dtype is getattr(fb, dtype)
    assert converted.data.tolist() == [1, 3, 2]


def test_empty_tensors_cannot_be_packed():
    with pytest.raises(RuntimeError, match="empty tensor"):
        rnn.pack_padded_sequence(fb.zeros(0, 0), [])


def test_weights_are_listed_in_the_order_of_the_parameters():
    layer = nn.LSTM(2, 3, num_layers=2, bias=False, bidirectional=True, proj_size=1)
    names = [name for name, _ in layer.named_parameters()]
    assert layer._flat_weights_names == names
    assert layer._all_weights[1] == ["weight_ih_l0_reverse", "weight_hh_l0_reverse", "weight_hr_l0_reverse"]
    assert all(a is b for a, b in zip(layer._flat_weights, layer.parameters(), strict=True))


def test_lstm_has_the_methods_that_subclasses_call_in_forward():
    lstm = nn.LSTM(3, 5, num_layers=2, proj_size=4, batch_first=True)
    x, sizes = fb.zeros(7, 6, 3), fb.tensor([6, 4])
    assert lstm.get_expected_hidden_size(x, None) == (2, 7, 4)
    assert lstm.get_expected_cell_size(x, None) == (2, 7, 5)
    assert lstm.get_expected_hidden_size(x[0], sizes) == (2, 6, 4)
    state = fb.arange(2 * 7 * 4.0).reshape(2, 7, 4), fb.zeros(2, 7, 5)
    lstm.check_forward_args(x, state, None)
    with pytest.raises(RuntimeError, match=r"Expected hidden\[1\] size \(2, 7, 5\), got \[2, 6, 5\]"):
        lstm.check_forward_args(x, (state[0], state[1][:, :6]), None)
    with pytest.raises(RuntimeError, match="input must have 2 dimensions, got 3"):
        lstm.check_input(x, sizes)
    order = fb.tensor([6, 5, 4, 3, 2, 1, 0])
    assert fb.equal(lstm.permute_hidden(state, order)[0], state[0].flip(1))
    assert lstm.permute_hidden(state, None) is state


def test_autocast_keeps_the_dtype_of_the_states_that_cells_update():
    x, hidden = fb.randn(5, 2, 3), fb.zeros(1, 2, 4)
    with fb.autocast("cpu", dtype=fb.bfloat16):
        gru, rnn = nn.GRU(3, 4, num_layers=2, bidirectional=True)(x), nn.RNN(3, 4)(x, hidden)
        cells = nn.GRUCell(3, 4)(x[0], hidden[0]), *nn.LSTMCell(3, 4)(x[0])
        plain = nn.RNNCell(3, 4)(x[0])
        low = nn.GRUCell(3, 4)(x[0], hidden[0].bfloat16())
    assert {t.dtype for t in (*gru, *cells)} == {fb.float32}
    assert {t.dtype for t in (*rnn, plain, low)} == {fb.bfloat16}
