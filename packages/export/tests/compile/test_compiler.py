"""`flambeau.compile`: captures, repeated captures, and functions that run uncompiled."""

import copy
import dataclasses
import gc
import os
import pickle
import random
import threading
import time
import warnings
import weakref

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau._compile import CompiledFunction, UnsupportedError

from .random_programs import random_program


def captures(function):
    return len(function.captured)


def programs_of(module):
    return module.programs.captured


@fb.compile
def compiled_at_module_level(x):
    return x + 1


scale = 2.0
settings = {"offset": 1.0, "steps": [1, 2]}


def test_a_call_runs_the_captured_program():
    def f(x):
        return (x * 2 + 1).tanh()

    compiled = fb.compile(f, fullgraph=True)
    for shape in ((3,), (5,), (1,)):
        x = fb.randn(*shape)
        assert fb.equal(compiled(x), f(x))
    assert captures(compiled) == 1
    assert "tanh" in compiled.captured[0].text


def test_globals_closures_and_containers_are_guarded():
    global scale
    exponent = 2

    def f(x):
        return x**exponent * scale + settings["offset"] + sum(settings["steps"])

    compiled = fb.compile(f, fullgraph=True)
    x = fb.rand(4)
    for change in (
        lambda: None,
        lambda: globals().update(scale=3.0),
        lambda: settings.update(offset=5.0),
        lambda: settings["steps"].append(4),
    ):
        change()
        assert fb.equal(compiled(x), f(x))
    exponent = 3
    assert fb.equal(compiled(x), f(x))
    assert captures(compiled) == 5
    scale, settings["offset"] = 2.0, 1.0
    settings["steps"].pop()


def test_attributes_of_modules_and_classes_are_guarded():
    class Scaled(nn.Module):
        factor = 2.0

        def __init__(self):
            super().__init__()
            self.layer, self.power = nn.Linear(3, 3), 1

        @property
        def exponent(self):
            return self.power + 1

        def forward(self, x):
            return self.layer(x) ** self.exponent * self.factor

    model = Scaled()
    compiled = fb.compile(model, fullgraph=True)
    x = fb.randn(2, 3)

    def agree():
        return fb.equal(compiled(x), model(x))

    assert agree()
    model.power = 2
    assert agree()
    Scaled.factor = 4.0
    assert agree()
    model.layer = nn.Linear(3, 3)
    assert agree()
    model.layer.weight = nn.Parameter(fb.ones(3, 3))
    assert agree()
    assert len(programs_of(compiled)) == 5
    with fb.no_grad():
        model.layer.weight.mul_(2)
    assert agree()
    assert len(programs_of(compiled)) == 5  # new values need no new program


def test_attributes_that_getattr_reads_are_guarded():
    class Settings:
        factor = 2.0

    compiled = fb.compile(lambda x: x * getattr(Settings, "factor", 1.0), fullgraph=True)
    assert fb.equal(compiled(fb.ones(1)), fb.full((1,), 2.0))
    Settings.factor = 3.0
    assert fb.equal(compiled(fb.ones(1)), fb.full((1,), 3.0))
    del Settings.factor
    assert fb.equal(compiled(fb.ones(1)), fb.ones(1))


def test_hooks_are_guarded():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    compiled = fb.compile(model)
    x = fb.ones(1, 2)
    compiled(x)
    handle = model[0].register_forward_hook(lambda module, args, output: output * 0 + 3)
    assert fb.equal(compiled(x), fb.full((1, 2), 3.0))
    handle.remove()
    assert fb.equal(compiled(x), model(x))
    handle = nn.modules.module.register_module_forward_hook(lambda module, args, output: output + 1)
    try:
        assert fb.equal(compiled(x), model(x) + 1)  # the compiled module can be called as well
    finally:
        handle.remove()
    assert fb.equal(compiled(x), model(x))


