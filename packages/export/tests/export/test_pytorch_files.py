"""Files written by PyTorch's ``torch.export.save``: `load` runs their graphs with flambeau's operators."""

import io
import json
import zipfile

import numpy as np
import pytest

import flambeau as fb
from flambeau.export import load, save

WEIGHT = np.arange(6, dtype="f4").reshape(2, 3)


def tensor(name):
    return {"as_tensor": {"name": name}}


def node(target, inputs, *outputs):
    """Return the description of a call. ``inputs`` are positional; those under ``"by_name"`` are keyword arguments."""
    described = [{"name": "", "arg": value, "kind": 1} for value in inputs if "by_name" not in value]
    for value in inputs:
        described += [{"name": k, "arg": v, "kind": 2} for k, v in value.get("by_name", {}).items()]
    return {"target": target, "inputs": described, "outputs": list(outputs), "metadata": {}}


def graph(inputs, nodes, outputs, sizes=None):
    values = {name: {"sizes": each} for name, each in (sizes or {}).items()}
    return {"inputs": inputs, "nodes": nodes, "outputs": outputs, "tensor_values": values}


LEAF = {"type": None, "context": None, "children_spec": []}


def tree(kind, *children, keys=None):
    return {"type": kind, "context": json.dumps(keys), "children_spec": list(children)}


def spec(described):
    return json.dumps([1, described])


def program(described, input_specs, output_specs, positional, named=None, gives=LEAF, ranges=None):
    takes = tree("builtins.tuple", tree("builtins.tuple", *positional), named or tree("builtins.dict", keys=[]))
    call = {"in_spec": spec(takes), "out_spec": spec(gives), "forward_arg_names": ["x"]}
    signature = {"input_specs": input_specs, "output_specs": output_specs}
    exported = {"graph": described, "signature": signature, "module_call_graph": [{"fqn": "", "signature": call}]}
    return {"graph_module": exported, "range_constraints": ranges or {}, "schema_version": {"major": 8, "minor": 20}}


USER = {"user_input": {"arg": tensor("x")}}
RESULT = {"user_output": {"arg": tensor("y")}}


