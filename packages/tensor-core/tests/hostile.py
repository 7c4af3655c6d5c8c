"""Invalid calls of every operator: ``python hostile.py --help`` runs them in this process.

A seed, the operator's name and a number determine each call, so that a call that crashes the process can be repeated.
The journal file contains the current call. The parent process reads it after a crash.
"""

import argparse
import contextlib
import copy
import importlib
import inspect
import io
import json
import math
import operator
import re
import resource
import threading
import time
import warnings
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from hostile_values import HAS_AUTOGRAD, Likely, Meddles, Random, bent, of_kind, tensor, value

import flambeau as fb
from flambeau._operator import OPERATOR_TYPES

# These change the state of the process or end it, or wait for input that does not exist.
NOT_CALLED = {"default_generator", "empty_cache", "load", "save", "seed", "manual_seed", "fork_rng"}
NOT_CALLED |= {"backward", "register_hook", "retain_grad", "detach_", "requires_grad_"}
NOT_CALLED |= {"set_default_dtype", "set_num_threads", "set_printoptions", "set_rng_state"}
# Modules of Python functions, in addition to the registry's operators. Some belong to other distributions.
MODULES = ("array_api", "array_api.fft", "array_api.linalg", "signal.windows", "nn.functional", "nn.init")


def functions_of(name: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    with contextlib.suppress(ImportError):
        module = importlib.import_module(f"flambeau.{name}")
        for key, member in vars(module).items():
            if (inspect.isfunction(member) or isinstance(member, OPERATOR_TYPES)) and not key.startswith("_"):
                yield f"{name}.{key}", member


def targets() -> dict[str, Callable[..., Any]]:
    """Return all operators by name: functions, methods, and those of the public modules."""
    kind = OPERATOR_TYPES
    found = {name: member for name, member in vars(fb._core).items() if isinstance(member, kind)}
    found |= {f"Tensor.{name}": member for name, member in vars(fb.Tensor).items() if isinstance(member, kind)}
    for module in fb._MODULES:
        with contextlib.suppress(ImportError):
            found |= {f"{module}.{n}": m for n, m in vars(getattr(fb, module)).items() if isinstance(m, kind)}
    for module in MODULES:
        found |= dict(functions_of(module))
    public = {name: member for name, member in sorted(found.items()) if not name.startswith("_")}
    called = {name: member for name, member in public.items() if name.rpartition(".")[2] not in NOT_CALLED}
    return called | {"Tensor.tolist": short_list}


def short_list(self: Any) -> Any:
    """Return ``self.tolist()``, or None for a large shape: Python raises MemoryError if the lists do not fit."""
    large = isinstance(self, fb.Tensor) and math.prod(max(size, 1) for size in self.shape) > 1 << 20
    return None if large else fb.Tensor.tolist(self)


Call = tuple[list[Any], dict[str, Any]]


def wild_arguments(names: list[str], keywords: list[str], rng: Random) -> Call:
    """Return any number of arguments with any values."""
    args = [value(rng) for _ in range(int(rng.integers(0, 6)))]
    return args, {name: value(rng) for name in keywords if rng.integers(4) == 0}


def likely_arguments(parameters: list[inspect.Parameter], rng: Random) -> Call:
    """Choose arguments that fit the parameters' names, except for one or two of them."""
    likely = Likely(rng)
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for p in parameters:
        if p.default is not p.empty and rng.integers(2):
            continue
        given = likely.argument(p.name, p.default, args)
        if p.kind is p.VAR_POSITIONAL:
            args += given if isinstance(given, list | tuple) else [given]
        elif p.kind is p.KEYWORD_ONLY or len(args) < parameters.index(p):
            kwargs[p.name] = given
        else:
            args.append(given)
    for _ in range(int(rng.integers(0, 3))):
        if kwargs and rng.integers(2):
            name = sorted(kwargs)[rng.integers(len(kwargs))]
            kwargs[name] = bent(kwargs[name], rng)
        elif args:
            at = int(rng.integers(len(args)))
            args[at] = bent(args[at], rng)
    if rng.integers(20) == 0:
        args.append(value(rng))
    return args, kwargs


def arguments(function: Callable[..., Any], rng: Random) -> Call:
    parameters = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD]
    if rng.integers(5) == 0:
        keywords = [p.name for p in parameters if p.kind is not p.VAR_POSITIONAL]
        return wild_arguments([p.name for p in parameters], keywords, rng)
    return likely_arguments(parameters, rng)