def test_training_mode_and_grad_mode_select_programs():
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.BatchNorm1d(4))
    compiled = fb.compile(model, fullgraph=True)
    x = fb.randn(6, 4)
    for _ in range(2):
        model.train()
        fb.manual_seed(0)
        a = compiled(x)
        fb.manual_seed(0)
        assert fb.equal(a, model(x))
        model.eval()
        assert fb.equal(compiled(x), model(x))
        with fb.no_grad():
            assert fb.equal(compiled(x), model(x)) and not compiled(x).requires_grad
    assert len(programs_of(compiled)) == 3


def test_running_statistics_change_once_per_call():
    model, reference = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    compiled = fb.compile(model, fullgraph=True)
    for _ in range(3):
        x = fb.randn(5, 3)
        assert fb.equal(compiled(x), reference(x))
        assert fb.equal(model.running_mean, reference.running_mean)
        assert model.num_batches_tracked == reference.num_batches_tracked


def test_a_branch_on_a_size_captures_again():
    def f(x):
        return x * 2 if x.shape[0] > 4 else x + x.shape[0]

    compiled = fb.compile(f, fullgraph=True)
    for n in (3, 5, 2, 7, 4):
        x = fb.randn(n)
        assert fb.equal(compiled(x), f(x))
    assert captures(compiled) == 2


def test_a_branch_on_a_size_after_a_change_does_not_change_twice():
    def f(x):
        x.add_(1)
        return x * 2 if x.shape[0] > 4 else x + 1

    compiled = fb.compile(f, fullgraph=True)
    for n in (3, 5, 3, 7):
        x = fb.zeros(n)
        compiled(x)
        assert fb.equal(x, fb.ones(n))


def test_other_arguments_are_constants_of_a_program():
    def f(x, power, *, negate=False, names=("a",)):
        return (-x if negate else x) ** power, names

    compiled = fb.compile(f, fullgraph=True)
    x = fb.rand(3)
    assert fb.equal(compiled(x, 2)[0], x**2) and fb.equal(compiled(x, 3)[0], x**3)
    assert fb.equal(compiled(x, 2, negate=True)[0], (-x) ** 2)
    assert compiled(x, 2, names=("b", "c"))[1] == ("b", "c")
    assert captures(compiled) == 4


def test_structures_of_arguments_and_results():
    @dataclasses.dataclass
    class Config:
        factor: float

    def f(batch, config):
        return {"out": batch["x"] * config.factor, "size": batch["x"].shape[0], "pair": (batch["y"], None)}

    compiled = fb.compile(f, fullgraph=True)
    config = Config(2.0)
    for n in (2, 3):
        batch = {"x": fb.randn(n), "y": fb.randn(1)}
        result = compiled(batch, config)
        assert fb.equal(result["out"], batch["x"] * 2) and result["size"] == n
        assert result["pair"][0] is batch["y"] and result["pair"][1] is None
    assert captures(compiled) == 1
    config.factor = 3.0
    assert fb.equal(compiled(batch, config)["out"], batch["x"] * 3)


def test_one_tensor_given_twice_is_another_call():
    def f(x, y):
        x.add_(1)
        return x * y

    compiled = fb.compile(f, fullgraph=True)
    assert fb.equal(compiled(fb.ones(2), fb.ones(2)), fb.full((2,), 2.0))
    x = fb.ones(2)
    assert fb.equal(compiled(x, x), fb.full((2,), 4.0))


def test_random_numbers_are_those_of_the_function():
    def f(x):
        return x + fb.randn_like(x), fb.nn.functional.dropout(x, 0.3)

    compiled = fb.compile(f, fullgraph=True)
    x = fb.ones(50)
    for _ in range(3):
        fb.manual_seed(3)
        first = compiled(x)
        fb.manual_seed(3)
        assert all(fb.equal(a, b) for a, b in zip(first, f(x), strict=True))


