"""No input from Python crashes the process: every operator is called with what nobody should pass, with fixed seeds.

Whatever happens must be a result or an ordinary exception. The calls run in a process of their own, which has to live.
"""

import copy
import inspect
import operator
import os
import subprocess
import sys

import numpy as np
import pytest

import flambeau as fb

CALLS = 60  # for each operator and form
# These end or change the process's state, wait, or take as long as their argument asks for.
NOT_CALLED = {
    "set_num_threads",
    "empty_cache",
    "set_default_dtype",
    "default_generator",
    "set_printoptions",
    "save",
    "load",
}
NUMBERS = [
    0,
    1,
    -1,
    2,
    3,
    7,
    64,
    65,
    2**31,
    -(2**31),
    2**63 - 1,
    -(2**63),
    2**64,
    2**200,
    0.0,
    0.5,
    -1.5,
    1e308,
    float("nan"),
    float("inf"),
    -float("inf"),
]


def values(rng):
    """One argument: often a sensible tensor, sometimes anything at all."""
    read_only = np.ones(3, np.float32)
    read_only.flags.writeable = False
    choices = [
        lambda: fb.zeros(2, 3),
        lambda: fb.ones(3, 2, dtype=fb.float64).t(),
        lambda: fb.tensor(1.5),
        lambda: fb.zeros(0),
        lambda: fb.zeros(2, 0, 3),
        lambda: fb.full((2, 3), float("nan")),
        lambda: fb.tensor([1, 0, -1]),
        lambda: fb.tensor([[True, False, True]]),
        lambda: fb.tensor(3),
        lambda: fb.zeros(1).expand(4, 3),
        lambda: fb.zeros(1).expand(2**20, 2**12)[:2, :3],
        lambda: fb.zeros((1,) * 64),
        lambda: fb.zeros(2, 3, 4, 4),
        lambda: fb.ones(3, dtype=fb.bfloat16),
        lambda: fb.ones(2, 2, dtype=fb.uint8),
        lambda: fb.ones(2, 3, dtype=fb.float16),
        lambda: fb.from_numpy(read_only),
        lambda: fb.tensor([2**63 - 1, -(2**63), 0]),
        lambda: fb.tensor(True),
        lambda: fb.arange(6.0).as_strided((2, 2), (1, 2), 1),
        lambda: NUMBERS[rng.integers(len(NUMBERS))],
        lambda: int(rng.integers(-3, 4)),
        lambda: (int(rng.integers(-2, 4)), int(rng.integers(-2, 4))),
        lambda: tuple(NUMBERS[i] for i in rng.integers(len(NUMBERS), size=rng.integers(0, 5))),
        lambda: [fb.zeros(2, 3), fb.zeros(2, 3)],
        lambda: [fb.zeros(2), 3],
        list,
        lambda: None,
        lambda: True,
        lambda: "mean",
        lambda: "\ud800",
        lambda: b"bytes",
        dict,
        lambda: object(),
        lambda: fb.float32,
        lambda: fb.bool,
        lambda: float,
        lambda: slice(None),
        lambda: Ellipsis,
        lambda: np.ones((2, 3)),
        lambda: np.float32(2),
        lambda: np.array(["a"]),
        lambda: fb.Generator(),
        lambda: fb.device("cuda"),
        lambda: "cpu",
        lambda: (1,) * 65,
        lambda: [[1, 2], [3]],
    ]
    weights = np.ones(len(choices))
    weights[:20] = 3
    return choices[rng.choice(len(choices), p=weights / weights.sum())]()


def consume(result, depth=0):
    """Looks at a result, where it is small enough: memory it should not reach would be reached."""
    if isinstance(result, fb.Tensor):
        if 0 < result.numel() < 10_000:
            result.clone().sum()
            result.tolist() if result.dim() < 30 else None
    elif isinstance(result, (tuple, list)) and depth < 2:
        for item in list(result)[:50]:
            consume(item, depth + 1)


def attack(function, rng, keywords=()):
    arguments = [values(rng) for _ in range(rng.integers(0, 6))]
    chosen = (
        {str(k): values(rng) for k in rng.choice(keywords, rng.integers(0, 3), replace=False)}
        if len(keywords) > 2
        else {}
    )
    try:
        consume(function(*arguments, **chosen))
    except Exception as error:
        if isinstance(error, SystemError):  # a C function that broke its own contract
            raise


