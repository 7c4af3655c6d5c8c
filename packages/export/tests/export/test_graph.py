"""The graph of an exported program and the description of its inputs and outputs."""

import operator

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.export import Dim, export, load, save
from flambeau.export.graph_signature import ConstantArgument, InputKind, OutputKind, TensorArgument

aten = fb.ops.aten


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 4)
        self.tied = self.linear.weight
        self.register_buffer("calls", fb.zeros(4), persistent=False)
        self.offset = fb.ones(4)

    def forward(self, x, pair, factor=3):
        out = self.linear(x).relu() + self.offset
        self.calls.add_(1)
        first, second = out.chunk(2, 1)
        return {"a": first * factor, "b": [second[:, 0], 1.0, None]}, pair["q"].reshape(x.shape[0], -1), self.calls


def exported(dynamic_shapes=None):
    inputs = (fb.ones(4, 3), {"q": fb.ones(4, 2, 3)})
    return export(Model(), inputs, {"factor": 4}, dynamic_shapes=dynamic_shapes)


def targets(program):
    return [node.target for node in program.graph.nodes if node.op == "call_function"]


def run(program, *inputs):
    """Call the graph of a program with its own tensors."""
    tensors = program.state_dict | program.constants
    state = [tensors[spec.target].clone() for spec in program.graph_signature.input_specs if spec.target is not None]
    return program.graph_module(*state, *inputs)


def test_a_graph_has_a_node_for_each_operator_of_aten():
    program = exported()
    assert targets(program) == [
        *(aten.linear.default, aten.relu.default, aten.add.Tensor, aten.add_.Tensor, aten.chunk.default),
        *(operator.getitem, operator.getitem, aten.mul.Tensor, aten.select.int, aten.reshape.default),
    ]
    assert [tuple(node.meta["val"].shape) for node in program.graph.nodes if node.target is aten.relu.default] == [
        (4, 4)
    ]
    (reshape,) = program.graph.find_nodes(op="call_function", target=aten.reshape.default)
    assert reshape.args[1] == [4, -1]


def test_a_signature_describes_the_inputs_and_outputs():
    signature = exported().graph_signature
    assert signature.parameters == ("tied", "linear.weight", "linear.bias")
    assert signature.buffers == signature.non_persistent_buffers == ("calls",)
    assert signature.lifted_tensor_constants == ("constant_0",)
    assert signature.inputs_to_parameters == {
        "p_tied": "tied",
        "p_linear_weight": "linear.weight",
        "p_linear_bias": "linear.bias",
    }
    assert [(spec.kind, spec.arg) for spec in signature.input_specs[-3:]] == [
        (InputKind.USER_INPUT, TensorArgument("x")),
        (InputKind.USER_INPUT, TensorArgument("pair_q")),
        (InputKind.USER_INPUT, ConstantArgument("factor", 4)),
    ]
    assert signature.user_outputs == ("mul", "select", 1.0, None, "reshape", "add_")
    assert "b_calls: BUFFER target='calls' persistent=False" in str(signature)


def test_state_and_constants_are_separate():
    program = exported()
    assert list(program.state_dict) == ["tied", "linear.weight", "linear.bias"]
    assert list(program.constants) == ["constant_0", "calls"]


def test_the_graph_module_computes_the_results():
    program, model = exported(), Model()
    model.load_state_dict(program.state_dict)
    x, q = fb.randn(4, 3), fb.randn(4, 2, 3)
    (tree, reshaped, calls), results = model(x, {"q": q}, 4), run(program, x, q, 4)
    for result, expected in zip(results, [tree["a"], *tree["b"], reshaped, calls], strict=True):
        assert fb.equal(result, expected) if isinstance(expected, fb.Tensor) else result == expected


def test_sizes_of_dynamic_dimensions_are_nodes():
    batch = Dim("batch", min=2, max=8)
    program = exported({"x": {0: batch}, "pair": {"q": {0: batch}}})
    (reshape,) = program.graph.find_nodes(op="call_function", target=aten.reshape.default)
    size = reshape.args[1][0]
    assert size.target is aten.sym_size.int and size.args[1] == 0
    assert program.range_constraints == {"batch": (2, 8)}
    assert run(program, fb.ones(7, 3), fb.ones(7, 2, 3), 4)[4].shape == (7, 6)
    with pytest.raises(NotImplementedError, match="dynamic dimensions"):
        program.run_decompositions()


def test_decompositions_replace_composite_and_in_place_operators():
    program = exported()
    simpler = program.run_decompositions()
    assert aten.addmm.default in targets(simpler) and not {aten.linear.default, aten.add_.Tensor} & {*targets(simpler)}
    first = simpler.graph_signature.output_specs[0]
    assert (first.kind, first.target) == (OutputKind.BUFFER_MUTATION, "calls")
    assert simpler.graph_signature.buffers_to_mutate == {first.arg.name: "calls"}
    x, q = fb.randn(4, 3), fb.randn(4, 2, 3)
    changed, *results = run(simpler, x, q, 4)
    assert changed.tolist() == [1, 1, 1, 1]
    assert all(fb.equal(a, b) for a, b in zip(results, run(program, x, q, 4), strict=True) if isinstance(a, fb.Tensor))


def test_a_decomposition_table_is_used():
    program = export(nn.ReLU(), (fb.ones(2),))
    table = {aten.relu.default: lambda x: x.clamp(min=0)}
    assert targets(program.run_decompositions(table)) == [aten.clamp.default]


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.LSTM(4, 5, batch_first=True), (2, 3, 4)),
        (nn.TransformerEncoderLayer(8, 2, batch_first=True).eval(), (2, 3, 8)),
        (
            nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval(),
            (2, 3, 5, 5),
        ),
    ],
    ids=["LSTM", "transformer", "convolution"],
)
def test_graphs_of_layers_compute_the_results(layer, shape):
    x = fb.randn(shape)
    program = export(layer, (x,))
    with fb.no_grad():
        expected = fb.utils._pytree.tree_leaves(layer(x))
        for graph in (program, program.run_decompositions()):
            for result, value in zip(run(graph, x), expected, strict=True):
                fb.testing.assert_close(result, value)


def test_the_structures_of_arguments_and_results_are_pytrees():
    program = exported()
    args, kwargs = program.example_inputs
    leaves, structure = fb.utils._pytree.tree_flatten((args, kwargs))
    assert program.call_spec.in_spec == structure and len(leaves) == 3
    assert program.call_spec.out_spec.num_leaves == len(program.graph_signature.output_specs)


def test_a_loaded_program_has_no_graph(tmp_path):
    save(export(nn.ReLU(), (fb.ones(2),)), tmp_path / "relu.safetensors")
    with pytest.raises(NotImplementedError, match="was loaded has no graph"):
        load(tmp_path / "relu.safetensors").graph  # noqa: B018
