"""Tensordict: dictionaries whose tensors are reshaped together, and modules that read and write their entries."""

import torch
from tensordict import LazyStackedTensorDict, TensorDict, tensorclass
from tensordict.nn import TensorDictModule, TensorDictSequential

from tools.ecosystem.cases import fill, normal


def _data(seed=0):
    nested = {"reward": normal(4, 3, 1, seed=seed + 2), "done": normal(4, 3, 1, seed=seed + 1) > 0}
    return TensorDict({"obs": normal(4, 3, 5, seed=seed), "next": nested}, batch_size=[4, 3])


def _plain(data):
    leaves = data.items(include_nested=True, leaves_only=True)
    named = {".".join(key) if isinstance(key, tuple) else key: value for key, value in leaves}
    return {"sizes": list(data.batch_size), **dict(sorted(named.items()))}


def indexing():
    data = _data()
    mask = data["next", "reward"].squeeze(-1) > 0
    written = data.clone()
    written[0] = data[1]
    return {
        "row": _plain(data[1]),
        "mask": _plain(data[mask]),
        "slice": _plain(data[:, 1:]),
        "view": _plain(data.view(-1)),
        "permuted": _plain(data.permute(1, 0)),
        "unsqueezed": _plain(data.unsqueeze(0)),
        "written": _plain(written),
        "keys": sorted(str(key) for key in data.keys(True)),
    }


def joining():
    parts = [_data(seed) for seed in (0, 10)]
    lazy = LazyStackedTensorDict.lazy_stack([TensorDict({"a": normal(3, seed=seed)}, []) for seed in range(3)])
    return {
        "stacked": _plain(torch.stack(parts, 0)),
        "joined": _plain(torch.cat(parts, 1)),
        "split": [_plain(part) for part in parts[0].split(2, 0)],
        "chunks": [_plain(part) for part in parts[0].unbind(1)],
        "gathered": _plain(parts[0].gather(0, torch.tensor([[0, 1, 2], [3, 2, 1]]))),
        "lazy": lazy["a"],
    }


def arithmetic():
    data = _data().select("obs", ("next", "reward"))
    flat = data.flatten_keys(".")
    return {
        "sum": _plain(data + data),
        "applied": _plain(data.apply(lambda value: value.exp())),
        "mean": _plain(data.mean(dim=1)),
        "norm": {key: value.norm() for key, value in flat.items()},
        "scaled": _plain(data.mul(2).sub(data)),
        "where": _plain(data.where(torch.arange(4)[:, None].expand(4, 3) > 1, torch.zeros_like(data))),
        "flat": _plain(flat),
        "nested": _plain(flat.unflatten_keys(".")),
        "half": str(data.to(torch.float64)["obs"].dtype),
    }


def modules():
    first = fill(torch.nn.Linear(5, 8))
    second = fill(torch.nn.Linear(8, 2), seed=1)
    chain = TensorDictSequential(
        TensorDictModule(first, in_keys=["obs"], out_keys=["hidden"]),
        TensorDictModule(torch.tanh, in_keys=["hidden"], out_keys=["squashed"]),
        TensorDictModule(second, in_keys=["squashed"], out_keys=[("out", "mean")]),
    )
    out = chain(_data())
    out["out", "mean"].square().mean().backward()
    parameters = TensorDict.from_module(first)
    with parameters.data.mul(2).to_module(first):
        doubled = first(normal(2, 5))
    return {
        "out": _plain(out),
        "gradient": first.weight.grad,
        "doubled": doubled,
        "keys": [str(k) for k in chain.in_keys],
    }


@tensorclass
class _Sample:
    image: torch.Tensor
    label: torch.Tensor


def classes():
    sample = _Sample(image=normal(4, 3, 2), label=torch.arange(4), batch_size=[4])
    stacked = torch.stack([sample, sample])
    return {"image": sample[1:3].image, "label": stacked.label, "sizes": list(stacked.batch_size)}


def stored(folder=None):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        _data().memmap(folder)
        return _plain(TensorDict.load_memmap(folder).clone())
