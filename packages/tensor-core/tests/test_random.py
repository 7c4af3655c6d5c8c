"""Tests of random numbers with fixed seeds: distributions, states of generators, and independence of the threads."""

import copy
import math
import os
import pickle
import re
import subprocess
import sys
import threading

import numpy as np
import pytest
from scipy import stats

import flambeau as fb

N = 100_000


def generator(seed=11):
    return fb.Generator().manual_seed(seed)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("draw", "law"),
    [
        (lambda d, g: fb.rand(N, dtype=d, generator=g), stats.uniform()),
        (lambda d, g: fb.randn(N, dtype=d, generator=g), stats.norm()),
        (lambda d, g: fb.empty(N, dtype=d).uniform_(-3, 5, generator=g), stats.uniform(-3, 8)),
        (lambda d, g: fb.empty(N, dtype=d).normal_(4, 0.5, generator=g), stats.norm(4, 0.5)),
    ],
)
def test_uniform_and_normal_numbers_follow_their_distribution(draw, law, dtype):
    x = draw(getattr(fb, dtype), generator()).numpy().astype(np.float64)
    assert stats.kstest(x, law.cdf).pvalue > 1e-3
    assert abs(np.corrcoef(x[1:], x[:-1])[0, 1]) < 5 / np.sqrt(N)
    assert abs(np.corrcoef(x[32:], x[:-32])[0, 1]) < 5 / np.sqrt(N)
    assert abs(np.corrcoef(x[N // 2 :] ** 2, x[: N // 2] ** 2)[0, 1]) < 5 / np.sqrt(N / 2)


def test_uniform_stays_below_its_upper_end():
    for dtype in (fb.float16, fb.bfloat16, fb.float32, fb.float64):
        x = fb.rand(N, dtype=dtype, generator=generator())
        assert x.min().item() >= 0
        assert x.max().item() <= 1 if dtype in (fb.float16, fb.bfloat16) else x.max().item() < 1
    x = fb.empty(N).uniform_(1.0, 1.0000001)
    assert x.max().item() <= np.float32(1.0000001)
    assert x.uniform_(2, 2).unique() if hasattr(x, "unique") else x.uniform_(2, 2).tolist() == [2.0] * N


def test_normal_numbers_exceed_large_limits_with_the_right_frequency():
    x = np.abs(fb.randn(1_000_000, generator=generator()).numpy())
    for limit in (3.0, 4.0):
        expected = 2 * stats.norm.sf(limit) * x.size
        assert abs((x > limit).sum() - expected) < 5 * np.sqrt(expected)


@pytest.mark.parametrize(
    ("low", "high"), [(0, 10), (-7, 4), (0, 2), (0, 1), (-(2**63), 2**63 - 1), (2**62, 2**62 + 16)]
)
def test_random_integers_are_uniform(low, high):
    x = fb.randint(low, high, (N,), generator=generator()).numpy()
    assert x.min() >= low and x.max() < high
    if high - low <= 16:
        counts = np.bincount(x - low, minlength=high - low)
        assert stats.chisquare(counts).pvalue > 1e-3 or high - low == 1
    else:
        assert stats.kstest((x.astype(np.float64) - low) / (float(high) - float(low)), "uniform").pvalue > 1e-3


def test_bernoulli_normal_and_other_draws_follow_their_parameters():
    g = generator()
    p = fb.full((N,), 0.3)
    assert abs(fb.bernoulli(p, generator=g).mean().item() - 0.3) < 5 * np.sqrt(0.21 / N)
    assert abs(fb.empty(N).bernoulli_(0.3, generator=g).mean().item() - 0.3) < 5 * np.sqrt(0.21 / N)
    z = fb.normal(fb.arange(3.0), fb.tensor([0.0, 0.0, 0.0]))
    assert z.tolist() == [0, 1, 2]
    assert fb.normal(2.0, 0.0, size=(2,)).tolist() == [2, 2]
    assert fb.rand_like(fb.zeros(2, 3)).shape == fb.randn_like(fb.zeros(2, 3)).shape == (2, 3)
    assert fb.randint_like(fb.zeros(50, dtype=fb.int8), 3).max().item() <= 2
    assert fb.randint(5, (2, 2)).shape == (2, 2)
    assert fb.zeros(100, dtype=fb.uint8).random_().dtype is fb.uint8


@pytest.mark.parametrize("n", [0, 1, 2, 5, 1000])
def test_randperm_returns_each_index_once(n):
    assert sorted(fb.randperm(n, generator=generator()).tolist()) == list(range(n))
    assert fb.randperm(n, dtype=fb.int32).dtype is fb.int32


def test_permutations_are_uniform():
    g = generator()
    counts = {}
    for _ in range(6000):
        order = tuple(fb.randperm(3, generator=g).tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    assert stats.chisquare(list(counts.values())).pvalue > 1e-3


DRAWS = {
    "rand": lambda g: fb.rand(70_001, generator=g),
    "rand64": lambda g: fb.rand(70_001, generator=g, dtype=fb.float64),
    "randn": lambda g: fb.randn(70_001, generator=g),
    "randn64": lambda g: fb.randn(70_001, generator=g, dtype=fb.float64),
    "randint": lambda g: fb.randint(0, 1000, (70_001,), generator=g),
    "randperm": lambda g: fb.randperm(70_001, generator=g),
    "bernoulli": lambda g: fb.empty(70_001).bernoulli_(0.3, generator=g),
    "dropout": lambda g: fb.dropout(fb.ones(300, 300), 0.3, generator=g),
    "strided": lambda g: fb.zeros(300, 300).t().normal_(generator=g),
}


@pytest.mark.parametrize("name", DRAWS)
def test_random_numbers_do_not_depend_on_the_number_of_threads(name):
    results = []
    for threads in (1, 2, 5):
        fb.set_num_threads(threads)
        results.append(DRAWS[name](generator()))
    assert fb.equal(results[0], results[1]) and fb.equal(results[0], results[2])
    assert not fb.equal(results[0], DRAWS[name](generator(12)))


def test_generator_states_can_be_saved_and_restored():
    g = generator()
    fb.rand(5, generator=g)
    state = g.get_state()
    first = [draw(g) for draw in DRAWS.values()]
    g.set_state(state)
    assert all(fb.equal(a, draw(g)) for a, draw in zip(first, DRAWS.values(), strict=True))
    assert g.initial_seed() == 11
    with pytest.raises(RuntimeError, match=r"16 bytes.*\[3\]"):
        g.set_state(fb.zeros(3, dtype=fb.uint8))
    with pytest.raises(TypeError, match="uint8"):
        g.set_state(fb.zeros(16))
    assert 0 <= g.seed() < 2**64
    assert g.device == fb.device("cpu")


def test_the_default_generator_can_be_seeded_and_restored():
    fb.manual_seed(5)
    a = fb.rand(3)
    state = fb.get_rng_state()
    b = fb.rand(3)
    fb.set_rng_state(state)
    assert fb.equal(b, fb.rand(3))
    assert not fb.equal(a, b)
    fb.manual_seed(5)
    assert fb.equal(a, fb.rand(3))
    assert fb.initial_seed() == 5
    fb.manual_seed(-1)
    assert fb.initial_seed() == 2**64 - 1
    assert fb.equal(fb.rand(3, generator=generator(7)), copy.copy(fb.rand(3, generator=generator(7))))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fb.rand(2, dtype=fb.int64), NotImplementedError, "int64"),
        (lambda: fb.randn(-2), RuntimeError, "-2"),
        (lambda: fb.randint(5, 5, (2,)), RuntimeError, "5.*5"),
        (lambda: fb.randint(0, 300, (2,), dtype=fb.uint8), RuntimeError, "uint8, got 299"),
        (lambda: fb.randint(-5, 3, (2,), dtype=fb.uint8), RuntimeError, "uint8"),
        (lambda: fb.randint(5), TypeError, "size"),
        (lambda: fb.randint(0.5, 3, (2,)), TypeError, "float"),
        (lambda: fb.randperm(-1), RuntimeError, "-1"),
        (lambda: fb.randperm(2.5), TypeError, "float"),
        (lambda: fb.zeros(2).normal_(0, -1), RuntimeError, "-1"),
        (lambda: fb.zeros(2).uniform_(1, 0), RuntimeError, "from=1"),
        (lambda: fb.zeros(2, dtype=fb.int64).uniform_(), NotImplementedError, "int64"),
        (lambda: fb.zeros(2).bernoulli_(2), RuntimeError, "2"),
        (lambda: fb.bernoulli(fb.tensor([1.5])), RuntimeError, r"\[0, 1\]"),
        (lambda: fb.rand(2, generator=5), TypeError, "Generator"),
    ],
)
def test_random_functions_reject_invalid_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("seed", "error"), [("a", ValueError), (None, TypeError), ([3], TypeError), (math.inf, OverflowError)]
)
def test_invalid_seeds_raise(seed, error):
    with pytest.raises(error, match=rf"manual_seed: seed must be an int, got {re.escape(repr(seed))} of type"):
        fb.manual_seed(seed)
    fb.manual_seed("7")
    assert fb.initial_seed() == 7


