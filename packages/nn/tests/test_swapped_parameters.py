"""Conversion and loading of modules that swap or overwrite their parameters (`flambeau.__future__`)."""

import weakref

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.utils import swap_tensors


@pytest.fixture
def swaps():
    fb.__future__.set_swap_module_params_on_conversion(True)
    yield
    fb.__future__.set_swap_module_params_on_conversion(False)


@pytest.fixture
def overwrites():
    fb.__future__.set_overwrite_module_params_on_conversion(True)
    yield
    fb.__future__.set_overwrite_module_params_on_conversion(False)


class Quantised(fb.Tensor):
    """A wrapper of integers and a scale, which keeps its class in conversions."""

    @staticmethod
    def __new__(cls, levels, scale):
        made = fb.Tensor._make_wrapper_subclass(cls, levels.shape, dtype=scale.dtype)
        made.levels, made.scale = levels, scale
        return made

    def __tensor_flatten__(self):
        return ["levels", "scale"], None

    @staticmethod
    def __tensor_unflatten__(inner, context, size, stride):
        return Quantised(inner["levels"], inner["scale"])

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        x = args[0]
        if func is fb.ops.aten._to_copy.default:
            return cls(x.levels.clone(), x.scale.to(kwargs["dtype"]))
        assert func is fb.ops.aten.detach.default, func
        return cls(x.levels, x.scale)


def test_a_conversion_that_swaps_keeps_parameters_and_gradients(swaps):
    layer = nn.Linear(2, 2)
    weight = layer.weight
    layer(fb.ones(1, 2)).sum().backward()
    gradient = weight.grad
    optimizer_state = {weight: 1}
    layer.double()
    assert layer.weight is weight and type(weight) is nn.Parameter and weight.dtype == fb.float64
    assert weight.grad is gradient and gradient.tolist() == [[1, 1], [1, 1]] and gradient.dtype == fb.float64
    assert optimizer_state[weight] == 1
    layer(fb.ones(1, 2, dtype=fb.float64)).sum().backward()
    assert weight.grad.tolist() == [[2, 2], [2, 2]]


def test_a_conversion_that_overwrites_assigns_new_parameters(overwrites):
    layer = nn.Linear(2, 2)
    weight = layer.weight
    weight.grad = fb.ones(2, 2)
    layer.double()
    assert layer.weight is not weight and (layer.weight.dtype, weight.dtype) == (fb.float64, fb.float32)
    assert layer.weight.grad.dtype == fb.float64 and weight.grad.dtype == fb.float32


def test_a_wrapper_keeps_its_inner_tensors_in_a_conversion():
    layer = nn.Linear(2, 2, bias=False)
    layer.weight = nn.Parameter(Quantised(fb.ones(2, 2, dtype=fb.int8), fb.ones(())))
    weight = layer.weight
    layer.double()
    assert layer.weight is weight and type(weight) is Quantised and isinstance(weight, nn.Parameter)
    assert weight.dtype == weight.scale.dtype == fb.float64


def test_loading_that_swaps_keeps_the_parameters(swaps):
    layer, other = nn.BatchNorm1d(2), nn.BatchNorm1d(2).double()
    nn.init.constant_(other.weight, 3)
    weight, mean = layer.weight, layer.running_mean
    layer.load_state_dict(other.state_dict())
    assert layer.weight is weight and layer.running_mean is mean
    assert weight.tolist() == [3, 3] and weight.dtype == fb.float32
    layer.load_state_dict(other.state_dict(), assign=True)
    assert layer.weight is weight and type(weight) is nn.Parameter and weight.dtype == fb.float64
    assert weight.data_ptr() == other.weight.data_ptr()


def test_loading_that_swaps_calls_module_load(swaps):
    class Doubled(fb.Tensor):
        def module_load(self, other, assign=False):
            return (other * 2).as_subclass(Doubled)

    layer = nn.Module()
    layer.register_buffer("factor", fb.zeros(2).as_subclass(Doubled))
    factor = layer.factor
    layer.load_state_dict({"factor": fb.ones(2)})
    assert layer.factor is factor and factor.tolist() == [2, 2]


@pytest.mark.parametrize("change", [nn.Module.double, lambda layer: layer.load_state_dict(layer.state_dict())])
def test_a_parameter_with_weak_references_is_not_swapped(swaps, change):
    layer = nn.Linear(2, 2)
    reference = weakref.ref(layer.weight)
    layer.weight.grad = fb.ones(2, 2)
    with pytest.raises(RuntimeError, match="swap"):
        change(layer)
    assert layer.weight is reference() and layer.weight.grad.tolist() == [[1, 1], [1, 1]]


def test_a_graph_made_before_a_swap_raises_in_backward():
    leaf = fb.ones(2, requires_grad=True)
    result = leaf.sum()
    swap_tensors(leaf, fb.zeros(3, requires_grad=True))
    with pytest.raises(RuntimeError, match="poisoned by swap_tensors"):
        result.backward()
    leaf.sum().backward()
    assert leaf.grad.tolist() == [1, 1, 1]


def test_a_swap_rejects_a_leaf_that_a_graph_has_saved():
    leaf = fb.ones(2, requires_grad=True)
    result = (leaf * leaf).sum()
    with pytest.raises(RuntimeError, match="Expected use_count of t1"):
        swap_tensors(leaf, fb.zeros(3))
    result.backward()
    assert leaf.grad.tolist() == [2, 2]
