"""Custom backends of ``flambeau.compile``."""

import copy
import operator
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import flambeau
from flambeau import Tensor, fx, nn
from flambeau._compile import UnsupportedError
from flambeau._subclasses.fake_tensor import FakeTensor
from flambeau.fx.experimental.proxy_tensor import make_fx
from flambeau.utils import _pytree as pytree

from .random_programs import random_program


class Backend:
    def __init__(self) -> None:
        self.graphs: list[fx.GraphModule] = []
        self.inputs: list[list[Tensor]] = []

    def __call__(self, graph: fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        self.graphs.append(graph)
        self.inputs.append(inputs)
        return graph.forward


def test_compile_passes_the_graph_of_a_function_to_the_backend() -> None:
    backend = Backend()

    @flambeau.compile(backend=backend)
    def program(x: Tensor, factor: float, *, y: Tensor) -> dict[str, Tensor]:
        return {"sum": x * factor + y}

    x, y = flambeau.ones(2), flambeau.ones(2)
    assert program(x, 3.0, y=y)["sum"].tolist() == [4.0, 4.0]
    assert program(x, 3.0, y=y + 1)["sum"].tolist() == [5.0, 5.0]
    assert len(backend.graphs) == 1
    assert [node.name for node in backend.graphs[0].graph.nodes] == ["input_0", "input_1", "mul", "add", "output"]
    assert backend.inputs[0] == [x, y]
    assert program(x, 2.0, y=y)["sum"].tolist() == [3.0, 3.0]
    assert len(backend.graphs) == 2
    assert program.__name__ == "program"


def test_compile_passes_the_graph_of_a_module_to_the_backend() -> None:
    backend = Backend()
    model = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5))
    optimized: Any = flambeau.compile(model, backend=backend)
    x = flambeau.ones(1, 3)
    assert flambeau.equal(optimized.eval()(x), model(x))
    optimized.train()(x).sum().backward()
    assert len(backend.graphs) == 2
    assert model[0].weight.grad is not None
    assert optimized[0] is model[0] if hasattr(type(optimized), "__getitem__") else optimized._orig_mod is model
    assert [name for name, _ in optimized.named_parameters()] == ["_orig_mod.0.weight", "_orig_mod.0.bias"]


@pytest.mark.parametrize("change", [lambda batch: batch.update(y=batch["x"] * 2), lambda batch: batch])
def test_functions_that_change_or_return_a_container_run_uncompiled(change):
    def f(batch):
        return change(batch), batch["x"] + 1

    batch = {"x": flambeau.ones(1)}
    compiled = flambeau.compile(f, backend=lambda graph, inputs: graph.forward)
    with pytest.warns(UserWarning, match="argument"):
        first = compiled(batch)
    for result in (first, compiled(batch)):
        assert result[0] is None or result[0] is batch
        assert flambeau.equal(result[1], flambeau.full((1,), 2.0))
    assert "y" not in batch or flambeau.equal(batch["y"], flambeau.full((1,), 2.0))


def test_graphs_are_traced_again_when_an_attribute_or_global_changes() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = 2

        def forward(self, x: Tensor) -> Tensor:
            return x * self.factor

    backend, model, x = Backend(), Scaled(), flambeau.ones(1)
    compiled = flambeau.compile(model, backend=backend)
    assert [compiled(x).item(), compiled(x).item()] == [2.0, 2.0]
    model.factor = 3
    assert [compiled(x).item(), compiled(x).item()] == [3.0, 3.0]
    assert len(backend.graphs) == 2


def test_equal_numbers_of_different_types_have_different_graphs() -> None:
    compiled = flambeau.compile(lambda x, factor: x * factor, backend=Backend())
    x = flambeau.ones(1, dtype=flambeau.int64)
    assert [compiled(x, 2).dtype, compiled(x, 2.0).dtype] == [flambeau.int64, flambeau.float32]


@pytest.mark.parametrize("keep", [list.append, lambda cache, y: cache.__setitem__(slice(None), [y])])
def test_functions_that_change_a_python_object_run_uncompiled(keep: Callable[[list[Any], Tensor], None]) -> None:
    cache: list[Tensor] = []

    def fill(x: Tensor) -> Tensor:
        keep(cache, x + 1)
        return x * 2

    fill.__qualname__ = f"fill_{id(keep)}"  # there is one warning per name
    backend = Backend()
    compiled = flambeau.compile(fill, backend=backend)
    with pytest.warns(UserWarning, match="the function changes a Python object"):
        assert compiled(flambeau.ones(1)).tolist() == [2.0]
    assert [entry.tolist() for entry in cache] == [[2.0]]
    assert not backend.graphs


