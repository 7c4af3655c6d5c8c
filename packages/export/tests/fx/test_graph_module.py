"""Graphs, graph modules, interpreters and passes."""

import copy
import operator
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest

import flambeau
from flambeau import Tensor, fx, nn
from flambeau._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from flambeau.fx.experimental.optimization import fuse, remove_dropout
from flambeau.fx.passes.fake_tensor_prop import FakeTensorProp
from flambeau.fx.passes.shape_prop import ShapeProp
from flambeau.fx.passes.split_module import split_module
from flambeau.nn import functional


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.bn = nn.BatchNorm2d(2)
        self.fc = nn.Linear(8, 3)
        self.register_buffer("offset", flambeau.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(functional.relu(self.bn(self.conv(x))).flatten(1)) + self.offset


@pytest.fixture
def net() -> Net:
    flambeau.manual_seed(0)
    return Net().eval()


@pytest.fixture
def x() -> Tensor:
    flambeau.manual_seed(1)
    return flambeau.randn(2, 1, 4, 4)


def small() -> fx.Graph:
    graph = fx.Graph()
    x = graph.placeholder("x")
    product = graph.call_function(operator.mul, (x, 2))
    graph.output((graph.call_method("relu", (product,)), [x, {"k": product}]))
    return graph


def test_changing_arguments_updates_the_users_of_nodes() -> None:
    graph = small()
    x, product, relu, output = graph.nodes
    assert list(product.users) == [relu, output]
    assert output.all_input_nodes == [relu, x, product]
    product.replace_all_uses_with(x)
    assert not product.users
    graph.erase_node(product)
    assert [node.name for node in graph.nodes] == ["x", "relu", "output"]
    relu.update_arg(0, 3)
    relu.update_kwarg("inplace", x)
    assert (relu.args, relu.kwargs) == ((3,), {"inplace": x})
    relu.insert_arg(0, x)
    assert relu.args == (x, 3)


def test_nodes_with_users_cannot_be_erased() -> None:
    graph = small()
    with pytest.raises(RuntimeError, match="Tried to erase Node mul but it still had 2 users"):
        graph.erase_node(list(graph.nodes)[1])


def test_arguments_cannot_be_changed_in_place() -> None:
    output = small().output_node()
    with pytest.raises(TypeError, match="'immutable_list' object does not support mutation"):
        output.args[0][1].append(1)
    with pytest.raises(TypeError, match="'immutable_dict' object does not support mutation"):
        output.args[0][1][1]["k"] = 1


def test_nodes_are_inserted_at_the_chosen_position() -> None:
    graph = small()
    x, product, *_ = graph.nodes
    with graph.inserting_before(product):
        graph.call_function(operator.neg, (x,))
    with graph.inserting_after(product):
        graph.call_function(operator.pos, (x,))
    with graph.inserting_after(x):
        graph.call_function(operator.abs, (x,))
    assert [node.name for node in graph.nodes] == ["x", "abs_1", "neg", "mul", "pos", "relu", "output"]
    assert x < product
    product.append(x)
    assert x > product
    with pytest.raises(RuntimeError, match="Argument 'x' of Node 'abs_1' was used before it has been defined"):
        graph.lint()


def test_dead_code_is_removed_and_side_effects_are_kept() -> None:
    graph = small()
    x, *_, output = graph.nodes
    with graph.inserting_before(output):
        graph.call_function(operator.neg, (graph.call_function(operator.pos, (x,)),))
        graph.call_function(operator.setitem, (x, 0, 1))
        graph.call_method("add_", (x, 1))
    assert graph.eliminate_dead_code()
    assert [node.name for node in graph.nodes] == ["x", "mul", "relu", "setitem", "add_", "output"]
    assert not graph.eliminate_dead_code()


def test_nodes_of_another_graph_are_rejected() -> None:
    graph = fx.Graph()
    graph.output(next(iter(small().nodes)))
    with pytest.raises(RuntimeError, match="does not belong to this Graph"):
        graph.lint()
    with pytest.raises(ValueError, match="but a Callable is expected"):
        graph.create_node("call_function", "relu")


def test_graphs_can_be_copied_into_graphs() -> None:
    graph = small()
    copied = copy.deepcopy(graph)
    assert str(copied) == str(graph)
    assert not set(copied.nodes) & set(graph.nodes)
    assert copied.find_nodes(op="call_function", target=operator.mul)[0].name == "mul"


def test_print_tabular_prints_a_table_of_nodes(capsys: pytest.CaptureFixture[str]) -> None:
    small().print_tabular()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "opcode         name    target                   args                        kwargs",
        "-------------  ------  -----------------------  --------------------------  --------",
        "placeholder    x       x                        ()                          {}",
        "call_function  mul     <built-in function mul>  (x, 2)                      {}",
    ]


