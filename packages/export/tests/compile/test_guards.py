"""Guards of `flambeau.compile`: changes that need another program, and changes that do not."""

import array
import collections
import itertools
import os
import sys
import types
from random import choice

import pytest

import flambeau as fb
from flambeau import nn
from flambeau._compile import UnsupportedError

from .captured_programs import captures, programs_of

scale = 2.0
settings = {"offset": 1.0, "steps": [1, 2]}


def test_globals_closures_and_containers_are_guarded():
    global scale
    exponent = 2

    def f(x):
        return x**exponent * scale + settings["offset"] + sum(settings["steps"])

    compiled = fb.compile(f, fullgraph=True)
    x = fb.rand(4)
    for change in (
        lambda: None,
        lambda: globals().update(scale=3.0),
        lambda: settings.update(offset=5.0),
        lambda: settings["steps"].append(4),
    ):
        change()
        assert fb.equal(compiled(x), f(x))
    exponent = 3
    assert fb.equal(compiled(x), f(x))
    assert captures(compiled) == 5
    scale, settings["offset"] = 2.0, 1.0
    settings["steps"].pop()


def test_attributes_of_modules_and_classes_are_guarded():
    class Scaled(nn.Module):
        factor = 2.0

        def __init__(self):
            super().__init__()
            self.layer, self.power = nn.Linear(3, 3), 1

        @property
        def exponent(self):
            return self.power + 1

        def forward(self, x):
            return self.layer(x) ** self.exponent * self.factor

    model = Scaled()
    compiled = fb.compile(model, fullgraph=True)
    x = fb.randn(2, 3)

    def agree():
        return fb.equal(compiled(x), model(x))

    assert agree()
    model.power = 2
    assert agree()
    Scaled.factor = 4.0
    assert agree()
    model.layer = nn.Linear(3, 3)
    assert agree()
    model.layer.weight = nn.Parameter(fb.ones(3, 3))
    assert agree()
    assert len(programs_of(compiled)) == 5
    with fb.no_grad():
        model.layer.weight.mul_(2)
    assert agree()
    assert len(programs_of(compiled)) == 5  # new values need no new program


def test_attributes_that_getattr_reads_are_guarded():
    class Settings:
        factor = 2.0

    compiled = fb.compile(lambda x: x * getattr(Settings, "factor", 1.0), fullgraph=True)
    assert fb.equal(compiled(fb.ones(1)), fb.full((1,), 2.0))
    Settings.factor = 3.0
    assert fb.equal(compiled(fb.ones(1)), fb.full((1,), 3.0))
    del Settings.factor
    assert fb.equal(compiled(fb.ones(1)), fb.ones(1))


def test_hooks_of_modules_are_guarded():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    compiled = fb.compile(model)
    x = fb.ones(1, 2)
    compiled(x)
    handle = model[0].register_forward_hook(lambda module, args, output: output * 0 + 3)
    assert fb.equal(compiled(x), fb.full((1, 2), 3.0))
    handle.remove()
    assert fb.equal(compiled(x), model(x))
    handle = nn.modules.module.register_module_forward_hook(lambda module, args, output: output + 1)
    try:
        assert fb.equal(compiled(x), model(x) + 1)  # the compiled module can be called as well
    finally:
        handle.remove()
    assert fb.equal(compiled(x), model(x))


def test_training_mode_and_grad_mode_select_programs():
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.BatchNorm1d(4))
    compiled = fb.compile(model, fullgraph=True)
    x = fb.randn(6, 4)
    for _ in range(2):
        model.train()
        fb.manual_seed(0)
        a = compiled(x)
        fb.manual_seed(0)
        assert fb.equal(a, model(x))
        model.eval()
        assert fb.equal(compiled(x), model(x))
        with fb.no_grad():
            assert fb.equal(compiled(x), model(x)) and not compiled(x).requires_grad
    assert len(programs_of(compiled)) == 3


class Slotted:
    __slots__ = ("value",)

    def __init__(self):
        self.value = 0.0


