"""flambeau.utils.weak: dictionaries keyed by the identity of tensors."""

from __future__ import annotations

import copy
import doctest

import pytest

import flambeau as fb
from flambeau.utils import weak
from flambeau.utils.weak import TensorWeakRef, WeakIdKeyDictionary, WeakIdRef


def test_equal_tensors_are_different_weak_keys() -> None:
    first, second = fb.ones(3), fb.ones(3)
    names = WeakIdKeyDictionary({first: "first"})
    names[second] = "second"
    names[first] += "!"
    assert (names[first], names[second], len(names)) == ("first!", "second", 2)
    assert [key is expected for key, expected in zip(names, (first, second), strict=True)] == [True, True]
    assert fb.ones(3) not in names and 3 not in names
    with pytest.raises(KeyError):
        names[fb.ones(3)]


def test_a_weak_dictionary_entry_is_removed_with_its_key() -> None:
    kept, dropped = fb.ones(1), fb.zeros(1)
    names = WeakIdKeyDictionary({kept: 1, dropped: 2})
    copied = copy.copy(names)
    del dropped
    assert list(names.values()) == list(copied.values()) == [1]
    assert copied == names and names.pop(kept) == 1 and len(names) == 0 and len(copied) == 1


def test_weak_keys_may_disappear_during_iteration() -> None:
    keys = [fb.tensor(i) for i in range(5)]
    names = WeakIdKeyDictionary({key: i for i, key in enumerate(keys)})
    seen = []
    for key in names:
        seen.append(int(key))
        keys.clear()
        del key
    assert seen[0] == 0 and len(names) == 0


def test_references_compare_by_identity_while_the_tensor_lives() -> None:
    x = fb.ones(2)
    assert WeakIdRef(x) == WeakIdRef(x) and WeakIdRef(x) != WeakIdRef(fb.ones(2))
    reference, again = TensorWeakRef(x), TensorWeakRef(x)
    assert reference() is x and reference == again and hash(reference) == hash(again)
    del x
    assert reference() is None and reference != again


def test_examples_of_weak_run() -> None:
    assert doctest.testmod(weak).failed == 0
