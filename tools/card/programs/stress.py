"""Stress tests of memory, streams, graphs and errors on a GPU: ``stress NAME``.

FLAMBEAU_STRESS=small selects small sizes, for the emulated GPU.
"""

from __future__ import annotations

import gc
import os
import random
from collections.abc import Callable
from typing import Any

import numpy as np

import flambeau as fb
from flambeau import cuda

from .checks import main

SMALL = os.environ.get("FLAMBEAU_STRESS") == "small"
CALLS = 300 if SMALL else 100_000
MEBIBYTE = 1 << 20


def require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def allocator() -> str:
    """Allocate and free blocks of random sizes on several streams, and check that the blocks keep their values."""
    streams, held, rng = [cuda.Stream() for _ in range(4)], [], random.Random(1)
    before, steps = cuda.memory_allocated(), 200 if SMALL else 20_000
    for number in range(steps):
        stream = rng.choice(streams)
        with cuda.stream(stream):
            size = int(2 ** rng.uniform(0, 12 if SMALL else 22))
            held.append((stream, number, fb.full((size,), number, dtype=fb.int64, device="cuda")))
        if len(held) > 50:
            stream, expected, block = held.pop(rng.randrange(len(held)))
            with cuda.stream(stream):
                if number % 20 == 0:
                    require(bool((block == expected).all()), f"a block of {block.numel()} numbers was overwritten")
    peak = cuda.max_memory_allocated()
    held.clear()
    del block
    gc.collect()
    cuda.synchronize()
    require(cuda.memory_allocated() == before, f"{cuda.memory_allocated() - before} bytes are still allocated")
    cuda.empty_cache()
    return f"{steps} allocations, at most {peak / MEBIBYTE:.0f} MiB"


def streams() -> str:
    """Pass a tensor from stream to stream with events. If a stream does not wait, the final elements are wrong."""
    steps, size = (20, 1000) if SMALL else (2000, 1_000_000)
    four = [cuda.Stream() for _ in range(4)]
    x = fb.zeros(size, dtype=fb.int64, device="cuda")
    four[0].wait_stream(cuda.current_stream())
    for number in range(steps):
        here, following = four[number % 4], four[(number + 1) % 4]
        with cuda.stream(here):
            x = x * 3 % 1_000_003 + number
            x.record_stream(following)
        following.wait_event(here.record_event())
    cuda.synchronize()
    expected = 0
    for number in range(steps):
        expected = expected * 3 % 1_000_003 + number
    require(bool((x == expected).all()), "the streams ran in another order than their events say")
    return f"{steps} steps on 4 streams"


def graphs() -> str:
    """Capture many graphs, replay them alternately and delete them."""
    count, replays = (3, 5) if SMALL else (100, 50)
    x, captured = fb.zeros(1000, device="cuda"), []
    for number in range(count):
        graph = cuda.CUDAGraph()
        with cuda.graph(graph):
            out = (x + number).square().sum()
        captured.append((graph, number, out))
    for value in range(replays):
        x.fill_(value)
        for graph, number, out in captured:
            graph.replay()
            if value % 10 == 0:
                require(out.item() == 1000.0 * (value + number) ** 2, f"graph {number} computed {out.item()}")
    cuda.synchronize()
    captured.clear()
    return f"{count} graphs, {count * replays} replays"


def out_of_memory() -> str:
    """Allocate until the GPU's memory is exhausted, and continue to use the GPU, several times."""
    rounds = 2 if SMALL else 10
    for _ in range(rounds):
        held: list[Any] = []
        block = cuda.get_device_properties(0).total_memory // 16
        try:
            for _ in range(32):
                held.append(fb.empty(block, dtype=fb.uint8, device="cuda"))
        except fb.OutOfMemoryError as error:
            require("memory" in str(error), f"the message does not say what was wrong: {error}")
        else:
            raise AssertionError("twice the memory of the GPU was allocated")
        require(len(held) > 1, "no memory was free")
        require(fb.ones(10).sum().item() == 10, "the CPU is affected")
        held.clear()
        require(fb.ones(1000, device="cuda").sum().item() == 1000, "the GPU cannot be used after the error")
    cuda.empty_cache()
    return f"{rounds} times"


