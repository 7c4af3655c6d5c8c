"""TorchScript's names: functions come back as they are, and marks do nothing."""

import doctest
import subprocess
import sys
import typing

import pytest

import flambeau as fb
from flambeau import jit


def test_scripts_come_back_as_they_are_and_warn_once():
    script = """
import warnings
import flambeau as fb
def f(x): return x
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    assert fb.jit.script(f) is f and fb.jit.script(f) is f
assert [w.category for w in caught] == [UserWarning], caught
assert caught[0].filename == "<string>", caught[0].filename
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=600)


def test_examples_and_documentation():
    assert doctest.testmod(jit).failed == 0
    assert all(getattr(jit, name).__doc__ for name in jit.__all__ if name != "Final")


def test_marks_do_nothing():
    def f(x):
        return x + 1

    for mark in (jit.ignore, jit.unused, jit.export, jit.interface, jit.freeze, jit.script_if_tracing):
        assert mark(f) is f
    assert jit.ignore(drop=True)(f) is f and jit.optimize_for_inference(f) is f
    assert jit.annotate(int, 3) == 3 and jit.Attribute(3, int).value == 3
    assert not jit.is_scripting() and not jit.is_tracing()
    future = jit.fork(f, 1)
    assert future.done() and jit.wait(future) == 2
    with jit.optimized_execution(True), jit.fuser("fuser1"):
        jit.enable_onednn_fusion(True)
        jit.set_fusion_strategy([("STATIC", 2)])
    assert jit.Final[int] == typing.Final[int]


def test_types_that_programs_import():
    from flambeau.jit.annotations import Dict, List, Optional, TensorType, Tuple

    assert List[int] == typing.List[int] and Tuple[int, str] == typing.Tuple[int, str]  # noqa: UP006
    assert Dict[str, int] == typing.Dict[str, int] and Optional[int] == typing.Optional[int]  # noqa: UP006, UP045
    assert TensorType.get() is TensorType.get() and repr(TensorType.get()) == "Tensor" and fb.TensorType is TensorType


def test_a_module_is_traced_by_its_forward_alone():
    model = fb.nn.Linear(2, 1)
    assert jit.trace_module(model, {"forward": fb.ones(1, 2)})(fb.ones(3, 2)).shape == (3, 1)
    with pytest.raises(NotImplementedError, match="traces forward"):
        jit.trace_module(model, {"other": fb.ones(1, 2)})
    seen = []
    jit.trace(lambda x: seen.append(jit.is_tracing()) or x + 1, fb.ones(1), check_trace=False)
    assert seen == [True]
