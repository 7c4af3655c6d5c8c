"""Submodules under `flambeau.compile`: they are compiled one by one if their module cannot be one program."""

import pytest

import flambeau as fb
from flambeau import nn
from flambeau._compile import UnsupportedError

from .counting_module import Block, Counting


def test_modules_of_an_uncompiled_module_are_compiled():
    model, reference = Counting(), Counting()
    reference.load_state_dict(model.state_dict())
    compiled = fb.compile(model)
    for n in (2, 3, 2, 5, 2, 3):
        x = fb.randn(n, 4)
        assert fb.equal(compiled(x), reference(x))
    assert model.calls == 6 and all(map(fb.equal, model.outputs, reference.outputs))
    of_children = compiled.programs.children.programs
    assert [len(programs.captured) for programs in of_children] == [1, 1]
    assert "changes a Python object" in compiled.programs.failures[0]
    whole = fb.compile(Counting(), fullgraph=True)
    for _ in range(2):  # the first calls may fill caches
        whole(fb.ones(1, 4))
    with pytest.raises(UnsupportedError):
        whole(fb.ones(1, 4))


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.calls = nn.Sequential(nn.Linear(2, 2), nn.ReLU()), 0

    def forward(self, x):
        self.calls += 1
        return self.first(x)


def test_small_modules_are_not_compiled_separately():
    model = Small()
    compiled = fb.compile(model)
    for _ in range(20):
        assert fb.equal(compiled(fb.ones(1, 2)), model.first(fb.ones(1, 2)))
    assert model.calls == 20 and compiled.programs.children.do_not_pay


def test_hooks_of_separately_compiled_modules_run():
    model = Counting()
    seen = []
    model.first.register_forward_pre_hook(lambda module, args: seen.append("before"))
    model.first.register_forward_hook(lambda module, args, output: output * 2)
    compiled = fb.compile(model)
    for call in range(5):
        x = fb.ones(1, 4)
        assert fb.equal(model.first(x), 2 * Block.forward(model.first, x))
        compiled(x)
        assert fb.equal(model.outputs[-1], model.first(x))
        assert len(seen) == 3 * (call + 1)


def test_gradients_of_separately_compiled_modules_equal_eager_gradients():
    model, reference = Counting(), Counting()
    reference.load_state_dict(model.state_dict())
    compiled = fb.compile(model)
    for _ in range(5):
        x = fb.randn(2, 4)
        for run in (compiled, reference):
            run(x).square().sum().backward()
    for a, b in zip(model.parameters(), reference.parameters(), strict=True):
        assert fb.equal(a.grad, b.grad)


def test_a_replaced_forward_of_a_submodule_is_noticed():
    model = Counting()
    compiled, x = fb.compile(model), fb.randn(2, 4)
    for _ in range(5):
        compiled(x)
    model.first.forward = lambda x: x * 0
    compiled(x)
    assert model.outputs[-1].tolist() == [[0.0] * 4] * 2
