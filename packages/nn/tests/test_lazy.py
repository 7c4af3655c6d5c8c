"""Lazy layers before and after their first input."""

import copy
import io
import pickle

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.nn.parameter import is_lazy

LAZY = [
    (lambda: nn.LazyLinear(3), lambda: nn.Linear(5, 3), (2, 5)),
    (lambda: nn.LazyConv1d(4, 3, groups=2), lambda: nn.Conv1d(2, 4, 3, groups=2), (1, 2, 5)),
    (lambda: nn.LazyConv2d(4, 3, bias=False), lambda: nn.Conv2d(2, 4, 3, bias=False), (2, 5, 5)),
    (lambda: nn.LazyConv3d(4, 2), lambda: nn.Conv3d(2, 4, 2), (1, 2, 3, 3, 3)),
    (lambda: nn.LazyConvTranspose1d(4, 3), lambda: nn.ConvTranspose1d(2, 4, 3), (1, 2, 5)),
    (lambda: nn.LazyConvTranspose2d(4, 3), lambda: nn.ConvTranspose2d(2, 4, 3), (1, 2, 3, 3)),
    (lambda: nn.LazyConvTranspose3d(4, 2), lambda: nn.ConvTranspose3d(2, 4, 2), (1, 2, 2, 2, 2)),
    (lambda: nn.LazyBatchNorm1d(), lambda: nn.BatchNorm1d(3), (4, 3)),
    (lambda: nn.LazyBatchNorm2d(affine=False), lambda: nn.BatchNorm2d(3, affine=False), (4, 3, 2, 2)),
    (lambda: nn.LazyBatchNorm3d(), lambda: nn.BatchNorm3d(3), (4, 3, 2, 2, 2)),
    (lambda: nn.LazyInstanceNorm1d(), lambda: nn.InstanceNorm1d(3, affine=True, track_running_stats=True), (3, 4)),
    (
        lambda: nn.LazyInstanceNorm2d(track_running_stats=False),
        lambda: nn.InstanceNorm2d(3, affine=True),
        (2, 3, 4, 4),
    ),
    (
        lambda: nn.LazyInstanceNorm3d(),
        lambda: nn.InstanceNorm3d(3, affine=True, track_running_stats=True),
        (2, 3, 2, 2, 2),
    ),
]
each = pytest.mark.parametrize(("lazy", "ready", "shape"), LAZY)


@each
def test_the_first_input_initialises_a_lazy_layer(lazy, ready, shape):
    module, expected = lazy(), ready()
    assert type(module).__name__ == f"Lazy{type(expected).__name__}"
    assert module.has_uninitialized_params() == any(map(is_lazy, module.state_dict().values()))
    output = module(fb.ones(shape))
    assert type(module) is type(expected)
    assert repr(module) == repr(expected)
    assert {k: tuple(v.shape) for k, v in module.state_dict().items()} == {
        k: tuple(v.shape) for k, v in expected.state_dict().items()
    }
    assert tuple(output.shape) == tuple(expected(fb.ones(shape)).shape)
    assert module._hooks is None


@each
def test_loading_a_state_initialises_a_lazy_layer(lazy, ready, shape):
    module, expected = lazy(), ready()
    module.load_state_dict(expected.state_dict())
    x = fb.randn(shape)
    np.testing.assert_array_equal(module(x).detach().numpy(), expected(x).detach().numpy())
    assert repr(module) == repr(expected)


@pytest.mark.parametrize("with_hook", [False, True])
def test_a_state_that_does_not_fit_leaves_the_layer_lazy(with_hook):
    module = nn.LazyLinear(3)
    if with_hook:
        module.register_load_state_dict_post_hook(lambda module, keys: None)
    with pytest.raises(RuntimeError, match=r'Missing key.*"bias"'):
        module.load_state_dict({"weight": fb.ones(3, 2)})
    assert module.has_uninitialized_params()
    assert tuple(module(fb.ones(1, 5)).shape) == (1, 3)


@each
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_copies_of_lazy_layers_are_lazy(lazy, ready, shape, duplicate):
    module = lazy().double()
    twin = duplicate(module)
    twin.load_state_dict(module.state_dict())
    twin(fb.ones(shape, dtype=fb.float64))
    assert type(twin) is type(ready())
    assert all(p.dtype == fb.float64 for p in twin.parameters())
    assert type(module) is not type(twin)


