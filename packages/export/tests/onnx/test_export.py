"""`flambeau.onnx.export`: names, files, dynamic dimensions and errors."""

import inspect
import math
import subprocess
import sys
import warnings

import onnx
import pytest

import flambeau as fb
from flambeau import nn
from flambeau._tracing._calls import DECOMPOSITIONS  # the table of all decompositions
from flambeau.jit import TracerWarning
from flambeau.onnx import OperatorExportTypes, TrainingMode, export, is_in_onnx_export


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, x, scale=None):
        y = self.second(self.first(x).relu())
        return y if scale is None else y * scale


def test_export_writes_a_file(tmp_path, compare):
    model, x = Net(), fb.randn(3, 4)
    program = export(model, x, tmp_path / "net.onnx", input_names=["rows"], output_names=["scores"])
    read = onnx.load(tmp_path / "net.onnx")
    assert [i.name for i in read.graph.input] == ["rows"] and [o.name for o in read.graph.output] == ["scores"]
    assert {t.name for t in read.graph.initializer} == set(model.state_dict())
    assert read.opset_import[0].version == 20 and read.producer_name == "flambeau"
    assert [n.op_type for n in read.graph.node] == ["Gemm", "Relu", "Gemm"]
    compare(program, model, x)


def test_weights_can_be_exported_as_external_data(tmp_path):
    model = nn.Linear(64, 64)
    export(model, fb.randn(1, 64), tmp_path / "net.onnx", external_data=True)
    assert (tmp_path / "net.onnx.data").stat().st_size >= 64 * 64 * 4
    read = onnx.load(tmp_path / "net.onnx")
    assert onnx.numpy_helper.to_array(read.graph.initializer[0]).tolist() == model.weight.tolist()


def test_inputs_are_named_as_parameters_and_keywords(compare):
    model = Net()
    program = export(model, (fb.randn(3, 4),), kwargs={"scale": fb.tensor(2.0)})
    assert [i.name for i in program.model_proto.graph.input] == ["x", "scale"]
    compare(program, lambda x, s: model(x, scale=s), fb.randn(3, 4), fb.tensor(0.5))
    assert fb.equal(program(fb.ones(3, 4), scale=fb.tensor(0.0))[0], fb.zeros(3, 2))


def test_nested_inputs_and_outputs_become_flat_names(compare):
    def program(pair, more):
        return {"sum": pair[0] + pair[1], "rest": (more["a"] * 2, [pair[0]])}

    inputs = ((fb.ones(2), fb.zeros(2)), {"a": fb.arange(3.0)})
    made = export(program, (*inputs, {}))
    assert [i.name for i in made.model_proto.graph.input] == ["pair_0", "pair_1", "more"]
    assert [o.name for o in made.model_proto.graph.output] == ["output_0", "output_1", "output_2"]
    compare(made, lambda a, b, c: program((a, b), {"a": c}), fb.rand(2), fb.rand(2), fb.rand(3))


def test_dynamic_dimensions_are_named():
    program = export(Net(), fb.randn(3, 4), dynamic_axes={"x": {0: "batch"}, "output": {0: "batch"}})
    graph = program.model_proto.graph
    for entry in (*graph.input, *graph.output):
        assert entry.type.tensor_type.shape.dim[0].dim_param == "batch"
    listed = export(lambda x: x.repeat(2, 1), fb.randn(3, 4), dynamic_axes={"x": [0]})
    assert listed.model_proto.graph.output[0].type.tensor_type.shape.dim[0].dim_param == "2*x_dim_0"


@pytest.mark.parametrize("shapes", [({0: "batch"},), {"x": {0: "batch"}}, {"x": ("batch", None)}, {"x": {-2: "batch"}}])
def test_dynamic_shapes_can_be_given_as_tuples_or_dictionaries(shapes, compare):
    model = Net()
    compare(export(model, fb.randn(1, 4), dynamic_shapes=shapes), model, fb.randn(6, 4))


