"""Calls that nobody should make, of every operator: ``python hostile.py --help`` runs them in this process.

Each call is made of a seed, the operator's name and a number, so that what ends the process can be made again. The call
under way stands in the journal file; whoever started the process reads it there.
"""

import argparse
import contextlib
import copy
import inspect
import json
import operator
import resource
import time
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import flambeau as fb

# These end or change the process's state, or wait for what is not there.
NOT_CALLED = {"default_generator", "empty_cache", "load", "save", "set_default_dtype", "set_num_threads"}
NOT_CALLED |= {"set_printoptions", "backward", "register_hook", "retain_grad", "detach_", "requires_grad_"}
NUMBERS = [0, 1, -1, 2, 3, 7, 64, 65, 2**31, -(2**31), 2**63 - 1, -(2**63), 2**64, 2**200]
NUMBERS += [0.0, -0.0, 0.5, -1.5, 1e308, float("nan"), float("inf"), -float("inf")]
DTYPES = [
    getattr(fb, name)
    for name in ("float32", "float64", "float16", "bfloat16", "int64", "int8", "uint8", "uint16", "uint64", "bool")
]
DTYPES += [fb.complex64, fb.complex128]


class Refuses:
    """Raises wherever Python asks it for something."""

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise ZeroDivisionError("refused")

    __len__ = __getitem__ = __iter__ = __index__ = __float__ = __bool__ = __array__ = __dlpack__ = __complex__ = _refuse


