"""The names of ``torch.jit``: models are traced on examples or returned unchanged; decorators have no effect."""

import copy
import io
import subprocess
import sys
import typing

import numpy as np
import pytest

import flambeau as fb
from flambeau import jit, nn


def test_lazy_modules_need_an_input_first():
    module = nn.Sequential(nn.LazyLinear(2), nn.ReLU())
    with pytest.raises(RuntimeError, match=r"'Sequential' has uninitialized parameters \['0.weight', '0.bias'\]"):
        jit.script(module)


def test_script_returns_its_argument_and_warns_once():
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


def test_every_public_name_is_documented():
    assert all(getattr(jit, name).__doc__ for name in jit.__all__ if name != "Final")


def test_decorators_return_their_argument():
    def f(x):
        return x + 1

    for mark in (jit.ignore, jit.unused, jit.export, jit.interface, jit.freeze, jit.script_if_tracing):
        assert mark(f) is f
    assert jit.ignore(drop=True)(f) is f and jit.optimize_for_inference(f) is f
    assert jit.annotate(int, 3) == 3 and jit.Attribute(3, int) == (3, int) and jit.Attribute(3, int).value == 3
    assert not jit.is_scripting() and not jit.is_tracing()
    future = jit.fork(f, 1)
    assert future.done() and jit.wait(future) == 2
    with jit.optimized_execution(True), jit.fuser("fuser1"):
        jit.enable_onednn_fusion(True)
        jit.set_fusion_strategy([("STATIC", 2)])
    assert jit.Final[int] == typing.Final[int]


class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x, h):
        new = fb.tanh(self.linear(x) + h)
        return new, new


class Gated(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class OfFour(nn.Module):
    def forward(self, x):
        return x * 2 if x.shape[0] > 4 else x


def test_a_model_with_examples_becomes_a_program():
    model, x, h = Cell(), fb.rand(3, 4), fb.rand(3, 4)
    program = jit.script(model, example_inputs=[(x, h), (x[:1], h[:1])])
    assert isinstance(program, jit.ScriptModule) and jit.script(program) is program
    file = io.BytesIO()
    program.save(file)
    file.seek(0)
    x, h = fb.rand(5, 4), fb.rand(5, 4)
    weight, bias = (parameter.detach().numpy() for parameter in model.parameters())
    expected = np.tanh(x.numpy() @ weight.T + bias + h.numpy())
    np.testing.assert_allclose(jit.load(file)(x, h)[0].detach().numpy(), expected, rtol=1e-5, atol=1e-6)
    assert isinstance(jit.script(model, example_inputs={model: [(x, h)]}), jit.ScriptModule)


@pytest.mark.parametrize("kind", [Gated, OfFour, lambda: nn.Dropout(0.5)])
def test_script_returns_an_untraceable_model_unchanged_with_a_reason(kind):
    model = kind()
    with pytest.warns(UserWarning, match=f"{type(model).__name__} unchanged, because it cannot be traced: .+"):
        assert jit.script(model, example_inputs=[(fb.rand(3, 4),)]) is model


@pytest.mark.filterwarnings("ignore:flambeau has no TorchScript")
def test_jit_attribute_returns_its_value():
    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.by = jit.Attribute(3.0, float)
            self.table = jit.Attribute({"x": 1.0}, typing.Dict[str, float])  # noqa: UP006

        def forward(self, x):
            with jit._IgnoreContextManager(x="inp:Tensor"):
                return x + self.by + self.table["x"]

    assert jit.script(nn.Sequential(Shifted()))(fb.zeros(2)).tolist() == [4.0, 4.0]


@pytest.mark.filterwarnings("ignore:flambeau has no TorchScript")
def test_a_class_derived_from_script_module_runs_as_python():
    class Cell(jit.ScriptModule):
        def __init__(self, size):
            super().__init__()
            self.weight = nn.Parameter(fb.full((size,), 2.0))

        @jit.script_method
        def forward(self, x, state: typing.Tuple[fb.Tensor, fb.Tensor]):  # noqa: UP006
            h, c = state
            return x * self.weight + h, (h + 1, c)

    class Layer(jit.ScriptModule):
        def __init__(self, cell, *args):
            super().__init__()
            self.cell = cell(*args)

        @jit.script_method
        def forward(self, x, state: typing.Tuple[fb.Tensor, fb.Tensor]):  # noqa: UP006
            outputs = jit.annotate(typing.List[fb.Tensor], [])  # noqa: UP006
            for step in x.unbind(0):
                out, state = self.cell(step, state)
                outputs += [out]
            return fb.stack(outputs), state

    layer, state = Layer(Cell, 2), (fb.zeros(2), fb.zeros(2))
    out, (h, _) = layer(fb.ones(3, 2), state)
    assert out.tolist() == [[2, 2], [3, 3], [4, 4]] and h.tolist() == [3, 3]
    assert repr(layer) == "Layer(\n  (cell): Cell()\n)"
    assert list(layer.state_dict()) == ["cell.weight"] and jit.script(layer) is layer
    assert copy.deepcopy(layer)(fb.ones(1, 2), state)[0].tolist() == [[2, 2]]
    with pytest.raises(NotImplementedError, match="Layer was not traced"):
        jit.save(layer, io.BytesIO())
    program = jit.trace(layer, (fb.ones(3, 2), state))
    assert program(fb.zeros(3, 2), state)[0].tolist() == [[0, 0], [1, 1], [2, 2]] and "mul" in program.code


def test_a_model_in_training_is_not_frozen():
    model = nn.Sequential(nn.Dropout())
    with pytest.raises(RuntimeError, match=r"eval mode\. Please call \.eval\(\)"):
        jit.freeze(model)
    assert jit.freeze(jit.optimize_for_inference(model)) is model and not model.training


def test_annotation_types_are_importable():
    from flambeau.jit.annotations import Dict, List, Optional, TensorType, Tuple

    assert List[int] == typing.List[int] and Tuple[int, str] == typing.Tuple[int, str]  # noqa: UP006
    assert Dict[str, int] == typing.Dict[str, int] and Optional[int] == typing.Optional[int]  # noqa: UP006, UP045
    assert TensorType.get() is TensorType.get() and repr(TensorType.get()) == "Tensor" and fb.TensorType is TensorType


def test_trace_calls_only_forward():
    model = fb.nn.Linear(2, 1)
    assert jit.trace_module(model, {"forward": fb.ones(1, 2)})(fb.ones(3, 2)).shape == (3, 1)
    example = {"forward": (fb.ones(1, 2),)}
    assert jit.trace_module(model, example, check_inputs=[example])(fb.ones(3, 2)).shape == (3, 1)
    with pytest.raises(NotImplementedError, match="traces only 'forward'"):
        jit.trace_module(model, {"other": fb.ones(1, 2)})
    seen = []
    jit.trace(lambda x: seen.append(jit.is_tracing()) or x + 1, fb.ones(1), check_trace=False)
    assert seen == [True]