def test_gradients_flow_to_parameters_inputs_and_globals():
    weight = fb.randn(3, requires_grad=True)
    layer = nn.Linear(3, 3)

    def f(x):
        return (layer(x) * weight).sum()

    compiled = fb.compile(f, fullgraph=True)
    x = fb.randn(2, 3, requires_grad=True)
    for _ in range(2):
        expected = fb.autograd.grad(f(x), [x, weight, *layer.parameters()])
        found = fb.autograd.grad(compiled(x), [x, weight, *layer.parameters()])
        assert all(fb.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert captures(compiled) == 1


def test_a_compiled_model_trains():
    def losses(compile_it):
        fb.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.BatchNorm1d(16), nn.Linear(16, 1))
        run = fb.compile(model, fullgraph=True) if compile_it else model
        optimizer = fb.optim.Adam(run.parameters(), lr=0.01)
        out = []
        for _ in range(5):
            x = fb.randn(8, 4)
            loss = (run(x) - x.sum(1, keepdim=True)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            out.append(loss.item())
        return out

    pytest.importorskip("flambeau.optim")
    assert losses(True) == losses(False)


# --- functions that run uncompiled ---


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x + self.calls


def draws_in_python(x):
    return x * random.random()


def draws_in_numpy(x):
    return x * float(np.random.rand())


def sets_a_hook(x):
    y = x * 2
    if y.requires_grad:
        y.register_hook(lambda g: g * 3)
    return y


def uses_numpy(x):
    return fb.from_numpy(x.detach().numpy() * 2)


def differentiates(x):
    (gradient,) = fb.autograd.grad((x * x).sum(), x)
    return gradient


def draws_with_a_generator(x):
    return x + fb.randn(x.shape, generator=fb.Generator().manual_seed(1))


UNSUPPORTED = {
    draws_in_python: "random",
    draws_in_numpy: "random numbers from Python's random or numpy.random",
    sets_a_hook: "register_hook",
    uses_numpy: "numpy gives Python a value",
    differentiates: "only with Tensor.backward()",
    draws_with_a_generator: "default generator",
}


@pytest.mark.parametrize("function", UNSUPPORTED, ids=lambda f: f.__name__)
def test_unsupported_functions_run_uncompiled(function):
    compiled = fb.compile(function)
    strict = fb.compile(function, fullgraph=True)
    for value in (1.0, -2.0, 3.0):
        x = fb.full((3,), value, requires_grad=True)

        def result(call, x=x):
            random.seed(0)
            np.random.seed(0)
            return call(x)

        assert fb.equal(result(compiled), result(function))
    assert captures(compiled) == 0
    assert UNSUPPORTED[function] in compiled.refusals[0]
    with pytest.raises(UnsupportedError, match="fullgraph=True"):
        strict(x)


def test_a_function_that_changes_python_objects_runs_uncompiled():
    model = Counter()
    compiled = fb.compile(model)
    assert [compiled(fb.zeros(1)).item() for _ in range(5)] == [1, 2, 3, 4, 5]
    assert programs_of(compiled) == [] and "changes a Python object" in compiled.programs.refusals[0]


def test_a_cache_that_the_first_call_fills_is_captured_afterwards():
    class Cached(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = None

        def forward(self, x):
            if self.table is None:
                self.table = fb.arange(3.0)
            return x + self.table

    compiled = fb.compile(Cached())
    for _ in range(3):
        assert fb.equal(compiled(fb.ones(3)), fb.arange(3.0) + 1)
    assert len(programs_of(compiled)) == 1 and compiled.programs.refusals == []


def test_the_environment_is_guarded(monkeypatch):
    compiled = fb.compile(lambda x: x * 2 if os.environ.get("DOUBLE") else x * 1, fullgraph=True)
    assert fb.equal(compiled(fb.ones(1)), fb.ones(1))
    monkeypatch.setenv("DOUBLE", "1")
    assert fb.equal(compiled(fb.ones(1)), fb.full((1,), 2.0))


def test_arguments_are_not_kept_alive():
    compiled = fb.compile(lambda x: x * 2)

    def call():
        x = fb.ones(3)
        compiled(x)
        return weakref.ref(x)

    dropped = call()
    gc.collect()
    assert dropped() is None


def test_a_traced_size_that_the_function_stores_is_a_plain_number():
    class Recorder(nn.Module):
        def __init__(self):
            super().__init__()
            self.sizes = []

        def forward(self, x):
            self.sizes.append(x.shape[0])
            self.last = x.shape
            return x * 2

    model = Recorder()
    compiled = fb.compile(model)
    compiled(fb.zeros(3))
    compiled(fb.zeros(4))
    assert model.sizes == [3, 4] and [type(size) for size in model.sizes] == [int, int]
    assert type(model.last) is fb.Size and tuple(model.last) == (4,)


def test_captures_are_limited():
    compiled = fb.compile(lambda x, n: x * n)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for n in range(20):
            assert fb.equal(compiled(fb.ones(2), n), fb.full((2,), float(n)))
    assert captures(compiled) == 8
    assert len(caught) == 1 and "was captured 8 times and runs uncompiled" in str(caught[0].message)


def test_exceptions_are_those_of_the_operators():
    compiled = fb.compile(lambda x, y: x @ y)
    compiled(fb.ones(2, 3), fb.ones(3, 2))
    with pytest.raises(RuntimeError):
        compiled(fb.ones(2, 3), fb.ones(4, 2))
    assert compiled(fb.ones(2, 3), fb.ones(3, 2)).shape == (2, 2)

    def fails(x):
        raise KeyError("no such key")

    for _ in range(2):
        with pytest.raises(KeyError, match="no such key"):
            fb.compile(fails)(fb.ones(1))


def test_transforms_and_modes_see_the_operators():
    def f(x):
        return (x * 2).sin()

    compiled = fb.compile(f)
    compiled(fb.ones(3))
    x = fb.randn(4, 3)
    assert fb.allclose(fb.func.vmap(compiled)(x), f(x))
    assert fb.allclose(fb.func.grad(lambda v: compiled(v).sum())(x[0]), (x[0] * 2).cos() * 2)
    with fb.autocast("cpu", dtype=fb.bfloat16):
        assert fb.compile(lambda a: a @ a)(fb.ones(2, 2)).dtype == fb.bfloat16
    seen = []

    class Watch(fb.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append(func.__name__)
            return func(*args, **(kwargs or {}))

    with Watch():
        compiled(x)
    assert seen == ["mul", "sin"]


def test_subclasses_of_tensors_see_the_operators():
    class Logged(fb.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return super().__torch_function__(func, types, args, kwargs or {})

    compiled = fb.compile(lambda x: x * 2 + 1)
    compiled(fb.ones(2))
    assert type(compiled(fb.ones(2).as_subclass(Logged))) is Logged


def test_threads_share_a_compiled_function():
    compiled = fb.compile(lambda x: (x * 2 + 1).tanh().sum(-1))
    built_in = len
    failures = []

    def work(seed):
        for i in range(50):
            x = fb.full((3 + (seed + i) % 5, 4), float(seed))
            if not fb.equal(compiled(x), (x * 2 + 1).tanh().sum(-1)):
                failures.append((seed, i))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == [] and captures(compiled) == 1 and len is built_in


def test_results_are_freed_when_they_are_dropped():
    compiled = fb.compile(lambda x: (x + 1, x * 2))
    compiled(fb.ones(2))
    gc.collect()
    gc.disable()
    try:
        result = compiled(fb.ones(2))
        dropped = [weakref.ref(tensor) for tensor in result]
        del result
        assert [ref() for ref in dropped] == [None, None]
    finally:
        gc.enable()


def test_callbacks_of_the_garbage_collector_do_not_prevent_a_capture():
    times = []

    def callback(phase, info):
        times.append(time.perf_counter())

    def f(x):
        containers = [[x] for _ in range(10)]
        return containers[0][0] * 2

    compiled = fb.compile(f, fullgraph=True)
    threshold = gc.get_threshold()
    gc.callbacks.append(callback)
    try:
        gc.set_threshold(1)
        compiled(fb.ones(2))
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(callback)
    assert times and captures(compiled) == 1


@pytest.mark.parametrize("first", range(0, 120, 20))
def test_random_programs_agree_with_the_functions(first):
    for seed in range(first, first + 20):
        function = random_program(seed)
        compiled = fb.compile(function, fullgraph=True)
        for call, (n, m) in enumerate([(3, 4), (3, 4), (5, 7), (1, 4), (40, 300)]):
            fb.manual_seed(seed * 7 + call)
            x, y = fb.randn(n, m), fb.randn(n, m)
            given = [x.clone(), y.clone()], [x.clone(), y.clone()]
            fb.manual_seed(1)
            expected = function(*given[0])
            fb.manual_seed(1)
            found = compiled(*given[1])
            for a, b in zip([*found, *given[1]], [*expected, *given[0]], strict=True):
                assert a.shape == b.shape and a.dtype == b.dtype and a.stride() == b.stride(), seed
                assert fb.allclose(a, b, 0, 0, equal_nan=True), seed
        assert captures(compiled) >= 1


# --- the interface ---


def test_compile_is_a_decorator_with_options():
    @fb.compile(mode="reduce-overhead", fullgraph=True)
    def f(x):
        """Add one."""
        return x + 1

    assert isinstance(f, CompiledFunction) and f.__name__ == "f" and f.__doc__ == "Add one."
    assert fb.equal(f(fb.ones(1)), fb.full((1,), 2.0)) and f(1) == 2
    assert fb.compile(f) is f
    with pytest.raises(RuntimeError, match="Either mode or options"):
        fb.compile(f, mode="default", options={})
    with pytest.raises(RuntimeError, match="Invalid backend: 'inducto'"):
        fb.compile(lambda x: x, backend="inducto")
    with pytest.raises(TypeError, match="expects a function or a module, got int"):
        fb.compile(3)

    def g(x):
        return x

    assert fb.compile(g, disable=True) is g and fb.compile(g, backend="eager") is g
    assert fb.compiler.allow_in_graph(g) is g and fb.compiler.nested_compile_region(g) is g
    assert fb.compiler.substitute_in_graph(len)(g) is g
    with pytest.raises(RuntimeError, match="Unrecognized mode=fast, should be one of: default"):
        fb.compile(g, mode="fast")


def test_methods_are_compiled_for_each_object():
    class Scale:
        def __init__(self, factor):
            self.factor = factor

        @fb.compile
        def __call__(self, x):
            return x * self.factor

    two, three = Scale(2), Scale(3)
    for _ in range(2):
        assert fb.equal(two(fb.ones(1)), fb.full((1,), 2.0))
        assert fb.equal(three(fb.ones(1)), fb.full((1,), 3.0))


def test_a_compiled_module_is_the_module():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    compiled = fb.compile(model)
    assert compiled._orig_mod is model and compiled.training
    assert list(compiled.state_dict()) == [f"_orig_mod.{key}" for key in model.state_dict()]
    assert compiled.eval() is compiled and not model.training
    assert compiled(fb.ones(1, 2)).shape == (1, 3)


def test_a_module_is_compiled_in_place():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    x = fb.randn(4, 2)
    expected = model(x)
    assert model.compile(mode="default") is None
    for _ in range(2):
        assert fb.equal(model(x), expected)
    assert captures(model.forward) == 1
    copied = copy.deepcopy(model)
    with fb.no_grad():
        copied[0].weight.zero_()
        copied[0].bias.fill_(2)
    assert fb.equal(copied(x), fb.full((4, 3), 2.0)) and fb.equal(model(x), expected)
    assert "forward" not in vars(pickle.loads(pickle.dumps(model)))
    wrapped = fb.compile(model)
    for other in (copy.deepcopy(wrapped), pickle.loads(pickle.dumps(wrapped))):
        assert fb.equal(other(x), expected) and other._orig_mod is not model
    assert copy.deepcopy(compiled_at_module_level) is compiled_at_module_level
    assert pickle.loads(pickle.dumps(compiled_at_module_level)) is compiled_at_module_level
    with pytest.raises(RuntimeError, match="Either mode or options"):
        model.compile(mode="default", options={})


def test_is_compiling_is_true_while_a_function_is_recorded():
    seen = []
    compiled = fb.compile(lambda x: x + (1 if seen.append(fb.compiler.is_compiling()) else 2))
    compiled(fb.ones(1))
    assert seen == [True] and not fb.compiler.is_compiling() and not fb.compiler.is_exporting()


def test_explain_shows_programs_and_reasons():
    explanation = fb.compiler.explain(lambda x: (x * 2).tanh())(fb.ones(2))
    assert explanation.graph_count == 1 and explanation.graph_break_count == 0
    assert "fused(mul, tanh)" in str(explanation)
    assert explanation.ops_per_graph == [["mul", "tanh"]] and explanation.op_count == 2
    explanation = fb.compiler.explain(lambda x: x * 2 if x.sum() > 0 else x * 3)(fb.ones(2))
    assert explanation.graph_count == 2 and explanation.graph_break_count == 1
    assert "an element of a tensor" in explanation.break_reasons[0]


def test_stances():
    def f(x):
        return x * 2 if x.shape[0] > 2 else x * 3

    compiled = fb.compile(f)
    with fb.compiler.set_stance("eager_then_compile"):
        for count in (0, 1, 1):
            assert fb.equal(compiled(fb.ones(3)), fb.full((3,), 2.0)) and captures(compiled) == count
    with fb.compiler.set_stance("eager_on_recompile"):
        assert fb.equal(compiled(fb.ones(1)), fb.full((1,), 3.0)) and captures(compiled) == 1
    with fb.compiler.set_stance("fail_on_recompile"):
        assert fb.equal(compiled(fb.ones(4)), fb.full((4,), 2.0))
        with pytest.raises(RuntimeError, match=r"Detected recompile of .*f under stance 'fail_on_recompile'"):
            compiled(fb.ones(1))

    traced = []
    counting = fb.compile(lambda x: x + (1 if traced.append(fb.compiler.is_compiling()) else 2))

    @fb.compiler.set_stance("force_eager")
    def uncompiled():
        return counting(fb.ones(1))

    uncompiled()
    assert traced == [False]
    counting(fb.ones(1))
    assert traced == [False, True]
    fb.compiler.set_stance("force_eager")
    counting(fb.ones(1))
    fb.compiler.set_stance("default")
    assert traced == [False, True, False]
    with pytest.raises(RuntimeError, match=r"invalid torch\.compile stance 'fast'"):
        fb.compiler.set_stance("fast")
    with pytest.raises(NotImplementedError, match="force_backend"):
        fb.compiler.set_stance("default", force_backend="eager")
    compiled(fb.ones(1))
    assert captures(compiled) == 2


def test_without_dynamic_sizes_each_size_has_a_program():
    for dynamic, count in ((None, 1), (True, 1), (False, 3)):
        compiled = fb.compile(lambda x: x * 2, dynamic=dynamic)
        model = fb.compile(nn.Linear(2, 2), dynamic=dynamic)
        for n in (1, 2, 3, 1, 2):
            assert fb.equal(compiled(fb.ones(n)), fb.full((n,), 2.0))
            model(fb.ones(n, 2))
        assert captures(compiled) == count and len(programs_of(model)) == count
        assert pickle.loads(pickle.dumps(model)).programs.all_sizes == (dynamic is not False)


def test_a_constant_result_is_computed_once():
    calls = []

    @fb.compiler.assume_constant_result
    def table():
        calls.append(time.time())
        return fb.tensor([1.0, 2.0]), len(calls)

    def f(x):
        values, count = table()
        return x + values, count

    compiled = fb.compile(f, fullgraph=True)
    for _ in range(3):
        result, count = compiled(fb.zeros(2))
        assert fb.equal(result, fb.tensor([1.0, 2.0])) and count == 1
    assert len(calls) == 1 and f(fb.zeros(2))[1] == 2


SIZES = {
    "convolutions": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2)),
        [(2, 3, 8, 8), (1, 3, 8, 8), (5, 3, 6, 9)],
    ),
    "attention": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2),
        [(2, 5, 8), (1, 5, 8), (3, 7, 8)],
    ),
    "recurrence": (lambda: nn.LSTM(4, 6, num_layers=2, batch_first=True), [(2, 5, 4), (1, 5, 4), (3, 7, 4)]),
}