class Nested:
    """A sequence of itself."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        if index >= len(self):
            raise IndexError(index)
        return self


class Shrinks(list[Any]):
    """A list that is shorter whenever it is looked at again."""

    def __len__(self) -> int:
        return super().__len__() and (self.pop() is None or super().__len__())


def read_only() -> fb.Tensor:
    array = np.ones(3, np.float32)
    array.flags.writeable = False
    return fb.from_numpy(array)


TENSORS: list[Callable[[np.random.Generator], fb.Tensor]] = [
    lambda rng: fb.zeros(2, 3),
    lambda rng: fb.ones(3, 2, dtype=fb.float64).t(),
    lambda rng: fb.tensor(1.5),
    lambda rng: fb.zeros(0),
    lambda rng: fb.zeros(2, 0, 3),
    lambda rng: fb.full((2, 3), float("nan")),
    lambda rng: fb.tensor([1, 0, -1]),
    lambda rng: fb.tensor([[0, 1, 2], [2, 1, 0]]),
    lambda rng: fb.tensor([[True, False, True]]),
    lambda rng: fb.tensor(3),
    lambda rng: fb.zeros(1).expand(4, 3),
    lambda rng: fb.zeros(1).expand(2**20, 2**12)[:2, :3],
    lambda rng: fb.zeros((1,) * 64),
    lambda rng: fb.zeros(2, 3, 4, 4),
    lambda rng: fb.ones(3, 3, dtype=fb.float64) + fb.eye(3, dtype=fb.float64),
    lambda rng: read_only(),
    lambda rng: fb.tensor([2**63 - 1, -(2**63), 0]),
    lambda rng: fb.tensor([float("inf"), -float("inf"), 0.0]),
    lambda rng: fb.arange(6.0).as_strided((2, 2), (1, 2), 1),
    lambda rng: fb.zeros(2, 3).to(DTYPES[rng.integers(len(DTYPES))]),
    lambda rng: fb.ones(4, 4).to(DTYPES[rng.integers(len(DTYPES))]),
]
OTHERS: list[Callable[[np.random.Generator], Any]] = [
    lambda rng: NUMBERS[rng.integers(len(NUMBERS))],
    lambda rng: NUMBERS[rng.integers(len(NUMBERS))],
    lambda rng: int(rng.integers(-3, 4)),
    lambda rng: int(rng.integers(-3, 4)),
    lambda rng: (int(rng.integers(-2, 4)), int(rng.integers(-2, 4))),
    lambda rng: tuple(NUMBERS[i] for i in rng.integers(len(NUMBERS), size=rng.integers(0, 5))),
    lambda rng: (1,) * 65,
    lambda rng: [tensor(rng), tensor(rng)],
    lambda rng: [fb.zeros(2), 3],
    lambda rng: [],
    lambda rng: None,
    lambda rng: True,
    lambda rng: 2 + 1j,
    lambda rng: str(rng.choice(["mean", "sum", "same", "reflect", "bilinear", "\ud800", ""])),
    lambda rng: b"bytes",
    lambda rng: {},
    lambda rng: object(),
    lambda rng: Refuses(),
    lambda rng: [Refuses()],
    lambda rng: Nested(),
    lambda rng: Shrinks([1, 2, 3]),
    lambda rng: DTYPES[rng.integers(len(DTYPES))],
    lambda rng: float,
    lambda rng: slice(None),
    lambda rng: Ellipsis,
    lambda rng: np.ones((2, 3)),
    lambda rng: np.float32(2),
    lambda rng: np.array(["a"]),
    lambda rng: fb.Generator(),
    lambda rng: fb.device("cuda"),
    lambda rng: fb.channels_last,
    lambda rng: [[1, 2], [3]],
]


def tensor(rng: np.random.Generator) -> fb.Tensor:
    return TENSORS[rng.integers(len(TENSORS))](rng)


def value(rng: np.random.Generator) -> Any:
    """One argument: half of them tensors, the other half anything at all."""
    return tensor(rng) if rng.integers(2) else OTHERS[rng.integers(len(OTHERS))](rng)


def likely(name: str, rng: np.random.Generator, earlier: list[Any]) -> Any:
    """An argument of the kind that a parameter of this name takes, so that the call gets further."""
    if name in ("dim", "dim0", "dim1", "dims", "axis", "diagonal", "offset", "n", "k", "chunks", "repeats", "shifts"):
        return int(rng.integers(-2, 3))
    if name in ("size", "shape", "sizes", "stride", "padding", "kernel_size", "dilation", "output_size", "pad"):
        return tuple(int(i) for i in rng.integers(-1, 4, size=rng.integers(0, 5)))
    if name in ("index", "indices", "target", "mask"):
        return (fb.tensor([[0, 1, 2]]) - int(rng.integers(0, 3))).to(DTYPES[rng.choice([4, 4, 4, 7])])
    if name == "out" and earlier and isinstance(earlier[0], fb.Tensor):
        given = earlier[0]
        return [given, given.t() if given.dim() == 2 else given, given.expand(given.shape), tensor(rng)][
            rng.integers(4)
        ]
    if name == "tensors":
        return [tensor(rng) for _ in range(rng.integers(0, 4))]
    return value(rng)


def targets() -> dict[str, Callable[..., Any]]:
    """Every operator by its name: functions, methods, and those of the public modules."""
    kind = type(fb.exp)
    found = {name: member for name, member in vars(fb._core).items() if isinstance(member, kind)}
    found |= {f"Tensor.{name}": member for name, member in vars(fb.Tensor).items() if isinstance(member, kind)}
    for module in fb._MODULES:
        with contextlib.suppress(ImportError):
            found |= {f"{module}.{n}": m for n, m in vars(getattr(fb, module)).items() if isinstance(m, kind)}
    public = {name: member for name, member in sorted(found.items()) if not name.startswith("_")}
    return {name: member for name, member in public.items() if name.rpartition(".")[2] not in NOT_CALLED}


def arguments(function: Callable[..., Any], rng: np.random.Generator) -> tuple[list[Any], dict[str, Any]]:
    parameters = list(inspect.signature(function).parameters.values())
    positional = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
    keywords = [p.name for p in parameters if p.kind is not p.VAR_POSITIONAL]
    sensible = rng.integers(4) > 0
    args: list[Any] = []
    for i in range(int(rng.integers(0, 6)) if not sensible else int(rng.integers(1, len(positional) + 2))):
        name = positional[i] if i < len(positional) else ""
        args.append(likely(name, rng, args) if sensible and i else tensor(rng) if sensible else value(rng))
    left = keywords[len(args) :] if sensible else keywords
    chosen = [name for name in left if rng.integers(4) == 0]
    return args, {name: likely(name, rng, args) for name in chosen}


def bytes_of(x: Any) -> Any:
    """What must be the same after a call that failed."""
    if isinstance(x, fb.Tensor) and x.numel() < 10_000:
        return x.shape, x.stride(), x.dtype, fb.clone(x.detach()).contiguous().reshape(-1).view(fb.uint8).tolist()
    if type(x) in (list, tuple):
        return [bytes_of(item) for item in x]
    return None


def consume(result: Any, depth: int = 0) -> None:
    """Looks at a result, where it is small enough: memory it should not reach would be reached."""
    if isinstance(result, fb.Tensor):
        if 0 < result.numel() < 10_000:
            result.clone().sum()
            if result.dim() < 30:
                result.tolist()
    elif isinstance(result, tuple | list) and depth < 2:
        for item in list(result)[:50]:
            consume(item, depth + 1)


def attack(function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any], watch: bool) -> None:
    """Makes one call; AssertionError where it did what no call may do."""
    before = bytes_of([*args, *kwargs.values()]) if watch else None
    try:
        consume(function(*args, **kwargs))
    except (SystemError, MemoryError) as error:
        raise AssertionError(f"{type(error).__name__}: {error}") from error
    except Exception as error:
        if watch and bytes_of([*args, *kwargs.values()]) != before:
            raise AssertionError(f"an operand is not what it was before {type(error).__name__}: {error}") from error


def call_of(name: str, function: Callable[..., Any], seed: int, number: int) -> tuple[list[Any], dict[str, Any], bool]:
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
    return *arguments(function, rng), bool(rng.integers(3) == 0)


BINARY_NAMES = "add sub mul truediv floordiv mod pow matmul and_ or_ xor lshift rshift lt eq iadd imul ipow contains"
BINARY = [getattr(operator, name) for name in f"{BINARY_NAMES} getitem delitem".split()]
UNARY = [operator.neg, operator.pos, operator.invert, operator.index, abs, int, float, bool, complex, len, list, hash]
UNARY += [repr, str, dir, memoryview, bytes, np.asarray, copy.copy, copy.deepcopy, round, iter, reversed, fb.Size]
PROTOCOLS: dict[str, Callable[..., Any]] = {
    **{f"protocol {f.__name__}": (lambda x, f=f: f(x)) for f in UNARY},
    **{f"protocol {f.__name__}": (lambda x, y, f=f: f(x, y)) for f in BINARY},
    "protocol slice": lambda x, y, z: x[y:z],
    "protocol two keys": lambda x, y, z: x[y, z],
    "protocol setitem": operator.setitem,
    "protocol Tensor": lambda x, y: fb.Tensor(x, y),
    "protocol Tensor of one": lambda x: fb.Tensor(x),
    "protocol data": lambda x, y: setattr(x, "data", y),
    "protocol grad": lambda x, y: setattr(x, "grad", y),
    "protocol subclass": lambda x, y: fb.Tensor._make_subclass(x, y),
    "protocol state": lambda x: fb.Generator().set_state(x),
    "protocol type": lambda x, y: x.type(y),
    "protocol LongTensor": lambda x, y: fb.LongTensor(x, y),
    "protocol new": lambda x, y: x.new(y),
}


def protocol_call(function: Callable[..., Any], name: str, seed: int, number: int) -> list[Any]:
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
    names = [p for p in inspect.signature(function).parameters if p != "f"]
    return [tensor(rng) if i == 0 and rng.integers(3) else value(rng) for i in range(len(names))]


def run(seed: int, calls: int, part: int, parts: int, only: str | None, first: int, journal: Path | None) -> None:
    every: dict[str, Callable[..., Any]] = {**targets(), **PROTOCOLS}
    chosen = [only] if only else [name for i, name in enumerate(every) if i % parts == part]
    with journal.open("r+b", buffering=0) if journal else contextlib.nullcontext() as file:
        for name in chosen:
            for number in range(first, first + calls):
                if file:
                    file.seek(0)
                    file.write(json.dumps({"only": name, "seed": seed, "first": number}).encode().ljust(200))
                started = time.monotonic()
                if name in PROTOCOLS:
                    attack(every[name], protocol_call(every[name], name, seed, number), {}, watch=False)
                else:
                    args, kwargs, watch = call_of(name, every[name], seed, number)
                    attack(every[name], args, kwargs, watch)
                if (seconds := time.monotonic() - started) > 30:
                    raise AssertionError(f"the call took {seconds:.0f} seconds")
    if not only:
        assert fb.ones(1_000_000).sum().item() == 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--calls", type=int, default=20, help="of each operator")
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--only", help="one operator's name")
    parser.add_argument("--first", type=int, default=0, help="the number of the first call")
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--memory", type=int, default=4, help="limit in GiB; 0: none")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.memory:
        resource.setrlimit(resource.RLIMIT_AS, (options.memory << 30,) * 2)
    o = options
    run(o.seed, o.calls, o.part, o.parts, o.only, o.first, o.journal)


if __name__ == "__main__":
    main()
