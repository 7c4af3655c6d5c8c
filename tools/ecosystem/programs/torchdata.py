"""Torchdata: loaders that save their state in the middle of an epoch and resume from it."""

import torch
from torch.utils.data import Dataset, IterableDataset, TensorDataset
from torchdata.nodes import Batcher, Loader, Mapper, SamplerWrapper
from torchdata.stateful_dataloader import StatefulDataLoader
from torchdata.stateful_dataloader.sampler import StatefulDistributedSampler

from tools.ecosystem.cases import normal


class _Counted(Dataset):
    """Dataset whose state is the number of samples that were read."""

    def __init__(self):
        self.values, self.reads = normal(10, 2), 0

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        self.reads += 1
        return self.values[index], self.reads

    def state_dict(self):
        return {"reads": self.reads}

    def load_state_dict(self, state):
        self.reads = state["reads"]


class _Stream(IterableDataset):
    """Stream that is its own iterator and whose state is its position."""

    def __init__(self, length=11):
        self.position, self.length = 0, length

    def __iter__(self):
        return self

    def __next__(self):
        if self.position == self.length:
            self.position = 0
            raise StopIteration
        self.position += 1
        return float(self.position)

    def state_dict(self):
        return {"position": self.position}

    def load_state_dict(self, state):
        self.position = state["position"]


class _Forgetful(IterableDataset):
    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        yield from range(first, 9, step)


def _interrupted(make, batches=2):
    """Stop a pass after some batches, resume it with another loader, and make one more pass."""
    loader = make()
    passing = iter(loader)
    first = [next(passing) for _ in range(batches)]
    state, rest = loader.state_dict(), list(passing)
    other = make()
    other.load_state_dict(state)
    return {"first": first, "rest": rest, "resumed": list(other), "next": list(other)}


def _seeded(seed=3):
    return torch.Generator().manual_seed(seed)


def in_order():
    data = TensorDataset(normal(9, 3), torch.arange(9))
    return _interrupted(lambda: StatefulDataLoader(data, batch_size=2, num_workers=0))


def shuffled():
    data = TensorDataset(torch.arange(20))
    return _interrupted(lambda: StatefulDataLoader(data, batch_size=3, shuffle=True, generator=_seeded()), 4)


def stateful_datasets():
    options = {"batch_size": 4, "shuffle": True}
    return {
        "indices": _interrupted(lambda: StatefulDataLoader(_Counted(), generator=_seeded(), **options)),
        "stream": _interrupted(lambda: StatefulDataLoader(_Stream(), batch_size=3)),
        "dropped": _interrupted(lambda: StatefulDataLoader(_Stream(), batch_size=3, drop_last=True)),
        "samples": _interrupted(lambda: StatefulDataLoader(_Stream(), batch_size=None)),
        "forgetful": _interrupted(lambda: StatefulDataLoader(_Forgetful(), batch_size=2)),
    }


def states():
    loader = StatefulDataLoader(_Counted(), batch_size=4, generator=_seeded())
    before = loader.state_dict()
    list(loader)
    return {"before": before, "after": loader.state_dict(), "length": len(loader)}


def workers():
    data = TensorDataset(normal(12, 3), torch.arange(12))
    options = {"batch_size": 2, "num_workers": 2, "multiprocessing_context": "fork"}
    return {
        "shuffled": _interrupted(lambda: StatefulDataLoader(data, shuffle=True, generator=_seeded(), **options), 3),
        "stream": _interrupted(lambda: StatefulDataLoader(_Forgetful(), **options)),
    }


def shares():
    data = TensorDataset(torch.arange(16))

    def make():
        sampler = StatefulDistributedSampler(data, num_replicas=2, rank=1, shuffle=False)
        return StatefulDataLoader(data, batch_size=2, sampler=sampler)

    return _interrupted(make)


def nodes():
    node = SamplerWrapper(torch.utils.data.SequentialSampler(range(7)))
    loader = Loader(Batcher(Mapper(node, lambda i: i * i), batch_size=2, drop_last=False))
    passing = iter(loader)
    first, state = next(passing), loader.state_dict()
    loader.load_state_dict(state)
    return {"first": first, "rest": list(loader)}
