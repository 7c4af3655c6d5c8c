"""Layers, losses and attention under vmap, compared with a loop over the batch."""

import itertools

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.func import functional_call, grad, stack_module_state, vmap

F = nn.functional
SIZE = 3


def counted(shape, high):
    return ("integers", shape, high)


# Functions and the shapes of their arguments. None may fall back to a loop, which would warn.
OPERATORS = [
    (lambda x, w, b: F.linear(x, w, b), (3,), (2, 3), (2,)),
    (lambda x, w, b: F.linear(x, w, b), (4, 3), (2, 3), (2,)),
    (lambda i: F.one_hot(i, 5), counted((4,), 5)),
    (lambda w, i: F.embedding(i, w), (5, 3), counted((2, 2), 5)),
    (lambda x, w, b: F.conv2d(x, w, b, padding=1), (2, 2, 5, 5), (3, 2, 3, 3), (3,)),
    (lambda x, w: F.conv1d(x, w, stride=2), (2, 7), (3, 2, 3)),
    (lambda x, w: F.conv2d(x, w, groups=2), (1, 4, 5, 5), (6, 2, 3, 3)),
    (lambda x, w, b: F.conv_transpose2d(x, w, b, stride=2), (2, 2, 3, 3), (2, 3, 3, 3), (3,)),
    (lambda x: F.max_pool2d(x, 2) + F.avg_pool2d(x, 2), (2, 4, 4)),
    (lambda x: F.adaptive_avg_pool2d(x, 2), (2, 3, 4, 4)),
    (lambda x: F.max_pool1d(x, 2, return_indices=True), (2, 3, 4)),
    (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), (1, 2, 3, 3)),
    (lambda x: F.pad(x, (1, 2)) + F.pad(x, (1, 2), mode="reflect"), (2, 3, 4)),
    (lambda x: F.unfold(x, 2), (1, 2, 4, 4)),
    (lambda x: F.pixel_shuffle(x, 2), (1, 4, 2, 2)),
    (lambda x, w, b: F.layer_norm(x, (3,), w, b), (2, 3), (3,), (3,)),
    (lambda x, w, b: F.group_norm(x, 2, w, b), (2, 4, 3), (4,), (4,)),
    (lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), (4, 3), (3,), (3,)),
    (lambda x: F.instance_norm(x), (2, 3, 4)),
    (lambda x, i: F.cross_entropy(x, i), (4, 5), counted((4,), 5)),
    (lambda x, i: F.cross_entropy(x, i, reduction="sum", label_smoothing=0.1), (5,), counted((), 5)),
    (lambda x, i: F.nll_loss(x.log_softmax(1), i, ignore_index=1), (4, 3, 2), counted((4, 2), 3)),
    (lambda x, y: F.cross_entropy(x, y.softmax(1)), (4, 5), (4, 5)),
    (lambda x, y: F.mse_loss(x, y) + F.l1_loss(x, y) + F.smooth_l1_loss(x, y), (4,), (4,)),
    (lambda x, y: F.binary_cross_entropy(x.sigmoid(), y.sigmoid()), (4,), (4,)),
    (lambda x, y: F.kl_div(x.log_softmax(0), y.softmax(0), reduction="sum"), (4,), (4,)),
    (lambda q, k, v: F.scaled_dot_product_attention(q, k, v), (2, 4, 3), (2, 5, 3), (2, 5, 3)),
    (F.prelu, (), (1,)),
    (F.prelu, (2, 3, 4), (3,)),
    (lambda x, w: F.prelu(x, w) + F.gelu(x) + F.elu(x) + F.glu(x).sum(), (2, 4), (1,)),
]


def batch(kind):
    if kind and kind[0] == "integers":
        return fb.randint(0, kind[2], (SIZE, *kind[1]))
    return fb.randn(SIZE, *kind)


def listed(result):
    return [result] if isinstance(result, fb.Tensor) else list(result)


@pytest.mark.parametrize("row", OPERATORS, ids=range(len(OPERATORS)))
def test_vmap_of_layers_equals_a_loop(row):
    function, *kinds = row
    fb.manual_seed(0)
    batches = [batch(kind) for kind in kinds]
    choices = [set(range(len(kinds)))]
    choices += [{i} for i in range(len(kinds))] if len(kinds) > 1 else []
    for mapped, dim in itertools.product(choices, (0, -1)):
        in_dims = tuple(dim if i in mapped else None for i in range(len(kinds)))
        given = [b.movedim(0, dim) if i in mapped else b[0] for i, b in enumerate(batches)]
        result = listed(vmap(function, in_dims)(*given))
        alone = [
            listed(function(*(b[k if i in mapped else 0].clone() for i, b in enumerate(batches)))) for k in range(SIZE)
        ]
        for got, *expected in zip(result, *alone, strict=True):
            wanted = fb.stack(expected)
            assert got.shape == wanted.shape
            assert got.dtype == wanted.dtype
            assert fb.allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_per_sample_gradients_of_a_network_equal_gradients_of_single_samples():
    fb.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    parameters = {name: p.detach() for name, p in net.named_parameters()}
    images, labels = fb.randn(5, 1, 4, 4), fb.randint(0, 3, (5,))

    def loss(parameters, image, label):
        return F.cross_entropy(functional_call(net, parameters, (image.unsqueeze(0),)), label.unsqueeze(0))

    found = vmap(grad(loss), in_dims=(None, 0, 0))(parameters, images, labels)
    alone = [grad(loss)(parameters, i, t) for i, t in zip(images, labels, strict=True)]
    for name, p in parameters.items():
        assert found[name].shape == (5, *p.shape)
        assert fb.allclose(found[name], fb.stack([g[name] for g in alone]), atol=1e-5)


