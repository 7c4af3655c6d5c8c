"""Tests that results do not depend on the number of threads, and that the thread pool survives forks and errors."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import flambeau as fb

RNG = np.random.default_rng(0)
X = fb.tensor(RNG.standard_normal((517, 1031)).astype(np.float32))
LONG = fb.tensor(RNG.standard_normal(1_000_003).astype(np.float32))
PLACES = fb.tensor(RNG.integers(0, 97, 1_000_003))
IMAGES = fb.tensor(RNG.standard_normal((17, 8, 28, 28)).astype(np.float32))
WIDE = fb.tensor(RNG.standard_normal((40, 20_011)).astype(np.float32))
WAVES = fb.complex(X, X * 2)
HALF = X.bfloat16()
FILTERS = fb.tensor(RNG.standard_normal((16, 8, 3, 3)).astype(np.float32))

OPERATIONS = {
    "exp": lambda: X.exp(),
    "broadcast": lambda: X.t() * X[0, :517],
    "copy": lambda: X.t().contiguous(),
    "sum": lambda: LONG.sum(),
    "sum_rows": lambda: X.sum(1),
    "sum_columns": lambda: X.sum(0),
    "mean": lambda: LONG.mean(),
    "var": lambda: LONG.var(),
    "var_columns": lambda: X.var(0),
    "prod": lambda: (LONG * 1e-3 + 1).prod(),
    "cumsum": lambda: X.cumsum(1),
    "argmax": lambda: X.argmax(0),
    "prod_vanishing": lambda: LONG.prod(),
    "logsumexp": lambda: X.logsumexp(1),
    "logsumexp_all": lambda: LONG.logsumexp(0),
    "softmax": lambda: fb.softmax(X, 1),
    "softmax_columns": lambda: fb.log_softmax(X, 0),
    "gemm": lambda: X @ X.t(),
    "gemm_wide": lambda: X[:30] @ X.t(),
    "gemm_tall": lambda: X @ X[:30].t(),
    "gemv": lambda: X @ X[0],
    "gemm_few_columns": lambda: X[:101, :700] @ X[:101, :700].t(),
    "gemm_few_rows": lambda: X[:25] @ X[:24].t(),
    "gemm_odd_columns": lambda: X[:3] @ X[:257].t(),
    "gemm_flat": lambda: X[:450, :32] @ X[:32, :450],
    "gemm_long": lambda: WIDE @ WIDE[:23].t(),
    "gemm_long_turned": lambda: WIDE[:, ::2] @ WIDE.t()[::2],
    "gemm_long_complex": lambda: fb.complex(WIDE, WIDE * 2) @ fb.complex(WIDE, WIDE * 3).t(),
    "linear_long": lambda: fb.linear(WIDE, WIDE[:7], WIDE[0, :7].contiguous()),
    "dot": lambda: LONG.dot(LONG.flip(0)),
    "dot_strided": lambda: LONG[:900_000:3].dot(LONG[1:900_000:3]),
    "gemm_integers": lambda: PLACES[:90_000].reshape(300, 300) @ PLACES[:90_000].reshape(300, 300),
    "vecmat": lambda: X[:, 0] @ X,
    "einsum": lambda: fb.einsum("ij,ij->", X, X),
    "gemm64": lambda: X.double() @ X.double().t(),
    "gemm_bfloat16": lambda: HALF @ HALF.t(),
    "gemm_bfloat16_tall": lambda: HALF @ HALF[:70].t(),
    "gemm_bfloat16_turned": lambda: HALF.t() @ HALF[:, :131],
    "gemm_bfloat16_few_rows": lambda: HALF[:3] @ HALF.t(),
    "gemv_bfloat16": lambda: HALF @ HALF[0],
    "bmm_bfloat16": lambda: fb.bmm(IMAGES[:, 0].bfloat16(), IMAGES[:, 1].bfloat16()),
    "cdist": lambda: fb.cdist(X[:101], X[:77], p=1),
    "dot_complex": lambda: fb.complex(LONG, LONG * 2).dot(fb.complex(LONG, LONG * 3)),
    "bmm": lambda: fb.bmm(IMAGES[:, 0], IMAGES[:, 1]),
    "linear": lambda: fb.linear(X, X[:64], X[:64, 0].contiguous()),
    "conv2d": lambda: fb.conv2d(IMAGES, FILTERS, padding=1),
    "conv2d_by_steps": lambda: fb.conv2d(IMAGES, FILTERS, stride=2, padding=1),
    "conv2d_of_little_images": lambda: fb.conv2d(IMAGES[:, :, :5, :6], FILTERS[:, :, :2].repeat(4, 1, 1, 1), padding=1),
    "conv2d_weight": lambda: fb._core.nn_conv2d_weight(
        IMAGES, (70, IMAGES.shape[1], 3, 3), IMAGES.repeat(1, 70, 1, 1)[:, :70], padding=1
    ),
    "max_pool2d": lambda: fb.max_pool2d(IMAGES, 2),
    "avg_pool2d": lambda: fb.avg_pool2d(IMAGES, 3, 2, 1),
    "batch_norm": lambda: fb.batch_norm(IMAGES, None, None, training=True),
    "lu": lambda: fb.linalg.lu_factor(X[:, :517])[0],
    "solve": lambda: fb.linalg.solve(X[:, :517], X),
    "solve_few": lambda: fb.linalg.solve(X[:, :517], X[:, :129]),
    "solve_triangular": lambda: fb.linalg.solve_triangular(X[:200, :200], X[:200, :257], upper=True),
    "fft": lambda: fb.fft.ifft(WAVES),
    "pdist": lambda: fb.pdist(X[:101]),
    "histc": lambda: LONG.histc(100),
    "bincount": lambda: PLACES.bincount(),
    "stack": lambda: fb.stack([LONG, LONG * 2], -1),
    "second_columns": lambda: LONG[: 2 * 400_000].reshape(400, 2000)[:, ::2].contiguous(),
    "few_rows_turned": lambda: LONG[:600_000].reshape(200_000, 3).t().contiguous(),
    "index": lambda: X[fb.arange(516, -1, -1)],
    "index_columns": lambda: X[:, fb.arange(1030, -1, -1)],
    "mask": lambda: X[X > 0],
    "scatter_add": lambda: fb.scatter_add(X, 1, fb.zeros(517, 1031, dtype=fb.int64), X),
    "scatter_add_rows": lambda: fb.scatter_add(X, 0, fb.zeros(517, 1031, dtype=fb.int64), X),
    "scatter_add_long": lambda: fb.zeros(97).scatter_add(0, PLACES, LONG),
    "scatter_reduce": lambda: fb.scatter_reduce(X, 0, fb.zeros(517, 1031, dtype=fb.int64), X, "prod"),
    "index_add": lambda: fb.zeros(97).index_add(0, PLACES, LONG),
    "index_add_rows": lambda: X[:31].index_add(0, PLACES[:517] % 31, X),
    "index_add_columns": lambda: X[:, :31].index_add(1, PLACES[:1031] % 31, X),
    "index_put": lambda: fb.zeros(97).index_put((PLACES,), LONG),
    "index_put_accumulate": lambda: fb.zeros(97).index_put((PLACES,), LONG, accumulate=True),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_results_do_not_depend_on_the_number_of_threads(name):
    results = []
    for threads in (1, 2, 3):
        fb.set_num_threads(threads)
        result = OPERATIONS[name]()
        results.append((result.float() if result.dtype == fb.bfloat16 else result).numpy())
    assert results[0].tobytes() == results[1].tobytes() == results[2].tobytes()


def test_set_num_threads_accepts_only_positive_integers():
    fb.set_num_threads(3)
    assert fb.get_num_threads() == 3
    for wrong in (0, -1):
        with pytest.raises(RuntimeError, match=str(wrong)):
            fb.set_num_threads(wrong)
    with pytest.raises(RuntimeError):
        fb.set_num_threads("2")


def run(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_environment_variables_set_the_number_of_threads():
    assert run("import flambeau as fb; print(fb.get_num_threads())", FLAMBEAU_NUM_THREADS="3") == "3"
    assert int(run("import flambeau as fb; print(fb.get_num_threads())", FLAMBEAU_NUM_THREADS="x")) >= 1


FORK = """
import os, flambeau as fb
fb.set_num_threads(2)
x = fb.ones(1_000_000)
assert x.exp().sum().item() > 0            # the pool is running
for _ in range(5):
    child = os.fork()
    if child == 0:
        ok = (x * 2).sum().item() == 2_000_000 and (fb.ones(300, 300) @ fb.ones(300, 300))[0, 0].item() == 300
        grandchild = os.fork()
        if grandchild == 0:
            os._exit(0 if x.sum().item() == 1_000_000 else 1)
        ok = ok and os.waitpid(grandchild, 0)[1] == 0
        os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0