def in_a_process(program):
    """Run a program in a separate process, and return the words that it prints."""
    command = [sys.executable, "-c", f"import os\nimport flambeau as fb\n{program}"]
    return subprocess.check_output(command, text=True, timeout=60).split()


def test_unseeded_processes_draw_different_numbers():
    runs = [in_a_process("print(fb.initial_seed(), fb.rand(1).item())") for _ in range(2)]
    assert runs[0][0] != runs[1][0] and runs[0][1] != runs[1][1]
    assert in_a_process(f"fb.manual_seed({runs[0][0]}); print(fb.rand(1).item())") == runs[0][1:]


def test_new_generators_begin_with_the_same_seed():
    assert fb.Generator().initial_seed() == 67280421310721
    assert in_a_process("print(fb.Generator().initial_seed())") == ["67280421310721"]


def test_seed_sets_a_new_random_seed():
    seeds = {fb.seed() for _ in range(4)}
    assert len(seeds) == 4 and fb.initial_seed() in seeds


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_continues_the_random_numbers_of_its_parent():
    drawn = in_a_process(
        "fb.rand(3); child = os.fork(); child or print(fb.initial_seed(), fb.rand(1).item(), flush=True); "
        "child and os.waitpid(child, 0) and print(fb.initial_seed(), fb.rand(1).item())"
    )
    assert len(drawn) == 4 and drawn[:2] == drawn[2:]