WRONG_KIND = re.compile(r"argument '(\w+)' \(position (\d+)\) must be ([\w. ]+)")


def repaired(error: TypeError, call: Call, rng: Random) -> Call | None:
    """Replace the rejected argument with a value of the type that the error message asks for."""
    found = WRONG_KIND.search(str(error))
    if not found or rng.integers(8) == 0:
        return None
    (args, kwargs), (name, position, kind) = call, found.groups()
    at = int(position) - 1
    if name in kwargs:
        return args, {**kwargs, name: of_kind(kind, rng)}
    return ([*args[:at], of_kind(kind, rng), *args[at + 1 :]], kwargs) if at < len(args) else None


def leaves(x: Any, depth: int = 0) -> list[Any]:
    """Return the tensors and other objects in nested tuples and lists."""
    if type(x) not in (list, tuple) and not hasattr(x, "_fields"):
        return [x]
    return [leaf for item in list(x)[:50] for leaf in leaves(item, depth + 1)] if depth < 4 else []


def bytes_of(x: Any) -> Any:
    """Return the data that a failed call must not change."""
    small = [t for t in leaves(x) if isinstance(t, fb.Tensor) and t.numel() < 10_000]
    return [
        (t.shape, t.stride(), t.dtype, fb.clone(t.detach()).contiguous().reshape(-1).view(fb.uint8).tolist())
        for t in small
    ]


def consume(result: Any) -> None:
    """Read all elements of small results, so that reads out of bounds are detected."""
    for t in leaves(result):
        if isinstance(t, fb.Tensor) and 0 < t.numel() < 10_000:
            t.detach().clone().sum()
            if t.dim() < 30:
                t.tolist()


def change(operand: fb.Tensor, rng: Random) -> None:
    """Replace the memory of a tensor, or the values in it."""
    if rng.integers(2):
        operand.data = tensor(rng)
        return
    with fb.no_grad(), contextlib.suppress(RuntimeError):
        operand.fill_(int(rng.choice([0, 1, -1, 5, 10**6, 2**40])))


def differentiate(result: Any, operands: list[Any], rng: Random) -> None:
    """Run the graph of a result backwards, sometimes after its inputs were changed."""
    outputs = [t for t in leaves(result) if isinstance(t, fb.Tensor) and t.requires_grad and t.numel() < 10_000]
    for output in outputs[:3]:
        gradient = fb.ones((), dtype=output.dtype).expand(output.shape) if rng.integers(2) else tensor(rng)
        output.backward(gradient, retain_graph=True, create_graph=bool(rng.integers(2)))
        for operand in operands:
            if isinstance(operand, fb.Tensor) and rng.integers(6) == 0:
                change(operand, rng)
        output.backward(gradient, retain_graph=True)


def attack(function: Callable[..., Any], call: Call, watch: bool, rng: Random) -> Call | None:
    """Make one call, and return a corrected call to try next if its arguments have a wrong type.

    Raises: AssertionError if the call did something that no call may do.
    """
    args, kwargs = call
    operands = leaves([*args, *kwargs.values()])
    Meddles.victims = [t for t in operands if isinstance(t, fb.Tensor)]
    before = bytes_of(operands) if watch else None
    try:
        result = function(*args, **kwargs)
        before = None
        consume(result)
        if HAS_AUTOGRAD:
            differentiate(result, operands, rng)
    except (SystemError, MemoryError) as error:
        if isinstance(error, MemoryError) and threading.active_count() > 1:
            return None  # other threads may have used up the memory
        raise AssertionError(f"{type(error).__name__}: {error}") from error
    except Exception as error:
        if before is not None and bytes_of(operands) != before:
            raise AssertionError(f"an operand is not what it was before {type(error).__name__}: {error}") from error
        return repaired(error, call, rng) if isinstance(error, TypeError) else None
    finally:
        Meddles.victims = []
    return None