def index_out_of_range() -> str:
    """Use indices out of range. Each must raise an error at the next synchronisation and leave the GPU usable."""
    x, bad = fb.arange(100.0, device="cuda"), fb.tensor([3, 100, -101], device="cuda")
    work: dict[str, Callable[[], Any]] = {
        "indexing": lambda: x[bad],
        "index_select": lambda: x.index_select(0, bad),
        "gather": lambda: x.gather(0, bad),
        "scatter": lambda: x.scatter(0, bad, 1.0),
        "index_add": lambda: x.index_add(0, bad, fb.ones(3, device="cuda")),
        "embedding": lambda: fb.nn.functional.embedding(bad, x[:, None]),
    }
    rounds = 1 if SMALL else 100
    for _ in range(rounds):
        for name, function in work.items():
            try:
                function()
                cuda.synchronize()
            except (IndexError, RuntimeError) as error:
                require("index" in str(error) or "range" in str(error), f"{name}: {error}")
            else:
                raise AssertionError(f"{name} raised nothing")
            require(x.sum().item() == 4950, f"the GPU cannot be used after {name}")
    return f"{rounds * len(work)} errors"


UNARY = ("exp", "tanh", "abs", "neg", "sigmoid", "relu", "floor", "square", "sin", "sign")
BINARY = ("add", "sub", "mul", "maximum", "minimum", "lt", "eq")
REDUCTIONS = ("sum", "amax", "amin", "mean", "argmax", "cumsum", "softmax", "sort")


def random_call(rng: random.Random, device: str) -> Any:
    """Return the result of a random operator on random views of random tensors."""
    shape = [rng.choice((0, 1, 2, 3, 7, 16, 33, 100)) for _ in range(rng.randint(1, 3))]
    shape = [max(size, 1) for size in shape]
    values = np.random.default_rng(rng.getrandbits(32)).standard_normal((2, *shape)).astype(np.float32)
    x, y = fb.from_numpy(values).to(device)
    kind = rng.choice(("unary", "binary", "reduction", "view", "product"))
    if rng.random() < 0.3:
        x, y = x.transpose(0, -1), y.transpose(0, -1)
    if kind == "unary":
        return getattr(fb, rng.choice(UNARY))(x)
    if kind == "binary":
        return getattr(fb, rng.choice(BINARY))(x, y[:1] if rng.random() < 0.3 else y)
    if kind == "reduction":
        out = getattr(x, rng.choice(REDUCTIONS))(rng.randrange(x.ndim))
        return out[0] if isinstance(out, tuple) else out
    if kind == "view":
        return fb.cat([x[::2], y.flip(0)]).reshape(-1)[1::3].clone()
    return x @ y.mT if x.ndim > 1 else x @ y


def random_calls() -> str:
    """Make the same random calls on both devices and compare the results."""
    for seed in range(CALLS):
        expected = random_call(random.Random(seed), "cpu")
        result = random_call(random.Random(seed), "cuda").cpu()
        equal = result.shape == expected.shape and result.dtype == expected.dtype
        close = equal and np.allclose(result.numpy(), expected.numpy(), rtol=1e-4, atol=1e-4, equal_nan=True)
        require(bool(close), f"call {seed} returned different results on the GPU and on the CPU")
    return f"{CALLS} calls"


CHECKS: dict[str, Callable[[], str | None]] = {
    "allocator": allocator,
    "streams": streams,
    "graphs": graphs,
    "out of memory": out_of_memory,
    "index out of range": index_out_of_range,
    "random calls": random_calls,
}

if __name__ == "__main__":
    main(CHECKS)
