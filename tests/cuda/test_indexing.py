"""Tests that derivatives of indexing on the GPU equal the CPU's bit for bit, because sums have a fixed order."""

import pytest

import flambeau as fb
from flambeau.testing import assert_close

ENTRIES = fb.arange(300) * 7919 % 11
CASES = {
    "index_select": lambda t, i: t.index_select(0, i),
    "gather": lambda t, i: t.gather(0, i[:, None].expand(300, 6)),
    "gather_scattered": lambda t, i: t.gather(0, i.reshape(60, 5)),
    "embedding": lambda t, i: fb.nn.functional.embedding(i, t),
    "embedding_frequency": lambda t, i: fb.nn.functional.embedding(i, t, padding_idx=3, scale_grad_by_freq=True),
    "index": lambda t, i: t[i],
    "index_of_two": lambda t, i: t[i, i % 6],
    "mask": lambda t, i: t[t > 0.3],
    "take": lambda t, i: t.take(i),
    "scatter_add": lambda t, i: fb.zeros(11, 6, device=t.device).scatter_add(0, i[:11, None].expand(11, 6), t),
    "sort": lambda t, i: t.sort(0).values * t,
    "topk": lambda t, i: t.topk(3, 0).values,
}


@pytest.mark.parametrize("name", CASES)
def test_gradients_of_indexing_equal_those_on_the_cpu(name, host_calls):
    x = fb.sin(fb.arange(66.0)).reshape(11, 6)
    gradients = []
    for device in ("cpu", "cuda"):
        t = x.to(device).detach().requires_grad_()
        out = CASES[name](t, ENTRIES.to(device))
        weight = fb.cos(fb.arange(float(out.numel()))).reshape(out.shape).to(device)
        (gradient,) = fb.autograd.grad(out, t, weight)
        gradients.append(gradient.cpu())
    assert_close(gradients[1], gradients[0], rtol=0, atol=0)
    assert not host_calls()


def test_backward_of_dropout_draws_its_mask_again(host_calls):
    gradients = []
    for device in ("cpu", "cuda"):
        fb.manual_seed(3)
        t = fb.ones(5000, device=device).requires_grad_()
        out = fb.nn.functional.dropout(t, 0.4)
        (gradient,) = fb.autograd.grad(out, t, fb.ones_like(out))
        assert_close(gradient.cpu(), out.detach().cpu(), rtol=0, atol=0)
        gradients.append(gradient.cpu())
    assert_close(gradients[1], gradients[0], rtol=0, atol=0)
    assert not host_calls()