def damaged(content: bytes, rng: Random) -> bytes:
    """Corrupt random bytes of a file."""
    bad = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        bad[rng.integers(len(bad))] = rng.integers(256)
    return bytes(bad[: rng.integers(len(bad))] if rng.integers(3) == 0 else bad)


def read_damaged(x: Any, seed: Any) -> Any:
    rng = np.random.default_rng(zlib.crc32(repr(type(seed)).encode()) + len(repr(seed)))
    file = io.BytesIO()
    fb.save({"x": x, "y": [fb.ones(2), 3]}, file)
    for _ in range(20):
        with contextlib.suppress(ValueError, RuntimeError, TypeError, KeyError, NotImplementedError):
            consume(list(fb.load(io.BytesIO(damaged(file.getvalue(), rng))).values()))


def export_and_change(x: Any, y: Any) -> Any:
    array, capsule = memoryview(x), x.__dlpack__()
    x.data = y
    del x
    fb._core.empty_cache()
    imported = fb.from_dlpack(capsule)
    bytes(array), imported.sum(), fb.from_dlpack(capsule)


def change_during_iteration(x: Any, y: Any) -> Any:
    for row in x:
        x.data = y
        row.sum()


def has_tensor(*operands: Any) -> bool:
    """Return True if an operand is a tensor. With other operands, NumPy may run forever or raise MemoryError."""
    return any(isinstance(x, fb.Tensor) for x in operands)


def as_bytes(x: Any) -> bytes | None:
    """Return ``bytes(x)``, or None for a large number, because ``bytes`` would allocate that many zeros."""
    with contextlib.suppress(Exception):
        if operator.index(x) > 1 << 20:
            return None
    return bytes(x)


BINARY_NAMES = "add sub mul truediv floordiv mod pow matmul and_ or_ xor lshift rshift lt eq iadd imul ipow contains"
BINARY = [getattr(operator, name) for name in f"{BINARY_NAMES} getitem delitem".split()]
UNARY = [operator.neg, operator.pos, operator.invert, operator.index, abs, int, float, bool, complex, len, list, hash]
UNARY += [repr, str, dir, memoryview, np.asarray, copy.copy, copy.deepcopy, round, iter, reversed, fb.Size]
PROTOCOLS: dict[str, Callable[..., Any]] = {
    **{f"protocol {f.__name__}": (lambda x, f=f: f(x)) for f in UNARY},
    **{f"protocol {f.__name__}": (lambda x, y, f=f: f(x, y) if has_tensor(x, y) else None) for f in BINARY},
    "protocol bytes": as_bytes,
    "protocol asarray": lambda x: np.asarray(x) if has_tensor(x) else None,
    "protocol slice": lambda x, y, z: x[y:z] if has_tensor(x) else None,
    "protocol two keys": lambda x, y, z: x[y, z] if has_tensor(x) else None,
    "protocol three keys": lambda x, y, z, w: x[y, z, w] if has_tensor(x) else None,
    "protocol setitem": lambda x, y, z: operator.setitem(x, y, z) if has_tensor(x) else None,
    "protocol set two": lambda x, y, z, w: operator.setitem(x, (y, z), w) if has_tensor(x) else None,
    "protocol set slice": lambda x, y, z, w: operator.setitem(x, slice(y, z), w) if has_tensor(x) else None,
    "protocol Tensor": lambda x, y: fb.Tensor(x, y),
    "protocol Tensor of one": lambda x: fb.Tensor(x),
    "protocol data": lambda x, y: setattr(x, "data", y),
    "protocol grad": lambda x, y: setattr(x, "grad", y),
    "protocol real": lambda x, y: setattr(x, "real", y),
    "protocol subclass": lambda x, y: fb.Tensor._make_subclass(x, y),
    "protocol state": lambda x: fb.Generator().set_state(x),
    "protocol type": lambda x, y: x.type(y),
    "protocol LongTensor": lambda x, y: fb.LongTensor(x, y),
    "protocol new": lambda x, y: x.new(y),
    "protocol storage": lambda x, y, z: operator.setitem(x.untyped_storage(), y, z),
    "protocol read": read_damaged,
    "protocol export": export_and_change,
    "protocol iteration": change_during_iteration,
}


