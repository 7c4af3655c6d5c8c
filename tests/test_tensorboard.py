"""Tests of event files, which TensorBoard itself reads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import flambeau as fb
from flambeau import nn
from flambeau.utils.tensorboard import SummaryWriter

reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard")


def read(folder: Path):
    """Read the event files in a folder with TensorBoard."""
    found = reading.EventAccumulator(str(folder), size_guidance={"images": 0, "tensors": 0, "histograms": 0})
    return found.Reload()


def test_add_scalar_and_add_scalars_write_events(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        for step in range(5):
            writer.add_scalar("loss", fb.tensor(1.0 / (step + 1), requires_grad=True), step)
        writer.add_scalar("half", fb.tensor(0.5, dtype=fb.bfloat16), global_step=7)
        writer.add_scalars("both", {"train": fb.tensor(1.0), "test": 2.0}, 3)
    found = read(tmp_path)
    assert [event.step for event in found.Scalars("loss")] == [0, 1, 2, 3, 4]
    np.testing.assert_allclose([event.value for event in found.Scalars("loss")], [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5])
    assert found.Scalars("half")[0].value == 0.5
    assert read(tmp_path / "both" / "test").Scalars("both")[0].value == 2.0
    assert writer.log_dir == writer.get_logdir() == str(tmp_path)


def test_flush_writes_all_events(tmp_path: Path) -> None:
    writer = SummaryWriter(tmp_path)
    for step in range(30):
        writer.add_scalar("loss", step / 2, step)
        if step in (4, 29):
            writer.add_scalars("both", {"train": 1.0}, step)
            writer.flush()
            assert [event.step for event in read(tmp_path).Scalars("loss")] == [*range(step + 1)]
            assert len(read(tmp_path / "both" / "train").Scalars("both")) == (1 if step == 4 else 2)
    writer.close()
    writer.flush()  # flush() has no effect after close()


def test_add_histogram_writes_the_counts(tmp_path: Path) -> None:
    values = fb.linspace(-1, 1, 101)
    with SummaryWriter(tmp_path) as writer:
        writer.add_histogram("weights", values, 1)
        writer.add_histogram("tens", values, 1, bins=10)
    (event,) = read(tmp_path).Histograms("weights")
    assert event.histogram_value.num == 101 and event.histogram_value.min == -1 and event.histogram_value.max == 1
    assert sum(event.histogram_value.bucket) == 101


def test_images_and_figures_are_written(tmp_path: Path) -> None:
    figure = Figure()
    figure.add_subplot().plot([1, 2, 3])
    with SummaryWriter(tmp_path) as writer:
        writer.add_image("one", fb.rand(3, 8, 12), 0)
        writer.add_image("grey", fb.zeros(8, 12, dtype=fb.uint8), 0, dataformats="HW")
        writer.add_images("several", fb.rand(4, 3, 8, 8), 0)
        writer.add_figure("figure", figure, 0)
    found = read(tmp_path)
    assert set(found.Tags()["images"]) == {"one", "grey", "several", "figure"}
    (event,) = found.Images("one")
    assert (event.height, event.width) == (8, 12) and event.encoded_image_string.startswith(b"\x89PNG")


def test_text_embeddings_and_curves_are_written(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_text("note", "a **word**", 2)
        writer.add_pr_curve("curve", fb.tensor([0, 1, 1, 0]), fb.tensor([0.1, 0.9, 0.6, 0.4]), 0)
        writer.add_embedding(fb.eye(3), metadata=["a", "b", "c"], label_img=fb.rand(3, 3, 4, 4), tag="points")
    tags = read(tmp_path).Tags()["tensors"]
    assert "note/text_summary" in tags and "curve" in tags
    (table,) = tmp_path.glob("*/points/tensors.tsv")
    np.testing.assert_allclose(np.loadtxt(table), np.eye(3))
    assert "points" in (tmp_path / "projector_config.pbtxt").read_text()


def test_hyperparameters_are_written_to_a_separate_run(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_hparams({"lr": 0.1, "layers": 2, "name": "small"}, {"accuracy": fb.tensor(0.75)}, run_name="first")
    assert read(tmp_path / "first").Scalars("accuracy")[0].value == 0.75


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Linear(4 * 36, 2)

    def forward(self, x):
        return self.head(self.features(x).flatten(1)) + 1


def test_a_graph_has_the_layers_as_scopes(tmp_path: Path) -> None:
    model, x = Network(), fb.rand(2, 1, 8, 8)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with SummaryWriter(tmp_path) as writer:
        writer.add_graph(model, x)
    nodes = {node.name: node for node in read(tmp_path).Graph().node}
    assert {"input/0", "output/0", "Network/features/0/weight", "Network/head/bias"} <= set(nodes)
    assert nodes["Network/head/bias"].op == "Parameter"
    relu = next(node for node in nodes.values() if node.name.startswith("Network/features/2/"))
    shape = relu.attr["_output_shapes"].list.shape[0]
    assert [size.size for size in shape.dim] == [2, 4, 6, 6]
    assert all(name in nodes for node in nodes.values() for name in node.input)
    last = nodes[nodes["output/0"].input[0]]
    assert last.name.count("/") == 1, "the addition is the model's own"
    assert model.training and x.grad is None and not x.requires_grad
    assert all(fb.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model._forward_hooks == {} and all(p.grad is None for p in model.parameters())


def test_a_graph_includes_outputs_that_are_parameters_or_inputs(tmp_path: Path) -> None:
    class Passing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(fb.ones(2))

        def forward(self, x: fb.Tensor) -> tuple[fb.Tensor, fb.Tensor]:
            return x, self.weight

    with SummaryWriter(tmp_path) as writer, fb.no_grad():
        writer.add_graph(Passing(), fb.ones(2))
    inputs = {node.name: list(node.input) for node in read(tmp_path).Graph().node}
    assert inputs["output/0"] == ["input/0"] and inputs["output/1"] == ["Passing/weight"]


def test_a_graph_without_gradients_is_rejected(tmp_path: Path) -> None:
    model = nn.Embedding(3, 2).requires_grad_(False)
    with SummaryWriter(tmp_path) as writer, pytest.raises(RuntimeError, match="no output of the model requires grad"):
        writer.add_graph(model, fb.tensor([1]))


def test_without_tensorboardx_the_error_says_what_to_install() -> None:
    program = """
import sys
sys.modules["tensorboardX"] = None
try:
    from flambeau.utils.tensorboard import SummaryWriter
except ImportError as error:
    print(error)
"""
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "pip install" in printed and "tensorboardX" in printed
