"""Tests that random numbers from a seed equal PyTorch's: operators, initial weights, generators and loaders."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import flambeau as fb

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("pytorch_streams")]

FLOATING = ("float32", "float64", "float16", "bfloat16")
SIZES = (0, 1, 5, 15, 16, 17, 31, 100, 1000, 70001)


def array(tensor: Any) -> np.ndarray[Any, Any]:
    detached = tensor.detach()
    if str(detached.dtype).endswith("float16"):
        detached = detached.float()
    values: np.ndarray[Any, Any] = detached.numpy()
    return values


def compare(draw: Callable[[Any], Any], ulps: int = 0, seed: int = 3) -> None:
    """Draw with both libraries from the same state, and check that results and final generator states agree."""
    found, states = [], []
    for lib in (fb, torch):
        lib.manual_seed(seed)
        drawn = draw(lib)
        drawn = drawn if isinstance(drawn, (tuple, list)) else [drawn]
        found.append([array(each) for each in drawn])
        states.append(lib.get_rng_state().numpy())
    for ours, theirs in zip(*found, strict=True):
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
        if ulps:
            np.testing.assert_array_max_ulp(ours, theirs, ulps)
        else:
            np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(*states)


def dtype_of(lib: Any, name: str) -> Any:
    return getattr(lib, name)


def ramp(lib: Any, count: int, dtype: str = "float32") -> Any:
    """Return numbers of both signs that every dtype can represent."""
    return (lib.arange(count, dtype=dtype_of(lib, dtype)) - count // 2) / 64


def upward(lib: Any, count: int, dtype: str = "float32") -> Any:
    """Return positive numbers in ascending order."""
    return (lib.arange(count, dtype=dtype_of(lib, dtype)) + 1) / 32


FILLS: dict[str, Callable[[Any], Any]] = {
    "uniform": lambda t: t.uniform_(),
    "uniform between": lambda t: t.uniform_(-0.1, 0.7),
    "normal": lambda t: t.normal_(),
    "normal of a mean": lambda t: t.normal_(0.3, 1.7),
    "exponential": lambda t: t.exponential_(1.5),
    "cauchy": lambda t: t.cauchy_(0.5, 2.0),
    "log_normal": lambda t: t.log_normal_(0.1, 0.5),
    "geometric": lambda t: t.geometric_(0.3),
    "bernoulli": lambda t: t.bernoulli_(0.3),
    "random": lambda t: t.random_(),
    "random up to": lambda t: t.random_(100),
    "random between": lambda t: t.random_(-7, 100),
}


@pytest.mark.parametrize("dtype", FLOATING)
@pytest.mark.parametrize("name", FILLS)
def test_random_fills_of_every_size_equal_pytorch(name: str, dtype: str) -> None:
    for size in SIZES:
        compare(lambda lib, size=size: FILLS[name](lib.empty(size, dtype=dtype_of(lib, dtype))))


@pytest.mark.parametrize("name", FILLS)
def test_random_fills_of_noncontiguous_tensors_equal_pytorch(name: str) -> None:
    layouts: list[Callable[[Any], Any]] = [
        lambda lib: lib.zeros(6, 10).t(),
        lambda lib: lib.zeros(6, 10)[:, ::2],
        lambda lib: lib.zeros(2, 3, 4, 5).permute(2, 0, 3, 1),
        lambda lib: lib.zeros(2, 3, 4, 5).to(memory_format=lib.channels_last),
        lambda lib: lib.zeros(2, 1, 4, 5).permute(2, 0, 3, 1)[1:],
    ]
    for layout in layouts:
        compare(lambda lib, layout=layout: FILLS[name](layout(lib)))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64", "bool"])
def test_random_integers_of_every_dtype_equal_pytorch(dtype: str) -> None:
    compare(lambda lib: lib.empty(1000, dtype=dtype_of(lib, dtype)).random_())
    compare(lambda lib: lib.empty(1000, dtype=dtype_of(lib, dtype)).random_(2))
    compare(lambda lib: lib.empty(1000, dtype=dtype_of(lib, dtype)).bernoulli_(0.4))
    if dtype != "bool":
        compare(lambda lib: lib.empty(1000, dtype=dtype_of(lib, dtype)).geometric_(0.4))


def test_random_integers_of_wide_ranges_equal_pytorch() -> None:
    for high in (2, 2**28 - 1, 2**28, 2**31, 2**32, 2**62):
        compare(lambda lib, high=high: lib.randint(0, high, (1000,)))
        compare(lambda lib, high=high: lib.randint(-high, high, (7, 3)))
    compare(lambda lib: lib.empty(9, dtype=lib.int64).random_(-(2**63), None))
    compare(lambda lib: lib.empty(9, dtype=lib.int64).random_(-5, None))
    compare(lambda lib: lib.empty(9, dtype=lib.int32).random_(0, None))
    for dtype, high in (("float32", 2**30), ("float16", 65504), ("bfloat16", 3001), ("float64", 2**60)):
        compare(lambda lib, d=dtype, high=high: lib.empty(500, dtype=dtype_of(lib, d)).random_(-high, high))


def test_random_complex_numbers_equal_pytorch() -> None:
    compare(lambda lib: lib.view_as_real(lib.randn(5, dtype=lib.complex64)))
    compare(lambda lib: lib.view_as_real(lib.randn(50, dtype=lib.complex128)))
    compare(lambda lib: lib.view_as_real(lib.rand(50, dtype=lib.complex64)))


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "rand": lambda lib: lib.rand(3, 5),
    "randn": lambda lib: lib.randn(3, 7),
    "rand of float64": lambda lib: lib.rand(33, dtype=lib.float64),
    "randn of float64": lambda lib: lib.randn(33, dtype=lib.float64),
    "a normal number that is kept": lambda lib: [lib.randn(3), lib.randn(3), lib.randn(20), lib.randn(2)],
    "rand_like": lambda lib: lib.rand_like(lib.zeros(6, 5).t()),
    "randn_like": lambda lib: lib.randn_like(lib.zeros(6, 5).t()),
    "randint_like": lambda lib: lib.randint_like(lib.zeros(6, 5), 3, 9),
    "rand to a result": lambda lib: lib.rand(3, 5, out=lib.empty(3, 5)),
    "randn to a result": lambda lib: lib.randn(6, 5, out=lib.empty(0)),
    "randint to a result": lambda lib: lib.randint(9, (3, 5), out=lib.empty(3, 5, dtype=lib.int64)),
    "randperm": lambda lib: [lib.randperm(n) for n in (0, 1, 2, 10, 1000, 40001)],
    "randperm of int32": lambda lib: lib.randperm(100, dtype=lib.int32),
    "randperm of float32": lambda lib: lib.randperm(100, dtype=lib.float32),
    "normal of tensors": lambda lib: lib.normal(lib.arange(20.0), lib.arange(1.0, 21.0)),
    "normal of a mean": lambda lib: lib.normal(lib.arange(20.0), 0.5),
    "normal of deviations": lambda lib: lib.normal(0.5, lib.arange(1.0, 6.0)),
    "normal that broadcasts": lambda lib: lib.normal(lib.arange(4.0).reshape(4, 1), lib.arange(1.0, 6.0)),
    "normal of numbers": lambda lib: lib.normal(0.5, 2.0, (4, 5)),
    "bernoulli": lambda lib: lib.bernoulli(upward(lib, 32)),
    "bernoulli of float64": lambda lib: lib.bernoulli(upward(lib, 32, "float64")),
    "bernoulli of a number": lambda lib: lib.bernoulli(lib.zeros(50), 0.3),
    "bernoulli_ of a tensor": lambda lib: lib.zeros(6, 5).t().bernoulli_(upward(lib, 6)),
    "bernoulli_ of integers": lambda lib: lib.zeros(4, 6, dtype=lib.int64).bernoulli_(upward(lib, 6)),
    "multinomial of one": lambda lib: lib.multinomial(lib.arange(1.0, 9.0).repeat(20, 1), 1),
    "multinomial of one again": lambda lib: lib.multinomial(lib.arange(1.0, 9.0).repeat(20, 1), 1, True),
    "multinomial": lambda lib: lib.multinomial(lib.arange(1.0, 9.0).repeat(20, 1), 5),
    "multinomial with replacement": lambda lib: lib.multinomial(lib.arange(0.0, 9.0).repeat(20, 1), 15, True),
    "multinomial of float64": lambda lib: lib.multinomial(lib.arange(1.0, 9.0, dtype=lib.float64), 5, True),
    "multinomial of columns": lambda lib: lib.multinomial(lib.arange(1.0, 9.0).repeat(6, 1).t(), 3),
    "multinomial of bfloat16": lambda lib: lib.multinomial(lib.arange(1.0, 9.0).bfloat16(), 5, True),
    "poisson": lambda lib: lib.poisson(upward(lib, 1000)),
    "poisson of float64": lambda lib: lib.poisson(upward(lib, 1000, "float64")),
    "binomial": lambda lib: lib.binomial(lib.arange(500.0) // 4, lib.arange(500.0) / 500),
    "binomial of float64": lambda lib: lib.binomial(
        lib.arange(500.0, dtype=lib.float64) // 4, lib.arange(500, dtype=lib.float64) / 500
    ),
    "gamma": lambda lib: lib._standard_gamma(upward(lib, 500)),
    "gamma of float64": lambda lib: lib._standard_gamma(upward(lib, 500, "float64")),
    "dirichlet": lambda lib: lib._sample_dirichlet(upward(lib, 60).reshape(12, 5)),
    "dropout": lambda lib: lib.nn.functional.dropout(ramp(lib, 1000), 0.1),
    "dropout of float64": lambda lib: lib.nn.functional.dropout(ramp(lib, 1000, "float64"), 0.1),
    "dropout of bfloat16": lambda lib: lib.nn.functional.dropout(ramp(lib, 100).bfloat16(), 0.1),
    "dropout of columns": lambda lib: lib.nn.functional.dropout(ramp(lib, 30).reshape(5, 6).t(), 0.1),
    "dropout in place": lambda lib: lib.nn.functional.dropout(ramp(lib, 30), 0.3, inplace=True),
    "dropout1d": lambda lib: lib.nn.functional.dropout1d(lib.ones(3, 5, 4), 0.3),
    "dropout2d": lambda lib: lib.nn.functional.dropout2d(lib.ones(3, 5, 4, 4), 0.3),
    "dropout3d": lambda lib: lib.nn.functional.dropout3d(lib.ones(3, 5, 2, 2, 2), 0.3),
    "rrelu": lambda lib: lib.nn.functional.rrelu(ramp(lib, 100), training=True),
    "rrelu of columns": lambda lib: lib.nn.functional.rrelu(ramp(lib, 30).reshape(5, 6).t(), training=True),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_random_functions_equal_pytorch(name: str) -> None:
    compare(FUNCTIONS[name])


ROUNDED: dict[str, Callable[[Any], Any]] = {
    "alpha_dropout": lambda lib: lib.nn.functional.alpha_dropout(ramp(lib, 100), 0.3, True),
    "feature_alpha_dropout": lambda lib: lib.nn.functional.feature_alpha_dropout(lib.ones(3, 5, 4), 0.3, True),
    "gumbel_softmax": lambda lib: lib.nn.functional.gumbel_softmax(lib.zeros(3, 5)),
    "attention": lambda lib: lib.nn.functional.scaled_dot_product_attention(
        *(ramp(lib, 2 * 3 * 4 * 8).reshape(2, 3, 4, 8) for _ in range(3)), dropout_p=0.3
    ),
}


@pytest.mark.parametrize("name", ROUNDED)
def test_samplers_with_tensor_parameters_equal_pytorch(name: str) -> None:
    """Compare up to rounding, because these operators compute with the random numbers."""
    results = []
    for lib in (fb, torch):
        lib.manual_seed(3)
        results.append((array(ROUNDED[name](lib)), array(lib.rand(3))))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(results[0][1], results[1][1])


def test_gradient_of_dropout_is_its_mask() -> None:
    def gradient(lib: Any) -> Any:
        x = ramp(lib, 1000).requires_grad_()
        lib.nn.functional.dropout(x, 0.3).pow(2).sum().backward()
        return x.grad

    compare(gradient, ulps=1)


INITIALISERS: dict[str, Callable[[Any], Any]] = {
    "uniform_": lambda lib: lib.nn.init.uniform_(lib.empty(20, 30)),
    "normal_": lambda lib: lib.nn.init.normal_(lib.empty(20, 30)),
    "xavier_uniform_": lambda lib: lib.nn.init.xavier_uniform_(lib.empty(20, 30)),
    "xavier_normal_": lambda lib: lib.nn.init.xavier_normal_(lib.empty(20, 30)),
    "kaiming_uniform_": lambda lib: lib.nn.init.kaiming_uniform_(lib.empty(20, 3, 5, 5), a=math.sqrt(5)),
    "kaiming_normal_": lambda lib: lib.nn.init.kaiming_normal_(lib.empty(20, 3, 5, 5), mode="fan_out"),
    "trunc_normal_": lambda lib: lib.nn.init.trunc_normal_(lib.empty(50, 30), std=0.7),
    "trunc_normal_ without bounds": lambda lib: lib.nn.init.trunc_normal_(lib.empty(50, 30), std=0.02),
    "trunc_normal_ of few": lambda lib: lib.nn.init.trunc_normal_(lib.empty(50, 30), 0, 1, 1, 1.2),
    "sparse_": lambda lib: lib.nn.init.sparse_(lib.empty(20, 30), 0.3),
}


@pytest.mark.parametrize("name", INITIALISERS)
def test_initialisers_equal_pytorch(name: str) -> None:
    compare(INITIALISERS[name])


@pytest.mark.parametrize("shape", [(20, 30), (30, 20), (8, 3, 3, 3)])
def test_orthogonal_initialiser_equals_pytorch(shape: tuple[int, ...]) -> None:
    results = []
    for lib in (fb, torch):
        lib.manual_seed(3)
        results.append(array(lib.nn.init.orthogonal_(lib.empty(*shape))))
    np.testing.assert_allclose(*results, atol=2e-6)


LAYERS: dict[str, Callable[[Any], Any]] = {
    "Linear": lambda nn: nn.Linear(7, 5),
    "Conv2d": lambda nn: nn.Conv2d(3, 8, 3),
    "ConvTranspose2d": lambda nn: nn.ConvTranspose2d(3, 8, 3),
    "Embedding": lambda nn: nn.Embedding(10, 6, padding_idx=2),
    "EmbeddingBag": lambda nn: nn.EmbeddingBag(10, 6),
    "Bilinear": lambda nn: nn.Bilinear(3, 4, 5),
    "LSTM": lambda nn: nn.LSTM(5, 6, 2, bidirectional=True),
    "GRUCell": lambda nn: nn.GRUCell(5, 6),
    "MultiheadAttention": lambda nn: nn.MultiheadAttention(8, 2),
    "Transformer": lambda nn: nn.Transformer(16, 4, 1, 1, 32),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_start_with_the_weights_of_pytorch(name: str) -> None:
    compare(lambda lib: list(LAYERS[name](lib.nn).parameters()), ulps=1)


def test_random_states_can_be_exchanged_with_pytorch() -> None:
    for draws in (0, 1, 623, 624, 625, 3000):
        torch.manual_seed(draws)
        torch.rand(draws)
        torch.randn(3)  # one normal number is left for the next call
        fb.set_rng_state(fb.from_numpy(torch.get_rng_state().numpy()))
        np.testing.assert_array_equal(fb.get_rng_state().numpy(), torch.get_rng_state().numpy())
        np.testing.assert_array_equal(fb.randn(2).numpy(), torch.randn(2).numpy())
        np.testing.assert_array_equal(fb.rand(700).numpy(), torch.rand(700).numpy())
        torch.set_rng_state(torch.from_numpy(fb.get_rng_state().numpy()))
        np.testing.assert_array_equal(fb.randn(30).numpy(), torch.randn(30).numpy())


def test_generators_equal_those_of_pytorch() -> None:
    for seed in (0, 42, -1, 2**40 + 5, 2**64 - 1):
        ours, theirs = fb.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
        assert ours.initial_seed() == theirs.initial_seed()
        np.testing.assert_array_equal(fb.rand(5, generator=ours).numpy(), torch.rand(5, generator=theirs).numpy())
        np.testing.assert_array_equal(ours.get_state().numpy(), theirs.get_state().numpy())
        twin, other = ours.clone_state(), theirs.clone_state()
        np.testing.assert_array_equal(fb.randn(9, generator=twin).numpy(), torch.randn(9, generator=other).numpy())
    assert fb.Generator().initial_seed() == torch.Generator().initial_seed()
    compare(lambda lib: lib.rand(3, generator=lib.Generator()))


def test_fork_rng_equals_pytorch() -> None:
    def draw(lib: Any) -> Any:
        with lib.random.fork_rng(devices=[]):
            lib.manual_seed(7)
            inside = lib.rand(3)
        return [inside, lib.rand(3)]

    compare(draw)


class Noise:
    """Dataset that draws from Python's, NumPy's and the library's generator."""

    def __init__(self, lib: Any) -> None:
        self._lib = lib

    def __len__(self) -> int:
        return 11

    def __getitem__(self, index: int) -> Any:
        return self._lib.tensor([index, random.random(), np.random.rand(), self._lib.rand(()).item()])


