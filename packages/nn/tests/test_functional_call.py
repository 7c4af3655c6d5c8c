"""Modules as functions of their parameters."""

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.func import functional_call
from flambeau.nn.utils import stateless


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", fb.tensor([0.0]))

    def forward(self, x):
        self.count = self.count + 1
        return x + self.count


def test_functional_call_writes_assigned_buffers_to_the_dictionary():
    module, given = Counter(), fb.tensor([2.0])
    tensors = {"count": given}
    assert functional_call(module, tensors, fb.tensor([10.0])).item() == 13
    assert tensors["count"].item() == 3 and given.item() == 2 and module.count.item() == 0


def test_functional_call_replaces_only_tensor_attributes():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale, self.label = fb.tensor(2.0), "a label"

        def forward(self, x):
            return x * self.scale + getattr(self, "extra", 0)

    module, x = Scaled(), fb.tensor(3.0)
    assert functional_call(module, {"scale": fb.tensor(5.0), "extra": fb.tensor(1.0)}, x).item() == 16
    assert functional_call(module, {"extra": nn.Parameter(fb.tensor(1.0))}, x).item() == 7
    assert module.scale.item() == 2 and not hasattr(module, "extra") and not list(module.parameters())
    with pytest.raises(TypeError, match=r"attribute `label`: a label is not an instance of torch.Tensor"):
        functional_call(module, {"scale": fb.tensor(5.0), "label": x}, x)
    assert module.scale.item() == 2


def test_functional_call_accepts_none_for_a_parameter_but_no_number():
    layer = nn.Linear(2, 1)
    weight, bias, x = layer.weight, layer.bias, fb.tensor([1.0, 2.0])
    assert functional_call(layer, {"weight": fb.ones(1, 2), "bias": None}, x).item() == 3
    with pytest.raises(TypeError, match=r"2.0 is not an instance"):
        functional_call(layer, {"bias": fb.zeros(1), "weight": 2.0}, x)
    assert layer.weight is weight and layer.bias is bias


def test_functional_call_follows_cycles_of_modules():
    outer = nn.Sequential(nn.Linear(1, 1))
    outer[0].around = outer
    new = {"0.around.0.weight": fb.tensor([[4.0]]), "0.bias": fb.tensor([1.0])}
    weight = outer[0].weight
    assert outer._modules["0"].forward(fb.zeros(1)).shape == (1,)
    assert functional_call(outer[0], {"around.0.weight": new["0.around.0.weight"], "bias": new["0.bias"]}, fb.ones(1),
                           tie_weights=False).item() == 5  # fmt: skip
    assert outer[0].weight is weight


def test_tied_parameters_are_replaced_together_by_default():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Parameter(fb.tensor(1.0))
            self.second = self.first

        def forward(self):
            return self.first + 10 * self.second

    module, two = Tied(), fb.tensor(2.0)
    assert functional_call(module, {"first": two}).item() == 22
    assert functional_call(module, {"first": two}, tie_weights=False).item() == 12
    with pytest.raises(ValueError, match=r"multiple values for keys \['first', 'second'\]"):
        functional_call(module, {"first": two, "second": fb.tensor(3.0)})
    with pytest.raises(RuntimeError, match=r"Unexpected key.*'third'.*Missing key.*'first', 'second'"):
        functional_call(module, {"third": two}, strict=True)


def test_stateless_functional_call_warns_unless_private(recwarn):
    layer = nn.Linear(1, 1)
    new, x = {"weight": fb.tensor([[2.0]]), "bias": fb.tensor([1.0])}, fb.tensor([3.0])
    assert stateless._functional_call(layer, new, x).item() == 7 and not recwarn.list
    with pytest.warns(FutureWarning, match="func.functional_call"):
        assert stateless.functional_call(layer, new, x).item() == 7


def test_nn_modules_all_lists_the_layers():
    layers = nn.modules.__all__
    assert (
        layers[0] == "Module"
        and {"Linear", "LSTM", "TransformerEncoder"} < set(layers)
        and "DataParallel" not in layers
    )
    assert all(issubclass(getattr(nn, name), nn.Module) for name in layers if name != "LinearCrossEntropyOptions")