assert x.sum().item() == 1_000_000
print("alive")
"""


def test_operators_work_after_a_fork():
    assert run(FORK) == "alive"


def test_the_process_exits_while_pool_threads_sleep():
    assert run("import flambeau as fb; fb.set_num_threads(4); print(fb.ones(1_000_000).sum().item())") == "1000000.0"


def test_operators_work_if_the_system_creates_no_more_threads():
    code = """
import resource, flambeau as fb
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1)) if hasattr(resource, 'RLIMIT_NPROC') else None
fb.set_num_threads(64)
print(fb.ones(10_000_000).sum().item())
"""
    assert run(code) == "10000000.0"


def test_operators_work_in_python_threads():
    want = X.exp().sum().item()
    results, errors = [], []

    def work():
        try:
            for _ in range(20):
                results.append(X.exp().sum().item())
                (X[:64] @ X[:64].t()).sum().item()
                del results[:-1]
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors
    assert results[-1] == want


def test_an_error_inside_a_parallel_loop_reaches_the_caller():
    index = fb.zeros(500, 1000, dtype=fb.int64)
    index[499, 999] = 7
    for _ in range(20):
        with pytest.raises(RuntimeError, match="index 7 is out of bounds for dimension 1 with size 5"):
            fb.gather(fb.zeros(500, 5), 1, index)
    assert fb.ones(1_000_000).sum().item() == 1_000_000
