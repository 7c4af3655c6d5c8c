"""Test of TensorboardX, which writes event files for TensorBoard.

TensorboardX recognises tensors by the name of their class, so the programs pass NumPy arrays and numbers.
"""

import tempfile
from pathlib import Path

import torch
from tensorboardX import SummaryWriter
from tensorboardX.proto.event_pb2 import Event

from tools.ecosystem.cases import fill, normal, uniform


def _events(write):
    """Call ``write`` with a SummaryWriter and return the values that it writes, serialised, by tag and step."""
    with tempfile.TemporaryDirectory() as folder:
        with SummaryWriter(folder) as writer:
            write(writer)
        data = b"".join(path.read_bytes() for path in sorted(Path(folder).rglob("events*")))
    found, at = {}, 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 8], "little")
        event = Event.FromString(data[at + 12 : at + 12 + length])
        at += length + 16
        for value in event.summary.value:
            value.metadata.Clear()
            found[f"{value.tag}:{event.step}"] = value.SerializeToString().hex()
    return found


def scalars():
    def write(writer):
        for step in range(3):
            writer.add_scalar("loss", torch.tensor(1.5 / (step + 1)).item(), step)
            writer.add_scalar("number", 2.0 * step, step)
            writer.add_text("note", f"step {step}", step)

    return _events(write)


def arrays():
    model = fill(torch.nn.Linear(4, 3))

    def write(writer):
        writer.add_histogram("weight", model.weight.detach().numpy(), 0, bins="auto")
        writer.add_histogram("input", normal(100).numpy(), 1)
        writer.add_image("image", uniform(3, 8, 8).numpy(), 0)
        writer.add_images("images", uniform(2, 3, 8, 8).numpy(), 0)
        writer.add_pr_curve("curve", (torch.arange(20) % 2).numpy(), uniform(20).numpy(), 0)

    return _events(write)


def embedding():
    with tempfile.TemporaryDirectory() as folder:
        with SummaryWriter(folder) as writer:
            writer.add_embedding(
                normal(5, 4).numpy(), metadata=list("abcde"), label_img=uniform(5, 3, 4, 4).numpy(), global_step=1
            )
        files = {path.name: path for path in Path(folder).rglob("*") if path.suffix in (".tsv", ".png")}
        return {name: path.read_bytes().hex() for name, path in sorted(files.items())}