def protocol_arguments(function: Callable[..., Any], rng: Random) -> Call:
    names = [p for p in inspect.signature(function).parameters if p != "f"]
    return [tensor(rng) if i == 0 and rng.integers(3) else value(rng) for i in range(len(names))], {}


def moved(x: Any, device: str, rng: Random) -> Any:
    """Move most tensors to a device."""
    if type(x) in (list, tuple):
        return type(x)(moved(item, device, rng) for item in x)
    if not isinstance(x, fb.Tensor) or rng.integers(16) == 0 or (x.is_floating_point() and x.itemsize == 1):
        return x  # float8 tensors stay on the CPU, because they have no CUDA kernels
    return x.to(device)


def with_tensors(function: Callable[..., Any], call: Call, chosen: list[int]) -> Callable[..., Any]:
    """Return the call as a function of the tensors at some of its positions."""

    def of_tensors(*tensors: fb.Tensor) -> Any:
        args = list(call[0])
        for i, t in zip(chosen, tensors, strict=True):
            args[i] = t
        return function(*args, **call[1])

    return of_tensors


def mapped(function: Callable[..., Any], rng: Random) -> Callable[..., Any]:
    """Map the function with vmap over the first dimension of some tensors. At random, add this dimension."""

    def call(*args: Any, **kwargs: Any) -> Any:
        tensors = {i: x for i, x in enumerate(args) if isinstance(x, fb.Tensor)}
        if tensors and rng.integers(2):
            tensors = {i: fb.stack([x.detach(), x.detach()]) for i, x in tensors.items()}
        sizes = {x.shape[0] for x in tensors.values() if x.dim() > 0}
        if not sizes:
            return function(*args, **kwargs)
        size = sorted(sizes)[rng.integers(len(sizes))]
        fitting = [i for i, x in tensors.items() if x.dim() > 0 and x.shape[0] == size]
        chosen = [i for i in fitting if i == fitting[0] or rng.integers(2)]
        inner = with_tensors(function, (list(args), kwargs), chosen)
        return fb.func.vmap(inner, randomness="different")(*(tensors[i] for i in chosen))

    return call


def differentiated(function: Callable[..., Any], rng: Random) -> Callable[..., Any]:
    """Differentiate the summed results by the floating-point tensors: grad, vjp, jvp, or jvp of grad."""

    def call(*args: Any, **kwargs: Any) -> Any:
        chosen = [i for i, x in enumerate(args) if isinstance(x, fb.Tensor) and x.is_floating_point()]
        if not chosen:
            return function(*args, **kwargs)
        inner = with_tensors(function, (list(args), kwargs), chosen)

        def loss(*tensors: fb.Tensor) -> fb.Tensor:
            results = [t for t in leaves(inner(*tensors)) if isinstance(t, fb.Tensor) and t.is_floating_point()]
            return sum((t.double().sum() for t in results), fb.zeros((), dtype=fb.float64))

        inputs = tuple(args[i].detach().clone() for i in chosen)
        gradient = fb.func.grad(loss, argnums=tuple(range(len(inputs))))
        ones = tuple(fb.ones_like(x) for x in inputs)
        match int(rng.integers(4)):
            case 0:
                return gradient(*inputs)
            case 1:
                return fb.func.vjp(loss, *inputs)[1](fb.ones((), dtype=fb.float64))
            case 2:
                return fb.func.jvp(loss, inputs, ones)
        return fb.func.jvp(gradient, inputs, ones)

    return call


