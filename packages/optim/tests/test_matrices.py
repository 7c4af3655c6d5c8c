"""Adafactor and Muon, compared with the algorithms of their papers in NumPy."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import optim


@pytest.mark.parametrize("shape", [(4, 3), (5,), (2, 3, 4)])
@pytest.mark.parametrize(
    "options", [{}, {"lr": 0.1, "weight_decay": 0.3, "d": 1.2, "beta2_decay": -0.5, "maximize": True}]
)
def test_adafactor_matches_the_published_algorithm(shape, options):
    """Compare with algorithms 4 and 5 of Shazeer, Stern 2018, with means of rows and columns instead of sums."""
    random = np.random.default_rng(0)
    p = random.standard_normal(shape)
    param = fb.tensor(p)
    optimizer = optim.Adafactor([param], **options)
    lr, decay, d = options.get("lr", 0.01), options.get("weight_decay", 0), options.get("d", 1.0)
    rows = columns = variance = 0.0
    eps = np.finfo(float).eps
    for t in range(1, 5):
        g = random.standard_normal(shape)
        param.grad = fb.tensor(g)
        optimizer.step()
        g = -g if options.get("maximize") else g
        share = t ** options.get("beta2_decay", -0.8)
        rate = max(1e-3, np.sqrt((p**2).mean())) * min(lr, 1 / np.sqrt(t))
        p = p * (1 - lr * decay)
        if len(shape) > 1:
            rows = rows + share * ((g**2).mean(-1, keepdims=True) - rows)
            columns = columns + share * ((g**2).mean(-2, keepdims=True) - columns)
            v = rows @ columns / np.maximum(rows.mean(-2, keepdims=True), eps)
        else:
            v = variance = variance + share * (g**2 - variance)
        update = g / np.sqrt(np.maximum(v, eps**2))
        p = p - rate * update / max(1.0, np.sqrt((update**2).mean()) / d)
        np.testing.assert_allclose(param.numpy(), p, rtol=1e-10)
    wanted = {"step", "row_var", "col_var"} if len(shape) > 1 else {"step", "variance"}
    assert set(optimizer.state[param]) == wanted


def test_a_step_of_muon_is_orthogonal():
    random = np.random.default_rng(0)
    for shape in ((8, 5), (5, 8)):
        g = random.standard_normal(shape)
        param = fb.zeros(shape)
        param.grad = fb.tensor(g).float()
        optim.Muon([param], lr=1.0, nesterov=False).step()
        lengths = np.linalg.svd(param.numpy(), compute_uv=False) / np.sqrt(max(1, shape[0] / shape[1]))
        assert lengths.min() > 0.6 and lengths.max() < 1.3
        u, _, vh = np.linalg.svd(g, full_matrices=False)
        cosine = -(param.numpy() * (u @ vh)).sum() / np.linalg.norm(param.numpy()) / np.sqrt(5)
        assert cosine > 0.97


def test_muon_with_match_rms_adamw_scales_its_step():
    param = fb.zeros(16, 4)
    param.grad = fb.eye(16)[:, :4]
    optim.Muon([param], lr=1.0, adjust_lr_fn="match_rms_adamw").step()
    other = fb.zeros(16, 4)
    other.grad = param.grad
    optim.Muon([other], lr=1.0).step()
    np.testing.assert_allclose(param.numpy(), other.numpy() * 0.2 * 4 / 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: optim.Adafactor(p, beta2_decay=0.5), "beta2_decay should be <= 0"),
        (lambda p: optim.Adafactor(p, d=0.5), "should be >= 1"),
        (lambda p: optim.Adafactor(p, eps=(-1, 0)), "epsilon1"),
        (lambda p: optim.Muon(p, adjust_lr_fn="other"), "other is not supported"),
        (lambda p: optim.Muon(p, ns_steps=100), "less than 100"),
        (lambda p: optim.Muon([fb.ones(3)]), r"only supports 2D parameters .* \[3\]"),
    ],
)
def test_invalid_arguments_are_rejected(make, message):
    with pytest.raises(ValueError, match=message):
        make([fb.ones(2, 2)])