@pytest.mark.parametrize("name", SIZES)
def test_one_program_serves_all_sizes(name):
    make, shapes = SIZES[name]
    model = make().eval()
    compiled = fb.compile(model, fullgraph=True)
    with fb.no_grad():
        for shape in shapes:
            x = fb.randn(*shape)
            expected, found = (fb.utils._pytree.tree_leaves(run(x)) for run in (model, compiled))
            fb.testing.assert_close(found, expected)  # folding batch_norm into a convolution changes the rounding
    assert len(programs_of(compiled)) == 1


def test_reset_forgets_programs():
    compiled = fb.compile(lambda x: x + 1)
    compiled(fb.ones(1))
    assert captures(compiled) == 1
    fb.compiler.reset()
    assert captures(compiled) == 0
    compiled(fb.ones(1))
    assert captures(compiled) == 1


def test_the_log_shows_programs(monkeypatch, capsys):
    monkeypatch.setenv("FLAMBEAU_LOGS", "graph,fusion,guards")
    compiled = fb.compile(lambda x: (x + 1) * scale)
    compiled(fb.ones(1))
    error = capsys.readouterr().err
    assert "[graph] input %0" in error and "[fusion]" in error and "fused(add, mul)" in error and "[guards]" in error


def test_names_of_compilers():
    assert fb.compiler.list_backends() == ["cudagraphs", "inductor"]
    assert fb.compiler.cudagraph_mark_step_begin() is None


