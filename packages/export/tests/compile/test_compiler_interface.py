"""The interface of `flambeau.compile` and `flambeau.compiler`: options, modules, methods and logs."""

import copy
import pickle
import time

import pytest

import flambeau as fb
from flambeau import nn
from flambeau._compile import CompiledFunction

from .captured_programs import captures


@fb.compile
def compiled_at_module_level(x):
    return x + 1


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

    assert fb.compile(g, disable=True) is g
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


def test_a_compiled_module_wraps_the_original():
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


def test_explain_lists_programs_and_reasons_for_uncompiled_calls():
    explanation = fb.compiler.explain(lambda x: (x * 2).tanh())(fb.ones(2))
    assert explanation.graph_count == 1 and explanation.graph_break_count == 0
    assert "fused(mul, tanh)" in str(explanation)
    assert explanation.ops_per_graph == [["mul", "tanh"]] and explanation.op_count == 2
    explanation = fb.compiler.explain(lambda x: x * 2 if x.sum() > 0 else x * 3)(fb.ones(2))
    assert explanation.graph_count == 2 and explanation.graph_break_count == 1
    assert "an element of a tensor" in explanation.break_reasons[0]


def test_set_stance_delays_and_forbids_compilation():
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


def test_results_that_depend_on_no_input_are_computed_once():
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


def test_reset_discards_compiled_programs():
    compiled = fb.compile(lambda x: x + 1)
    compiled(fb.ones(1))
    assert captures(compiled) == 1
    fb.compiler.reset()
    assert captures(compiled) == 0
    compiled(fb.ones(1))
    assert captures(compiled) == 1


def test_the_compiler_log_shows_programs(monkeypatch, capsys):
    monkeypatch.setenv("FLAMBEAU_LOGS", "graph,fusion,guards")
    scale = 2.0
    compiled = fb.compile(lambda x: (x + 1) * scale)
    compiled(fb.ones(1))
    error = capsys.readouterr().err
    assert "[graph] input %0" in error and "[fusion]" in error and "fused(add, mul)" in error and "[guards]" in error


def test_list_backends_names_the_backends_of_pytorch():
    assert fb.compiler.list_backends() == ["cudagraphs", "inductor"]
    assert fb.compiler.cudagraph_mark_step_begin() is None


def test_the_backend_eager_wraps_the_model_as_other_backends_do():
    model = nn.Linear(2, 3)
    for backend in ("eager", "inductor", lambda graph, examples: graph):
        wrapped = fb.compile(model, backend=backend)
        assert wrapped._orig_mod is model and wrapped.in_features == 2
        assert list(wrapped.state_dict()) == ["_orig_mod.weight", "_orig_mod.bias"]
        assert fb.compile(wrapped) is wrapped
        x = fb.randn(4, 2)
        fb.testing.assert_close(wrapped(x), model(x))

    def f(x):
        """Double x."""
        return x * 2

    wrapped = fb.compile(f, backend="eager")
    assert wrapped is not f and wrapped._torchdynamo_orig_callable is f
    assert wrapped.__doc__ == "Double x." and wrapped(3) == 6


def test_queries_of_autocast_and_of_gpus_are_constants():
    def f(x):
        if fb.is_autocast_enabled("cpu") or fb.is_autocast_cache_enabled() is None:
            return x
        return x + 1 + fb.cuda.is_available() * fb.cuda.device_count()

    compiled = fb.compile(f, fullgraph=True)
    x = fb.ones(3)
    assert fb.equal(compiled(x), f(x))
    compiled = fb.compile(f)
    assert fb.equal(compiled(x), f(x))
    with fb.autocast("cpu"):
        assert fb.equal(compiled(x), x)


@pytest.mark.parametrize("backend", ["eager", lambda graph, inputs: graph.forward])
def test_is_compiling_is_true_in_functions_of_other_backends(backend):
    def f(x):
        return x + 1 if fb.compiler.is_compiling() else x

    assert fb.compile(f, backend=backend)(fb.ones(1)).item() == 2.0
    assert not fb.compiler.is_compiling()


def test_backends_do_not_receive_graphs_without_operators():
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    for f in (lambda x: x, lambda x: None):
        fb.compile(f, backend=backend)(fb.ones(2))
    assert not graphs
    assert fb.compile(lambda x: x + 1, backend=backend)(fb.ones(2)).tolist() == [2.0, 2.0] and len(graphs) == 1


def test_custom_operators_may_call_any_function_in_compiled_functions():
    import time as clock

    @fb.library.custom_op("compiled_tests::slow_double", mutates_args=())
    def slow_double(x: fb.Tensor) -> fb.Tensor:
        clock.perf_counter()
        return x * 2

    @slow_double.register_fake
    def _(x):
        return fb.empty_like(x)

    compiled = fb.compile(lambda x: slow_double(x.exp().log().sin()) + 1, fullgraph=True)
    for _ in range(2):
        assert fb.allclose(compiled(fb.ones(3)), fb.ones(3).sin() * 2 + 1)
