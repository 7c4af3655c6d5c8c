"""Performance settings in scripts, on any machine: threads, cudnn, autocast, GradScaler, compile, jit, profiler."""

import time
import warnings
from contextlib import nullcontext

import torch
import torch.backends.cudnn as cudnn
import torch.multiprocessing as mp
import torch.nn as nn
import torch.nn.functional as F
from torch.amp import GradScaler, autocast
from torch.profiler import ProfilerActivity, profile, record_function

warnings.filterwarnings("ignore")  # warnings about missing compilers
torch.manual_seed(0)
torch.cuda.manual_seed_all(0)
torch.set_num_threads(1)
torch.set_float32_matmul_precision("high")
torch.use_deterministic_algorithms(True)
cudnn.benchmark, cudnn.deterministic = False, True
torch.backends.cuda.matmul.allow_tf32 = True
print(f"threads {torch.get_num_threads()}, cuda {torch.version.cuda}, devices {torch.cuda.device_count()}")
device = torch.device("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
if device.type == "cuda":
    torch.cuda.synchronize()
    torch.cuda.empty_cache()


@torch.jit.script
def fused_gelu(x):
    return x * 0.5 * (1.0 + torch.erf(x / 1.41421))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter, self.leave = nn.Linear(8, 64), nn.Linear(64, 2)

    def forward(self, x):
        with record_function("hidden"):
            x = fused_gelu(self.enter(x))
        return self.leave(x)


def worker(rank, offset):
    assert torch.arange(3).sum().item() + rank + offset == rank + 5


def main():
    x = torch.randn(256, 8, device=device)
    y = (x[:, 0] * x[:, 1] > 0).long()
    for dtype, compiled in ((torch.float32, True), (torch.bfloat16, False)):
        model = Net().to(device)
        model = torch.compile(model) if compiled and hasattr(torch, "compile") else model
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
        scaler = GradScaler(device.type, enabled=device.type == "cuda")
        ctx = nullcontext() if dtype == torch.float32 else autocast(device_type=device.type, dtype=dtype)
        started = time.perf_counter()
        for _ in range(80):
            with ctx:
                logits = model(x)
                loss = F.cross_entropy(logits, y)
            assert logits.dtype == dtype
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad(set_to_none=True)
        accuracy = (model(x).argmax(1) == y).float().mean().item()
        print(f"{dtype}: loss {loss.item():.4f}, accuracy {accuracy:.3f}, {time.perf_counter() - started:.2f} s")
        assert accuracy > 0.9 and all(p.dtype == torch.float32 for p in model.parameters())

    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as prof, record_function("inference"):
        Net()(x)
    names = {event.key for event in prof.key_averages()}
    print(prof.key_averages().table(sort_by="cpu_time_total", row_limit=5))
    assert {"inference", "hidden"} <= names
    mp.spawn(worker, args=(2,), nprocs=1)


if __name__ == "__main__":
    main()
