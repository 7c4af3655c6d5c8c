"""Recurrent layers on the GPU give what they give on the CPU, and so do their derivatives, without the host's help."""

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.nn.utils import rnn as sequences
from flambeau.testing import assert_close

LAYERS = [
    lambda **options: nn.RNN(5, 6, **options),
    lambda **options: nn.RNN(5, 6, nonlinearity="relu", **options),
    lambda **options: nn.LSTM(5, 6, **options),
    lambda **options: nn.GRU(5, 6, **options),
    lambda **options: nn.LSTM(5, 6, proj_size=4, **options),
]


def flat(result):
    output, state = result
    output = output.data if isinstance(output, sequences.PackedSequence) else output
    return output, *(state if isinstance(state, tuple) else (state,))


def trained(layer, device, x, state, run):
    """Outputs, and the derivatives of a weighted sum of them."""
    layer = layer.to(device)
    leaves = [t.detach().to(device).requires_grad_() for t in (x, *state)]
    outputs = flat(run(layer, leaves[0], *leaves[1:]))
    total = sum((o * fb.linspace(-1, 1, o.numel(), dtype=o.dtype).to(device).reshape(o.shape)).sum() for o in outputs)
    return [*outputs, *fb.autograd.grad(total, [*leaves, *layer.parameters()])]


def both(layer, x, state, host_calls, run=lambda layer, x, *state: layer(x, state if len(state) > 1 else state[0])):
    here = [t.clone() for t in trained(layer, "cpu", x, state, run)]
    there = trained(layer, "cuda", x, state, run)
    assert not host_calls()
    for h, t in zip(here, there, strict=True):
        assert_close(t.cpu(), h, rtol=1e-4, atol=1e-5)


def states(layer, batch, directions=1):
    outputs = layer.proj_size or layer.hidden_size
    sizes = (outputs, layer.hidden_size)[: 2 if isinstance(layer, nn.LSTM) else 1]
    return [fb.randn(layer.num_layers * directions, batch, size, dtype=layer.weight_ih_l0.dtype) for size in sizes]


@pytest.mark.parametrize("make", LAYERS)
def test_layers(make, host_calls):
    layer = make()
    both(layer, fb.randn(7, 3, 5), states(layer, 3), host_calls)


@pytest.mark.parametrize("make", LAYERS[2:])
def test_several_layers_in_both_directions(make, host_calls):
    layer = make(num_layers=2, bidirectional=True, bias=False, batch_first=True)
    both(layer, fb.randn(3, 4, 5), states(layer, 3, 2), host_calls)


@pytest.mark.parametrize("make", LAYERS[2:])
def test_packed_sequences(make, host_calls):
    layer = make(bidirectional=True)

    def run(layer, x, *state):
        packed = sequences.pack_padded_sequence(x, [6, 4, 4, 1])
        return layer(packed, state if len(state) > 1 else state[0])

    both(layer, fb.randn(6, 4, 5), states(layer, 4, 2), host_calls, run)


def test_double_precision_and_one_time(host_calls):
    layer = nn.GRU(5, 300).double()
    both(layer, fb.randn(1, 2, 5, dtype=fb.float64), states(layer, 2), host_calls)


def test_halves(host_calls):
    layer, x = nn.LSTM(5, 6).to(fb.bfloat16), fb.randn(4, 3, 5).to(fb.bfloat16)
    here = layer(x)[0]
    assert_close(layer.cuda()(x.cuda())[0].cpu(), here, rtol=2e-2, atol=2e-2)
    assert not host_calls()


def test_empty(host_calls):
    layer = nn.LSTM(5, 6).cuda()
    assert layer(fb.zeros(4, 0, 5, device="cuda"))[0].shape == (4, 0, 6)
    assert not host_calls()


@pytest.mark.parametrize("make", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_cells(make, host_calls):
    cell, x = make(5, 6), fb.randn(3, 5)
    here = cell(x)
    there = cell.cuda()(x.cuda())
    assert not host_calls()
    for h, t in zip(*((r if isinstance(r, tuple) else (r,)) for r in (here, there)), strict=True):
        assert_close(t.cpu(), h, rtol=1e-5, atol=1e-6)


def test_a_step_of_training(host_calls):
    layer, head = nn.LSTM(5, 6, num_layers=2, dropout=0.5).cuda(), nn.Linear(6, 3).cuda()
    optimizer = fb.optim.Adam([*layer.parameters(), *head.parameters()])
    x, target = fb.randn(7, 4, 5, device="cuda"), fb.zeros(4, dtype=fb.int64, device="cuda")
    for _ in range(2):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(head(layer(x)[0][-1]), target)
        loss.backward()
        nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
        optimizer.step()
    assert not host_calls()


def test_second_derivatives():
    layer = nn.GRU(3, 4).double()
    x = fb.randn(3, 2, 3, dtype=fb.float64)

    def second(device):
        at = x.to(device).requires_grad_()
        (first,) = fb.autograd.grad(layer.to(device)(at)[0].square().sum(), at, create_graph=True)
        return fb.autograd.grad(first.square().sum(), at)[0].cpu()

    assert_close(second("cuda"), second("cpu"), rtol=1e-8, atol=1e-10)
