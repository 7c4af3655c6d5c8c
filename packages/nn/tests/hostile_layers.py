"""Call layers with empty dimensions and unusual geometries; see ``python hostile_layers.py --help``.

A seed, the name of a target and a number determine each call, so that a crash can be reproduced. The current call is
written to the journal file. Targets use only names that PyTorch also has: ``--library torch`` makes the same calls in
PyTorch, and ``--outcomes`` writes the results, for tools.fuzz.against_pytorch.
"""

import argparse
import contextlib
import importlib
import json
import resource
import time
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from hostile_geometry import Draw
from hostile_layer_targets import TARGETS

# Exceptions of these types mean a bug in the library, not an invalid call.
INTERNAL = (SystemError, MemoryError)


def leaves(x: Any) -> list[Any]:
    """Return the objects in nested tuples and lists."""
    return [leaf for item in x for leaf in leaves(item)] if isinstance(x, tuple | list) else [x]


def differentiate(library: Any, outputs: list[Any], inputs: list[Any], twice: bool) -> list[Any]:
    """Return the gradients of a weighted sum of the outputs; with ``twice``, also of the sum of their squares."""
    total = sum((output * wave(library, output)).sum() for output in outputs)
    first = library.autograd.grad(total, inputs, create_graph=twice, allow_unused=True)
    smooth = [g for g in first if g is not None and g.requires_grad]
    second: Any = []
    if twice:
        squares = sum((g * g).sum() for g in smooth)
        second = library.autograd.grad(squares, inputs, allow_unused=True) if smooth else [None] * len(inputs)
    zeros = [library.zeros_like(x) for x in inputs] * 2
    return [zeros[i] if g is None else g for i, g in enumerate([*first, *second])]


def wave(library: Any, like: Any) -> Any:
    values = np.cos(np.arange(like.numel()) * 0.7).reshape(tuple(like.shape))
    return library.from_numpy(values).to(like.dtype)


def described(x: Any) -> Any:
    """Return a tensor's shape, dtype and elements in a form that JSON can represent."""
    if not hasattr(x, "dtype"):
        return repr(x)
    values = x.detach().to_dense() if x.layout is not type(x)([0.0]).layout else x.detach()
    return [list(x.shape), str(x.dtype).rpartition(".")[2], values.double().reshape(-1).tolist()]


def outcome(library: Any, name: str, seed: int, number: int) -> dict[str, Any]:
    """Make the call number ``number`` of the target ``name``. Return its results and gradients, or its exception."""
    draw = Draw(library, np.random.default_rng([seed, zlib.crc32(name.encode()), number]))
    stage = "forward"
    try:
        results = [t for t in leaves(TARGETS[name](draw)) if t is not None]
        smooth = [t for t in results if getattr(t, "requires_grad", False) and t.is_floating_point()]
        stage, gradients = "backward", []
        if smooth and draw.differentiated:
            gradients = differentiate(library, smooth, draw.differentiated, draw.rarely(4))
        return {"call": draw.log, "results": [described(t) for t in [*results, *gradients]]}
    except INTERNAL as error:
        raise AssertionError(f"{type(error).__name__} in {stage}: {error}; {draw.log}") from error
    except Exception as error:
        return {"call": draw.log, "error": type(error).__name__, "message": str(error)[:300], "stage": stage}


def positions(name: str, o: argparse.Namespace) -> Iterator[int]:
    """Yield the numbers of a target's calls, after writing each to the journal."""
    with o.journal.open("r+b", buffering=0) if o.journal else contextlib.nullcontext() as file:
        for number in range(o.first, o.first + o.calls):
            if file:
                file.seek(0)
                file.write(json.dumps({"only": name, "seed": o.seed, "first": number}).encode().ljust(200))
            started = time.monotonic()
            yield number
            if (seconds := time.monotonic() - started) > 30:
                raise AssertionError(f"the call took {seconds:.0f} seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--calls", type=int, default=20, help="number of calls per target")
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=[], help="names of targets (default: all)")
    parser.add_argument("--first", type=int, default=0, help="number of the first call")
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--outcomes", type=Path, help="file for one line of JSON per call")
    parser.add_argument("--library", default="flambeau")
    parser.add_argument("--device", choices=["cpu"], default="cpu")
    parser.add_argument("--memory", type=int, default=4, help="memory limit in GiB; 0: no limit")
    o = parser.parse_args()
    warnings.simplefilter("ignore")
    if o.memory:
        resource.setrlimit(resource.RLIMIT_AS, (o.memory << 30,) * 2)
    library = importlib.import_module(o.library)
    with o.outcomes.open("a") if o.outcomes else contextlib.nullcontext() as file:
        for name in o.only or list(TARGETS)[o.part :: o.parts]:
            for number in positions(name, o):
                found = outcome(library, name, o.seed, number)
                if file:
                    print(json.dumps({"name": name, "number": number, **found}), file=file, flush=True)


if __name__ == "__main__":
    main()