def test_fullgraph_raises_if_no_graph_represents_the_function() -> None:
    compiled = flambeau.compile(lambda x: x if x.sum() > 0 else -x, backend=Backend(), fullgraph=True)
    with pytest.raises(UnsupportedError):
        compiled(flambeau.ones(1))


def test_graphs_depend_on_the_grad_mode() -> None:
    compiled = flambeau.compile(lambda x: x * flambeau.is_grad_enabled(), backend=Backend())
    assert compiled(flambeau.ones(1)).item() == 1.0
    with flambeau.no_grad():
        assert compiled(flambeau.ones(1)).item() == 0.0


# Functions that look at a tensor, and the result for a tensor of ones of shape (2, 3) if they take the right branch.
QUERIES: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "isinstance": (lambda x: x + 1 if isinstance(x, Tensor) else x - 1, 2.0),
    "type": (lambda x: x + 1 if type(x) is Tensor else x - 1, 2.0),
    "gradient": (lambda x: x + 1 if x.grad is None else x - 1, 2.0),
    "missing attribute": (lambda x: x + 1 if hasattr(x, "mask") else x - 1, 0.0),
    "attribute": (lambda x: x + 1 if hasattr(x, "shape") else x - 1, 2.0),
    "shape": (lambda x: x + 1 if x.shape[0] > 2 or x.shape == (3, 2) else x - 1, 0.0),
    "length": (lambda x: x + 1 if len(x) == 2 else x - 1, 2.0),
    "loop over rows": (lambda x: x + sum(1 for _ in x), 3.0),
    "dtype": (lambda x: x + 1 if x.dtype is flambeau.float32 and x.is_floating_point() else x - 1, 2.0),
    "callable": (lambda x: x + 1 if callable(x) or isinstance(x, int | list) else x - 1, 0.0),
    "truth of None": (lambda x: x + 1 if x is not None and x.requires_grad is False else x - 1, 2.0),
}


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("name", QUERIES)
def test_functions_that_look_at_a_tensor_take_the_right_branch(name: str, dynamic: bool) -> None:
    function, expected = QUERIES[name]
    backend, x = Backend(), flambeau.ones(2, 3)
    compiled = flambeau.compile(function, backend=backend, dynamic=dynamic, fullgraph=True)
    for _ in range(2):
        assert flambeau.equal(compiled(x), flambeau.full((2, 3), expected))
    assert [[node.op for node in graph.graph.nodes] for graph in backend.graphs] == [
        ["placeholder", "call_function", "output"]
    ]


def test_graphs_read_the_gradient_that_a_tensor_has_at_each_call() -> None:
    backend, x = Backend(), flambeau.ones(1, requires_grad=True)
    compiled = flambeau.compile(lambda x: x + 1 if x.grad is None else x + x.grad, backend=backend)
    for gradient, expected in ((None, 2.0), (4.0, 5.0), (6.0, 7.0), (None, 2.0)):
        x.grad = None if gradient is None else flambeau.tensor([gradient])
        assert compiled(x).item() == expected
    assert len(backend.graphs) == 2


def test_shapes_that_take_another_branch_have_another_graph() -> None:
    for dynamic, count in ((True, 2), (None, 3), (False, 4)):
        backend = Backend()
        compiled = flambeau.compile(lambda x: x + 1 if len(x) > 2 else x - 1, backend=backend, dynamic=dynamic)
        assert [compiled(flambeau.ones(n))[0].item() for n in (1, 4, 2, 5, 1)] == [0.0, 2.0, 0.0, 2.0, 0.0]
        assert len(backend.graphs) == count, dynamic


def test_sizes_are_constants_of_the_first_graph_and_nodes_of_the_second() -> None:
    backend = Backend()
    compiled = flambeau.compile(lambda x: x.view(len(x) * x.shape[1]) + 1, backend=backend)
    for shape in ((2, 3), (4, 5), (6, 7), (2, 3)):
        assert compiled(flambeau.ones(shape)).shape == (shape[0] * shape[1],)
    first, second = backend.graphs
    assert [str(node.target) for node in first.graph.nodes] == ["input_0", "view", str(operator.add), "output"]
    assert [node.target for node in second.graph.nodes].count("size") == 2