def test_vmap_over_an_ensemble_of_models_equals_calling_each_model():
    fb.manual_seed(0)
    models = [nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)) for _ in range(3)]
    parameters, buffers = stack_module_state(models)
    x = fb.randn(5, 3)
    found = vmap(lambda p, b: functional_call(models[0], (p, b), (x,)))(parameters, buffers)
    assert fb.allclose(found, fb.stack([m(x) for m in models]), atol=1e-6)


def test_vmap_of_a_loss_rejects_invalid_values_in_any_example():
    inputs = fb.tensor([[0.5, 0.5], [0.5, 1.5]])
    with pytest.raises(RuntimeError, match="between 0 and 1"):
        vmap(F.binary_cross_entropy)(inputs, fb.ones(2, 2))


def test_vmap_of_batch_norm_requires_batched_running_statistics():
    x, mean, var = fb.randn(2, 4, 3), fb.zeros(3), fb.ones(3)
    with pytest.raises(RuntimeError, match="inplace arithmetic"):
        vmap(lambda x: F.batch_norm(x, mean, var, training=True))(x)
    assert fb.equal(mean, fb.zeros(3))


def test_batch_norm_layers_are_recognised_by_class_and_not_by_name():
    class _BatchNorm(nn.Module):
        track_running_stats = True

        def __init__(self):
            super().__init__()
            self.register_buffer("running_mean", fb.zeros(2))

    class Renamed(nn.BatchNorm2d):
        pass

    model = nn.Sequential(_BatchNorm(), Renamed(2), nn.LazyBatchNorm1d(), nn.SyncBatchNorm(2))
    fb.func.replace_all_batch_norm_modules_(model)
    assert [name for name, _ in model.named_buffers()] == ["0.running_mean"]
    assert [module.track_running_stats for module in model] == [True, False, False, False]


def test_batch_norm_without_running_statistics_can_be_mapped_by_vmap():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.InstanceNorm1d(2, track_running_stats=True)).eval()
    assert fb.func.replace_all_batch_norm_modules_(model) is model
    assert [name for name, _ in model.named_buffers()] == ["2.running_mean", "2.running_var", "2.num_batches_tracked"]
    x = fb.randn(5, 4, 3)
    norms = model[:2]
    mapped = vmap(norms)(x)
    h = x @ model[0].weight.T + model[0].bias
    expected = (h - h.mean(1, keepdim=True)) / (h.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    assert mapped.allclose(expected, atol=1e-6)


@pytest.mark.parametrize(("p", "training", "factor"), [(0.5, False, 1), (0.0, True, 1), (1.0, True, 0)])
def test_dropout_that_is_not_random_needs_no_randomness_in_vmap(p, training, factor):
    x = fb.arange(12.0).reshape(3, 4)
    assert fb.equal(vmap(lambda x: fb.dropout(x, p, training))(x), x * factor)
    assert fb.equal(vmap(lambda x: fb.dropout_(x.clone(), p, training))(x), x * factor)


@pytest.mark.parametrize("shape", [(2, 3, 9, 9), (3, 9, 9)])
@pytest.mark.parametrize(("randomness", "equal"), [("same", True), ("different", False)])
def test_randomness_decides_if_fractional_max_pooling_draws_different_windows(shape, randomness, equal):
    layer = nn.FractionalMaxPool2d(2, output_size=4)
    image = fb.arange(81.0 * (shape[0] if len(shape) == 3 else 6)).reshape(shape)
    fb.manual_seed(0)
    first, second = vmap(layer, randomness=randomness)(image.expand(2, *shape))
    assert fb.equal(first, second) == equal
    fb.manual_seed(0)
    if equal:
        assert fb.equal(first, layer(image))
    assert vmap(layer, randomness=randomness)(image.expand(2, *shape)).shape == (2, *shape[:-2], 4, 4)


def test_vmap_rejects_fractional_max_pooling_without_a_randomness_mode():
    with pytest.raises(RuntimeError, match="randomness error mode"):
        vmap(nn.FractionalMaxPool3d(2, output_size=2))(fb.ones(2, 1, 4, 4, 4))
