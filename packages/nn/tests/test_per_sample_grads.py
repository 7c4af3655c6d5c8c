"""Gradients of each example from one backward pass, against one backward pass per example."""

import pytest

import flambeau as fb
from flambeau import nn

pytest.importorskip("flambeau.func")

from flambeau.nn.utils._per_sample_grad import call_for_per_sample_grads

CASES = {
    "linear": (lambda: nn.Linear(4, 3), lambda: fb.randn(5, 4)),
    "conv2d": (lambda: nn.Conv2d(2, 4, 3, groups=2), lambda: fb.randn(5, 2, 6, 6)),
    "embedding": (lambda: nn.Embedding(7, 3), lambda: fb.randint(7, (5, 2))),
    "normalisation": (
        lambda: nn.Sequential(nn.Linear(4, 4), nn.GroupNorm(2, 4), nn.LayerNorm(4)),
        lambda: fb.randn(5, 4),
    ),
}


def one_by_one(model, x, dim, weights):
    """Return the gradients of ``(model(x) * weights).sum()`` for the examples along ``dim``."""
    found = []
    for example, weight in zip(x.split(1, dim), weights.split(1, dim), strict=True):
        loss = (model(example) * weight).sum()
        found.append(fb.autograd.grad(loss, [p for p in model.parameters() if p.requires_grad]))
    return [fb.stack(gradients) for gradients in zip(*found, strict=True)]


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_each_example(name, reduction):
    fb.manual_seed(0)
    make, draw = CASES[name]
    model, x = make().double(), draw()
    x = x.double() if x.is_floating_point() else x
    weights = fb.randn_like(model(x).detach())
    expected = one_by_one(model, x, 0, weights)
    output = call_for_per_sample_grads(model, loss_reduction=reduction)(x)
    fb.testing.assert_close(output, model(x))
    loss = (output * weights).sum()
    (loss / 5 if reduction == "mean" else loss).backward()
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        assert parameter.grad is None
        fb.testing.assert_close(parameter.grad_sample, gradient)


def test_per_sample_grads_support_frozen_parameters_and_keyword_arguments():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 3)

        def forward(self, x, *, scale):
            return self.linear(x) * scale

    model, x, scale = Scaled(), fb.randn(2, 5, 4), fb.rand(2, 5, 1)
    model.linear.bias.requires_grad_(False)
    call = call_for_per_sample_grads(model, batch_first=False)
    call(x, scale=scale).sum().backward()
    expected = one_by_one(model.linear, x, 1, scale.expand(2, 5, 3))
    fb.testing.assert_close(model.linear.weight.grad_sample, expected[0])
    assert not hasattr(model.linear.bias, "grad_sample")
    before = model.linear.weight.grad_sample
    call(x, scale=scale).sum().backward()
    fb.testing.assert_close(model.linear.weight.grad_sample, before * 2)


def test_per_sample_grads_reject_invalid_arguments():
    model = nn.Linear(4, 3)
    with pytest.raises(RuntimeError, match="sum or mean, got none"):
        call_for_per_sample_grads(model, loss_reduction="none")
    with pytest.raises(RuntimeError, match=r"must be nn\.Module, got function"):
        call_for_per_sample_grads(lambda x: x)
    with pytest.raises(RuntimeError, match="must be None or an integer, got float"):
        call_for_per_sample_grads(model, batch_size=2.0)
    with pytest.raises(RuntimeError, match="must be positive, got 0"):
        call_for_per_sample_grads(model, batch_size=0)
    with pytest.raises(RuntimeError, match="Unable to find a tensor"):
        call_for_per_sample_grads(model)()
    with pytest.raises(RuntimeError, match=r"batch sizes \[2, 3\]"):
        call_for_per_sample_grads(nn.Bilinear(4, 4, 3))(fb.ones(2, 4), fb.ones(3, 4))
    model.weight.grad_sample = fb.zeros(1)
    with pytest.raises(RuntimeError, match="the parameter 'weight' has a grad_sample"):
        call_for_per_sample_grads(model)
