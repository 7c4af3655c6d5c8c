"""Writes to a module's registries, and their effect on its attributes."""

import copy
import gc
import pickle
import weakref

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.utils._pytree import tree_flatten, tree_map


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(2, 3)
        self.register_buffer("scale", fb.ones(2))

    def forward(self, x):
        return self.head(self.scale * x)


def test_assignments_to_a_registry_take_effect():
    model = Model()
    model._modules["head"] = nn.Identity()
    model._buffers["scale"] = fb.full((2,), 3.0)
    assert model(fb.ones(2)).tolist() == [3.0, 3.0]
    model._parameters["weight"] = nn.Parameter(fb.zeros(2))
    assert model.weight is dict(model.named_parameters())["weight"]
    model._modules.update(head=nn.ReLU(), tail=nn.Tanh())
    assert isinstance(model.head, nn.ReLU) and isinstance(model.tail, nn.Tanh)
    assert model._modules.setdefault("tail", nn.Identity()) is model.tail


@pytest.mark.parametrize("take", [lambda r: r.pop("scale"), lambda r: r.popitem(), lambda r: r.clear()])
def test_deletions_from_a_registry_take_effect(take):
    model = Model()
    take(model._buffers)
    assert not hasattr(model, "scale")
    model.register_buffer("scale", fb.zeros(2))
    del model._buffers["scale"]
    model.scale = nn.Parameter(fb.ones(2))
    assert [name for name, _ in model.named_parameters()] == ["scale", "head.weight", "head.bias"]
    assert model._buffers.pop("absent", None) is None
    with pytest.raises(KeyError):
        model._buffers.pop("absent")


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_has_separate_registries(copied):
    model = Model()
    other = copied(model)
    other._modules["head"] = nn.Identity()
    assert isinstance(other.head, nn.Identity) and isinstance(model.head, nn.Linear)
    assert type(copy.deepcopy(model._parameters)) is dict


def test_a_registry_of_a_module_can_be_replaced():
    model = Model()
    model._modules = {"head": nn.Identity()}
    model._modules["head"] = nn.Tanh()
    assert isinstance(model.head, nn.Tanh)


def test_a_property_takes_precedence_over_a_buffer():
    class Hidden(nn.Module):
        @property
        def scale(self):
            if "scale" not in self._buffers:
                raise AttributeError("not yet")
            return 2 * self._buffers["scale"]

    module = Hidden()
    module.register_buffer("scale", fb.ones(2))
    assert module.scale.tolist() == [2.0, 2.0] and list(module.state_dict()) == ["scale"]


def test_subclasses_may_call_getattr_of_module():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def set_to(self, name, value):
            self.__getattr__(name).data.fill_(value)

    module = Named()
    module.gain = nn.Parameter(fb.zeros(2))
    module.set_to("gain", 4.0)
    assert module.gain.tolist() == [4.0, 4.0] and module.__getattr__("layer") is module.layer
    with pytest.raises(AttributeError, match="'Named' object has no attribute 'absent'"):
        module.set_to("absent", 1.0)
    assert not hasattr(nn.Linear, "__getattr__")


def test_a_custom_setattr_may_register_values_by_itself():
    class Functional(nn.Linear):
        """A linear layer whose weights are plain tensors, as in libraries for meta-learning."""

        def __init__(self):
            nn.Module.__init__(self)
            self._parameters = {"weight": None, "bias": None}

        def __setattr__(self, name, value):
            def registered():
                return self.__dict__.get("_parameters", {})

            if name in registered():
                self._parameters[name] = value
            else:
                object.__setattr__(self, name, value)

    layer = Functional()
    layer.weight, layer.bias = fb.ones(1, 2), fb.tensor([3.0])
    assert layer(fb.ones(2)).tolist() == [5.0]
    layer._parameters["bias"] = fb.zeros(1)
    assert layer(fb.ones(2)).tolist() == [2.0]
    assert not hasattr(nn.Linear, "__getattr__")


