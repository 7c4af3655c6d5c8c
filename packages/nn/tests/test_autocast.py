"""Losses and layers within autocast."""

import inspect

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.nn import functional as F

LOW = fb.bfloat16


def rows(*shape):
    return fb.rand(*shape).to(LOW)


SIGNS = fb.tensor([1.0, -1.0]).to(LOW)
LOSSES = {
    "l1_loss": lambda: F.l1_loss(rows(2, 3), rows(2, 3)),
    "mse_loss": lambda: F.mse_loss(rows(2, 3), rows(2, 3)),
    "smooth_l1_loss": lambda: F.smooth_l1_loss(rows(2, 3), rows(2, 3)),
    "huber_loss": lambda: F.huber_loss(rows(2, 3), rows(2, 3)),
    "binary_cross_entropy": lambda: F.binary_cross_entropy(rows(2, 3), rows(2, 3)),
    "binary_cross_entropy_with_logits": lambda: F.binary_cross_entropy_with_logits(rows(2, 3), rows(2, 3)),
    "kl_div": lambda: F.kl_div(rows(2, 3), rows(2, 3), reduction="batchmean"),
    "poisson_nll_loss": lambda: F.poisson_nll_loss(rows(2, 3), rows(2, 3)),
    "hinge_embedding_loss": lambda: F.hinge_embedding_loss(rows(2), SIGNS),
    "soft_margin_loss": lambda: F.soft_margin_loss(rows(2), SIGNS),
    "cosine_embedding_loss": lambda: F.cosine_embedding_loss(rows(2, 3), rows(2, 3), SIGNS),
    "margin_ranking_loss": lambda: F.margin_ranking_loss(rows(2), rows(2), SIGNS),
    "triplet_margin_loss": lambda: F.triplet_margin_loss(rows(2, 3), rows(2, 3), rows(2, 3)),
    "multi_margin_loss": lambda: F.multi_margin_loss(rows(2, 3), fb.tensor([0, 1])),
    "multilabel_margin_loss": lambda: F.multilabel_margin_loss(rows(2, 3), fb.tensor([[0, -1, 0], [1, -1, 0]])),
    "cross_entropy": lambda: F.cross_entropy(rows(2, 3), fb.tensor([0, 1])),
    "nll_loss": lambda: F.nll_loss(rows(2, 3), fb.tensor([0, 1])),
    "ctc_loss": lambda: F.ctc_loss(rows(4, 2, 3), fb.ones(2, 1, dtype=fb.int64), [4, 4], [1, 1]),
}


@pytest.mark.parametrize("name", LOSSES)
def test_autocast_computes_losses_in_float32(name):
    with fb.autocast("cpu"):
        assert LOSSES[name]().dtype is fb.float32
    assert LOSSES[name]().dtype is LOW


def test_autocast_wrappers_keep_the_signature_of_losses():
    assert list(inspect.signature(F.kl_div).parameters)[:2] == ["input", "target"]
    assert F.kl_div.__name__ == "kl_div" and "Kullback" in F.kl_div.__doc__


MODELS = {
    "MLP": (lambda: nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.LayerNorm(16), nn.Linear(16, 3)), (4, 8)),
    "RMSNorm": (lambda: nn.Sequential(nn.Linear(8, 16), nn.RMSNorm(16), nn.GELU(), nn.Linear(16, 3)), (4, 8)),
    "Conv2d": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.GELU(), nn.AvgPool2d(2), nn.GroupNorm(2, 8)
        ),
        (4, 3, 8, 8),
    ),
    "ConvTranspose2d": (
        lambda: nn.Sequential(nn.ConvTranspose2d(3, 8, 2, 2), nn.InstanceNorm2d(8, affine=True), nn.SiLU()),
        (4, 3, 4, 4),
    ),
    "Transformer": (lambda: nn.TransformerEncoderLayer(16, 4, 32, 0.0, "gelu", batch_first=True), (2, 5, 16)),
    "LSTM": (lambda: nn.LSTM(8, 16, 2, bidirectional=True), (5, 2, 8)),
    "GRU": (lambda: nn.GRU(8, 16), (5, 2, 8)),
    "RNN": (lambda: nn.RNN(8, 16), (5, 2, 8)),
}


@pytest.mark.parametrize("dtype", [fb.bfloat16, fb.float16])
@pytest.mark.parametrize("name", MODELS)
def test_gradients_computed_in_autocast_are_close_to_float32(name, dtype):
    make, shape = MODELS[name]
    fb.manual_seed(1)
    model, x = make(), fb.randn(*shape)

    def gradients():
        model.zero_grad()
        output = model(x)
        output = output[0] if isinstance(output, tuple) else output
        (output.float() * fb.linspace(-1, 1, output.numel()).reshape(output.shape)).sum().backward()
        return [p.grad for p in model.parameters()]

    wide = gradients()
    with fb.autocast("cpu", dtype=dtype):
        low = gradients()
    unit = {fb.bfloat16: 2**-8, fb.float16: 2**-11}[dtype]
    for a, b in zip(wide, low, strict=True):
        assert b.dtype is fb.float32
        assert (a - b).abs().max() <= 32 * unit * (1 + a.abs().max())