def test_branches_on_the_number_of_nonzero_elements_divide_the_program() -> None:
    backend = Backend()
    compiled = flambeau.compile(lambda x: x * 2 if len(x.nonzero()) > 1 else x * 3, backend=backend)
    for _ in range(2):
        assert compiled(flambeau.ones(2)).tolist() == [2.0, 2.0]
        assert compiled(flambeau.tensor([0.0, 1.0])).tolist() == [0.0, 3.0]
    assert [_targets(graph) for graph in backend.graphs] == [["nonzero", "size"], [operator.mul], [operator.mul]]


def test_functions_whose_number_of_tensors_depends_on_elements_run_uncompiled() -> None:
    compiled = flambeau.compile(lambda x: sum(x[x > 0].split(1)), backend=Backend())
    with pytest.warns(UserWarning, match="the number of results of split depends on elements"):
        assert compiled(flambeau.ones(2)).item() == 2.0
    assert compiled(flambeau.tensor([1.0, -1.0, 2.0])).item() == 3.0


def test_branches_on_sizes_from_disabled_functions_divide_the_program() -> None:
    rows = flambeau.compiler.disable(lambda x: x[: int(x[0])])
    compiled = flambeau.compile(lambda x: rows(x) + 1 if len(rows(x)) > 1 else rows(x) - 1, backend=Backend())
    for count, expected in ((1, [0.0]), (2, [3.0, 1.0]), (3, [4.0, 1.0, 1.0]), (1, [0.0])):
        assert compiled(flambeau.tensor([float(count), 0, 0])).tolist() == expected


def test_sizes_that_depend_on_elements_are_nodes() -> None:
    compiled = flambeau.compile(lambda x: x[x > 0].sum() / x[x > 0].shape[0], backend=Backend(), fullgraph=True)
    for values, expected in (([1.0, 3.0], 2.0), ([-1.0, 3.0], 3.0)):
        assert compiled(flambeau.tensor(values)).item() == expected


def _targets(graph: fx.GraphModule) -> list[Any]:
    return [node.target for node in graph.graph.nodes if node.op.startswith("call_")]


def test_backends_can_change_the_graph() -> None:
    def multiply(graph: fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        for node in graph.graph.nodes:
            if node.target in (flambeau.add, operator.add):
                node.target = flambeau.mul
        graph.recompile()
        return graph

    for function in (lambda x, y: flambeau.add(x, y), lambda x, y: x + y):
        compiled = flambeau.compile(function, backend=multiply)
        for _ in range(2):
            assert compiled(flambeau.full((2,), 3.0), flambeau.full((2,), 5.0)).tolist() == [15.0, 15.0]


def test_graphs_distinguish_operators_methods_and_functions() -> None:
    backend = Backend()
    flambeau.compile(lambda x: flambeau.exp((x * 2).sum(0, keepdim=True)), backend=backend)(flambeau.ones(2))
    assert _targets(backend.graphs[0]) == [operator.mul, "sum", flambeau.exp]


def test_exceptions_of_backends_reach_the_caller() -> None:
    attempts = []

    def fail(graph: fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        attempts.append(graph)
        if len(attempts) < 3:
            raise ValueError("no kernel")
        return graph

    compiled = flambeau.compile(lambda x: x + 1, backend=fail)
    for _ in range(2):
        with pytest.raises(ValueError, match="no kernel"):
            compiled(flambeau.ones(1))
    assert compiled(flambeau.ones(1)).item() == 2.0 and len(attempts) == 3


def test_exceptions_of_functions_of_backends_reach_the_caller() -> None:
    def broken(*tensors: Tensor) -> Any:
        raise RuntimeError("no memory")

    compiled = flambeau.compile(lambda x: x + 1, backend=lambda graph, inputs: broken)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no memory"):
            compiled(flambeau.ones(1))


def test_functions_of_backends_must_return_a_tuple() -> None:
    compiled = flambeau.compile(lambda x: x + 1, backend=lambda graph, inputs: lambda x: x)
    with pytest.raises(TypeError, match="must return a tuple or list of 1 results, as the graph does; got a Tensor"):
        compiled(flambeau.ones(1))


def test_nodes_have_fake_tensors_as_examples() -> None:
    backend = Backend()
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))

    def run(x: Tensor) -> Tensor:
        y: Tensor = model(x).sort(1).values
        return y.add_(1)

    flambeau.compile(run, backend=backend)(flambeau.ones(4, 3))
    nodes = [node for node in backend.graphs[0].graph.nodes if node.op != "output"]
    assert len(nodes) > 10
    for node in nodes:
        assert node.meta["val"] is node.meta["example_value"]
        assert all(isinstance(leaf, FakeTensor) for leaf in pytree.tree_leaves(node.meta["val"]))
    assert nodes[-1].meta["val"].shape == (4, 2) and nodes[0].meta["val"].shape == (4, 3)


