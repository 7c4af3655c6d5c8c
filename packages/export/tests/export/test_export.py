"""`flambeau.export`: programs with declared dynamic dimensions."""

import io

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.export import Dim, ExportedProgram, dims, export, load, save


class Joined(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.register_buffer("scale", fb.tensor(2.0))

    def forward(self, x, pair, bias=None):
        out = self.linear(x) * self.scale + fb.cat([pair["a"], pair["b"]]).sum()
        return out if bias is None else out + bias


PAIR = {"a": fb.ones(2), "b": fb.ones(3)}


def test_exported_programs_require_the_sizes_of_the_example():
    model = Joined()
    program = export(model, (fb.ones(4, 3), PAIR))
    assert fb.equal(program.module()(fb.ones(4, 3), PAIR), model(fb.ones(4, 3), PAIR))
    with pytest.raises(RuntimeError, match=r"x.size\(0\) == 4; now the two values are 5 and 4"):
        program.module()(fb.ones(5, 3), PAIR)
    with pytest.raises(RuntimeError, match=r"pair.a.size\(0\) == 2"):
        program.module()(fb.ones(4, 3), {"a": fb.ones(3), "b": fb.ones(3)})


def test_exported_programs_accept_dynamic_sizes():
    model, batch = Joined(), Dim("batch", min=2, max=8)
    program = export(
        model,
        (fb.ones(4, 3), PAIR),
        {"bias": fb.ones(4, 1)},
        dynamic_shapes={"x": {0: batch}, "pair": {"a": (Dim.DYNAMIC,), "b": None}, "bias": (batch, None)},
    ).module()
    x, pair, bias = fb.randn(7, 3), {"a": fb.ones(9), "b": fb.ones(3)}, fb.randn(7, 1)
    assert fb.equal(program(x, pair, bias=bias), model(x, pair, bias))
    for wrong, message in [
        ((fb.ones(9, 3), pair, fb.ones(9, 1)), "batch <= 8"),
        ((fb.ones(1, 3), pair, fb.ones(1, 1)), "batch >= 2"),
        ((fb.ones(3, 3), pair, fb.ones(4, 1)), "batch == batch; now the two values are 4 and 3"),
    ]:
        with pytest.raises(RuntimeError, match=message):
            program(*wrong[:2], bias=wrong[2])
    by_order = export(nn.ReLU(), (fb.ones(2, 2),), dynamic_shapes=[(Dim.AUTO, Dim.STATIC)]).module()
    assert by_order(fb.ones(5, 2)).shape == (5, 2)


def test_models_that_need_static_sizes_are_rejected():
    class Loop(nn.Module):
        def forward(self, x):
            return sum(row for row in x)

    (rows,) = dims("rows")
    with pytest.raises(ValueError, match=r"x.size\(0\) \(rows\) is declared dynamic, but the model needs it to be 3"):
        export(Loop(), (fb.ones(3, 2),), dynamic_shapes={"x": {0: rows}})
    assert export(Loop(), (fb.ones(3, 2),), dynamic_shapes={"x": {0: Dim.AUTO}}).module()(fb.ones(3, 2)).shape == (2,)
    for shapes, message in [
        ({"y": None}, r"names the unknown arguments \['y'\]"),
        ([None, None], "2 entries for 1"),
        ({"input": {2: rows}}, r"dimensions \[2\] of input, which has shape \[3, 2\]"),
        ({"input": (rows,)}, "1 dimensions for input"),
        ({"input": {0: 5}}, "is 3 in the example inputs, but 5 in dynamic_shapes"),
        ({"input": {0: "rows"}}, "a Dim, an int or None"),
        ({"input": {0: Dim("rows", min=4)}}, "is 3 in the example"),
        ({"input": (rows, rows)}, "is 3 and 2 in the example"),
    ]:
        with pytest.raises(ValueError, match=message):
            export(nn.ReLU(), (fb.ones(3, 2),), dynamic_shapes=shapes)
    with pytest.raises(ValueError, match="instance of `nn"):
        export(fb.relu, (fb.ones(1),))
    with pytest.raises(ValueError, match="to be a tuple"):
        export(nn.ReLU(), fb.ones(1))
    for arguments in ({"name": "1"}, {"name": "n", "min": 3, "max": 2}):
        with pytest.raises(ValueError, match=r"Dim|named"):
            Dim(**arguments)


def test_exported_programs_have_a_state_dict_and_can_be_saved():
    model = Joined()
    program = export(model, (fb.ones(4, 3), PAIR))
    assert [n for n, _ in program.named_parameters()] == ["linear.weight", "linear.bias"]
    assert [n for n, _ in program.named_buffers()] == ["scale"] and len(list(program.buffers())) == 1
    assert list(program.state_dict) == list(model.state_dict()) and program.constants == {}
    assert len(list(program.parameters())) == 2 and str(program).startswith("ExportedProgram:\ninput %0 x")
    with pytest.raises(RuntimeError, match="Unable to call ExportedProgram directly"):
        program(fb.ones(4, 3), PAIR)
    buffer = io.BytesIO()
    save(program, buffer)
    buffer.seek(0)
    loaded = load(buffer)
    assert isinstance(loaded, ExportedProgram)
    assert fb.equal(loaded.module()(fb.ones(4, 3), PAIR), model(fb.ones(4, 3), PAIR))
    with pytest.raises(TypeError, match="must be an instance of 'ExportedProgram'"):
        save(model, buffer)


def test_export_keeps_buffers_and_inputs():
    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", fb.zeros(1))
            self.norm = nn.BatchNorm1d(3)

        def forward(self, x):
            self.calls = self.calls + 1
            return self.norm(x.mul_(2))

    model, x = Counter(), fb.randn(4, 3)
    before, calls = x.clone(), model.calls
    program = export(model, (x,))
    assert fb.equal(x, before) and model.calls is calls and calls.item() == 0
    assert model.norm.num_batches_tracked.item() == 0 and model.norm.running_mean.tolist() == [0, 0, 0]
    assert program.module().norm.running_mean is model.norm.running_mean
