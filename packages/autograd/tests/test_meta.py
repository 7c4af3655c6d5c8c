"""Backward passes on the meta device: gradients have shapes and dtypes, but no values."""

import pytest

import flambeau as fb


@pytest.fixture
def weight():
    return fb.randn(4, 3, device="meta", requires_grad=True)


def test_gradients_of_meta_tensors_are_meta_tensors(weight):
    x = fb.randn(5, 3, device="meta")
    loss = fb.cross_entropy(
        fb.layer_norm(fb.linear(x, weight).relu(), (4,)), fb.zeros(5, dtype=fb.int64, device="meta")
    )
    loss.backward()
    assert weight.grad.is_meta and weight.grad.shape == (4, 3)
    (weight * weight + weight).sum().backward()  # two paths to weight, which already has a gradient
    assert weight.grad.is_meta and fb.get_default_device() == fb.device("cpu")


@pytest.mark.parametrize(
    "call",
    [
        lambda x: fb.conv1d(x, fb.randn(2, 4, 3, device="meta")),
        lambda x: fb.max_pool1d(x, 2),
        lambda x: fb.batch_norm(x, None, None, training=True),
        lambda x: fb.group_norm(x, 2),
        lambda x: x.softmax(-1),
        lambda x: x.std(0),
        lambda x: fb._core._scaled_dot_product_attention(x, x, x),
        lambda x: x[:, fb.zeros(2, dtype=fb.int64, device="meta")],
        lambda x: x.sort(-1).values.cumsum(-1),
    ],
)
def test_derivatives_can_be_computed_on_the_meta_device(call):
    x = fb.randn(3, 4, 6, device="meta", requires_grad=True)
    call(x).sum().backward()
    assert x.grad.is_meta and x.grad.shape == x.shape


def test_assigning_data_can_change_the_device(weight):
    other = fb.ones(4, 3, requires_grad=True)
    other.data = weight
    assert other.is_meta and other.requires_grad
    other.data = fb.ones(4, 3)
    assert other.is_cpu and other.sum().item() == 12


def test_gradients_from_the_meta_device_to_the_cpu_raise():
    x = fb.ones(3, requires_grad=True)
    with pytest.raises(NotImplementedError, match="no data"):
        x.to("meta").sum().backward()
    assert x.grad is None