def batches_of(lib: Any, make: Callable[[Any, Any], Any]) -> list[Any]:
    random.seed(1)
    np.random.seed(1)
    data = lib.utils.data
    loader = make(lib, data)
    return [batch for _ in range(3) for batch in loader]


LOADERS: dict[str, Callable[[Any, Any], Any]] = {
    "in order": lambda lib, data: data.DataLoader(Noise(lib), batch_size=4),
    "shuffled": lambda lib, data: data.DataLoader(Noise(lib), batch_size=4, shuffle=True),
    "shuffled by a generator": lambda lib, data: data.DataLoader(
        Noise(lib), batch_size=4, shuffle=True, generator=lib.Generator().manual_seed(5)
    ),
    "one by one": lambda lib, data: data.DataLoader(Noise(lib), batch_size=None, shuffle=True),
    "without the last": lambda lib, data: data.DataLoader(Noise(lib), batch_size=4, shuffle=True, drop_last=True),
    "with replacement": lambda lib, data: data.DataLoader(
        Noise(lib), sampler=data.RandomSampler(range(11), replacement=True, num_samples=50)
    ),
    "more than there are": lambda lib, data: data.DataLoader(
        Noise(lib), sampler=data.RandomSampler(range(11), num_samples=22, generator=lib.Generator().manual_seed(5))
    ),
    "of a subset": lambda lib, data: data.DataLoader(Noise(lib), sampler=data.SubsetRandomSampler([3, 1, 7, 5])),
    "weighted": lambda lib, data: data.DataLoader(
        Noise(lib), sampler=data.WeightedRandomSampler([1.0, 2.0, 0.0, 4.0], 9)
    ),
    "weighted without replacement": lambda lib, data: data.DataLoader(
        Noise(lib), sampler=data.WeightedRandomSampler([1.0, 2.0, 3.0, 4.0], 3, replacement=False)
    ),
    "a part": lambda lib, data: data.DataLoader(data.random_split(Noise(lib), [5, 6])[0], shuffle=True),
    "a share": lambda lib, data: data.DataLoader(
        Noise(lib), sampler=data.DistributedSampler(range(11), num_replicas=2, rank=1, seed=3)
    ),
}


@pytest.mark.parametrize("name", LOADERS)
def test_loaders_shuffle_like_pytorch(name: str) -> None:
    compare(lambda lib: batches_of(lib, LOADERS[name]))


def test_workers_change_neither_order_nor_random_numbers() -> None:
    def draw(lib: Any) -> list[Any]:
        data = lib.utils.data
        loader = data.DataLoader(data.TensorDataset(lib.arange(20)), batch_size=4, shuffle=True, num_workers=1)
        return [batch[0] for _ in range(2) for batch in loader] + [lib.rand(3)]

    compare(draw)


def test_resnet18_starts_with_the_weights_of_pytorch() -> None:
    """Repeat the initialisation of torchvision's ResNet-18 layer by layer, because torchvision is not installed."""

    def convolutions(lib: Any) -> list[Any]:
        sizes = [(3, 64, 7), (64, 64, 3), (64, 128, 3), (64, 128, 1), (128, 256, 3)]
        layers = [lib.nn.Conv2d(ins, outs, kernel, bias=False) for ins, outs, kernel in sizes]
        head = lib.nn.Linear(256, 10)
        for layer in layers:
            lib.nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        return [*(layer.weight for layer in layers), *head.parameters()]

    compare(convolutions)
