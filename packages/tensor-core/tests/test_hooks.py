"""Tests of handles that remove hooks."""

import copy
import gc
import pickle
import weakref
from collections import OrderedDict

import pytest

from flambeau.utils.hooks import RemovableHandle, new_handle


def test_a_handle_removes_its_hook_once():
    table = OrderedDict()
    first, second = new_handle(table, "first"), new_handle(table, "second")
    assert first.id != second.id and list(table.values()) == ["first", "second"]
    first.remove()
    first.remove()
    assert list(table.values()) == ["second"]
    with second as entered:
        assert entered is second
    assert not table


def test_prepended_hooks_run_first():
    table = OrderedDict()
    new_handle(table, "second")
    new_handle(table, "first", prepend=True)
    assert list(table.values()) == ["first", "second"]


@pytest.mark.parametrize("several", [False, True])
def test_a_handle_removes_its_entry_from_extra_dictionaries(several):
    table, options, more = OrderedDict(), OrderedDict(), OrderedDict()
    handle = RemovableHandle(table, extra_dict=[options, more] if several else options)
    table[handle.id] = options[handle.id] = more[handle.id] = True
    handle.remove()
    assert not table and not options and bool(more) is not several


def test_a_handle_does_not_keep_its_table_alive():
    table = OrderedDict()
    handle, alive = new_handle(table, print), weakref.ref(table)
    del table
    gc.collect()
    assert alive() is None
    handle.remove()


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copied_handle_belongs_to_the_copied_table(duplicate):
    table = OrderedDict()
    handle = new_handle(table, print)
    twin_table, twin = duplicate((table, handle))
    twin.remove()
    assert not twin_table and list(table) == [handle.id]
    duplicate(handle).remove()
    assert list(table) == [handle.id]
