"""A trainer as in PyTorch's tutorials on distributed training, which `torchrun` starts and which can resume."""

import argparse
import os

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch.distributed import destroy_process_group, init_process_group
from torch.distributed.elastic.multiprocessing.errors import record
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler


class RandomRows(Dataset):
    def __init__(self, size):
        self.rows = [(torch.rand(20), torch.rand(1)) for _ in range(size)]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]


class Trainer:
    def __init__(self, model, loader, optimizer, snapshot):
        self.rank = int(os.environ["RANK"])
        self.loader, self.optimizer, self.snapshot, self.first_epoch = loader, optimizer, snapshot, 0
        if os.path.exists(snapshot):
            saved = torch.load(snapshot, map_location="cpu")
            model.load_state_dict(saved["MODEL_STATE"])
            self.first_epoch = saved["EPOCHS_RUN"]
            print(f"resuming at epoch {self.first_epoch}")
        self.model = DistributedDataParallel(model)

    def batch(self, source, targets):
        self.optimizer.zero_grad()
        loss = F.mse_loss(self.model(source), targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return loss.detach()

    def train(self, epochs):
        for epoch in range(self.first_epoch, epochs):
            self.loader.sampler.set_epoch(epoch)
            total = torch.zeros(())
            for source, targets in self.loader:
                total += self.batch(source, targets)
            dist.reduce(total, dst=0, op=dist.ReduceOp.AVG)
            if self.rank == 0:
                print(f"epoch {epoch}: {total.item() / len(self.loader):.4f}", flush=True)
                torch.save({"MODEL_STATE": self.model.module.state_dict(), "EPOCHS_RUN": epoch + 1}, self.snapshot)


@record
def main(epochs, snapshot):
    init_process_group(backend="gloo")
    torch.manual_seed(0)
    data = RandomRows(128)
    model = torch.nn.Sequential(
        torch.nn.Linear(20, 16), torch.nn.BatchNorm1d(16), torch.nn.ReLU(), torch.nn.Linear(16, 1)
    )
    model = torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    loader = DataLoader(data, batch_size=16, sampler=DistributedSampler(data))
    Trainer(model, loader, optimizer, snapshot).train(epochs)
    destroy_process_group()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("epochs", type=int)
    parser.add_argument("--snapshot", default="snapshot.pt")
    arguments = parser.parse_args()
    main(arguments.epochs, arguments.snapshot)