SHARED: deque[fb.Tensor] = deque([fb.ones(3)], maxlen=30)  # tensors that the threads exchange


def mixed(x: Any, rng: Random) -> Any:
    """Return the argument or a tensor that another thread uses."""
    if not isinstance(x, fb.Tensor) or rng.integers(3):
        return x
    if rng.integers(2):
        SHARED.append(x)
        return x
    return SHARED[int(rng.integers(len(SHARED)))]


def sharing(function: Callable[..., Any], rng: Random) -> Callable[..., Any]:
    """Return the function with some of its tensors shared with other threads."""
    return lambda *args, **kwargs: function(
        *(mixed(x, rng) for x in args), **{key: mixed(x, rng) for key, x in kwargs.items()}
    )


WAYS = {"plain": lambda function, rng: function, "vmap": mapped, "grad": differentiated, "threads": sharing}


def endless(name: str, call: Call) -> bool:
    """Return True if the call would iterate for hours."""
    return name.endswith("_lowrank") and any(type(x) is int and x > 1000 for x in leaves([*call[0], *call[1].values()]))


def make(name: str, target: Callable[..., Any], seed: int, number: int, device: str, way: str) -> None:
    """Make the call that the name, the seed and the number determine, and corrected calls after type errors."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
    function = WAYS[way](target, rng)
    if name in PROTOCOLS:
        args, kwargs = protocol_arguments(target, rng)
        attack(function, (args if device == "cpu" else moved(args, device, rng), kwargs), False, rng)
        return
    call: Call | None = arguments(target, rng)
    watch = bool(rng.integers(2)) and way != "threads"
    while call and not endless(name, call):
        if device != "cpu":
            call = moved(call[0], device, rng), {key: moved(x, device, rng) for key, x in call[1].items()}
        meddled = any(isinstance(x, Meddles | slice) for x in leaves([*call[0], *call[1].values()]))
        call = attack(function, call, watch and not meddled, rng)


def run(options: argparse.Namespace) -> None:
    """Attack the chosen operators, in one thread or in several threads."""
    every: dict[str, Callable[..., Any]] = {**targets(), **PROTOCOLS}
    chosen = options.only or [name for i, name in enumerate(every) if i % options.parts == options.part]
    failures: list[BaseException] = []

    def attack_all(thread: int) -> None:
        seed = options.seed + thread * 1000
        with options.journal.open("r+b", buffering=0) if options.journal else contextlib.nullcontext() as file:
            for name in chosen:
                for number in range(options.first, options.first + options.calls):
                    if file:
                        file.seek(200 * thread)
                        call = {"only": name, "seed": seed, "first": number}
                        file.write(json.dumps(call).encode().ljust(199) + b"\n")
                    started = time.monotonic()
                    make(name, every[name], seed, number, options.device, options.way)
                    if (seconds := time.monotonic() - started) > 30 * options.threads:
                        raise AssertionError(f"the call took {seconds:.0f} seconds")

    def attack_in_thread(thread: int) -> None:
        try:
            attack_all(thread)
        except BaseException as error:
            failures.append(error)

    if options.threads == 1:
        attack_all(0)
    else:
        threads = [threading.Thread(target=attack_in_thread, args=(i,)) for i in range(options.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
    if not options.only:
        assert fb.ones(1_000_000).sum().item() == 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--calls", type=int, default=20, help="number of calls per operator")
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=[], help="names of operators (default: all)")
    parser.add_argument("--first", type=int, default=0, help="number of the first call")
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--device", default="cpu", help="device of most tensors (default: %(default)s)")
    parser.add_argument("--memory", type=int, default=4, help="memory limit in GiB; 0: no limit")
    parser.add_argument("--way", choices=WAYS, default="plain", help="how the operators are called")
    options = parser.parse_args()
    options.threads = 8 if options.way == "threads" else 1
    warnings.simplefilter("ignore")
    if options.memory:
        resource.setrlimit(resource.RLIMIT_AS, (options.memory << 30,) * 2)
    run(options)


if __name__ == "__main__":
    main()