# An object, how a function reads it, and a change before call number i.
MUTABLE = {
    "set": (set, len, lambda each, i: each.add(i // 2)),
    "set in a dictionary": (lambda: {"k": set()}, lambda each: len(each["k"]), lambda each, i: each["k"].add(i // 2)),
    "deque": (lambda: collections.deque([1.0, 2.0]), lambda each: each[0], lambda each, i: each.rotate(i // 2)),
    "bytearray": (lambda: bytearray(b"a"), lambda each: each[0], lambda each, i: each.__setitem__(0, i // 2)),
    "array": (lambda: array.array("d", [1.0]), lambda each: each[0], lambda each, i: each.__setitem__(0, i // 2)),
    "slots": (Slotted, lambda each: each.value, lambda each, i: setattr(each, "value", i // 2)),
    "namespace": (
        lambda: types.SimpleNamespace(value=0.0),
        lambda each: each.value,
        lambda each, i: setattr(each, "value", i // 2),
    ),
    "counter": (collections.Counter, lambda each: each["a"], lambda each, i: each.update({"a": i // 2})),
    "count": (itertools.count, next, lambda each, i: None),
    "generator": (lambda: (i for i in range(100)), next, lambda each, i: None),
    "list iterator": (lambda: iter(list(range(100))), next, lambda each, i: None),
}


@pytest.mark.parametrize("kind", MUTABLE)
def test_changes_of_mutable_objects_are_never_missed(kind):
    make, read, change = MUTABLE[kind]

    def results(prepare):
        each = make()

        def f(x):
            for _ in range(10):  # enough operators for a program
                x = x * 1.0 + 0.5
            return x + read(each)

        function = prepare(f)
        values = []
        for i in range(6):
            change(each, i)
            values.append(function(fb.ones(3)).tolist())
        return values

    assert results(fb.compile) == results(lambda f: f)


def test_a_changed_set_recompiles_and_an_unchanged_set_does_not():
    names = {"a", "b"}

    def f(x):
        return x.exp() + (1.0 if "a" in names else 2.0)

    compiled = fb.compile(f, fullgraph=True)
    for _ in range(3):
        compiled(fb.ones(3))
    names.add("c")
    compiled(fb.ones(3))
    assert captures(compiled) == 2


def test_environment_variables_are_guarded(monkeypatch):
    compiled = fb.compile(lambda x: x * 2 if os.environ.get("DOUBLE") else x * 1, fullgraph=True)
    assert fb.equal(compiled(fb.ones(1)), fb.ones(1))
    monkeypatch.setenv("DOUBLE", "1")
    assert fb.equal(compiled(fb.ones(1)), fb.full((1,), 2.0))


def test_code_that_does_not_run_is_not_guarded():
    unused = {"value": 1}

    def never(x):
        return x * unused["value"]

    class Lazy(dict):
        def items(self):
            raise AssertionError("the guards of a dictionary do not call its methods")

    table = Lazy(a=1.0)
    compiled = fb.compile(lambda x, double: never(x) if double else x + table["a"], fullgraph=True)
    compiled(fb.ones(2), False)
    unused["value"] = 2
    assert fb.equal(compiled(fb.ones(2), False), fb.full((2,), 2.0)) and captures(compiled) == 1
    dict.__setitem__(table, "a", 3.0)
    assert fb.equal(compiled(fb.ones(2), False), fb.full((2,), 4.0)) and captures(compiled) == 2


class Named(nn.Module):
    """Module whose constructor, but not its forward pass, draws from Python's random numbers."""

    def __init__(self):
        super().__init__()
        self.name = choice("ab")

    def forward(self, x):
        return x + 1


def test_random_generators_in_code_that_does_not_run_do_not_prevent_compilation():
    assert fb.compile(Named(), fullgraph=True)(fb.ones(1)).item() == 2


def test_random_generators_in_code_that_runs_prevent_compilation():
    with pytest.raises(UnsupportedError, match=r"Random\.getrandbits cannot be captured"):
        fb.compile(lambda x: x * choice([1.0, 2.0]), fullgraph=True)(fb.ones(1))


def test_a_program_is_used_only_in_the_autocast_state_of_its_capture():
    x = fb.randn(4, 4)
    compiled = fb.compile(lambda x: (x @ x).tanh())
    for _ in range(2):
        assert compiled(x).dtype == fb.float32
        for dtype in (fb.bfloat16, fb.float16):
            with fb.autocast("cpu", dtype=dtype):
                result = compiled(x)
                assert result.dtype == dtype and fb.equal(result, (x @ x).tanh())
    assert len(compiled.captured) == 3 and not compiled.failures


def test_a_replaced_forward_of_a_layer_class_is_noticed(monkeypatch):
    model, x = nn.Sequential(nn.Linear(2, 2), nn.ReLU()), fb.ones(1, 2)
    compiled = fb.compile(model)
    compiled(x)
    monkeypatch.setattr(nn.Linear, "forward", lambda self, x: x * 7)
    assert compiled(x).tolist() == [[7.0, 7.0]]


def test_functions_that_read_is_leaf_of_an_argument_run_uncompiled():
    compiled = fb.compile(lambda x: x * 2 if x.is_leaf else x * 3)
    x = fb.ones(1, requires_grad=True)
    assert [compiled(x).item(), compiled(x * 1).item()] == [2.0, 3.0]


def test_a_program_is_used_only_on_the_default_device_of_its_capture():
    compiled = fb.compile(lambda: fb.zeros(3) + fb.arange(3))
    assert compiled().device.type == "cpu"
    with fb.device("meta"):
        assert compiled().device.type == "meta"
    assert compiled().tolist() == [0.0, 1.0, 2.0]


def test_positive_and_negative_zero_have_different_programs():
    compiled, one = fb.compile(lambda x, scale: 1 / (x * scale)), fb.ones(1)
    assert [compiled(one, 0.0).item(), compiled(one, -0.0).item()] == [float("inf"), float("-inf")]


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (lambda x: x * x.nbytes, [(2, 2), (3, 2)]),
        (lambda x: x * x.is_same_size(x.t()), [(2, 2), (2, 3), (2, 2)]),
        (lambda x: x * x.is_contiguous(memory_format=fb.channels_last), [(2, 1, 4, 4), (2, 3, 4, 4)]),
    ],
)
def test_properties_that_depend_on_sizes_are_those_of_the_call(function, shapes):
    compiled = fb.compile(function)
    for shape in shapes:
        x = fb.ones(shape)
        assert fb.equal(compiled(x), function(x))


def test_a_forward_that_a_subclass_gains_is_noticed(monkeypatch):
    class Base(nn.Module):
        def forward(self, x):
            return x + 1

    class Derived(Base):
        pass

    compiled, x = fb.compile(Derived()), fb.ones(1)
    assert compiled(x).item() == 2.0
    monkeypatch.setattr(Derived, "forward", lambda self, x: x + 5, raising=False)
    assert compiled(x).item() == 6.0


def test_values_of_modules_that_a_function_imports_are_compared(monkeypatch):
    settings = types.ModuleType("settings_of_this_test")
    settings.__file__, settings.scale = __file__, 2.0
    monkeypatch.setitem(sys.modules, settings.__name__, settings)

    def by_module(x):
        import settings_of_this_test

        return x * settings_of_this_test.scale

    def by_name(x):
        from settings_of_this_test import scale

        return x * scale

    programs = [fb.compile(by_module), fb.compile(by_name)]
    for settings.scale in (2.0, 3.0):
        assert [compiled(fb.ones(1)).item() for compiled in programs] == [settings.scale] * 2


def test_objects_behind_bound_methods_of_c_classes_are_compared():
    table = {"scale": 2.0}
    get = table.get
    compiled = fb.compile(lambda x: x * get("scale"))
    for table["scale"] in (2.0, 3.0):
        assert compiled(fb.ones(1)).item() == table["scale"]


def test_attributes_of_functions_are_compared():
    def settings():
        pass

    compiled = fb.compile(lambda x: x * settings.scale)
    for settings.scale in (2.0, 3.0):
        assert compiled(fb.ones(1)).item() == settings.scale
