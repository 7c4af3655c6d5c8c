"""Symbolic tracing. The expected code is that of PyTorch 2.13 for the same programs, with flambeau's names."""

import functools
import math
import operator
import threading
from collections.abc import Callable
from typing import Any

import pytest

import flambeau
from flambeau import Tensor, fx, nn
from flambeau.fx import _symbolic_trace as private
from flambeau.fx.proxy import Attribute, TraceError
from flambeau.nn import functional


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.param = nn.Parameter(flambeau.rand(3, 4))
        self.register_buffer("scale", flambeau.full((4,), 2.0))
        self.linear = nn.Linear(4, 5)
        self.layers = nn.Sequential(nn.Linear(5, 5), nn.ReLU())
        self.act = functional.relu
        self.drop = 0.5

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        x = functional.dropout(self.linear(x + self.param), self.drop, self.training)
        return self.act(self.layers(x)).clamp(min=0.0) * self.scale[0]


BLOCK = """\
def forward(self, x : flambeau.Tensor, y : flambeau.Tensor|NoneType = None) -> flambeau.Tensor:
    param = self.param
    add = x + param;  x = param = None
    linear = self.linear(add);  add = None
    dropout = flambeau.nn.functional.dropout(linear, p = 0.5, training = False, inplace = False);  linear = None
    layers_0 = getattr(self.layers, "0")(dropout);  dropout = None
    layers_1 = getattr(self.layers, "1")(layers_0);  layers_0 = None
    relu = flambeau.nn.functional.relu(layers_1, inplace = False);  layers_1 = None
    clamp = relu.clamp(min = 0.0);  relu = None
    _tensor_constant0 = self._tensor_constant0
    mul = clamp * _tensor_constant0;  clamp = _tensor_constant0 = None
    return mul"""


def code(program: Any, **options: Any) -> str:
    text: str = fx.symbolic_trace(program, **options).code
    return text.strip()


def test_symbolic_trace_generates_the_code_of_a_module() -> None:
    block = Block().eval()
    traced = fx.symbolic_trace(block)
    assert traced.code.strip() == BLOCK
    x = flambeau.randn(3, 4)
    assert flambeau.equal(traced(x), block(x))
    assert traced.param is block.param
    assert traced.linear is block.linear


def test_tracing_restores_patched_functions() -> None:
    before = functional.dropout.__code__, nn.Module.__call__, math.sqrt
    fx.symbolic_trace(Block())
    with pytest.raises(TraceError):
        fx.symbolic_trace(lambda x: x if x else -x)
    assert (functional.dropout.__code__, nn.Module.__call__, math.sqrt) == before
    assert "__call__" not in vars(nn.Module)
    assert "__getattribute__" not in vars(nn.Module)
    assert not flambeau.overrides.has_torch_function([flambeau.ones(1)])


def test_patched_functions_work_on_tensors_during_tracing() -> None:
    ones = flambeau.ones(2)

    def program(x: Tensor) -> Tensor:
        assert functional.relu(-ones).sum() == 0
        assert functional.layer_norm(ones, (2,)).tolist() == [0.0, 0.0]
        return x + functional.cross_entropy(flambeau.zeros(1, 2), flambeau.tensor([1]))

    assert "_tensor_constant0" in code(program)


@pytest.mark.parametrize(
    ("program", "line"),
    [
        (lambda x: flambeau.relu(x), "relu = flambeau.relu(x);  x = None"),
        (lambda x: functional.relu(x), "relu = flambeau.nn.functional.relu(x, inplace = False);  x = None"),
        (lambda x: x.view(-1), "view = x.view(-1);  x = None"),
        (lambda x: x.T, "getattr_1 = x.T;  x = None"),
        (lambda x: x[:, None, ..., 1:], "getitem = x[(slice(None, None, None), None, Ellipsis, slice(1, None, None))]"),
        (lambda x: 2**x, "pow_1 = 2 ** x;  x = None"),
        (lambda x: ~x, "invert = ~x;  x = None"),
        (lambda x: x @ x, "matmul = x @ x;  x = None"),
        (lambda x: abs(x), "abs_1 = _operator_abs(x);  x = None"),
        (lambda x: flambeau.cat([x, x], 1), "cat = flambeau.cat([x, x], 1);  x = None"),
        (lambda x: flambeau.ones(2) + x, "add = _tensor_constant0.add(x);  _tensor_constant0 = x = None"),
        (lambda x: flambeau.zeros(x.size(0)), "zeros = flambeau.zeros(size);  size = None"),
        (lambda x: math.sqrt(x), "sqrt = math_sqrt(x);  x = None"),
        (lambda x: operator.add(x, 1), "add = x + 1;  x = None"),
        (lambda x: functional.pad(x, (1, 1)), "pad = flambeau.nn.functional.pad(x, (1, 1), mode = 'constant', value"),
    ],
)
def test_each_operation_becomes_a_line_of_code(program: Callable[..., Any], line: str) -> None:
    assert line in code(program)


