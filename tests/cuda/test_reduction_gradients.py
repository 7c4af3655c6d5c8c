"""Tests that derivatives of reductions, softmax, losses, normalisations and scans on the GPU equal those on the CPU."""

import pytest

import flambeau as fb
from flambeau.testing import assert_close

F = fb.nn.functional


def values(*shape, dtype=fb.float32):
    return fb.randn(shape).to(dtype)


def check(function, *operands, **tolerances):
    """Compare the gradients of sum(function(...) * fixed tensor) on both devices."""
    grad, results = None, []
    for device in ("cpu", "cuda"):
        leaves = [t.to(device).requires_grad_(t.dtype.is_floating_point) for t in operands]
        out = function(*leaves)
        grad = fb.randn(out.shape).to(out.dtype) if grad is None else grad
        wanted = [t for t in leaves if t.requires_grad]
        results.append([g.cpu() for g in fb.autograd.grad(out, wanted, grad.to(device))])
    for there, here in zip(results[1], results[0], strict=True):
        assert_close(there, here, **tolerances)


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.bfloat16])
@pytest.mark.parametrize(
    ("shape", "dim"), [((5, 9), 1), ((3, 1500), 1), ((1, 17001), 1), ((2, 30, 7), 1), ((2, 9, 64), 1)]
)
def test_gradients_of_softmax_match_the_cpu(shape, dim, dtype, host_calls):
    for function in (fb.softmax, fb.log_softmax):
        check(lambda t, f=function: f(t, dim), values(*shape, dtype=dtype))
    check(lambda t: t.logsumexp(dim), values(*shape, dtype=dtype))
    assert not host_calls()


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_gradients_of_cross_entropy_and_nll_loss_match_the_cpu(reduction, host_calls):
    labels = fb.tensor([[1, 2, -100], [0, 4, 3]])
    for dtype in (fb.float32, fb.float64):
        x, weight = values(2, 5, 3, dtype=dtype), fb.rand(5).to(dtype)
        for loss in (F.cross_entropy, F.nll_loss):
            check(lambda t, f=loss: f(t, labels.to(t.device), reduction=reduction), x)
            check(lambda t, f=loss, w=weight: f(t, labels.to(t.device), w.to(t.device), reduction=reduction), x)
    check(lambda t: F.cross_entropy(t, fb.full((4,), -100).to(t.device), reduction=reduction), values(4, 3))
    assert not host_calls()


@pytest.mark.parametrize("shape", [(900, 10), (300, 7, 5), (3, 683, 3), (2, 2048), (3, 5000), (2, 90, 70)])
def test_gradients_of_cross_entropy_with_few_and_many_classes_match_the_cpu(shape, host_calls):
    """Test numbers of classes for which several samples share a thread block, or a sample needs several blocks."""
    labels = fb.randint(0, shape[1], (shape[0], *shape[2:]))
    labels.view(-1)[::4] = -100
    for loss in (F.cross_entropy, F.nll_loss):
        check(lambda t, f=loss: f(t, labels.to(t.device)), values(*shape))
    assert not host_calls()


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64])
@pytest.mark.parametrize("shape", [(6, 9), (5, 768), (2, 3, 1030), (1, 17001)])
def test_gradients_of_layer_norm_and_rms_norm_match_the_cpu(shape, dtype, host_calls):
    last = shape[-1]
    check(lambda x, w, b: F.layer_norm(x, (last,), w, b), *(values(*s, dtype=dtype) for s in (shape, (last,), (last,))))
    check(lambda x: F.layer_norm(x, (last,)), values(*shape, dtype=dtype))
    check(lambda x, w: F.rms_norm(x, (last,), w), values(*shape, dtype=dtype), values(last, dtype=dtype))
    assert not host_calls()


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64])
@pytest.mark.parametrize("shape", [(7, 6), (3, 6, 5), (2, 6, 8, 8), (2, 6, 3000)])
def test_gradients_of_group_norm_and_batch_norm_match_the_cpu(shape, dtype, host_calls):
    operands = [values(*s, dtype=dtype) for s in (shape, (6,), (6,))]
    # A channel's gradients are sums of so many numbers about 1 of either sign, in another order on each device.
    rounding = {"rtol": 1e-5, "atol": fb.finfo(dtype).eps * max(100, operands[0].numel() / 6)}
    check(lambda x, w, b: F.group_norm(x, 3, w, b), *operands, **rounding)
    check(lambda x: F.group_norm(x, 2), operands[0], **rounding)
    check(lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), *operands, **rounding)
    mean, var = values(6, dtype=dtype), fb.rand(6, dtype=dtype) + 0.5
    check(lambda x, w, b: F.batch_norm(x, mean.to(x.device), var.to(x.device), w, b), *operands, **rounding)
    assert not host_calls()


def test_gradients_of_reductions_match_the_cpu():
    x = values(4, 50)
    for name in ("sum", "mean", "prod", "var", "std", "amax", "logsumexp", "cumsum", "cumprod", "logcumsumexp"):
        check(lambda t, name=name: getattr(t, name)(1), x)
    check(lambda t: t.norm(), x)
