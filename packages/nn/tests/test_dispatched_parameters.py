"""Instances of classes with ``__torch_dispatch__`` as parameters of modules."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import flambeau as fb
from flambeau import Tensor, nn
from flambeau._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from flambeau.overrides import _disabled_torch_function_impl
from flambeau.utils._python_dispatch import return_and_correct_aliasing
from flambeau.utils._pytree import tree_map_only

aten = fb.ops.aten


class Int8Weight(Tensor):
    """An 8-bit weight with a scale for each row."""

    __torch_function__ = _disabled_torch_function_impl

    @staticmethod
    def __new__(cls, levels, scales, dtype):
        made = Tensor._make_wrapper_subclass(cls, levels.shape, dtype=dtype, device=levels.device)
        made.levels, made.scales = levels, scales
        return made

    def __repr__(self):
        return f"Int8Weight({tuple(self.shape)})"

    @classmethod
    def of(cls, weight):
        scales = weight.abs().amax(1, keepdim=True) / 127
        return cls((weight / scales).round().to(fb.int8), scales, weight.dtype)

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        if func in (aten.detach.default, aten.clone.default):
            x = args[0]
            return return_and_correct_aliasing(func, args, kwargs, cls(func(x.levels), func(x.scales), x.dtype))
        if func in (aten.t.default, aten.mm.default, aten.addmm.default):
            args = tree_map_only(cls, lambda x: x.levels.to(x.dtype) * x.scales, args)
            return func(*args, **(kwargs or {}))
        raise NotImplementedError(str(func))


def test_a_linear_layer_computes_with_a_quantised_weight():
    rng = np.random.default_rng(0)
    layer = nn.Linear(16, 4).double()
    weight, x = layer.weight.detach().numpy().copy(), rng.normal(size=(3, 16))
    layer.weight = nn.Parameter(Int8Weight.of(layer.weight.detach()), requires_grad=False)
    assert type(layer.weight) is Int8Weight and isinstance(layer.weight, nn.Parameter)
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
    given = fb.tensor(x, requires_grad=True)
    scale = np.abs(weight).max(1, keepdims=True) / 127
    rounded = np.round(weight / scale) * scale
    result = layer(given)
    np.testing.assert_allclose(result.detach().numpy(), x @ rounded.T + layer.bias.detach().numpy())
    result.sum().backward()
    np.testing.assert_allclose(given.grad.numpy(), np.ones((3, 4)) @ rounded)
    assert layer.weight.grad is None and layer.bias.grad.tolist() == [3] * 4
    assert type(layer.state_dict()["weight"]) is Int8Weight


def test_a_parameter_of_a_class_whose_detach_returns_another_class_is_rejected():
    class Plain(Tensor):
        __torch_function__ = _disabled_torch_function_impl

        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            return fb.zeros(args[0].shape)

    with pytest.raises(RuntimeError, match="requires that detach"):
        nn.Parameter(Tensor._make_wrapper_subclass(Plain, (2,)))


def test_modules_of_fake_tensors_compute_gradients():
    with FakeTensorMode():
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
        loss = nn.functional.cross_entropy(model(fb.randn(5, 3, 8, 8)), fb.zeros(5, dtype=fb.int64))
        loss.backward()
    parameters = list(model.parameters())
    assert len(parameters) == 6 and all(isinstance(p, FakeTensor) and isinstance(p, nn.Parameter) for p in parameters)
    assert loss.shape == () and all(p.grad.shape == p.shape for p in parameters)


def test_plain_parameters_are_instances_of_parameter():
    parameter = nn.Parameter(fb.ones(2))
    assert type(parameter) is nn.Parameter and isinstance(parameter, nn.Parameter)
    assert not isinstance(fb.ones(2), nn.Parameter) and not isinstance(3, nn.Parameter)
    assert isinstance(copy.deepcopy(parameter), nn.Parameter)


def test_a_parameter_keeps_the_class_of_its_data():
    class Named(fb.Tensor):
        pass

    parameter = nn.Parameter(fb.ones(2).as_subclass(Named))
    assert type(parameter) is Named and isinstance(parameter, nn.Parameter) and parameter.requires_grad
    layer = nn.Module()
    layer.weight = parameter
    assert dict(layer.named_parameters()) == {"weight": parameter}
