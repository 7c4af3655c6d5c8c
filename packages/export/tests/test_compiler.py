"""Names of ``torch.compile`` and ``torch.compiler``: nothing is compiled, and programs that ask for it run."""

import contextlib
import subprocess
import sys

import pytest

import flambeau as fb
from flambeau import nn


def test_nothing_is_compiled():
    assert not fb.compiler.is_compiling() and not fb.compiler.is_dynamo_compiling()
    assert fb.compiler.list_backends() == []
    assert fb.compiler.reset() is None and fb.compiler.cudagraph_mark_step_begin() is None


def test_what_comes_back_as_it_is_warns_once():
    script = """
import warnings
import flambeau as fb
def f(x): return x
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    assert fb.compile(f) is f and fb.compile(f) is f
assert [w.category for w in caught] == [UserWarning], caught
assert caught[0].filename == "<string>", caught[0].filename
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=600)


def test_compile_is_a_decorator():
    with contextlib.suppress(UserWarning):
        fb.compile(len)

    @fb.compile(mode="reduce-overhead", fullgraph=True)
    def f(x):
        return x + 1

    assert f(1) == 2
    with pytest.raises(RuntimeError, match="Either mode or options"):
        fb.compile(f, mode="default", options={})
    assert fb.compiler.disable(f) is f and fb.compiler.disable(reason="slow")(f) is f
    assert fb.compiler.allow_in_graph(f) is f and fb.compiler.assume_constant_result(f) is f
    with fb.compiler.set_stance("force_eager"):
        pass


def test_a_model_compiles_to_itself():
    model = nn.Linear(2, 3)
    with contextlib.suppress(UserWarning):  # the first time
        fb.compile(model)
    assert fb.compile(model) is model and fb.jit.freeze(model.eval()) is model
    assert model.compile(mode="default") is None and model(fb.ones(1, 2)).shape == (1, 3)
    with pytest.raises(RuntimeError, match="Either mode or options"):
        model.compile(mode="default", options={})