def test_each_segment_is_passed_to_the_backend_once(capsys: pytest.CaptureFixture[str]) -> None:
    def divided(x: Tensor) -> Tensor:
        y = x.sin()
        print("between")
        return y.cos() if y.sum() > 0 else y.exp()

    backend, x = Backend(), flambeau.ones(3)
    compiled = flambeau.compile(divided, backend=backend)
    for given in (x, x, -x, -x, x):
        assert flambeau.equal(compiled(given), given.sin().cos() if given is x else given.sin().exp())
    assert capsys.readouterr().out == "between\n" * 5
    assert [_targets(graph) for graph in backend.graphs] == [["sin"], ["sum", operator.gt], ["cos"], ["exp"]]


def test_a_segment_can_have_several_inputs() -> None:
    def function(x: Tensor, y: Tensor) -> Tensor:
        total = x + y
        if total.sum() > 0:
            return total * y + x
        return x - y

    compiled = flambeau.compile(function, backend=lambda module, _: module.forward)
    for sign in (1, -1):
        x, y = sign * flambeau.ones(3), sign * flambeau.full((3,), 2.0)
        assert compiled(x, y).tolist() == function(x, y).tolist()


def test_segments_of_other_sizes_are_compiled_separately() -> None:
    backend = Backend()
    compiled = flambeau.compile(lambda x: x * len(x) if x.sum() > 0 else x * -len(x), backend=backend, dynamic=False)
    for n in (1, 2):
        for sign in (1, -1, 1, -1):
            assert compiled(flambeau.full((n,), float(sign))).tolist() == [float(n)] * n
    assert len(backend.graphs) == 6


def test_elements_that_python_reads_are_not_part_of_the_graph() -> None:
    backend = Backend()
    compiled = flambeau.compile(lambda x: [x.sum().item()] * int(x.max()), backend=backend)
    assert compiled(flambeau.tensor([1.0, 2.0])) == [3.0, 3.0] and compiled(flambeau.tensor([1.0, 3.0])) == [4.0] * 3
    assert not any("item" in _targets(graph) for graph in backend.graphs)


def test_gradients_flow_through_the_functions_of_backends() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    backend, x = Backend(), flambeau.randn(5, 3, requires_grad=True)
    compiled = flambeau.compile(model, backend=backend)
    for _ in range(2):
        found, expected = (
            flambeau.autograd.grad(f(x).square().sum(), [x, *model.parameters()]) for f in (compiled, model)
        )
        assert all(map(flambeau.equal, found, expected))
    assert len(backend.graphs) == 1 and list(dict(backend.graphs[0].named_parameters())) == [
        *("0.weight", "0.bias", "2.weight", "2.bias")
    ]


def test_operators_in_another_grad_mode_are_in_the_graph() -> None:
    def partly_constant(x: Tensor) -> Tensor:
        with flambeau.no_grad():
            y = x * 2
        return y + x

    backend, x = Backend(), flambeau.ones(1, requires_grad=True)
    compiled = flambeau.compile(partly_constant, backend=backend, fullgraph=True)
    for _ in range(2):
        (gradient,) = flambeau.autograd.grad(compiled(x), x)
        assert gradient.item() == 1.0
    assert len(_targets(backend.graphs[0])) == 4 and flambeau.is_grad_enabled()


def test_graphs_contain_custom_operators() -> None:
    @flambeau.library.custom_op("backend_tests::increase", mutates_args=("x",))
    def increase(x: Tensor, *, by: float) -> None:
        x.add_(by)

    def run(x: Tensor) -> Tensor:
        increase(x, by=2.0)
        return x * 2

    backend, x = Backend(), flambeau.zeros(1)
    compiled = flambeau.compile(run, backend=backend, fullgraph=True)
    assert [compiled(x).item() for _ in range(2)] == [4.0, 8.0] and x.item() == 4.0
    (graph,) = backend.graphs
    assert not graph.graph.eliminate_dead_code() and _targets(graph) == [increase, operator.mul]


def test_graphs_contain_the_casts_of_autocast() -> None:
    def partly_exact(x: Tensor) -> Tensor:
        with flambeau.autocast("cpu", enabled=False):
            y = x @ x
        return y + x @ x

    backend, x = Backend(), flambeau.randn(3, 3)
    compiled = flambeau.compile(partly_exact, backend=backend, fullgraph=True)
    with flambeau.autocast("cpu", dtype=flambeau.bfloat16):
        assert all(flambeau.equal(compiled(x), partly_exact(x)) for _ in range(2))
    assert "to" in _targets(backend.graphs[0])


