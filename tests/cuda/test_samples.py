"""Tests that derivatives of sampling and gather operators on the GPU equal the CPU's, without a fallback to the CPU."""

import pytest

import flambeau as fb
from flambeau.testing import assert_close

F = fb.nn.functional
ENTRIES, OFFSETS = fb.tensor([1, 5, 2, 0, 2, 2, 4]), fb.tensor([0, 3, 3])
LABELS = fb.tensor([1, 3, 2, 0, 0, 3])
SETS = fb.tensor([[1, 3, -1, 0], [2, -1, 1, 1], [-1, 2, 0, 1], [0, 1, 2, 3], [3, 3, -1, 0], [0, -1, -1, -1]])
FACTORS = fb.linspace(-1, 2, 7, dtype=fb.float64)
UNIFORM = fb.tensor([[[0.3, 0.8, 0.5]]], dtype=fb.float64)


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
        lambda x: F.fractional_max_pool2d(
            x.reshape(1, 1, 6, 4), 2, (3, 2), _random_samples=UNIFORM[..., :2].to(x.device)
        ),
        lambda x: F.fractional_max_pool3d(x.reshape(1, 1, 3, 4, 2), 2, (2, 2, 1), _random_samples=UNIFORM.to(x.device)),
        lambda x: fb.cdist(x, x[:3] + 1, 1),
        lambda x: fb.cdist(x, x[:3] + 1, 2),
        lambda x: fb.cdist(x[:2] + 1, x, 3.5),
        lambda x: fb.pdist(x, 3),
        lambda x: fb.linalg.cross(x[:, :3], x[:, 1:].exp(), dim=1),
        lambda x: x.repeat_interleave(OFFSETS.to(x.device).repeat(2), 0),
        lambda x: F.multi_margin_loss(x, LABELS.to(x.device), reduction="none"),
        lambda x: F.multilabel_margin_loss(x, SETS.to(x.device), reduction="none"),
        lambda x: F.multi_margin_loss(x, LABELS.to(x.device), p=2, margin=0.7, weight=x[0].detach().abs()),
        lambda x: fb._standard_gamma(x.abs()),
        lambda x: fb._sample_dirichlet(x.abs()),
        lambda x: fb.poisson(x.abs()) * x,
    ],
)
def test_gradients_of_operators_equal_those_on_the_cpu(function, host_calls):
    x = fb.randn(6, 4, dtype=fb.float64)
    there = gradients(function, x, "cuda")
    assert not host_calls()
    assert_close(there, gradients(function, x, "cpu"), rtol=1e-6, atol=1e-8)


def ctc(device, logits, *arguments, **options):
    leaf = logits.detach().to(device).requires_grad_()
    losses = F.ctc_loss(leaf.log_softmax(-1), *arguments, reduction="none", **options)
    weights = fb.linspace(1, 2, losses.numel(), dtype=losses.dtype).to(device)
    return losses.cpu(), fb.autograd.grad(losses, leaf, weights)[0].cpu()


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64])
@pytest.mark.parametrize("blank", [0, 4])
@pytest.mark.parametrize("joined", [False, True])
def test_ctc_loss_and_its_gradient_match_the_cpu(dtype, blank, joined, host_calls):
    labels, times = [6, 0, 3, 1, 5], [20, 7, 20, 0, 4]  # the last two have too few steps
    targets = fb.randint(0, 4, (5, 6)) + (blank == 0)
    targets[0, 1] = targets[0, 2] = targets[0, 5]
    if joined:
        targets = fb.cat([row[:n] for row, n in zip(targets, labels, strict=True)])
    logits = fb.randn(20, 5, 7, dtype=dtype)
    for zero_infinity in (False, True):
        options = {"blank": blank, "zero_infinity": zero_infinity}
        here = ctc("cpu", logits, targets, times, labels, **options)
        there = ctc("cuda", logits, targets.cuda(), times, labels, **options)
        for h, t in zip(here, there, strict=True):
            assert_close(t, h, rtol=1e-4, atol=1e-5, equal_nan=True)
    assert not host_calls()


def test_ctc_loss_rejects_labels_that_are_not_classes():
    F.ctc_loss(fb.zeros(3, 1, 4, device="cuda"), fb.tensor([[4]], device="cuda"), [3], [1], reduction="none")
    with pytest.raises(IndexError, match="ctc_loss"):
        fb.cuda.synchronize()


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("corners", [False, True])
def test_grid_sample_and_its_gradient_match_the_cpu(mode, padding, corners, host_calls):
    options = {"mode": mode, "padding_mode": padding, "align_corners": corners}
    cases = [((2, 3, 5, 6), (2, 4, 3, 2))]
    if mode != "bicubic":
        cases.append(((2, 2, 3, 4, 5), (2, 2, 3, 2, 3)))
    for image, grid in cases:
        x, at = fb.randn(image, dtype=fb.float64), fb.randn(grid, dtype=fb.float64)
        results = []
        for device in ("cpu", "cuda"):
            leaves = [t.detach().to(device).requires_grad_() for t in (x, at)]
            out = F.grid_sample(*leaves, **options)
            weights = fb.linspace(-1, 1, out.numel(), dtype=out.dtype).reshape(out.shape).to(device)
            results.append([out.cpu(), *(g.cpu() for g in fb.autograd.grad(out, leaves, weights))])
        for h, t in zip(*results, strict=True):
            assert_close(t, h, rtol=1e-9, atol=1e-9)
    assert not host_calls()


def test_embedding_max_norm_on_the_gpu_equals_the_cpu(host_calls):
    table, entries = fb.randn(6, 40), fb.tensor([[1, 5], [5, 2]])
    results = [F.embedding(entries.to(d), table.to(d), max_norm=1.5).cpu() for d in ("cpu", "cuda")]
    assert_close(results[1], results[0], rtol=1e-5, atol=1e-6)
    there = table.cuda()
    F.embedding(entries.cuda(), there, max_norm=1.5, norm_type=1)
    F.embedding(entries, table, max_norm=1.5, norm_type=1)
    assert_close(there.cpu(), table, rtol=1e-5, atol=1e-6)
    assert not host_calls()