def test_arithmetic_with_dynamic_sizes_is_exported(compare):
    def program(x):
        batch, channels, height, width = x.shape
        patches = x.reshape(batch, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
        rows = patches.reshape(batch, (height // 2) * (width // 2), channels * 4)
        return rows, rows.mean(1) * (height * width), fb.arange(height * 2 + 1), x.sum() / (batch - 1)

    exported = export(program, fb.rand(2, 3, 4, 6), dynamic_axes={"x": {0: "n", 2: "h", 3: "w"}})
    for shape in ((2, 3, 4, 6), (3, 3, 8, 2), (5, 3, 2, 2)):
        compare(exported, program, fb.rand(shape), exact=1e-4)


def test_python_branches_become_constants_with_a_warning(compare):
    def program(x):
        return x * 2 if x.sum() > 0 else x - 1

    with pytest.warns(
        TracerWarning, match=r"test_export.py:\d+: __bool__ gives Python a value that depends on the inputs"
    ):
        exported = export(program, fb.ones(3))
    compare(exported, lambda x: x * 2, -fb.ones(3))


def test_export_does_not_warn_about_sizes_and_constants():
    table = fb.arange(3.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export(lambda x: x * table[0].item() + len(x) if x.shape[0] > 1 else x, fb.ones(3))


@pytest.mark.parametrize("count", [lambda x: len(x.unique()), lambda x: x.long().bincount().numel()])
def test_sizes_that_depend_on_elements_do_not_become_constants(count):
    with pytest.raises(NotImplementedError, match="the size of its result depends on elements"):
        export(lambda x: x * count(x), fb.ones(3))


def test_branches_on_dynamic_dimensions_are_rejected():
    def program(x):
        return x.exp() if len(x) > 5 else x.log()

    with pytest.raises(RuntimeError, match=r"for other sizes.*: log \(.*test_export.py.*, but exp"):
        export(program, fb.rand(3), dynamic_axes={"x": [0]})

    def loop(x):
        for row in x:
            x = x + row
        return x

    with pytest.raises(RuntimeError, match="dynamic dimension"):
        export(loop, fb.rand(3, 3), dynamic_axes={"x": [0]})


def test_a_program_that_runs_other_operators_for_smaller_sizes_causes_a_warning(compare):
    def program(x):
        return x.exp() if len(x) > 5 else x.log()

    with pytest.warns(UserWarning, match=r"other operators if the dynamic dimensions have the sizes .*'n': 4.*'n': 8"):
        exported = export(program, fb.rand(8), dynamic_axes={"x": {0: "n"}})
    compare(exported, program, fb.rand(9))


def test_dynamic_sizes_that_are_rounded_down_are_exported(compare):
    axes = {"x": {0: "n", 2: "h", 3: "w"}}
    layer = nn.Conv2d(3, 2, 3, stride=2, padding=1)

    def program(x):
        return layer(x).flatten(2), x[:, :, : x.shape[2] // 2]

    exported = export(program, fb.rand(1, 3, 8, 8), dynamic_axes=axes)
    for shape in ((1, 3, 8, 8), (2, 3, 9, 7)):
        compare(exported, program, fb.rand(shape))
    compare(
        export(lambda x: x[:, :, : (x.shape[2] - 1) // 2], fb.rand(1, 3, 8, 8), dynamic_axes=axes),
        lambda x: x[:, :, : (x.shape[2] - 1) // 2],
        fb.rand(1, 3, 11, 3),
    )
    with pytest.raises(RuntimeError, match="argument 'key' of __getitem__ depends"):
        export(lambda x: x[:, :, : int(x.shape[2] / 2 - 0.5)], fb.rand(1, 3, 8, 8), dynamic_axes=axes)


def test_dynamic_sizes_of_layer_outputs_are_exported(compare):
    layer = nn.Conv2d(3, 5, 3, stride=4, padding=1)

    def program(x):
        y = layer(x)
        n, c, h, w = y.shape
        rows, columns = fb.meshgrid(fb.arange(h), fb.arange(w), indexing="ij")
        y = y.clone()
        y[:, :2] = y[:, :2].sigmoid() + fb.stack([columns, rows]).float()
        return y.permute(0, 2, 3, 1).reshape(n, h * w, c), fb.zeros(n, 2 * h + 1), y.sum() / (h * w)

    exported = export(program, fb.rand(1, 3, 16, 16), dynamic_axes={"x": {0: "n", 2: "h", 3: "w"}})
    for shape in ((1, 3, 16, 16), (2, 3, 9, 30)):
        compare(exported, program, fb.rand(shape), exact=1e-4)


def test_branches_that_only_odd_sizes_take_are_omitted(compare):
    def program(x):
        y = x[:, : x.shape[1] // 2 * 2]
        return y * 2 if y.shape == x.shape else x

    exported = export(program, fb.rand(2, 4), dynamic_axes={"x": [1]})
    compare(exported, program, fb.rand(2, 8))


def test_examples_whose_sizes_cannot_be_doubled_raise():
    table = nn.Embedding(8, 2)
    with pytest.raises(IndexError) as raised:
        export(lambda x: x + table(fb.arange(x.shape[1])), fb.rand(1, 8, 2), dynamic_axes={"x": {1: "length"}})
    assert raised.value.__notes__[-1].endswith(
        "{'length': 16}: if these sizes are too large, pass smaller example inputs"
    )


def test_non_polynomial_sizes_raise():
    with pytest.raises(
        RuntimeError, match=r"'other' of mul depends on the dynamic dimensions in a way that an ONNX file cannot"
    ):
        export(lambda x: x * len(x) ** 0.5, fb.rand(3), dynamic_axes={"x": [0]})
    with pytest.raises(RuntimeError, match="argument 'start' of arange"):
        export(lambda x: x.sum() + fb.arange(math.isqrt(len(x))), fb.rand(2), dynamic_axes={"x": [0]})


def test_the_error_names_operators_without_a_converter_and_their_lines():
    class Spectrum(nn.Module):
        def forward(self, x):
            return fb.fft.fft(x).abs() + fb.linalg.inv(x) + fb.logdet(x)

    model = nn.Sequential(nn.Linear(3, 3), Spectrum())
    with pytest.raises(NotImplementedError) as raised:
        export(model, fb.eye(3))
    text = str(raised.value)
    for name in ("fft", "inv", "logdet"):
        assert f"  {name}, called by layer 1 (Spectrum)" in text and "test_export.py" in text
    assert "_lu" not in text


def test_errors_of_converters_name_the_location():
    model = nn.Sequential(nn.BatchNorm1d(3))
    with pytest.raises(NotImplementedError, match=r"call model\.eval\(\) first") as raised:
        export(model, fb.rand(4, 3), training=TrainingMode.TRAINING)
    assert "in batch_norm, called by layer 0 (BatchNorm1d)" in raised.value.__notes__[0]
    with pytest.raises(NotImplementedError, match="dimensions that are not adjacent"):
        export(lambda x: x[[0, 1], :, [0, 1]], fb.ones(2, 3, 2))


def test_the_training_argument_selects_the_mode_of_layers():
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))
    model[0].eval()
    for training, nodes in ((TrainingMode.EVAL, ["Gemm"]), (TrainingMode.PRESERVE, ["Gemm", "Dropout"])):
        program = export(model, fb.rand(4, 3), training=training)
        assert [node.op_type for node in program.model_proto.graph.node] == nodes
    assert model.training and model[1].training and not model[0].training


def test_exported_models_draw_new_random_numbers_at_each_run():
    program = export(lambda x: x + fb.randn_like(x) * 0.1 + fb.rand(3), fb.zeros(3))
    assert not fb.equal(program(fb.zeros(3))[0], program(fb.zeros(3))[0])


def test_exporting_does_not_change_the_random_state():
    fb.manual_seed(3)
    export(lambda x: x + fb.randn(3), fb.zeros(3))
    drawn = fb.randn(3)
    fb.manual_seed(3)
    assert fb.equal(drawn, fb.randn(3))


def test_is_in_onnx_export_is_true_only_during_the_export():
    seen = []
    export(lambda x: seen.append(is_in_onnx_export()) or x * 1, fb.ones(2))
    assert seen == [True] and not is_in_onnx_export()
    with pytest.raises(ZeroDivisionError):
        export(lambda x: 1 / 0, fb.ones(2))
    assert not is_in_onnx_export()


@pytest.mark.parametrize("version", [14, 16, 17, 18, 19, 21, 22])
def test_the_requested_opset_is_written(version, compare):
    def program(x):
        y = fb.nn.functional.gelu(x) + fb.nn.functional.gelu(x, approximate="tanh")
        return y.sum(0), y.amax((0, 1)), y.mean(-1, keepdim=True), y.logsumexp(0)

    made = export(program, fb.randn(2, 4), opset_version=version)
    assert [entry.version for entry in made.model_proto.opset_import if not entry.domain] == [version]
    compare(made, program, fb.randn(2, 4))


def test_unsupported_opsets_raise():
    with pytest.raises(ValueError, match=r"Unsupported ONNX opset version: 9; flambeau.onnx writes 14 to"):
        export(Net(), fb.rand(2, 4), opset_version=9)
    with pytest.raises(NotImplementedError, match="opset 16 lacks LayerNormalization"):
        export(nn.LayerNorm(4), fb.rand(2, 4), opset_version=16)
    with pytest.raises(NotImplementedError, match="mode='circular' needs opset 19, got opset 17"):
        export(lambda x: nn.functional.pad(x, (1, 1), "circular"), fb.rand(1, 2, 4), opset_version=17)


def test_outputs_may_be_inputs_or_constants(compare):
    kept = fb.arange(3.0)

    def program(x):
        return x, kept, x * 2, x

    compare(export(program, fb.ones(2)), program, fb.rand(2))


def test_export_rejects_invalid_arguments():
    with pytest.raises(NotImplementedError, match="custom_translation_table is not supported: register each converter"):
        export(nn.ReLU(), fb.ones(2), custom_translation_table={fb.ops.aten.relu.default: None})
    with pytest.raises(TypeError, match="unexpected keyword argument 'dynamic_axis'"):
        export(Net(), fb.rand(2, 4), dynamic_axis={"x": [0]})
    with pytest.raises(ValueError, match=r"no dimension 2"):
        export(Net(), fb.rand(2, 4), dynamic_axes={"x": [2]})
    with pytest.raises(ValueError, match=r"there is no input 'y'; the names of the inputs are: 'x'"):
        export(Net(), fb.rand(2, 4), dynamic_axes={"y": [0]})
    with pytest.raises(ValueError, match=r"'n' is 2 in input 'a' and 3 in 'b'"):
        export(lambda a, b: a.sum() + b, (fb.ones(2), fb.ones(3)), dynamic_axes={"a": {0: "n"}, "b": {0: "n"}})
    with pytest.raises(TypeError, match=r"with the names of inputs as keys, got 5"):
        export(Net(), fb.rand(2, 4), dynamic_axes=5)
    with pytest.raises(TypeError, match=r"as in \{.x.: \{0: .batch.\}\}, got 'batch'"):
        export(Net(), fb.rand(2, 4), dynamic_axes={"x": "batch"})
    with pytest.raises(TypeError, match="output_names must be a list of names, got the string 'scores'"):
        export(Net(), fb.rand(2, 4), output_names="scores")
    with pytest.raises(RuntimeError, match=r"number of input names provided \(2\) exceeded number of inputs \(1\)"):
        export(Net(), fb.rand(2, 4), input_names=["a", "b"])
    with pytest.raises(RuntimeError, match="must return at least one tensor to be exported, got float"):
        export(lambda x: 3.0, fb.ones(2))
    with pytest.raises(ValueError, match=r"takes 1 tensors \('x'\), got 2"):
        export(Net(), fb.rand(2, 4))(fb.rand(2, 4), fb.rand(2, 4))


def test_verify_compares_with_onnx_runtime():
    export(Net(), fb.rand(2, 4), verify=True)
    drawn = iter(range(9))
    with pytest.raises(RuntimeError, match="output 0 in ONNX Runtime differs"):
        export(lambda x: x + next(drawn), fb.ones(2), verify=True)


def operator_named(name):
    holders = (fb, fb.Tensor, fb.linalg, nn.functional, fb._core)
    return next(getattr(holder, name) for holder in holders if hasattr(holder, name))


@pytest.mark.parametrize("name", DECOMPOSITIONS)
def test_decompositions_take_their_operators_arguments(name):
    mine, own = (list(inspect.signature(f).parameters.values()) for f in (DECOMPOSITIONS[name], operator_named(name)))
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    mine = [p.name for p in mine if p.kind not in variadic and p.name not in ("spatial", "least", "forwards")]
    assert mine == [p.name for p in own if p.name != "layout"][: len(mine)]


def test_export_without_onnx_names_the_package_to_install():
    program = (
        "import sys; sys.modules['onnx'] = None\n"
        "import flambeau\n"
        "try: flambeau.onnx.export(flambeau.nn.Linear(1, 1), flambeau.ones(1))\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "flambeau.onnx needs the package onnx: pip install onnx"


def test_remainders_of_dynamic_sizes_are_exported(compare):
    def program(x):
        height, width = x.shape[-2:]
        x = nn.functional.pad(x, (0, -width % 4, 1, (4 - height % 4) % 4))
        tiles = x.reshape(x.shape[0], x.shape[1], -1, 4).mean(-1)
        return tiles, x.new_zeros(len(x) % 3 + 1, height // 3 % 2 + 1)

    sizes = {"x": {0: "n", 1: "height", 2: "width"}}
    made = export(lambda x: program(x), fb.randn(4, 8, 8), dynamic_axes=sizes, input_names=["x"])
    for shape in ((1, 8, 8), (2, 7, 5), (3, 13, 6), (5, 10, 11), (9, 4, 20)):
        compare(made, program, fb.randn(*shape))


def test_recorded_quotients_are_preferred_to_polynomials(compare):
    """Test a number of windows that equals ``height / 256 + 1`` for all traced sizes, but not for 231."""

    def windows(x):
        x = x[:, ::32, ::32]
        x = nn.functional.pad(x, (0, -x.shape[2] % 7, 0, -x.shape[1] % 7)).roll((1, 1), (1, 2))
        return x.reshape(x.shape[0], x.shape[1] // 7, 7, x.shape[2] // 7, 7)

    sizes = {"x": {1: "height", 2: "width"}}
    made = export(lambda x: windows(x), fb.randn(1, 256, 320), dynamic_axes=sizes, input_names=["x"])
    for shape in ((1, 256, 320), (1, 231, 448), (1, 100, 999)):
        compare(made, windows, fb.randn(*shape))


def test_a_small_batch_stays_small_at_other_sizes_of_an_image():
    seen = []

    def model(x):
        seen.append(tuple(map(int, x.shape)))
        return x[:, ::2, ::2]

    export(model, fb.randn(2, 64, 96), dynamic_axes={"x": {0: "n", 1: "h", 2: "w"}}, input_names=["x"])
    batches, heights, _ = zip(*seen, strict=True)
    assert max(heights) > 64 and max(batches) < 8


def test_a_model_that_fills_a_cache_at_its_first_call_is_exported(compare):
    class Weighted(nn.Module):
        weights = None

        def forward(self, x):
            if self.weights is None:
                self.weights = fb.arange(4.0).exp()
            return x * self.weights

    compare(export(Weighted(), fb.rand(3, 4), dynamic_axes={"x": {0: "n"}}), Weighted(), fb.rand(5, 4))
    model = Weighted()
    above = export(lambda x: model(x[x[:, 0] > 0.5]), fb.rand(9, 4))
    compare(above, lambda x: x[x[:, 0] > 0.5] * fb.arange(4.0).exp(), fb.rand(9, 4))


@pytest.mark.parametrize("shift", [1, -1, 5, -5, 3, 0])
def test_roll_of_a_dynamic_dimension_takes_the_shift_modulo_its_size(shift, compare):
    exported = export(lambda x: x.roll(shift, 0), fb.rand(4, 2), dynamic_axes={"x": {0: "n"}})
    for size in (1, 3, 5, 7):
        compare(exported, lambda x: x.roll(shift, 0), fb.rand(size, 2))


def test_export_accepts_operator_export_types():
    for kind in OperatorExportTypes:
        program = export(nn.Linear(3, 2), fb.rand(4, 3), operator_export_type=kind)
        assert [node.op_type for node in program.model_proto.graph.node] == ["Gemm"]
    assert [int(kind) for kind in OperatorExportTypes] == [0, 1, 2, 3]
