"""A small transformer from a folder with a hubconf.py: compares the speed of attention methods and profiles them."""

import os
import tempfile
from pathlib import Path

import torch
import torch.utils.benchmark as benchmark
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.bias import causal_lower_right
from torch.profiler import ProfilerActivity, profile, record_function, schedule, tensorboard_trace_handler
from torch.utils.hooks import RemovableHandle

HUBCONF = '''
dependencies = ["torch"]
from blocks import Block as _Block

def block(width=16, heads=2):
    """One block of a transformer."""
    return _Block(width, heads)
'''
BLOCKS = """
import torch
from torch import nn
import torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x, mask=None):
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, mask, is_causal=mask is None)
        return x + self.out(y.transpose(1, 2).flatten(2))
"""

folder = Path(tempfile.mkdtemp())
(folder / "hubconf.py").write_text(HUBCONF)
(folder / "blocks.py").write_text(BLOCKS)
torch.manual_seed(0)
model = torch.hub.load(str(folder), "block", source="local", width=32, heads=4)
torch.hub.set_dir(folder / "hub")
assert torch.hub.get_dir() == str(folder / "hub") and sum(p.numel() for p in model.parameters()) == 4224

x = torch.randn(2, 24, 32)
expected = model(x)
results = []
for backend in (SDPBackend.MATH, SDPBackend.FLASH_ATTENTION):
    with sdpa_kernel(backend):
        assert torch.allclose(model(x), expected, atol=1e-5)
        timer = benchmark.Timer(
            "model(x)", globals={"model": model, "x": x}, label="block", sub_label=backend.name, description="24 words"
        )
        results.append(timer.blocked_autorange(min_run_time=0.05))
    assert results[-1].median > 0 and results[-1].num_threads == 1
table = str(benchmark.Compare(results))
print(table)
assert "MATH" in table and "FLASH_ATTENTION" in table and "24 words" in table
with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH], set_priority=True):
    assert torch.allclose(model(x, causal_lower_right(24, 24)), expected, atol=1e-5)

seen = []
handle = model.qkv.register_forward_hook(lambda module, args, output: seen.append(output.shape))
assert isinstance(handle, RemovableHandle)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
write = tensorboard_trace_handler(str(folder / "traces"))
keys = []


def ready(profiled):
    keys.append({average.key for average in profiled.key_averages()})
    write(profiled)


with profile(
    activities=[ProfilerActivity.CPU], schedule=schedule(wait=1, warmup=1, active=2), on_trace_ready=ready
) as profiled:
    for _ in range(8):
        with record_function("forward"):
            loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        profiled.step()
handle.remove()
model(x)
assert len(seen) == 8 and len(keys) == 2 and "forward" in keys[0] and "ProfilerStep*" in keys[0]
assert len(os.listdir(folder / "traces")) == 2
print(profiled.key_averages().table(sort_by="self_cpu_time_total", row_limit=5))
