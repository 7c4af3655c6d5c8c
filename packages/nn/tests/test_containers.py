"""`Sequential`, `ModuleList`, `ModuleDict`."""

from collections import OrderedDict

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn


def layers(count):
    return [nn.Linear(2, 2) for _ in range(count)]


def test_sequential_applies_in_order():
    first, second = layers(2)
    x = fb.ones(3, 2)
    chain = nn.Sequential(first, nn.Sequential(second))
    np.testing.assert_array_equal(chain(x).detach().numpy(), second(first(x)).detach().numpy())
    assert nn.Sequential()(x) is x


@pytest.mark.parametrize("mapping", [dict, OrderedDict])
def test_sequential_accepts_an_ordered_dict(mapping):
    chain = nn.Sequential(mapping(first=nn.ReLU(), second=nn.Tanh()))
    assert repr(chain) == "Sequential(\n  (first): ReLU()\n  (second): Tanh()\n)"
    assert chain.second is chain[1]
    assert repr(chain[1:]) == "Sequential(\n  (second): Tanh()\n)"


@pytest.mark.parametrize("make", [lambda held: nn.Sequential(*held), nn.ModuleList], ids=["Sequential", "ModuleList"])
class TestListBehaviour:
    """List operations: the container changes as a list does, and its names remain 0, 1, 2, ..."""

    def check(self, container, expected):
        assert list(container) == expected
        assert list(container._modules) == [str(number) for number in range(len(expected))]
        assert [getattr(container, str(number)) for number in range(len(expected))] == expected
        assert len(container) == len(expected)

    def test_containers_support_indexing_and_slicing(self, make):
        held = layers(4)
        container = make(held)
        self.check(container, held)
        assert container[-1] is held[3]
        assert held[1] in container
        assert nn.ReLU() not in container
        part = container[1:3]
        assert type(part) is type(container)
        assert list(part) == held[1:3]
        for index in (4, -5):
            with pytest.raises(IndexError, match=f"index {index} is out of range for {type(container).__name__}"):
                container[index]
        with pytest.raises(TypeError):
            container["0"]

    @pytest.mark.parametrize(
        "change",
        [
            lambda held, extra: held.append(extra),
            lambda held, extra: held.extend([extra, extra]),
            lambda held, extra: held.insert(1, extra),
            lambda held, extra: held.insert(-1, extra),
            lambda held, extra: held.__setitem__(-2, extra),
            lambda held, extra: held.__delitem__(1),
            lambda held, extra: held.__delitem__(-1),
            lambda held, extra: held.__delitem__(slice(0, 2)),
            lambda held, extra: held.__iadd__([extra]),
        ],
    )
    def test_containers_can_be_changed(self, make, change):
        expected = layers(3)
        container, extra = make(expected), nn.ReLU()
        change(container, extra)
        change(expected, extra)
        self.check(container, expected)

    def test_pop_removes_a_module_from_a_container(self, make):
        held = layers(3)
        container = make(held)
        assert container.pop(0) is held[0]
        assert container.pop() is held[2]
        self.check(container, held[1:2])

    def test_adding_containers_creates_a_new_container(self, make):
        held = layers(3)
        container = make(held[:1])
        self.check(container + make(held[1:]), held)
        self.check(container, held[:1])

    def test_containers_reject_objects_that_are_not_modules(self, make):
        held = layers(2)
        container = make(held)
        with pytest.raises(TypeError, match="int is not a Module subclass"):
            container.append(3)
        with pytest.raises(TypeError, match="int is not a Module subclass"):
            container.insert(0, 3)
        with pytest.raises(IndexError):
            del container[2]
        self.check(container, held)


def test_multiplying_a_sequential_repeats_its_layers():
    held = layers(2)
    assert list(nn.Sequential(*held) * 2) == held * 2
    assert list(2 * nn.Sequential(*held)) == held * 2
    with pytest.raises(ValueError, match="Non-positive multiplication factor 0"):
        nn.Sequential() * 0
    with pytest.raises(TypeError, match="unsupported operand"):
        nn.Sequential() * 1.5


def test_deleting_from_a_named_sequential_renumbers_it():
    chain = nn.Sequential({"a": nn.ReLU(), "b": nn.Tanh()})
    del chain[0]
    assert repr(chain) == "Sequential(\n  (0): Tanh()\n)"


def test_repr_of_module_list_merges_equal_layers():
    held = nn.ModuleList([*layers(3), nn.ReLU(), nn.Sequential(nn.ReLU()), nn.Sequential(nn.ReLU())])
    assert repr(held) == (
        "ModuleList(\n"
        "  (0-2): 3 x Linear(in_features=2, out_features=2, bias=True)\n"
        "  (3): ReLU()\n"
        "  (4-5): 2 x Sequential(\n"
        "    (0): ReLU()\n"
        "  )\n"
        ")"
    )
    assert repr(nn.ModuleList()) == "ModuleList()"
    with pytest.raises(NotImplementedError):
        held(1)


def test_module_dict_has_the_methods_of_a_dictionary():
    relu, tanh = nn.ReLU(), nn.Tanh()
    modules = nn.ModuleDict({"relu": relu})
    modules["tanh"] = tanh
    assert (list(modules), list(modules.keys()), list(modules.values())) == (
        ["relu", "tanh"],
        ["relu", "tanh"],
        [relu, tanh],
    )
    assert list(modules.items()) == [("relu", relu), ("tanh", tanh)]
    assert modules["tanh"] is modules.tanh is tanh
    assert "relu" in modules
    assert modules.pop("relu") is relu
    assert "relu" not in modules
    modules.update([("relu", relu)])
    modules.update(nn.ModuleDict({"tanh": relu}))
    assert modules["tanh"] is relu
    assert len(modules) == 2
    with pytest.raises(KeyError):
        del modules["missing"]
    with pytest.raises(KeyError, match="already exists"):
        modules["keys"] = relu
    modules.clear()
    assert len(modules) == 0
    assert repr(modules) == "ModuleDict()"


@pytest.mark.parametrize("kind", [nn.ModuleList, nn.ModuleDict, nn.ParameterList])
def test_empty_containers_do_not_call_update(kind):
    class Own(kind):
        def __init__(self):
            super().__init__()
            self.ready = True

        def update(self, modules):
            assert self.ready

        extend = update

    assert len(Own()) == 0


def test_get_abs_string_index_normalises_negative_indices():
    assert nn.ModuleList([nn.ReLU(), nn.Tanh()])._get_abs_string_index(-1) == "1"
    layers = nn.Sequential(nn.ReLU())
    layers.__setitem__(idx=0, module=nn.Tanh())
    assert isinstance(layers.__getitem__(idx=0), nn.Tanh)
    assert nn.ParameterList([fb.ones(1)])._get_abs_string_index(0) == "0"
    with pytest.raises(IndexError, match="out of range"):
        nn.ModuleList()._get_abs_string_index(0)


def test_subclasses_of_sequential_can_select_an_item_of_an_iterable():
    chain = nn.Sequential(*layers(3))
    assert chain._get_item_by_idx(chain._modules.values(), -1) is chain[2]
    assert chain._get_item_by_idx(iter("abc"), 1) == "b"
    with pytest.raises(IndexError, match="index 3 is out of range"):
        chain._get_item_by_idx(chain, 3)