DRAWING_WHILE_ANOTHER_THREAD_FORKS = """
import os, signal, threading, time
import flambeau as fb

def draw():
    while not done:
        fb.randn(1_000_000)

fb.random.use_pytorch_streams()
done = False
thread = threading.Thread(target=draw)
thread.start()
codes = []
for i in range(30):
    time.sleep(0.001 * (1 + i % 7))
    if not (child := os.fork()):
        signal.alarm(20)
        fb.rand(3)
        os._exit(0)
    codes.append(os.waitpid(child, 0)[1])
done = True
thread.join()
print(set(codes))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_can_draw_while_a_parent_thread_held_the_generator():
    command = [sys.executable, "-W", "ignore", "-c", DRAWING_WHILE_ANOTHER_THREAD_FORKS]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "{0}\n"


def test_generators_are_copied_and_pickled():
    g = generator()
    fb.rand(100, generator=g)
    twins = [g.clone_state(), pickle.loads(pickle.dumps(g)), copy.copy(g)]
    numbers = fb.rand(9, generator=g)
    for twin in twins:
        assert twin.initial_seed() == 11 and fb.equal(fb.rand(9, generator=twin), numbers)
    g.set_offset(twins[0].get_offset())
    assert g.get_offset() == twins[1].get_offset() and fb.equal(fb.rand(3, generator=g), fb.rand(3, generator=twins[1]))


def test_fork_rng_restores_the_default_generator():
    fb.manual_seed(3)
    expected = fb.rand(4)
    fb.manual_seed(3)
    with fb.random.fork_rng():
        fb.rand(10)
    assert fb.equal(fb.rand(4), expected)
    fb.manual_seed(3)
    with fb.random.fork_rng(devices=[], enabled=False):
        fb.rand(10)
    assert not fb.equal(fb.rand(4), expected)


def test_random_functions_write_to_out():
    for make in (fb.rand, fb.randn):
        out = fb.zeros(3, dtype=fb.float64)
        assert make(4, out=out, generator=generator()) is out
        assert fb.equal(out, make(4, dtype=fb.float64, generator=generator()))
    with pytest.raises(RuntimeError, match=r"float32.*float64"):
        fb.rand(2, dtype=fb.float32, out=fb.zeros(2, dtype=fb.float64))
    assert fb.randperm(5, out=fb.empty(0, dtype=fb.float32)).dtype is fb.float32


def test_a_thread_can_use_a_separate_generator():
    fb.manual_seed(3)
    expected = fb.rand(4).tolist()
    fb.manual_seed(3)
    drawn = []

    def draw():
        fb._core._seed_this_thread(3)
        drawn.append(fb.rand(4).tolist())
        fb._core._seed_this_thread(-1)
        drawn.append(fb.rand(4).tolist())

    thread = threading.Thread(target=draw)
    thread.start()
    thread.join()
    assert drawn[0] == expected != drawn[1]
    assert fb.rand(4).tolist() == expected  # the thread did not change the default generator
    with pytest.raises(RuntimeError, match="expected an int, but got str"):
        fb._core._seed_this_thread("3")


def test_dropout_zeroes_whole_complex_numbers():
    z = fb.full((4000,), 1 + 2j)
    dropped = fb.dropout(z, 0.25)
    kept = dropped != 0
    assert 0.7 < kept.float().mean().item() < 0.8
    assert fb.allclose(dropped[kept], z[kept] / 0.75)


def test_normal_with_a_size_accepts_a_zero_dimensional_mean():
    assert fb.normal(fb.tensor(3.0), 0.0, (4,)).tolist() == [3] * 4
    assert fb.normal(0.0, fb.tensor(0.0), (2,)).tolist() == [0] * 2
    with pytest.raises(TypeError, match="both numbers"):
        fb.normal(fb.zeros(4), 1.0, (4,))


def test_randperm_rejects_sizes_beyond_its_dtype():
    assert sorted(fb.randperm(256, dtype=fb.uint8).tolist()) == list(range(256))
    with pytest.raises(RuntimeError, match="n=257 is too large"):
        fb.randperm(257, dtype=fb.uint8)