def targets():
    for name in fb._core.__all__:
        member = getattr(fb._core, name)
        if name not in NOT_CALLED and callable(member) and not isinstance(member, type):
            keywords = list(inspect.signature(member).parameters) if type(member).__name__ == "Operator" else ()
            yield name, member, keywords
    for name in ("sgd_", "adam_"):
        yield name, getattr(fb._core, name), ()
    for name, method in vars(fb.Tensor).items():
        if type(method).__name__ == "Operator" and name not in ("backward", "register_hook", "retain_grad", "detach_"):
            yield "Tensor." + name, method, list(inspect.signature(method).parameters)


def attack_operators(part, parts):
    for i, (name, function, keywords) in enumerate(targets()):
        if i % parts != part:
            continue
        print(name, flush=True)
        rng = np.random.default_rng([part, i])
        for _ in range(CALLS):
            attack(function, rng, keywords)


PROTOCOLS = [
    lambda x, y, z, key, one, two: one(x),
    lambda x, y, z, key, one, two: two(x, y),
    lambda x, y, z, key, one, two: x[key],
    lambda x, y, z, key, one, two: operator.setitem(x, key, z),
    lambda x, y, z, key, one, two: operator.delitem(x, key),
    lambda x, y, z, key, one, two: x[y:z],
    lambda x, y, z, key, one, two: fb.Tensor(x, y),
    lambda x, y, z, key, one, two: setattr(x, "data", y),
    lambda x, y, z, key, one, two: setattr(x, "grad", y),
    lambda x, y, z, key, one, two: fb.Tensor._make_subclass(x, y),
    lambda x, y, z, key, one, two: fb.Generator().set_state(x),
    lambda x, y, z, key, one, two: fb.Size(x),
    lambda x, y, z, key, one, two: x.type(y),
]


def attack_protocols():
    rng = np.random.default_rng(5)
    binary = [
        operator.add,
        operator.sub,
        operator.mul,
        operator.truediv,
        operator.floordiv,
        operator.mod,
        operator.pow,
        operator.matmul,
        operator.and_,
        operator.or_,
        operator.xor,
        operator.lshift,
        operator.rshift,
        operator.lt,
        operator.eq,
        operator.iadd,
        operator.imul,
        operator.ipow,
        operator.contains,
    ]
    unary = [
        operator.neg,
        operator.pos,
        operator.invert,
        abs,
        int,
        float,
        bool,
        complex,
        len,
        list,
        hash,
        repr,
        str,
        dir,
        memoryview,
        bytes,
        np.asarray,
        copy.copy,
        copy.deepcopy,
        operator.index,
        round,
        iter,
        reversed,
    ]
    for _ in range(4000):
        x, y, z = values(rng), values(rng), values(rng)
        key = tuple(values(rng) for _ in range(rng.integers(0, 4))) if rng.integers(2) else y
        two, one = binary[rng.integers(len(binary))], unary[rng.integers(len(unary))]
        for call in PROTOCOLS:
            try:
                consume(call(x, y, z, key, one, two))
            except Exception as error:
                if isinstance(error, SystemError):
                    raise


PARTS = 4


@pytest.mark.parametrize("part", [*range(PARTS), "protocols"])
def test_the_process_survives(part):
    run = "attack_protocols()" if part == "protocols" else f"attack_operators({part}, {PARTS})"
    script = f"""
import faulthandler, importlib.util, resource, warnings
warnings.simplefilter("ignore")
faulthandler.enable()
resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))
spec = importlib.util.spec_from_file_location("hostile", {__file__!r})
hostile = importlib.util.module_from_spec(spec)
spec.loader.exec_module(hostile)
hostile.{run}
assert hostile.fb.ones(1_000_000).sum().item() == 1_000_000
"""
    # glibc fills freed memory, so that what is read after its end is not what it was.
    environment = {**os.environ, "MALLOC_PERTURB_": "165", "MALLOC_CHECK_": "3"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (done.returncode, done.stdout[-300:], done.stderr[-3000:])
