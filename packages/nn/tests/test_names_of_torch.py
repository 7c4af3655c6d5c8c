"""Functions of the main namespace with reductions encoded as numbers return the values of ``nn.functional``."""

import pytest

import flambeau as fb
from flambeau.nn import functional as F

REDUCTIONS = ("none", "mean", "sum")


def rows(*shape):
    return fb.rand(*shape) + 0.1


SIGNS = fb.tensor([1.0, -1.0])
LOSSES = {
    "kl_div": ((rows(2, 3), rows(2, 3)), {}),
    "cosine_embedding_loss": ((rows(2, 3), rows(2, 3), SIGNS), {"margin": 0.2}),
    "margin_ranking_loss": ((rows(2), rows(2), SIGNS), {"margin": 0.2}),
    "triplet_margin_loss": ((rows(2, 3), rows(2, 3), rows(2, 3)), {"margin": 0.7, "swap": True}),
    "hinge_embedding_loss": ((rows(2), SIGNS), {"margin": 0.7}),
    "poisson_nll_loss": ((rows(2, 3), rows(2, 3)), {"log_input": False, "full": True, "eps": 1e-6}),
    "binary_cross_entropy_with_logits": ((rows(2, 3), rows(2, 3)), {"pos_weight": rows(3)}),
    "ctc_loss": ((rows(4, 2, 3).log_softmax(-1), fb.ones(2, 1, dtype=fb.int64), [4, 4], [1, 1]), {}),
}


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("reduction", range(3))
@pytest.mark.parametrize("name", LOSSES)
def test_torch_losses_take_the_reduction_as_a_number(name, reduction):
    args, options = LOSSES[name]
    expected = getattr(F, name)(*args, **options, reduction=REDUCTIONS[reduction])
    assert getattr(fb, name)(*args, **options, reduction=reduction).equal(expected)


def test_unknown_reduction_numbers_are_rejected():
    with pytest.raises(ValueError, match="reduction must be 0"):
        fb.kl_div(rows(2), rows(2), 3)


def test_pooling_functions_exist_in_the_torch_namespace():
    x = rows(2, 3, 8)
    for got, expected in (
        (fb.adaptive_max_pool1d(x, 2), F.adaptive_max_pool1d(x, 2, True)),
        (fb.max_pool1d_with_indices(x, 2), F.max_pool1d(x, 2, return_indices=True)),
    ):
        assert got[0].equal(expected[0]) and got[1].equal(expected[1])
    theta = rows(2, 2, 3)
    assert fb.affine_grid_generator(theta, (2, 1, 4, 4), True).equal(F.affine_grid(theta, [2, 1, 4, 4], True))
    assert fb.rrelu(-x).equal(F.rrelu(-x)) and fb.rrelu_(y := -x) is y and y.equal(F.rrelu(-x))
    with pytest.raises(NotImplementedError, match="default generator"):
        fb.rrelu(x, generator=fb.Generator())
    assert fb.dropout_(z := fb.ones(100), 0.5, True) is z and 0 < z.count_nonzero() < 100
    assert fb.norm_except_dim(x, 2, 1).allclose(x.square().sum((0, 2), keepdim=True).sqrt())
    assert fb.norm_except_dim(x, 2, -1).allclose(x.square().sum().sqrt())
