"""Models created on the meta device, without memory, and filled with values later."""

import pytest

import flambeau as fb
from flambeau import nn


def model():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5))


def test_load_state_dict_with_assign_fills_a_meta_model():
    with fb.device("meta"):
        hollow = model()
    assert all(t.is_meta for t in hollow.state_dict().values()) and len(hollow.state_dict()) == 9
    assert hollow(fb.ones(2, 3, 8, 8, device="meta")).shape == (2, 5)
    full = model()
    hollow.load_state_dict(full.state_dict(), assign=True)
    full.eval(), hollow.eval()
    x = fb.randn(2, 3, 8, 8)
    assert hollow(x).equal(full(x))


def test_to_meta_keeps_parameters_and_only_to_empty_allocates_them_again():
    layer = nn.Linear(3, 4)
    weight = layer.weight
    assert layer.to("meta") is layer and layer.weight is weight and weight.is_meta and weight.requires_grad
    with pytest.raises(NotImplementedError, match="to_empty"):
        layer.to("cpu")
    with pytest.raises(NotImplementedError, match="to_empty"):
        layer.cpu()
    layer.half()
    assert layer.weight.dtype is fb.float16
    layer.to_empty(device="cpu")
    layer.float().reset_parameters()
    assert layer.weight.is_cpu and layer(fb.ones(3)).isfinite().all()


def test_loading_into_meta_by_copy_warns():
    layer = nn.Linear(3, 4, device="meta")
    with pytest.warns(UserWarning, match="assign=True"):
        layer.load_state_dict(nn.Linear(3, 4).state_dict())
    assert layer.weight.is_meta


def test_skip_init_draws_no_random_numbers():
    before = fb.get_rng_state()
    layer = nn.utils.skip_init(nn.Linear, 3, 4, bias=False, dtype=fb.float64)
    assert layer.weight.is_cpu and layer.weight.dtype is fb.float64 and fb.get_rng_state().equal(before)
    assert nn.utils.skip_init(nn.Linear, 3, 4, device="meta").weight.is_meta


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), (2, 5, 16)),
        (lambda: nn.LSTM(8, 16, 2, bidirectional=True, batch_first=True), (2, 5, 8)),
        (lambda: nn.MultiheadAttention(16, 4, batch_first=True), None),
        (
            lambda: nn.Sequential(nn.Upsample(scale_factor=2), nn.ConvTranspose2d(3, 2, 3), nn.AdaptiveAvgPool2d(1)),
            (2, 3, 4, 4),
        ),
        (lambda: nn.Embedding(10, 4), None),
    ],
)
def test_layers_on_meta_give_the_shapes_of_the_cpu(make, shape):
    layer = make()
    if shape is None:
        x = fb.zeros(2, 5, dtype=fb.int64) if isinstance(layer, nn.Embedding) else fb.zeros(2, 5, 16)
    else:
        x = fb.zeros(shape)
    inputs = (x, x, x) if isinstance(layer, nn.MultiheadAttention) else (x,)
    expected = layer(*inputs)
    got = layer.to("meta")(*(t.to("meta") for t in inputs))
    first = lambda r: r if isinstance(r, fb.Tensor) else first(r[0])  # noqa: E731
    assert first(got).is_meta and first(got).shape == first(expected).shape