def test_modules_are_pickled_and_copied(net: Net, x: Tensor) -> None:
    traced = fx.symbolic_trace(net)
    traced.meta["key"] = 1
    for other in (pickle.loads(pickle.dumps(traced)), copy.deepcopy(traced)):
        assert other.code == traced.code
        assert list(other.state_dict()) == list(traced.state_dict())
        assert flambeau.equal(other(x), traced(x))
        assert other.fc.weight is not traced.fc.weight
        assert other.meta == {"key": 1}
        assert not other.training
    assert copy.copy(traced).fc is traced.fc


def test_to_folder_writes_a_module_as_a_package(net: Net, x: Tensor, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    traced = fx.symbolic_trace(net)
    traced.to_folder(tmp_path / "written_net", "Written")
    from written_net import Written  # type: ignore[import-not-found]

    assert flambeau.equal(Written().eval()(x), net(x))
    del sys.modules["written_net"]


def test_submodules_can_be_added_and_deleted(net: Net) -> None:
    traced = fx.symbolic_trace(net)
    assert traced.add_submodule("deep.er", nn.ReLU())
    assert not traced.delete_submodule("deep.none")
    traced.delete_all_unused_submodules()
    assert [name for name, _ in traced.named_children()] == ["conv", "bn", "fc"]
    assert traced.delete_submodule("bn")
    with pytest.raises(RuntimeError, match="Node bn target bn references nonexistent attribute bn"):
        traced.graph.lint()


def test_an_exception_shows_the_generated_code() -> None:
    traced = fx.symbolic_trace(lambda x: (x + 1).view(5))
    with pytest.raises(RuntimeError) as caught:
        traced(flambeau.ones(3))
    note = next(note for note in caught.value.__notes__ if "HERE" in note)
    assert "view = add.view(5);  add = None" in note


def test_errors_in_the_interpreter_name_the_node(net: Net, x: Tensor) -> None:
    traced = fx.symbolic_trace(net)
    assert flambeau.equal(fx.Interpreter(traced).run(x), net(x))
    with pytest.raises(RuntimeError, match=r"While executing %fc : \[num_users=1\] = call_module\[target=fc\]"):
        fx.Interpreter(traced).run(flambeau.ones(1, 1, 6, 6))


def test_a_transformer_replaces_function_calls(x: Tensor, net: Net) -> None:
    class Swap(fx.Transformer):
        def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
            if target is functional.relu:
                return functional.leaky_relu(args[0], 0.5) * 2
            return super().call_function(target, args, kwargs)

    changed = Swap(fx.symbolic_trace(net)).transform()
    names = [node.name for node in changed.graph.nodes]
    assert names == ["x", "conv", "bn", "leaky_relu", "mul", "flatten", "fc", "offset", "add", "output"]
    assert changed(x).shape == (2, 3)


def test_replace_pattern_replaces_matching_subgraphs() -> None:
    def program(x: Tensor, w: Tensor) -> Tensor:
        return x + flambeau.cat([-w, w]).sum() + flambeau.cat([-w, x]).sum()

    traced = fx.symbolic_trace(program)
    found = fx.replace_pattern(traced, lambda a, b: flambeau.cat([a, b]).sum(), lambda a, b: a.sum() + b.sum())
    assert len(found) == 2
    assert "cat" not in traced.code
    x, w = flambeau.tensor([1.0, 2.0]), flambeau.tensor([3.0, 5.0])
    assert flambeau.equal(traced(x, w), program(x, w))
    traced.graph.lint()


def test_patterns_whose_values_are_used_elsewhere_do_not_match() -> None:
    def program(x: Tensor) -> Tensor:
        inner = x.neg()
        return inner.relu() + inner

    assert not fx.replace_pattern(fx.symbolic_trace(program), lambda x: x.neg().relu(), lambda x: x)


def test_patterns_match_parameters_of_modules(x: Tensor, net: Net) -> None:
    class Other(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.other = nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.other(x)

    class Before(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x)

    traced = fx.symbolic_trace(net)
    assert len(fx.replace_pattern(traced, fx.symbolic_trace(Before()), fx.symbolic_trace(Other()))) == 1
    assert [name for name, _ in traced.named_children()] == ["conv", "bn", "other"]
    assert traced(x).shape == (2, 3)


def test_shape_propagation_annotates_nodes(net: Net, x: Tensor) -> None:
    traced = fx.symbolic_trace(net)
    ShapeProp(traced).propagate(x)
    shapes = {node.name: tuple(node.meta["tensor_meta"].shape) for node in traced.graph.nodes}
    assert shapes["bn"] == (2, 2, 2, 2)
    assert shapes["output"] == (2, 3)
    assert 'conv: "f32[2, 2, 2, 2]" = self.conv(x)' in traced.print_readable(print_output=False)


def test_shape_propagation_works_with_fake_tensors(net: Net, x: Tensor) -> None:
    traced = fx.symbolic_trace(net)
    result = FakeTensorProp(traced).propagate(x)
    assert isinstance(result, FakeTensor) and result.shape == (2, 3)
    shapes = {node.name: tuple(node.meta["val"].shape) for node in traced.graph.nodes}
    assert shapes["bn"] == (2, 2, 2, 2) and shapes["output"] == (2, 3)
    mode = FakeTensorMode()
    fake = {name: mode.from_tensor(value) for name, value in traced.state_dict().items()}
    with nn.utils.stateless._reparametrize_module(traced, fake):
        assert FakeTensorProp(traced, mode).propagate(x).shape == (2, 3)
    assert type(traced.fc.weight) is nn.Parameter


def test_split_modules_compute_the_same_result(net: Net, x: Tensor) -> None:
    order = iter(range(100))
    paths: dict[str, str] = {}
    parts = split_module(fx.symbolic_trace(net), net, lambda node: next(order) // 2, paths)
    assert [name for name, _ in parts.named_children()] == ["submod_0", "submod_1", "submod_2"]
    assert paths["submod_0.conv"] == "conv"
    assert flambeau.equal(parts(x), net(x))


def test_cyclic_partitions_are_rejected() -> None:
    traced = fx.symbolic_trace(lambda x: x.relu().neg().exp())
    with pytest.raises(RuntimeError, match="cycle exists between partitions"):
        split_module(traced, None, lambda node: int(node.name == "neg"))


def test_fuse_merges_batch_norm_into_convolutions(net: Net, x: Tensor) -> None:
    net.bn.running_mean.copy_(flambeau.tensor([0.3, -1.0]))
    fused = fuse(net)
    assert "bn" not in fused.code
    assert flambeau.allclose(fused(x), net(x), atol=1e-6)
    assert "0" in remove_dropout(nn.Sequential(nn.Linear(2, 2), nn.Dropout())).code


def test_custom_codegen_changes_the_generated_code() -> None:
    traced = fx.symbolic_trace(lambda x: x + 1)
    with traced.graph.on_generate_code(lambda former: lambda body: ["print('called')\n", *body]):
        traced.recompile()
        assert "print('called')" in traced.code
    traced.recompile()
    assert "print" not in traced.code
