"""Tests that recurrent layers and their derivatives on the GPU equal the CPU's, without a fallback to the CPU."""

import copy
import ctypes
import os

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
    """Return the outputs, and the derivatives of a weighted sum of them."""
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
def test_recurrent_layers_match_the_cpu(make, host_calls):
    layer = make()
    both(layer, fb.randn(7, 3, 5), states(layer, 3), host_calls)


@pytest.mark.parametrize("make", LAYERS[2:])
def test_several_layers_in_both_directions_match_the_cpu(make, host_calls):
    layer = make(num_layers=2, bidirectional=True, bias=False, batch_first=True)
    both(layer, fb.randn(3, 4, 5), states(layer, 3, 2), host_calls)


@pytest.mark.parametrize("make", LAYERS[2:])
def test_packed_sequences_match_the_cpu(make, host_calls):
    layer = make(bidirectional=True)

    def run(layer, x, *state):
        packed = sequences.pack_padded_sequence(x, [6, 4, 4, 1])
        return layer(packed, state if len(state) > 1 else state[0])

    both(layer, fb.randn(6, 4, 5), states(layer, 4, 2), host_calls, run)


def test_recurrent_layers_in_float64_and_with_one_time_step_match_the_cpu(host_calls):
    layer = nn.GRU(5, 300).double()
    both(layer, fb.randn(1, 2, 5, dtype=fb.float64), states(layer, 2), host_calls)


@pytest.mark.parametrize("dtype", [fb.float16, fb.bfloat16])
@pytest.mark.parametrize("make", LAYERS)
def test_recurrent_layers_in_half_precision_match_float32_up_to_rounding(make, dtype, host_calls):
    """Test that results and derivatives have half precision and differ from float32 results only by rounding."""
    layer = make(bidirectional=True).to(dtype)
    x, state = fb.randn(6, 4, 5).to(dtype), [t.to(dtype) for t in states(layer, 4, 2)]

    def run(layer, x, *state):
        packed = sequences.pack_padded_sequence(x, [6, 4, 4, 1])
        return layer(packed, state if len(state) > 1 else state[0])

    there = trained(copy.deepcopy(layer), "cuda", x, state, run)
    assert not host_calls()
    here = trained(layer.float(), "cpu", x.float(), [t.float() for t in state], run)
    unit = {fb.float16: 2.0**-9, fb.bfloat16: 2.0**-6}[dtype]
    for h, t in zip(here, there, strict=True):
        assert t.dtype == dtype
        assert_close(t.cpu().float(), h, rtol=unit, atol=unit * max(1.0, h.abs().max().item()))


@pytest.mark.parametrize("make", [nn.LSTM, nn.GRU])
def test_half_precision_accumulates_the_state_in_float32(make):
    """Test that a half-precision layer keeps its state in float32 over time, so that many small steps do not vanish."""
    layer, times = make(1, 1, bias=True).to(fb.bfloat16).requires_grad_(False), 400
    for parameter in layer.parameters():
        parameter.zero_()
    if make is nn.LSTM:  # each step adds 2**-11 to the state, because the gates are 1, 1, 2**-11 and 1/2
        layer.bias_ih_l0.copy_(fb.tensor([20.0, 20.0, 2.0**-11, 0.0]))
        expected = times * 2.0**-11 + 1
    else:  # each step reduces the hidden state by about 1/2000
        layer.bias_ih_l0.copy_(fb.tensor([0.0, 7.625, 0.0]))
        expected = float((1 / (1 + fb.tensor(-7.625).exp())) ** times)
    state = fb.ones(1, 1, 1, dtype=fb.bfloat16, device="cuda")
    x = fb.zeros(times, 1, 1, dtype=fb.bfloat16, device="cuda")
    last = layer.cuda()(x, (state, state) if make is nn.LSTM else state)[1]
    assert (last[1] if make is nn.LSTM else last).item() == pytest.approx(expected, rel=2.0**-8)


@pytest.mark.skipif("FLAMBEAU_CUDA_DRIVER" not in os.environ, reason="needs an emulated GPU")
def test_half_precision_is_not_converted_to_float32():
    """Test that half precision needs the kernels of float32 and conversions of the first and the last state."""
    emulator = ctypes.CDLL(os.environ["FLAMBEAU_CUDA_DRIVER"])

    def launches(dtype):
        layer, x = nn.LSTM(8, 8).cuda().to(dtype), fb.zeros(5, 2, 8, device="cuda", dtype=dtype)
        before = emulator.emulated_counts(b"cuLaunchKernelEx")
        layer(x)
        return emulator.emulated_counts(b"cuLaunchKernelEx") - before

    assert launches(fb.float16) <= launches(fb.float32) + 2


def test_recurrent_layers_accept_empty_batches(host_calls):
    layer = nn.LSTM(5, 6).cuda()
    assert layer(fb.zeros(4, 0, 5, device="cuda"))[0].shape == (4, 0, 6)
    assert not host_calls()


@pytest.mark.parametrize("make", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_recurrent_cells_match_the_cpu(make, host_calls):
    cell, x = make(5, 6), fb.randn(3, 5)
    here = cell(x)
    there = cell.cuda()(x.cuda())
    assert not host_calls()
    for h, t in zip(*((r if isinstance(r, tuple) else (r,)) for r in (here, there)), strict=True):
        assert_close(t.cpu(), h, rtol=1e-5, atol=1e-6)


def test_a_training_step_of_a_recurrent_layer_runs_only_on_the_gpu(host_calls):
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


def test_second_derivatives_of_a_recurrent_layer_match_the_cpu():
    layer = nn.GRU(3, 4).double()
    x = fb.randn(3, 2, 3, dtype=fb.float64)

    def second(device):
        at = x.to(device).requires_grad_()
        (first,) = fb.autograd.grad(layer.to(device)(at)[0].square().sum(), at, create_graph=True)
        return fb.autograd.grad(first.square().sum(), at)[0].cpu()

    assert_close(second("cuda"), second("cpu"), rtol=1e-8, atol=1e-10)
