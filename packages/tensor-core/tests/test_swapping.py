"""`swap_tensors`: exchanging the contents of two tensors without replacing their Python objects."""

import gc
import weakref

import pytest

import flambeau as fb
from flambeau.utils import swap_tensors


class Named(fb.Tensor):
    pass


class WithSlot(fb.Tensor):
    __slots__ = ("scale",)


def test_swap_exchanges_elements_class_and_attributes():
    a, b = fb.zeros(2, dtype=fb.int64), fb.ones(3).as_subclass(Named)
    a.label, b.scale = "a", 2
    swap_tensors(a, b)
    assert type(a) is Named and type(b) is fb.Tensor
    assert a.tolist() == [1, 1, 1] and b.tolist() == [0, 0] and (a.dtype, b.dtype) == (fb.float32, fb.int64)
    assert (a.__dict__, b.__dict__) == ({"scale": 2}, {"label": "a"})


def test_swapped_tensors_stay_keys_of_a_dictionary():
    a, b = fb.zeros(2), fb.ones(3)
    state = {a: "a", b: "b"}
    swap_tensors(a, b)
    assert (state[a], state[b]) == ("a", "b") and hash(a) == id(a)


def test_swap_exchanges_slots_including_empty_ones():
    a, b = fb.zeros(1).as_subclass(WithSlot), fb.ones(1).as_subclass(WithSlot)
    a.scale = 3
    swap_tensors(a, b)
    assert b.scale == 3 and not hasattr(a, "scale")
    with pytest.raises(RuntimeError, match="different slots"):
        swap_tensors(a, fb.ones(1))


def test_swap_rejects_tensors_with_weak_references():
    a, b = fb.zeros(1), fb.ones(1)
    reference = weakref.ref(b)
    with pytest.raises(RuntimeError, match="Cannot swap t2 because it has weakref"):
        swap_tensors(a, b)
    assert reference() is b and a.item() == 0


def test_swap_rejects_a_tensor_with_views():
    a = fb.zeros(4)
    view = a[1:]
    with pytest.raises(RuntimeError, match="Expected use_count of t1 to be 1 or 2"):
        swap_tensors(a, fb.ones(1))
    assert view.tolist() == [0, 0, 0]


def test_swapped_objects_are_released():
    a, b = fb.zeros(1).as_subclass(Named), fb.ones(1)
    swap_tensors(a, b)
    b.itself = b
    released = weakref.ref(b)
    del a, b
    gc.collect()
    assert released() is None
