"""A gradient keeps its Python object: its class and its attributes."""

import gc
import subprocess
import sys
import weakref

import pytest

import flambeau as fb

N = 64 * 1024


class Marked(fb.Tensor):
    """Class of gradients; the gradients must keep this class."""


def marked(size=2):
    gradient = fb.ones(size).as_subclass(Marked)
    gradient.origin = ["here"]
    return gradient


@pytest.fixture
def leaf():
    return fb.ones(2, requires_grad=True)


def test_an_assigned_gradient_is_the_same_object(leaf):
    gradient = fb.ones(2)
    leaf.grad = gradient
    assert leaf.grad is gradient


@pytest.mark.parametrize("make", [marked, lambda: fb.ones(2)], ids=["subclass", "attributes"])
def test_an_assigned_gradient_keeps_its_class_and_attributes(leaf, make):
    gradient = make()
    gradient.origin = ["here"]
    expected, origin = type(gradient), gradient.origin
    leaf.grad = gradient
    del gradient
    assert type(leaf.grad) is expected
    assert leaf.grad.origin is origin
    assert leaf.grad is leaf.grad


def test_attributes_can_be_set_on_leaf_grad(leaf):
    leaf.grad = fb.ones(2)
    leaf.grad.origin = "assigned"
    assert leaf.grad.origin == "assigned"
    leaf.grad = None
    leaf.sum().backward()
    leaf.grad.origin = "computed"
    assert leaf.grad.origin == "computed"


def test_accumulation_and_in_place_changes_keep_the_object(leaf):
    leaf.grad = marked()
    (3 * leaf).sum().backward()
    assert type(leaf.grad) is Marked
    assert leaf.grad.tolist() == [4, 4]
    leaf.grad.zero_()
    assert type(leaf.grad) is Marked
    assert leaf.grad.origin == ["here"]
    assert leaf.grad.tolist() == [0, 0]


def test_a_weak_reference_to_a_gradient_becomes_invalid_when_the_gradient_is_deleted(leaf):
    leaf.grad = marked()
    reference = weakref.ref(leaf.grad)
    assert reference() is leaf.grad
    del leaf.grad
    assert leaf.grad is None
    assert reference() is None


def test_an_object_from_a_weak_reference_outlives_the_gradient(leaf):
    leaf.grad = marked()
    gradient = weakref.ref(leaf.grad)()
    assert gradient.tolist() == [1, 1]
    held = weakref.ref(leaf.grad)
    del gradient
    gradient = held()
    leaf.grad = None
    assert type(gradient) is Marked
    assert (gradient + 1).tolist() == [2, 2]


def test_the_finalizer_runs_once_when_the_gradient_is_dropped(leaf):
    finalized = []

    class Finalized(fb.Tensor):
        def __del__(self):
            finalized.append(self.tolist())

    leaf.grad = fb.ones(2).as_subclass(Finalized)
    assert leaf.grad is not None
    assert finalized == []
    leaf.grad = None
    assert finalized == [[1, 1]]


def test_an_assigned_gradient_keeps_attributes_in_slots(leaf):
    class Slotted(fb.Tensor):
        __slots__ = ("origin",)

    leaf.grad = fb.ones(2).as_subclass(Slotted)
    leaf.grad.origin = "slot"
    assert leaf.grad.origin == "slot"


@pytest.mark.parametrize("make", [marked, fb.ones], ids=["subclass", "attributes"])
def test_attributes_that_refer_to_the_leaf_are_collected(allocated, make):
    leaf = fb.ones(N, requires_grad=True)
    gradient = make(N)
    gradient.leaf = leaf
    leaf.grad = gradient
    reference = weakref.ref(gradient)
    del leaf, gradient
    assert reference() is not None
    gc.collect()
    assert reference() is None
    assert allocated() == 0


def test_attributes_that_refer_to_the_leaf_stay_while_the_leaf_is_used(leaf):
    leaf.grad = marked()
    leaf.grad.leaf = leaf
    gc.collect()
    assert leaf.grad.leaf is leaf


def refer_to_each_other(x):
    x.grad = fb.ones(N)
    x.grad.grad = x


def refer_through_a_graph(x):
    x.grad = 2 * x


@pytest.mark.parametrize("assign", [refer_to_each_other, refer_through_a_graph])
def test_cycles_of_assigned_gradients_are_collected(allocated, assign):
    x = fb.ones(N, requires_grad=True)
    assign(x)
    gc.collect()
    assert x.grad is not None
    del x
    gc.collect()
    assert allocated() == 0


def test_assigning_a_tensor_as_its_own_gradient_raises(leaf):
    with pytest.raises(RuntimeError, match="can't assign Variable as its own grad"):
        leaf.grad = leaf


def test_assigning_dunder_class_changes_the_class_of_a_tensor():
    class Named(fb.Tensor):
        pass

    x = fb.ones(2)
    x.__class__ = Named
    assert type(x) is Named
    x.__class__ = fb.Tensor
    assert type(x) is fb.Tensor


def test_a_gradient_with_attributes_can_be_alive_when_the_interpreter_ends():
    program = """
import flambeau as fb

class Named(fb.Tensor):
    pass

x = fb.ones(2, requires_grad=True)
x.grad = fb.ones(2).as_subclass(Named)
x.grad.owner = x
"""
    subprocess.run([sys.executable, "-c", program], check=True)
