"""Data-parallel training in two processes, as in PyTorch's tutorial on DistributedDataParallel."""

import os
import socket
import tempfile

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn as nn
import torch.optim as optim
from torch.nn.parallel import DistributedDataParallel as DDP


def free_port():
    with socket.socket() as sock:
        sock.bind(("localhost", 0))
        return sock.getsockname()[1]


def setup(rank, world_size, port):
    os.environ["MASTER_ADDR"] = "localhost"
    os.environ["MASTER_PORT"] = str(port)
    dist.init_process_group("gloo", rank=rank, world_size=world_size)


def cleanup():
    dist.destroy_process_group()


class ToyModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.net1 = nn.Linear(10, 10)
        self.relu = nn.ReLU()
        self.net2 = nn.Linear(10, 5)

    def forward(self, x):
        return self.net2(self.relu(self.net1(x)))


def train(ddp_model, steps):
    loss_fn = nn.MSELoss()
    optimizer = optim.SGD(ddp_model.parameters(), lr=0.1)
    inputs = torch.randn(20, 10)
    labels = inputs[:, :5].clamp(min=0)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_fn(ddp_model(inputs), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def same_everywhere(model):
    """Return True if all processes have the parameters of the first one."""
    flat = torch.cat([p.detach().flatten() for p in model.parameters()])
    gathered = [torch.empty_like(flat) for _ in range(dist.get_world_size())]
    dist.all_gather(gathered, flat)
    return all(torch.equal(each, gathered[0]) for each in gathered)


def demo_basic(rank, world_size, port):
    print(f"Running basic DDP example on rank {rank}.")
    setup(rank, world_size, port)
    torch.manual_seed(rank)  # other parameters and other data in each process
    model = ToyModel()
    ddp_model = DDP(model)
    losses = train(ddp_model, 200)
    assert losses[-1] < losses[0] / 2, (losses[0], losses[-1])
    assert same_everywhere(ddp_model)
    cleanup()


def demo_checkpoint(rank, world_size, port, path):
    print(f"Running DDP checkpoint example on rank {rank}.")
    setup(rank, world_size, port)
    torch.manual_seed(rank)
    ddp_model = DDP(ToyModel())
    if rank == 0:
        torch.save(ddp_model.state_dict(), path)
    dist.barrier()  # wait until the first process has saved the file

    train(ddp_model, 5)
    map_location = {"cuda:0": f"cuda:{rank}"}
    saved = torch.load(path, map_location=map_location, weights_only=True)
    assert set(saved) == {"module.net1.weight", "module.net1.bias", "module.net2.weight", "module.net2.bias"}
    ddp_model.load_state_dict(saved)
    for name, value in ddp_model.state_dict().items():
        assert torch.equal(value, saved[name])

    before = {name: value.clone() for name, value in saved.items()}
    train(ddp_model, 5)
    assert same_everywhere(ddp_model)
    assert not torch.equal(ddp_model.module.net1.weight, before["module.net1.weight"])

    dist.barrier()  # wait until all processes have read the file
    if rank == 0:
        os.remove(path)
    cleanup()


def run_demo(demo_fn, world_size, *args):
    mp.spawn(demo_fn, args=(world_size, free_port(), *args), nprocs=world_size, join=True)


if __name__ == "__main__":
    assert dist.is_available()
    run_demo(demo_basic, 2)
    with tempfile.TemporaryDirectory() as folder:
        run_demo(demo_checkpoint, 2, os.path.join(folder, "model.checkpoint"))
    print("done")