def test_repeated_node_names_get_numeric_suffixes() -> None:
    graph = fx.symbolic_trace(lambda x: ((x + 1) + 2).relu().relu()).graph
    assert [node.name for node in graph.nodes] == ["x", "add", "add_1", "relu", "relu_1", "output"]


def test_unpacking_a_proxy_traces_its_elements() -> None:
    def program(x: Tensor) -> Tensor:
        left, right = flambeau.split(x, 2)
        return left - right

    assert fx.symbolic_trace(program)(flambeau.arange(4.0)).tolist() == [-2.0, -2.0]


def branching(x: Tensor) -> Tensor:
    if x.sum() > 0:
        return x
    return -x


@pytest.mark.parametrize(
    ("program", "error", "text"),
    [
        (branching, TraceError, "symbolically traced variables cannot be used as inputs to control flow"),
        (lambda x: [i + 1 for i in x], TraceError, "Proxy object cannot be iterated"),
        (lambda x: flambeau.cat([*x]), TraceError, "Proxy object cannot be iterated"),
        (lambda x: dict(**x), TraceError, "Proxy object cannot be iterated"),
        (lambda x: len(x), RuntimeError, "'len' is not supported in symbolic tracing by default"),
        (lambda x: {x: 1}, RuntimeError, "Keys for dictionaries used as an argument cannot contain a Node"),
    ],
)
def test_untraceable_functions_raise(program: Callable[..., Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        fx.symbolic_trace(program)


def test_a_tracing_error_names_the_source_line() -> None:
    with pytest.raises(TraceError) as caught:
        fx.symbolic_trace(branching)
    assert any("in branching: if x.sum() > 0:" in note for note in caught.value.__notes__)


def test_concrete_args_specialise_the_traced_function() -> None:
    def program(a: Any, b: bool) -> Any:
        return a if b else a * 2

    traced = fx.symbolic_trace(program, concrete_args={"b": False})
    assert traced(3, False) == 6
    with pytest.raises(AssertionError, match="b has been specialized to have value False but got another value"):
        traced(3, True)


def test_traced_functions_accept_containers_as_arguments() -> None:
    traced = fx.symbolic_trace(lambda x: {"sum": x["a"] + x["b"]}, concrete_args={"x": {"a": fx.PH, "b": fx.PH}})
    assert traced({"a": 1, "b": 2}) == {"sum": 3}
    assert len([node for node in traced.graph.nodes if node.op == "placeholder"]) == 2


def test_traced_functions_accept_variable_arguments() -> None:
    traced = fx.symbolic_trace(lambda x, *args, **kwargs: x + args[0] + kwargs["a"])
    assert traced(1, 2, a=3) == 6


class LeafTracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


def test_custom_tracers_select_leaf_modules() -> None:
    graph = LeafTracer().trace(nn.Sequential(nn.Sequential(nn.ReLU())))
    assert [node.target for node in graph.nodes] == ["input", "0", "output"]


def test_buffers_can_be_traced_as_proxies() -> None:
    class Buffers(fx.Tracer):
        proxy_buffer_attributes = True

    graph = Buffers().trace(Block())
    assert [node.target for node in graph.nodes if node.op == "get_attr" and node.target != "param"] == ["scale"]


def test_shapes_of_parameters_can_be_traced_as_constants() -> None:
    class Checked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(flambeau.ones(3))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.weight if self.weight.shape[0] == 3 else x

    with pytest.raises(TraceError):
        fx.Tracer().trace(Checked())
    assert len(fx.Tracer(param_shapes_constant=True).trace(Checked()).nodes) == 4


def test_nodes_can_record_stack_traces() -> None:
    tracer = fx.Tracer()
    tracer.record_stack_traces = True
    node = next(node for node in tracer.trace(Block()).nodes if node.name == "clamp")
    assert "clamp(min=0.0)" in str(node.stack_trace)
    assert node.stack_trace and "proxy.py" not in node.stack_trace
    assert list(node.meta.get("nn_module_stack", {})) == []


def test_an_attribute_of_a_proxy_becomes_a_node_when_it_is_used() -> None:
    graph = fx.Graph()
    proxy = fx.Proxy(graph.placeholder("x"))
    attribute = proxy.shape
    assert isinstance(attribute, Attribute)
    assert len(graph.nodes) == 1
    assert (attribute + 1).node.args[0].target is getattr


def test_asserts_can_be_traced() -> None:
    class Asserting(fx.Tracer):
        trace_asserts = True

    variables: dict[str, Any] = {}
    exec("def program(x):\n    assert x > 0\n    return x", variables)  # pytest rewrites assert statements in this file
    traced = fx.GraphModule(nn.Module(), Asserting().trace(variables["program"]))
    assert traced(1) == 1
    with pytest.raises(AssertionError):
        traced(-1)


def test_assert_and_lists_of_proxies_are_traced() -> None:
    def function(x: flambeau.Tensor, y: flambeau.Tensor) -> flambeau.Tensor:
        flambeau._assert(x.shape[-1] == 2, "two columns")
        return flambeau.einsum("ij,jk->ik", [x, y])

    traced = fx.symbolic_trace(function)
    einsum = next(node for node in traced.graph.nodes if node.target is flambeau.einsum)
    assert [str(each) for each in einsum.args] == ["ij,jk->ik", "x", "y"]
    assert traced(flambeau.ones(1, 2), flambeau.ones(2, 1)).item() == 2
    with pytest.raises(AssertionError, match="two columns"):
        traced(flambeau.ones(1, 3), flambeau.ones(3, 1))


def test_get_proxy_mode_is_none():
    from flambeau.fx.experimental.proxy_tensor import get_proxy_mode

    assert get_proxy_mode() is None


def test_a_wrapped_function_may_be_deleted_from_its_module():
    variables = {"__name__": __name__, "fx": fx}
    exec("@fx.wrap\ndef positive(x): ...\ndel positive", variables)
    assert "relu" in fx.symbolic_trace(lambda x: x.relu()).code


class CustomTracer(fx.Tracer):
    """Tracer that overrides `trace` and calls private functions of PyTorch, as some libraries do."""

    def trace(self, root, concrete_args=None):
        self.root, self.graph, self.tensor_attrs = root, fx.Graph(tracer_cls=CustomTracer), {}
        function, args = self.create_args_for_root(type(root).forward, True, concrete_args)

        def call(module, *args, **kwargs):
            return self.call_module(module, functools.partial(private._orig_module_call, module), args, kwargs)

        with private._Patcher() as patcher:
            patcher.patch_method(nn.Module, "__getattr__", call, deduplicate=False)
            patcher.patch_method(nn.Module, "__call__", call, deduplicate=False)
            private._patch_wrapped_functions(patcher)
            for variables in (function.__globals__, *map(vars, self._autowrap_search)):
                private._autowrap_check(patcher, variables, self._autowrap_function_ids)
            self.create_node("output", "output", (self.create_arg(function(*args)),), {})
        return self.graph


def test_libraries_can_override_trace():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x):
            return functional.dropout(self.layer(x), p=0.5, training=self.training) * math.sqrt(x.sum())

    model = Model().eval()
    graph = CustomTracer().trace(model)
    kinds = [(node.op, getattr(node.target, "__name__", node.target)) for node in graph.nodes]
    assert kinds == [
        *(("placeholder", "x"), ("call_module", "layer"), ("call_function", "dropout"), ("call_method", "sum")),
        *(("call_function", "sqrt"), ("call_function", "mul"), ("output", "output")),
    ]
    x = flambeau.rand(3, 2)
    assert flambeau.equal(fx.GraphModule(model, graph)(x), model(x)) and "__call__" not in vars(nn.Module)


def test_tracing_does_not_affect_other_threads() -> None:
    model = nn.Linear(2, 2)
    x = flambeau.ones(1, 2)
    expected, found = model(x).tolist(), []

    def program(y: Tensor) -> Tensor:
        thread = threading.Thread(target=lambda: found.append(nn.functional.dropout(model(x), 0.0).tolist()))
        thread.start()
        thread.join()
        return y + 1

    fx.symbolic_trace(program)
    assert found == [expected]
