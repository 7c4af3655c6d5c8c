"""Custom backends of ``flambeau.compile``."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

import flambeau
from flambeau import Tensor, fx, nn
from flambeau._compile import UnsupportedError


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


def test_untraceable_functions_run_uncompiled() -> None:
    def untraceable(x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x

    backend = Backend()
    program = flambeau.compile(untraceable, backend=backend)
    with pytest.warns(UserWarning, match="untraceable cannot be traced and runs without compilation"):
        assert program(flambeau.full((2,), -1.0)).tolist() == [1.0, 1.0]
    assert not backend.graphs


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


@pytest.mark.parametrize("change", [lambda batch: batch.update(y=batch["x"] * 2), lambda batch: batch])
def test_functions_that_change_or_return_a_container_run_uncompiled(change):
    def f(batch):
        return change(batch), batch["x"] + 1

    f.__name__ = f"f_{id(change)}"  # there is one warning per name
    batch = {"x": flambeau.ones(1)}
    compiled = flambeau.compile(f, backend=lambda graph, inputs: graph.forward)
    with pytest.warns(UserWarning, match="it changes or returns an argument"):
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

    fill.__name__ = f"fill_{id(keep)}"  # there is one warning per name
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


def test_functions_that_draw_random_numbers_without_a_tensor_run_uncompiled() -> None:
    def noisy(x: Tensor) -> Tensor:
        return flambeau.rand(3) + x.sum()

    compiled = flambeau.compile(noisy, backend=Backend())
    with pytest.warns(UserWarning, match="draws random numbers"):
        first = compiled(flambeau.ones(1))
    assert not flambeau.equal(compiled(flambeau.ones(1)), first)


def test_graphs_depend_on_the_grad_mode() -> None:
    compiled = flambeau.compile(lambda x: x * flambeau.is_grad_enabled(), backend=Backend())
    assert compiled(flambeau.ones(1)).item() == 1.0
    with flambeau.no_grad():
        assert compiled(flambeau.ones(1)).item() == 0.0


def test_functions_with_operators_in_another_grad_mode_run_uncompiled() -> None:
    def partly_constant(x: Tensor) -> Tensor:
        with flambeau.no_grad():
            y = x * 2
        return y + x

    compiled, x = flambeau.compile(partly_constant, backend=Backend()), flambeau.ones(1, requires_grad=True)
    with pytest.warns(UserWarning, match="grad mode"):
        (gradient,) = flambeau.autograd.grad(compiled(x), x)
    assert gradient.item() == 1.0
