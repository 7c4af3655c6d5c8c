"""A model is trained, traced, saved and loaded again, as in PyTorch's tutorials on TorchScript."""

import io
import tempfile
from pathlib import Path

import torch
from torch import nn

torch.manual_seed(0)


class Decision(nn.Module):
    def forward(self, x):
        return torch.where(x.sum() > 0, x, -x)


class Cell(nn.Module):
    def __init__(self, decision):
        super().__init__()
        self.decision = decision
        self.linear = nn.Linear(4, 4)

    def forward(self, x, h):
        new_h = torch.tanh(self.decision(self.linear(x)) + h)
        return new_h, new_h


cell = Cell(Decision())
x, h = torch.rand(3, 4), torch.rand(3, 4)
traced = torch.jit.trace(cell, (x, h))
assert isinstance(traced, torch.jit.ScriptModule)
for batch in (3, 7):
    x, h = torch.rand(batch, 4), torch.rand(batch, 4)
    assert torch.allclose(traced(x, h)[0], cell(x, h)[0])

optimizer = torch.optim.SGD(traced.parameters(), lr=0.1)
for _ in range(3):
    optimizer.zero_grad()
    traced(x, h)[0].pow(2).sum().backward()
    optimizer.step()
assert torch.equal(traced.linear.weight, cell.linear.weight)

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "cell.pt"
    traced.save(str(path))
    loaded = torch.jit.load(str(path))
    loaded.eval()
buffer = io.BytesIO()
torch.jit.save(loaded, buffer)
buffer.seek(0)
again = torch.jit.load(buffer, map_location=torch.device("cpu"))
with torch.no_grad():
    outputs = again(x, h)
assert isinstance(outputs, tuple) and torch.allclose(outputs[1], cell(x, h)[1])

loop = torch.jit.trace(lambda rows: torch.stack([row.sum() for row in rows]), torch.rand(5, 2))
assert loop(torch.ones(5, 2)).tolist() == [2.0] * 5
print("traced, trained, saved, loaded")
