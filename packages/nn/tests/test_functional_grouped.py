"""Grouped matrix products, compared with NumPy's products of each group."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.autograd import gradcheck

random = np.random.default_rng(3)


def offsets(*ends):
    return fb.tensor(ends, dtype=fb.int32)


def array(*shape):
    return random.standard_normal(shape).astype(np.float32)


def product(a, b, offs=None):
    return nn.functional.grouped_mm(fb.tensor(a), fb.tensor(b), offs=offs).numpy()


def test_grouped_mm_multiplies_groups_of_rows_by_separate_matrices():
    a, b = array(6, 8), array(3, 8, 4)
    expected = np.concatenate([a[:2] @ b[0], a[2:2] @ b[1], a[2:5] @ b[2], np.zeros((1, 4))])
    np.testing.assert_allclose(product(a, b, offsets(2, 2, 5)), expected, rtol=1e-5, atol=1e-6)


def test_grouped_mm_multiplies_groups_of_columns_by_separate_matrices():
    a, b = array(2, 3, 8), array(8, 6)
    expected = np.concatenate([a[0] @ b[:, :1], a[1] @ b[:, 1:6]], 1)
    np.testing.assert_allclose(product(a, b, offsets(1, 6)), expected, rtol=1e-5, atol=1e-6)


def test_grouped_mm_divides_the_summed_dimension_into_groups():
    a, b = array(3, 8), array(8, 4)
    expected = np.stack([a[:, :5] @ b[:5], a[:, 5:] @ b[5:]])
    np.testing.assert_allclose(product(a, b, offsets(5, 8)), expected, rtol=1e-5, atol=1e-6)


def test_grouped_mm_of_batches_is_a_batched_product():
    a, b = array(2, 3, 8), array(2, 8, 4)
    np.testing.assert_allclose(product(a, b), a @ b, rtol=1e-5, atol=1e-6)


def test_gradients_of_grouped_mm_match_finite_differences(monkeypatch):
    monkeypatch.setattr("flambeau.nn.functional._grouped._FLOATS", (fb.float64,))  # gradcheck needs float64
    rows, experts = fb.randn(4, 3, dtype=fb.float64), fb.randn(2, 3, 2, dtype=fb.float64)
    inputs = rows.requires_grad_(), experts.requires_grad_()
    assert gradcheck(lambda a, b: nn.functional.grouped_mm(a, b, offs=offsets(1, 3)), inputs)


@pytest.mark.parametrize(
    ("a", "b", "offs", "message"),
    [
        (array(6, 8), array(2, 8, 4), None, "Have to provide offsets"),
        (array(2, 3, 8), array(2, 8, 4), offsets(1, 3), "Have to provide offsets"),
        (array(6, 8), array(2, 8, 4), fb.tensor([2, 6]), "Offsets have to be int32"),
        (array(6, 8), array(2, 8, 4), offsets(6), "batch sizes have to match"),
        (array(6, 8), array(2, 7, 4), offsets(2, 6), "contraction dimension"),
        (array(6, 8), array(2, 8, 4), offsets(4, 2), "ascending order and at most 6"),
        (array(6, 8), array(2, 8, 4), offsets(4, 7), "ascending order and at most 6"),
        (array(8), array(2, 8, 4), offsets(4, 7), "mat_a has to be 2 or 3d"),
    ],
)
def test_grouped_mm_rejects_mismatched_arguments(a, b, offs, message):
    with pytest.raises(RuntimeError, match=message):
        product(a, b, offs)


def test_the_aten_operator_computes_the_same_products():
    a, b, ends = fb.randn(4, 3), fb.randn(2, 3, 5), fb.tensor([1, 4], dtype=fb.int32)
    result = fb.ops.aten._grouped_mm(a, b, ends)
    assert fb.equal(result, fb.cat([a[:1] @ b[0], a[1:] @ b[1]]))
