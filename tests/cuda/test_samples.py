"""Derivatives of what is drawn, gathered and chosen on the GPU are the CPU's, and none of the CPU's work."""

import pytest

import flambeau as fb
from flambeau.testing import assert_close

F = fb.nn.functional
ENTRIES, OFFSETS = fb.tensor([1, 5, 2, 0, 2, 2, 4]), fb.tensor([0, 3, 3])
FACTORS = fb.linspace(-1, 2, 7, dtype=fb.float64)


def gradients(function, x, device):
    fb.manual_seed(5)
    leaf = x.detach().to(device).requires_grad_()
    out = function(leaf)
    weights = fb.linspace(-1, 1, out.numel(), dtype=out.dtype).reshape(out.shape)
    return fb.autograd.grad(out, leaf, weights.to(device))[0].cpu()


def bags(table, factors=None, **options):
    return F.embedding_bag(
        ENTRIES.to(table.device),
        table,
        OFFSETS.to(table.device),
        per_sample_weights=None if factors is None else factors.to(table.device),
        **options,
    )


@pytest.mark.parametrize(
    "function",
    [
        lambda x: bags(x, mode="sum"),
        lambda x: bags(x, mode="mean", padding_idx=2),
        lambda x: bags(x, mode="max"),
        lambda x: bags(x, FACTORS, mode="sum"),
        lambda x: bags(x.detach(), x.flatten()[:7], mode="sum"),
        lambda x: bags(x, mode="mean", scale_grad_by_freq=True),
        lambda x: fb.median(x, 1)[0],
        lambda x: fb.nanmedian(x),
        lambda x: fb.mode(x.round(), 0)[0] * x.sum(0),
        lambda x: F.max_unpool2d(*F.max_pool2d(x.reshape(1, 1, 6, 4), 2, return_indices=True), 2),
        lambda x: fb._standard_gamma(x.abs()),
        lambda x: fb._sample_dirichlet(x.abs()),
        lambda x: fb.poisson(x.abs()) * x,
    ],
)
def test_gradients(function, host_calls):
    x = fb.randn(6, 4, dtype=fb.float64)
    there = gradients(function, x, "cuda")
    assert not host_calls()
    assert_close(there, gradients(function, x, "cpu"), rtol=1e-6, atol=1e-8)
