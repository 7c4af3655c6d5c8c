"""PyTorch's private helpers for attention and layers, which layers of other packages use."""

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.nn import functional as F

BATCH, SINGLE = fb.ones(2, 5, 4), fb.ones(5, 4)


def test_canonical_mask_converts_bool_masks_to_floating_masks():
    options = {"mask_name": "mask", "other_type": None, "other_name": "", "target_type": fb.float64}
    converted = F._canonical_mask(fb.tensor([True, False]), **options)
    assert converted.tolist() == [-float("inf"), 0.0] and converted.dtype == fb.float64
    floating = fb.ones(2)
    assert F._canonical_mask(floating, **options) is floating and F._canonical_mask(None, **options) is None
    with pytest.raises(AssertionError, match="only bool and floating types of mask are supported"):
        F._canonical_mask(fb.ones(2, dtype=fb.int64), **options)
    with pytest.warns(UserWarning, match="mismatched mask and other"):
        F._canonical_mask(floating, **options | {"other_type": F._none_or_dtype(floating > 0), "other_name": "other"})


def test_none_or_dtype_returns_the_dtype_of_a_tensor():
    assert F._none_or_dtype(None) is None and F._none_or_dtype(fb.ones(1)) == fb.float32
    with pytest.raises(RuntimeError, match="must be None or"):
        F._none_or_dtype(1)


def test_mha_shape_check_tells_batched_from_unbatched_arguments():
    assert F._mha_shape_check(BATCH, BATCH, BATCH, fb.ones(2, 5), fb.ones(5, 5), 2) is True
    assert F._mha_shape_check(SINGLE, SINGLE, SINGLE, fb.ones(5), fb.ones(2, 5, 5), 2) is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((fb.ones(4), SINGLE, SINGLE, None, None), "1-D query"),
        ((BATCH, SINGLE, BATCH, None, None), "expected `key` and `value` to be 3-D but found 2-D and 3-D"),
        (
            (SINGLE, SINGLE, SINGLE, fb.ones(2, 5), None),
            "`key_padding_mask` to be `None` or 1-D but found 2-D",
        ),
        ((SINGLE, SINGLE, SINGLE, None, fb.ones(5)), "expected `attn_mask` to be `None`, 2-D or 3-D but found 1-D"),
        ((SINGLE, SINGLE, SINGLE, None, fb.ones(3, 5, 5)), "Expected `attn_mask` shape"),
    ],
)
def test_mha_shape_check_rejects_inconsistent_arguments(arguments, message):
    with pytest.raises(AssertionError, match=message):
        F._mha_shape_check(*arguments, 2)


def test_softmax_dim_follows_the_number_of_dimensions():
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
        assert [F._get_softmax_dim("softmax", ndim, 3) for ndim in range(5)] == [0, 0, 1, 0, 1]


def test_adaptive_average_pools_have_a_common_base_class():
    from flambeau.nn.modules.pooling import _AdaptiveAvgPoolNd

    assert all(issubclass(kind, _AdaptiveAvgPoolNd) for kind in (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool3d))
    assert not issubclass(nn.AdaptiveMaxPool2d, _AdaptiveAvgPoolNd)


def test_no_grad_embedding_renorm_scales_the_selected_rows():
    weight = fb.tensor([[3.0, 4.0], [6.0, 8.0], [0.3, 0.4]], requires_grad=True)
    assert F._no_grad_embedding_renorm_(weight, fb.tensor([0, 2]), 1.0, 2.0) is None
    assert weight.detach().flatten().tolist() == pytest.approx([0.6, 0.8, 6, 8, 0.3, 0.4], rel=1e-6)