def test_a_custom_getattr_sees_registered_members():
    class Watching(nn.Module):
        def __init__(self):
            super().__init__()
            self.seen = []
            self.layer = nn.Linear(2, 2)
            self.gain = nn.Parameter(fb.ones(2))
            self.register_buffer("shift", fb.zeros(2))

        def __getattr__(self, name):
            value = super().__getattr__(name)
            self.seen.append(name)
            return value

        def forward(self, x):
            return self.gain * self.layer(x) + self.shift

    class Derived(Watching, nn.Module):
        pass

    for kind in (Watching, Derived):
        module = copy.deepcopy(kind())
        module.seen.clear()
        module(fb.ones(2)).sum().backward()
        assert module.seen == ["gain", "layer", "shift"]
        assert set(dict(module.named_parameters())) == {"gain", "layer.weight", "layer.bias"}
        module.shift = fb.ones(2)
        module.gain = nn.Parameter(fb.zeros(2))
        module.to(fb.float64)
        assert module(fb.ones(2, dtype=fb.float64)).tolist() == [1, 1]
        other = {"gain": fb.ones(2, dtype=fb.float64)}
        called = fb.func.functional_call(module, other, (fb.zeros(2, dtype=fb.float64),))
        assert called.tolist() == (1 + module.layer.bias).tolist() and not vars(module).keys() & {"gain", "layer"}
        module.load_state_dict(kind().state_dict())
        del module.gain, module.layer
        assert not hasattr(module, "gain") and "shift" not in vars(module)
        with pytest.raises(AttributeError, match=r"'(Watching|Derived)' object has no attribute 'gain'"):
            module.gain  # noqa: B018


def test_a_module_is_freed_with_its_last_reference():
    gc.disable()
    try:
        layer = nn.Linear(2, 3)
        seen = weakref.ref(layer)
        del layer
        assert seen() is None
    finally:
        gc.enable()


def test_a_patched_register_parameter_is_called(monkeypatch):
    own = nn.Module.register_parameter

    def on_meta(module, name, param):
        own(module, name, param)
        if param is not None:
            module._parameters[name] = nn.Parameter(param.to("meta"), requires_grad=param.requires_grad)

    monkeypatch.setattr(nn.Module, "register_parameter", on_meta)
    layer = nn.Linear(2, 3)
    layer.scale = 2.0
    layer.scale = nn.Parameter(fb.ones(1))
    assert [each.device.type for each in layer.parameters()] == ["meta"] * 3
    assert layer.scale.is_meta and layer.weight is layer._parameters["weight"]


def test_replacing_a_registry_replaces_the_module_attributes():
    layer = nn.Linear(2, 2)
    weight = nn.Parameter(fb.ones(2, 2))
    layer._parameters = {"weight": weight, "bias": None}
    assert layer.weight is weight and layer.bias is None
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    assert layer(fb.ones(1, 2)).tolist() == [[2, 2]]
    layer._parameters["bias"] = nn.Parameter(fb.ones(2))
    assert layer(fb.ones(1, 2)).tolist() == [[3, 3]]


def test_pytrees_flatten_registries_as_dictionaries():
    layer = nn.Linear(2, 3)
    plain = dict(layer._parameters)
    assert tree_flatten(layer._parameters) == tree_flatten(plain)
    shapes = tree_map(lambda parameter, other: (*parameter.shape, parameter is other), layer._parameters, plain)
    assert type(shapes) is dict and shapes == {"weight": (3, 2, True), "bias": (3, True)}


def test_a_new_class_with_its_own_getattr_reads_the_parameters():
    class Zeroed(nn.Linear):
        def __getattr__(self, name):
            value = super().__getattr__(name)
            return value * 0 if name == "weight" else value

    model = nn.Linear(1, 1, bias=False)
    weight, x = model.weight, fb.ones(1)
    model.__class__ = Zeroed
    assert model(x).item() == 0
    model.__class__ = nn.Linear
    assert model.weight is weight and fb.equal(model(x), weight[0])
    model.__class__ = Zeroed
    del model.weight
    assert not hasattr(model, "weight")


def test_named_members_takes_a_function_that_returns_pairs():
    model = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    names = [name for name, _ in model._named_members(lambda module: module._buffers.items(), prefix="net")]
    assert names == ["net.1.running_mean", "net.1.running_var", "net.1.num_batches_tracked"]
    assert list(model._named_members(lambda module: module._parameters.items(), recurse=False)) == []


def test_a_replica_has_its_own_registries():
    model = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    replica = model._replicate_for_data_parallel()
    replica.add_module("last", nn.ReLU())
    assert len(model) == 2 and len(replica) == 3 and replica[0] is model[0] and replica._is_replica
    norm = model[1]._replicate_for_data_parallel()
    assert not norm._parameters and "weight" not in vars(norm) and norm.running_mean is model[1].running_mean
    norm.running_mean = fb.ones(1)
    assert model[1].running_mean.item() == 0


def test_a_second_call_of_init_removes_the_entries():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.plain = nn.Linear(1, 1), 3
            nn.Module.__init__(self)
            assert not hasattr(self, "layer") and self.plain == 3
            self.add_module("layer", nn.ReLU())

    assert list(Twice().named_parameters()) == []