def config(**arrays):
    described = {}
    for name, array in arrays.items():
        about = {"dtype": {"f4": 7, "i8": 5}[array.dtype.str[1:]], "storage_offset": {"as_int": 0}}
        about |= {"requires_grad": array.dtype == "f4", "device": {"type": "cpu", "index": None}, "layout": 7}
        about["sizes"] = [{"as_int": size} for size in array.shape]
        about["strides"] = [{"as_int": stride // array.itemsize} for stride in array.strides]
        described[name] = {"path_name": name, "is_param": name == "weight", "use_pickle": False, "tensor_meta": about}
    return json.dumps({"config": described})


def exported_file(described, weights=None, constants=None, files=None):
    written = {"models/model.json": described if isinstance(described, bytes) else json.dumps(described).encode()}
    for folder, arrays in (("weights", weights or {}), ("constants", constants or {})):
        written[f"data/{folder}/model_{folder}_config.json"] = config(**arrays).encode()
        written |= {f"data/{folder}/{name}": array.tobytes() for name, array in arrays.items()}
    written |= {"archive_format": b"pt2", **(files or {})}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in written.items():
            if content is not None:
                archive.writestr(f"net/{name}", content)
    made.seek(0)
    return made


def linear(target="torch.ops.aten.linear.default"):
    described = graph(
        [tensor("p_weight"), tensor("b_count"), tensor("x")],
        [
            node("torch.ops.aten.add_.Tensor", [tensor("b_count"), {"as_int": 1}], tensor("add_")),
            node(target, [tensor("x"), tensor("p_weight")], tensor("linear")),
            node(
                "torch.ops.aten.add.Tensor",
                [tensor("linear"), {"as_float": 0.5}, {"by_name": {"alpha": {"as_int": 2}}}],
                tensor("y"),
            ),
        ],
        [tensor("y")],
        {"x": [{"as_expr": {"expr_str": "Symbol('s0', integer=True)", "hint": {"as_int": 4}}}, {"as_int": 3}]},
    )
    weight = {"parameter": {"arg": {"name": "p_weight"}, "parameter_name": "weight"}}
    count = {"buffer": {"arg": {"name": "b_count"}, "buffer_name": "count", "persistent": True}}
    return program(described, [weight, count, USER], [RESULT], [LEAF], ranges={"s0": {"min_val": 2, "max_val": 8}})


LINEAR_TENSORS = {"weight": WEIGHT, "count": np.array([0], "i8")}


def test_loaded_programs_compute_their_graph():
    exported = load(exported_file(linear(), LINEAR_TENSORS))
    x = np.ones((4, 3), "f4")
    module = exported.module()
    np.testing.assert_allclose(module(fb.from_numpy(x)).detach().numpy(), x @ WEIGHT.T + 1)
    np.testing.assert_allclose(module(x=fb.from_numpy(x[:2])).detach().numpy(), x[:2] @ WEIGHT.T + 1)
    assert list(exported.state_dict) == ["weight", "count"] and exported.state_dict["count"].tolist() == [2]
    assert [name for name, _ in exported.named_parameters()] == ["weight"]
    module(fb.ones(2, 3)).sum().backward()
    assert module.weight.grad.tolist() == [[2.0] * 3] * 2
    assert "linear = torch.ops.aten.linear.default(x, p_weight)" in exported.code


def test_inputs_of_other_than_the_exported_sizes_are_rejected():
    module = load(exported_file(linear(), LINEAR_TENSORS)).module()
    for given, message in (
        (fb.ones(4, 2), "size 3 in dimension 1 of 'x', got 2"),
        (fb.ones(9, 3), "size from 2 to 8 in dimension 0 of 'x', got 9"),
        (fb.ones(3), "expects a tensor of 2 dimensions for 'x'"),
    ):
        with pytest.raises(RuntimeError, match=message):
            module(given)
    with pytest.raises(TypeError, match="a tensor for 'x', got int"):
        module(3)
    with pytest.raises(TypeError, match="expects 1 values for args, got tuple of length 0"):
        module()


def test_loaded_programs_take_and_return_nested_structures():
    described = graph(
        [tensor("a"), tensor("b"), {"as_float": 3.0}],
        [
            node("torch.ops.aten.split.Tensor", [tensor("a"), {"as_int": 1}], {"as_tensors": [
                {"name": "first"}, {"name": "second"}]}),
            node("torch.ops.aten.max.dim", [tensor("b"), {"as_int": 0}], tensor("values"), tensor("indices")),
        ],
        [tensor("first"), tensor("values"), tensor("indices")],
    )  # fmt: skip
    users = [{"user_input": {"arg": tensor(name)}} for name in "ab"]
    constant = {"constant_input": {"name": "scale", "value": {"as_float": 3.0}}}
    outputs = [{"user_output": {"arg": tensor(name)}} for name in ("first", "values", "indices")]
    takes = [tree("builtins.dict", LEAF, LEAF, keys=["a", "b"])]
    gives = tree("builtins.dict", LEAF, tree("builtins.list", LEAF, LEAF), keys=["out", "rest"])
    named = tree("builtins.dict", LEAF, keys=["scale"])
    module = load(exported_file(program(described, [*users, constant], outputs, takes, named, gives))).module()
    given = {"b": fb.tensor([1.0, 5.0]), "a": fb.tensor([[1.0], [2.0]])}
    found = module(given, scale=3.0)
    assert found["out"].tolist() == [[1.0]] and [each.item() for each in found["rest"]] == [5.0, 1]
    with pytest.raises(RuntimeError, match=r"exported with the constant 3\.0 for input 2, got 2\.0"):
        module(given, scale=2.0)
    with pytest.raises(TypeError, match="a dictionary with the keys"):
        module({"a": fb.ones(1)}, scale=3.0)


def test_loaded_programs_have_constants_and_mutate_buffers_and_inputs():
    described = graph(
        [tensor("b_n"), tensor("c_t"), tensor("x")],
        [
            node("torch.ops.aten.add.Tensor", [tensor("b_n"), tensor("c_t")], tensor("n")),
            node("torch.ops.aten.mul.Tensor", [tensor("x"), {"as_int": 2}], tensor("m")),
            node("torch.ops.aten.sum.default", [tensor("n")], tensor("y")),
        ],
        [tensor("n"), tensor("m"), tensor("y")],
    )
    inputs = [
        {"buffer": {"arg": {"name": "b_n"}, "buffer_name": "n", "persistent": False}},
        {"tensor_constant": {"arg": {"name": "c_t"}, "tensor_constant_name": "t"}},
        USER,
    ]
    outputs = [
        {"buffer_mutation": {"arg": {"name": "n"}, "buffer_name": "n"}},
        {"user_input_mutation": {"arg": {"name": "m"}, "user_input_name": "x"}},
        RESULT,
    ]
    one = np.ones(2, "f4")
    exported = load(exported_file(program(described, inputs, outputs, [LEAF]), constants={"n": one, "t": one}))
    x = fb.ones(2)
    assert exported.module()(x).item() == 4 and exported.module()(x).item() == 6
    assert x.tolist() == [4, 4] and exported.state_dict == {} and list(exported.constants) == ["t", "n"]
    assert [name for name, _ in exported.named_buffers()] == ["n"]


def test_loaded_programs_contain_branches_and_symbolic_sizes():
    branches = [
        {"as_graph": {"name": f"g{i}", "graph": graph(
            [tensor("x")], [node(f"torch.ops.aten.{name}.Tensor", [tensor("x"), {"as_int": 3}], tensor("r"))],
            [tensor("r")])}}
        for i, name in enumerate(("add", "mul"))
    ]  # fmt: skip
    described = graph(
        [tensor("x")],
        [
            node("torch.ops.aten.sym_size.int", [tensor("x"), {"as_int": 0}], {"as_sym_int": {"as_name": "n"}}),
            node("_operator.gt", [{"as_sym_int": {"as_name": "n"}}, {"as_int": 1}], {"as_sym_bool": {"as_name": "p"}}),
            node(
                "torch.ops.higher_order.cond",
                [{"as_sym_bool": {"as_name": "p"}}, *branches, {"as_tensors": [{"name": "x"}]}],
                tensor("y"),
            ),
        ],
        [tensor("y")],
    )
    module = load(exported_file(program(described, [USER], [RESULT], [LEAF]))).module()
    assert module(fb.tensor([2.0])).tolist() == [6.0] and module(fb.tensor([2.0, 3.0])).tolist() == [5.0, 6.0]


def test_files_of_older_pytorch_versions_can_be_loaded():
    tensors = io.BytesIO()
    fb.save({"weight": fb.nn.Parameter(fb.from_numpy(WEIGHT)), "count": fb.tensor([0])}, tensors, format="pt")
    described = linear()
    for call in described["graph_module"]["graph"]["nodes"]:  # in these files, calls do not mark keyword arguments
        for argument in call["inputs"]:
            del argument["kind"]
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("serialized_exported_program.json", json.dumps(described))
        archive.writestr("serialized_state_dict.pt", tensors.getvalue())
        archive.writestr("serialized_constants.pt", b"")
        archive.writestr("version", "7.3")
    made.seek(0)
    exported = load(made)
    assert exported.module()(fb.ones(2, 3)).tolist() == [[4.0, 13.0]] * 2
    assert [name for name, _ in exported.named_parameters()] == ["weight"]


def test_extra_files_are_returned():
    extra = {"note.txt": ""}
    load(exported_file(linear(), LINEAR_TENSORS, files={"extra/note.txt": b"hello"}), extra_files=extra)
    assert extra == {"note.txt": b"hello"}


def test_unsupported_programs_are_rejected():
    for target in ("torch.ops.aten.frobnicate.default", "torch.ops.torchvision.nms.default", "os.system"):
        with pytest.raises(NotImplementedError, match=target.replace(".default", "").rpartition(".")[2]):
            load(exported_file(linear(target), LINEAR_TENSORS))
    with pytest.raises(NotImplementedError, match="loaded from a file of PyTorch"):
        save(load(exported_file(linear(), LINEAR_TENSORS)), io.BytesIO())


@pytest.mark.parametrize(
    "target",
    ["torch.ops.aten.__class__.default", "torch.ops.aten.save.default", "_operator.attrgetter", "builtins.eval"],
)
def test_graphs_that_call_other_functions_are_rejected(target):
    with pytest.raises(NotImplementedError, match="flambeau has no operator"):
        load(exported_file(linear(target), LINEAR_TENSORS))


def test_damaged_files_are_rejected():
    whole = exported_file(linear(), LINEAR_TENSORS).getvalue()
    for count in (4, 100, len(whole) // 2, len(whole) - 10):
        with pytest.raises(RuntimeError, match="truncated or damaged"):
            load(io.BytesIO(whole[:count]))
    with pytest.raises(RuntimeError, match="no file 'data/weights/weight'"):
        load(exported_file(linear(), LINEAR_TENSORS, files={"data/weights/weight": None}))
    with pytest.raises(RuntimeError, match="storage"):
        load(exported_file(linear(), LINEAR_TENSORS, files={"data/weights/weight": b"1234"}))
    with pytest.raises(RuntimeError, match="no tensor 'weight'"):
        load(exported_file(linear(), {"count": LINEAR_TENSORS["count"]}))
    for described in (b"{", b"[]", b"{}", b'{"graph_module": 3}', b"\xff"):
        with pytest.raises(RuntimeError, match="damaged"):
            load(exported_file(described))
    with pytest.raises(RuntimeError, match=r"no file 'models/model\.json'"):
        load(exported_file(b"{}", files={"models/model.json": None}))
    early = linear()
    early["graph_module"]["graph"]["nodes"][0]["inputs"][0]["arg"] = tensor("y")
    with pytest.raises(RuntimeError, match="uses 'y' before it is computed"):
        load(exported_file(early, LINEAR_TENSORS)).module()(fb.ones(4, 3))