def test_backward_divides_the_program() -> None:
    model, x = nn.Linear(3, 2), flambeau.ones(4, 3)

    def step(x: Tensor) -> Tensor:
        loss = model(x).sum()
        loss.backward()
        return loss * 2

    backend = Backend()
    compiled = flambeau.compile(step, backend=backend)
    for count in (1, 2, 3):
        assert flambeau.allclose(compiled(x), model(x).sum() * 2)
        assert model.bias.grad is not None and model.bias.grad.tolist() == [4.0 * count] * 2
    assert [_targets(graph) for graph in backend.graphs] == [[flambeau.linear, "sum"], [operator.mul]]


def test_modules_of_a_function_that_runs_uncompiled_are_compiled() -> None:
    model, calls = nn.Sequential(nn.Linear(3, 2), nn.Tanh()), []

    def logged(x: Tensor) -> Tensor:
        calls.append(len(calls))
        return model(x)

    backend, x = Backend(), flambeau.ones(1, 3)
    compiled = flambeau.compile(logged, backend=backend)
    with pytest.warns(UserWarning, match="the function changes a Python object"):
        assert flambeau.equal(compiled(x), model(x))
    for _ in range(5):
        assert flambeau.equal(compiled(x), model(x))
    assert calls == list(range(6))
    assert [_targets(graph) for graph in backend.graphs] == [[flambeau.linear, flambeau.tanh]]


def test_random_numbers_and_changes_in_place_happen_once_in_each_call() -> None:
    def noisy(x: Tensor) -> Tensor:
        return flambeau.rand(3) + nn.functional.dropout(x, 0.5)

    def run(function: Callable[[Tensor], Tensor]) -> list[Tensor]:
        flambeau.manual_seed(0)
        return [function(flambeau.ones(3)) for _ in range(3)]

    backend = Backend()
    compiled = flambeau.compile(noisy, backend=backend, fullgraph=True)
    assert all(map(flambeau.equal, run(compiled), run(noisy))) and len(backend.graphs) == 1
    counted = flambeau.compile(lambda x: x.add_(1) * 2, backend=backend, fullgraph=True)
    x = flambeau.zeros(1)
    assert [counted(x).item() for _ in range(3)] == [2.0, 4.0, 6.0] and x.item() == 3.0 and len(backend.graphs) == 2


def test_buffers_change_once_in_each_call() -> None:
    model, other = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    compiled, x = flambeau.compile(model, backend=Backend()), flambeau.randn(5, 2)
    for count in (1, 2, 3):
        assert flambeau.equal(compiled(x), other(x))
        assert flambeau.equal(model.running_mean, other.running_mean) and model.num_batches_tracked == count


def test_backends_can_trace_the_graph_to_aten_operators() -> None:
    def lower(graph: fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        lowered = make_fx(graph)(*inputs)
        names.extend(str(target) for target in _targets(lowered))
        return lowered

    names: list[str] = []
    compiled = flambeau.compile(lambda x: x.relu().sum(), backend=lower)
    assert compiled(flambeau.tensor([-1.0, 2.0])).item() == 2.0
    assert names == ["aten.relu.default", "aten.sum.default"]


def test_copies_and_pickles_of_compiled_modules_keep_the_backend() -> None:
    model, x = nn.Linear(3, 2), flambeau.ones(1, 3)
    compiled = flambeau.compile(model, backend=_return_zeros)
    for copied in (compiled, copy.deepcopy(compiled), pickle.loads(pickle.dumps(compiled))):
        assert copied(x).tolist() == [[0.0, 0.0]]


def _return_zeros(graph: fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
    return lambda *tensors: tuple(flambeau.zeros_like(result) for result in graph(*tensors))


@pytest.mark.parametrize("seed", range(20))
def test_random_functions_equal_eager_mode(seed: int) -> None:
    program = random_program(seed)
    compiled = flambeau.compile(program, backend=Backend(), fullgraph=True)
    for shape in ((3, 4), (3, 4), (5, 2), (6, 3)):
        results = []
        given = [flambeau.randn(shape), flambeau.randn(shape)]
        for function in (program, compiled):
            flambeau.manual_seed(1)
            inputs = [tensor.clone() for tensor in given]
            results.append([*pytree.tree_leaves(function(*inputs)), *inputs, flambeau.get_rng_state()])
        for found, expected in zip(*results, strict=True):
            flambeau.testing.assert_close(found, expected, equal_nan=True)
