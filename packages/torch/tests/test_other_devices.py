"""Test the modules of devices that flambeau does not support."""

import pytest

import flambeau

ANSWERS = {
    "mps.is_available()": False,
    "mps.device_count()": 0,
    "mps.manual_seed(1)": None,
    "xpu.is_available()": False,
    "xpu.is_initialized()": False,
    "xpu.device_count()": 0,
    "xpu.is_bf16_supported()": False,
    "xpu.empty_cache()": None,
    "xpu.memory_allocated()": 0,
    "xpu.manual_seed_all(1)": None,
}


@pytest.mark.parametrize("expression", ANSWERS)
def test_queries_return_the_values_for_a_machine_without_the_device(expression):
    answer = eval(f"fb.{expression}", {"fb": flambeau})
    assert answer == ANSWERS[expression] and isinstance(answer, type(ANSWERS[expression]))


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("xpu.synchronize()", AssertionError),
        ("mps.synchronize()", RuntimeError),
    ],
)
def test_using_an_unsupported_device_raises(call, error):
    with pytest.raises(error):
        eval(f"fb.{call}", {"fb": flambeau})
