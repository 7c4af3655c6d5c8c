"""Tests that unusual calls of bound functions and classes raise errors instead of ending the process."""

import copyreg
import inspect
from pathlib import Path

import pytest

import flambeau as fb

BOUND = [
    fb.set_num_threads,
    fb.get_num_threads,
    fb.get_default_dtype,
    fb.Generator,
    fb.Generator().manual_seed,
    fb.Generator().initial_seed,
]


@pytest.mark.parametrize("function", BOUND, ids=lambda function: function.__name__)
def test_keywords_that_utf8_cannot_encode_are_rejected(function):
    with pytest.raises(TypeError, match=r"unexpected keyword argument '\\udc00'"):
        function(**{"\udc00": 1})


def test_a_generator_that_was_not_initialised_cannot_be_used():
    generator = fb.Generator.__new__(fb.Generator)
    with pytest.raises(TypeError, match=r"Generator.__init__\(\) has not been called"):
        generator.initial_seed()
    with pytest.raises(TypeError, match=r"must be flambeau\.Generator"):
        fb.randn(2, generator=generator)
    generator.__init__()
    assert isinstance(generator.initial_seed(), int)


def test_the_base_of_bound_classes_has_no_instances():
    base = inspect.getmro(fb.Generator)[-2]
    with pytest.raises(TypeError, match="cannot create 'pybind11_object' instances"):
        base()
    with pytest.raises(TypeError, match="cannot create"):
        copyreg._reduce_ex(fb.Generator(), 0)


def test_a_size_beyond_the_memory_of_the_computer_raises():
    setting = Path("/proc/sys/vm/overcommit_memory")
    if setting.exists() and setting.read_text().strip() == "1":
        pytest.skip("this system allows any size")
    with pytest.raises(RuntimeError, match=r"tried to allocate 36.38 TiB for a tensor of shape \[10000000, 1000000\]"):
        fb.empty(10**7, 10**6)