def test_lazy_parameters_have_no_shape():
    parameter = nn.LazyLinear(3).weight
    with pytest.raises(RuntimeError, match="Can't access the shape of an uninitialized parameter"):
        parameter.shape  # noqa: B018
    parameter.materialize((2, 3))
    assert type(parameter) is nn.Parameter
    assert tuple(parameter.shape) == (2, 3)


@pytest.mark.parametrize(
    "use",
    [
        lambda p: p + 1,
        lambda p: fb.zeros_like(p),
        lambda p: p.numel(),
        lambda p: p.sum(),
        lambda p: p[0],
        lambda p: fb.nn.init.normal_(p),
        lambda p: nn.utils.parameters_to_vector([p]),
    ],
)
def test_functions_reject_uninitialised_parameters(use):
    with pytest.raises(ValueError, match="uninitialized parameter"):
        use(nn.LazyLinear(3).weight)


def test_functions_are_intercepted_while_a_parameter_is_uninitialised():
    disabled = fb.overrides._disabled_torch_function_impl
    layer, unused = nn.LazyLinear(3), nn.LazyLinear(3)
    assert type(layer.weight).__torch_function__ is not disabled
    layer(fb.ones(1, 2))
    del unused
    assert nn.UninitializedParameter.__torch_function__ is disabled
    assert "_forget" not in vars(layer.weight)


def test_an_initialised_layer_rejects_an_uninitialised_state():
    with pytest.raises(RuntimeError, match='"weight" is not initialised in the checkpoint'):
        nn.Linear(2, 3).load_state_dict(nn.LazyLinear(3).state_dict())


def test_lazy_convolutions_name_the_expected_dimensions():
    with pytest.raises(RuntimeError, match=r"Expected 3D \(unbatched\) or 4D \(batched\) input to LazyConv2d"):
        nn.LazyConv2d(4, 3)(fb.zeros(2, 2))


def test_materialize_accepts_a_single_number_as_shape():
    parameter = nn.UninitializedParameter()
    parameter.materialize(10)
    assert parameter.shape == (10,)


def test_loading_uninitialised_parameters_raises():
    with pytest.raises(RuntimeError, match="shape of an uninitialized"):
        nn.Linear(2, 3).load_state_dict(nn.LazyLinear(3).state_dict())


@each
def test_save_writes_the_state_of_a_lazy_layer(lazy, ready, shape):
    module = lazy().double()
    file = io.BytesIO()
    fb.save(module.state_dict(), file)
    file.seek(0)
    twin = lazy().double()
    state = fb.load(file, weights_only=False)
    assert [type(value) for value in state.values()] == [type(value) for value in module.state_dict().values()]
    twin.load_state_dict(state)
    twin(fb.ones(shape, dtype=fb.float64))
    assert type(twin) is type(ready())
    assert all(value.dtype == fb.float64 for value in state.values() if is_lazy(value))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda buffer: pickle.loads(pickle.dumps(buffer))])
def test_copies_of_an_uninitialised_buffer_keep_its_persistence(duplicate):
    buffer = nn.UninitializedBuffer(persistent=False)
    assert duplicate(buffer).persistent is False


@pytest.mark.parametrize("lazy", [lambda: nn.LazyLinear(3), lambda: nn.LazyBatchNorm1d(affine=False)])
def test_lazy_layers_can_share_memory_only_after_the_first_input(lazy):
    module = lazy()
    with pytest.raises(RuntimeError, match="share memory on an uninitialized parameter or buffer"):
        nn.Sequential(module).share_memory()
    module(fb.ones(2, 4))
    assert all(tensor.is_shared() for tensor in module.share_memory().state_dict().values())


@pytest.mark.parametrize("normalise", [nn.utils.weight_norm, nn.utils.spectral_norm])
def test_weight_norm_of_a_lazy_layer_works_after_the_first_input(normalise):
    module = nn.LazyLinear(3)
    with pytest.raises(ValueError, match="can't have uninitialized parameters"):
        normalise(module)
    module(fb.ones(2, 4))
    assert normalise(module).weight.shape == (3, 4)
