"""Safetensors: files of tensors, written and read."""

import tempfile
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load, load_file, load_model, save, save_file, save_model

from tools.ecosystem.cases import fill, integers, normal


def _tensors():
    return {
        "floats": normal(3, 4),
        "halves": normal(5).to(torch.float16),
        "brains": normal(2, 2).to(torch.bfloat16),
        "numbers": integers(9, 6),
        "flags": normal(7) > 0,
        "nothing": torch.zeros(0, 3),
        "single": torch.tensor(2.5, dtype=torch.float64),
    }


def files():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "some.safetensors")
        save_file(_tensors(), path, metadata={"format": "pt"})
        with safe_open(path, framework="pt") as opened:
            part = opened.get_slice("floats")[1:, :2]
            read = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # it has no iterator
            metadata = opened.metadata()
        return {"loaded": load_file(path), "part": part, "read": read, "metadata": metadata}


def bytes_of_tensors():
    written = save(_tensors())
    return {"written": written.hex(), "loaded": load(written)}


def models():
    model = fill(torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3)))
    tied = torch.nn.Sequential(model, model[0])
    other = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    other = torch.nn.Sequential(other, other[0])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        save_model(tied, path)
        missing, unexpected = load_model(other, path)
        names = sorted(load_file(path))
    return {"names": names, "missing": sorted(missing), "unexpected": sorted(unexpected), **other.state_dict()}
