"""Results, gradients and memory of functions under `flambeau.compile`."""

import dataclasses
import gc
import threading
import time
import weakref

import pytest

import flambeau as fb
from flambeau import nn

from .captured_programs import captures
from .random_programs import random_program


def test_a_call_runs_the_captured_program():
    def f(x):
        return (x * 2 + 1).tanh()

    compiled = fb.compile(f, fullgraph=True)
    for shape in ((3,), (5,), (1,)):
        x = fb.randn(*shape)
        assert fb.equal(compiled(x), f(x))
    assert captures(compiled) == 1
    assert "tanh" in compiled.captured[0].part.text


def test_running_statistics_change_once_per_call():
    model, reference = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    compiled = fb.compile(model, fullgraph=True)
    for _ in range(3):
        x = fb.randn(5, 3)
        assert fb.equal(compiled(x), reference(x))
        assert fb.equal(model.running_mean, reference.running_mean)
        assert model.num_batches_tracked == reference.num_batches_tracked


def test_arguments_that_are_not_tensors_are_constants_of_a_program():
    def f(x, power, *, negate=False, names=("a",)):
        return (-x if negate else x) ** power, names

    compiled = fb.compile(f, fullgraph=True)
    x = fb.rand(3)
    assert fb.equal(compiled(x, 2)[0], x**2) and fb.equal(compiled(x, 3)[0], x**3)
    assert fb.equal(compiled(x, 2, negate=True)[0], (-x) ** 2)
    assert compiled(x, 2, names=("b", "c"))[1] == ("b", "c")
    assert captures(compiled) == 4


def test_compiled_functions_take_and_return_nested_structures():
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


class Cache:
    def __init__(self):
        self.keys, self.length, self.sizes, self.again = [], 0, None, None


def test_each_call_of_a_compiled_function_creates_new_objects():
    settings = {"a": 1}

    def f(x):
        cache = Cache()
        cache.keys.append(x * 2)
        cache.length, cache.sizes, cache.again, cache.settings = x.shape[0], x.shape, cache.keys, settings
        return {"y": x + 1, "cache": cache, "both": (cache, cache)}

    compiled = fb.compile(f, fullgraph=True)
    results = [compiled(fb.full((n,), float(n))) for n in (2, 3, 2)]
    assert len(compiled.captured) == 1
    for result, n in zip(results, (2, 3, 2), strict=True):
        cache = result["cache"]
        assert type(cache) is Cache and fb.equal(cache.keys[0], fb.full((n,), 2.0 * n))
        assert type(cache.length) is int and cache.length == n and cache.sizes == fb.Size([n])
        assert cache.again is cache.keys and cache.settings is settings and result["both"] == (cache, cache)
    assert results[0]["cache"] is not results[2]["cache"]
    dropped = weakref.ref(results[0]["cache"])
    del results, result, cache
    gc.collect()
    assert dropped() is None


def test_aliased_arguments_are_recompiled():
    def f(x, y):
        x.add_(1)
        return x * y

    compiled = fb.compile(f, fullgraph=True)
    assert fb.equal(compiled(fb.ones(2), fb.ones(2)), fb.full((2,), 2.0))
    x = fb.ones(2)
    assert fb.equal(compiled(x, x), fb.full((2,), 4.0))


def test_compiled_functions_draw_the_same_random_numbers():
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


def test_arguments_are_not_kept_alive():
    compiled = fb.compile(lambda x: x * 2)

    def call():
        x = fb.ones(3)
        compiled(x)
        return weakref.ref(x)

    dropped = call()
    gc.collect()
    assert dropped() is None


def test_compiled_functions_raise_the_exceptions_of_the_operators():
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


def test_garbage_collector_callbacks_do_not_prevent_compilation():
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
def test_compiled_random_functions_equal_eager_mode(first):
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


def test_lists_of_indices_are_constants():
    compiled = fb.compile(lambda x: (x[:, [0, -1]], x[[True, False]]), fullgraph=True)
    for n in (3, 4):
        x = fb.randn(2, n)
        assert all(map(fb.equal, compiled(x), (x[:, [0, n - 1]], x[:1])))
    assert captures(compiled) == 1


def test_attributes_of_a_compiled_module_are_attributes_of_the_original_module():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.factor = nn.Linear(2, 2), 1.0
            self.register_buffer("offset", fb.zeros(2))

        def forward(self, x):
            return self.layer(x) * self.factor + self.offset

    model, x = Scaled(), fb.ones(1, 2)
    compiled = fb.compile(model)
    compiled(x)
    compiled.factor, compiled.layer, compiled.offset = 3.0, nn.Identity(), fb.ones(2)
    assert compiled(x).tolist() == model(x).tolist() == [[4.0, 4.0]]
    model.eval()
    assert not compiled.training
    compiled.train()
    assert model.training and "factor" in dir(compiled)
    del compiled.factor
    assert not hasattr(model, "factor")
    assert list(compiled.state_dict()) == ["_orig_mod.offset"]


@pytest.mark.parametrize("fullgraph", [False, True])
def test_lazy_modules_are_captured_after_the_call_that_initializes_them(fullgraph):
    model, x = nn.Sequential(nn.LazyLinear(5), nn.ReLU(), nn.LazyLinear(2)), fb.ones(1, 3)
    compiled = fb.compile(model, fullgraph=fullgraph)
    for _ in range(3):
        assert fb.equal(compiled(x), model(x))
    assert len(compiled.programs.captured) == 1