def test_a_change_of_a_local_tensor_does_not_fix_the_sizes():
    def f(x):
        y = x * 2
        y += 1
        y[0] = 7
        return y * 3 if x.shape[0] > 2 else y

    compiled = fb.compile(f, fullgraph=True)
    for n in (3, 4, 2, 5, 1):
        x = fb.randn(n, 2)
        assert fb.equal(compiled(x), f(x))
    assert captures(compiled) == 2


def test_lists_of_indices_are_constants():
    compiled = fb.compile(lambda x: (x[:, [0, -1]], x[[True, False]]), fullgraph=True)
    for n in (3, 4):
        x = fb.randn(2, n)
        assert all(map(fb.equal, compiled(x), (x[:, [0, n - 1]], x[:1])))
    assert captures(compiled) == 1


def test_code_that_does_not_run_is_not_guarded():
    unused = {"value": 1}

    def never(x):
        return x * unused["value"]

    class Lazy(dict):
        def items(self):
            raise AssertionError("the guards of a dictionary do not call its methods")

    table = Lazy(a=1.0)
    compiled = fb.compile(lambda x, double: never(x) if double else x + table["a"], fullgraph=True)
    compiled(fb.ones(2), False)
    unused["value"] = 2
    assert fb.equal(compiled(fb.ones(2), False), fb.full((2,), 2.0)) and captures(compiled) == 1
    dict.__setitem__(table, "a", 3.0)
    assert fb.equal(compiled(fb.ones(2), False), fb.full((2,), 4.0)) and captures(compiled) == 2
