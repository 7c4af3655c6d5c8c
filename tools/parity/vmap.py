"""``python -m tools.parity.vmap``: compare vmap of every operator of PyTorch's table with a loop over the batch.

The samples are PyTorch's. The reference is flambeau's own operator, called once for each element. The program prints
how the batches of each variant were computed: by a batching rule, by the fallback, which is a loop, or not at all, with
the error.
"""

from __future__ import annotations

import argparse
import faulthandler
import itertools
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db
from tqdm import tqdm

import flambeau as fb
from flambeau.func import vmap
from tools.parity.bridge import flat, to_flambeau, to_numpy
from tools.parity.cell import quiet
from tools.parity.cells import Variant
from tools.parity.rebind import rebind, unseeded
from tools.parity.scope import is_uninitialised, reason_to_skip, title

SIZE = 3
PREFERRED = ("float64", "complex128", "int64", "bool", "float32")
RULE, FALLBACK, REJECTED, WRONG = "rule", "fallback", "rejected", "wrong"


def main() -> int:
    """Run the chosen part of the table. Return exit status 1 if a batch differs from the loop, otherwise 0."""
    parser = argparse.ArgumentParser(prog="parity.vmap", description=__doc__)
    parser.add_argument("-k", default="", metavar="REGEX", help="test only variants whose name matches")
    parser.add_argument("--samples", type=int, default=12, help="maximum number of samples per variant")
    parser.add_argument("-v", action="store_true", help="print all messages")
    options = parser.parse_args()
    faulthandler.enable()
    chosen = [op for op in op_db if re.search(options.k, title(op)) and not reason_to_skip(op)]
    total: Counter[str] = Counter()
    for op in tqdm(chosen, disable=None, leave=False):
        counts, messages = check_variant(op, options.samples)
        total.update({_worst(counts): 1})
        if counts[WRONG] or counts[REJECTED] or counts[FALLBACK]:
            print(f"{title(op)}: {', '.join(f'{n} {kind}' for kind, n in counts.items())}", flush=True)
            for message in messages if options.v else messages[:1]:
                print("   ", message)
    print("variants by their worst batch:", dict(total))
    return int(total[WRONG] > 0)


def _worst(counts: Counter[str]) -> str:
    return next((kind for kind in (WRONG, REJECTED, FALLBACK) if counts[kind]), RULE if counts else "nothing tried")


def check_variant(op: Any, limit: int) -> tuple[Counter[str], list[str]]:
    """Return the number of batches of a variant for each method (such as rule or loop), and the distinct messages."""
    counts: Counter[str] = Counter()
    messages: list[str] = []
    supported = {str(d).removeprefix("torch.") for d in op.supported_dtypes("cpu")}
    dtype = next((d for d in PREFERRED if d in supported), None)
    if dtype is None:
        return counts, messages
    variant = Variant(op, dtype, limit, set())
    try:
        forms = [rebind(unseeded(op.op), op.name)]
        if op.get_inplace() is not None:
            in_place = rebind(unseeded(op.get_inplace()), f"Tensor.{op.name}_")
            forms.append(lambda first, *args, **kwargs: in_place(first.clone(), *args, **kwargs))
        samples = list(variant.samples())
    except Exception as error:  # without samples, there is nothing to map
        return counts, [str(error)]
    for form, sample in itertools.product(forms, samples):
        for kind, message in _batches(form, sample, not is_uninitialised(op)):
            counts[kind] += 1
            if message and message not in messages:
                messages.append(message)
    return counts, messages


def _batches(form: Callable[..., Any], sample: Any, known: bool) -> Iterator[tuple[str, str]]:
    """Yield, for several choices of batched arguments, the method of computation and a message."""
    arguments = to_flambeau(((sample.input, *sample.args), sample.kwargs), rebind, copy=True)
    leaves, rebuild = _flattened(arguments)
    process = rebind(sample.output_process_fn_grad)
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, fb.Tensor)]
    choices = [(tuple(places), 0), (tuple(places), -1)] if places else []
    if len(places) > 1:
        choices += [((place,), 0) for place in places[:4]]
    for chosen, dim in choices:
        batches = {i: _batch(leaves[i], i) for i in chosen}

        def call(*elements: Any, chosen: tuple[int, ...] = chosen) -> Any:
            values = list(leaves)
            for place, element in zip(chosen, elements, strict=True):
                values[place] = element
            args, kwargs = rebuild(values)
            return tuple(t for t in flat(process(form(*args, **kwargs))) if isinstance(t, fb.Tensor))

        outcome = _compared(call, [batches[i] for i in chosen], dim, chosen, known)
        if outcome is not None:
            shapes = ", ".join(f"{list(leaves[i].shape)}" for i in chosen)
            yield outcome[0], f"{outcome[1]} [in_dim {dim} of arguments {chosen}: {shapes}]" if outcome[1] else ""


def _flattened(tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    leaves: list[Any] = []

    def walk(value: Any) -> Any:
        if isinstance(value, (tuple, list)) and not isinstance(value, fb.Size):
            parts = [walk(v) for v in value]
            return lambda given: type(value)(p(given) for p in parts)
        if isinstance(value, dict):
            named = {k: walk(v) for k, v in value.items()}
            return lambda given: {k: p(given) for k, p in named.items()}
        leaves.append(value)
        place = len(leaves) - 1
        return lambda given: given[place]

    return leaves, walk(tree)


def _batch(t: fb.Tensor, seed: int) -> list[fb.Tensor]:
    """Return the elements of a batch: ``t`` scaled by different factors, or rolled if its elements are integers."""
    t = t.detach()
    if t.dtype.is_floating_point or t.dtype.is_complex:
        return [t * (1 - 0.07 * i) for i in range(SIZE)]
    return [t.roll(i * (seed % 2 + 1), 0) if t.ndim else t for i in range(SIZE)]


def _compared(
    call: Callable[..., Any], batches: list[list[fb.Tensor]], dim: int, chosen: tuple[int, ...], known: bool
) -> tuple[str, str] | None:
    """Compare vmap with one call per element. Return the outcome's kind and a message, or None if incomparable."""
    try:
        with quiet():
            expected = [_call_one(call, elements) for elements in zip(*batches, strict=True)]
            others = [_call_one(call, [b[0] for b in batches], seed) for seed in range(1, 5)]
    except Exception:  # the operator rejects these arguments
        return None
    if not expected[0]:
        return None
    alike = all([t.shape for t in e] == [t.shape for t in expected[0]] for e in expected)
    inputs = [fb.stack(b, 0 if dim == 0 else b[0].ndim) for b in batches]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            got = _seeded(vmap(call, in_dims=dim, randomness="different"), *inputs)
        except Exception as error:
            right = not alike or ("inplace arithmetic" in str(error) and 0 not in chosen)
            return None if right else (REJECTED, f"{type(error).__name__}: {error}")
    kind = FALLBACK if any("performance drop" in str(w.message) for w in caught) else RULE
    _forget_warnings()
    if not alike:
        return WRONG, "results of different shapes were stacked"
    random = any(_differs(a, b) for again in others for a, b in zip(expected[0], again, strict=True))
    for position, result in enumerate(got):
        wanted = fb.stack([e[position] for e in expected])
        if tuple(wanted.shape) != tuple(result.shape) or wanted.dtype != result.dtype:
            return WRONG, f"{result.dtype} {list(result.shape)} instead of {wanted.dtype} {list(wanted.shape)}"
        if known and not random and _differs(wanted, result):
            return WRONG, f"values of result {position} differ"
    return kind, ""


def _forget_warnings() -> None:
    """Clear the list of operators that the fallback has warned about, so that every use warns again."""
    from flambeau.func import _fallback

    _fallback.warned.clear()


def _call_one(call: Callable[..., Any], elements: Any, seed: int = 0) -> list[fb.Tensor]:
    """Call the function for one element and return copies of the results, which later calls do not overwrite."""
    return [t.clone() for t in _seeded(call, *(e.clone() for e in elements), seed=seed)]


def _seeded(call: Callable[..., Any], *args: Any, seed: int = 0) -> Any:
    fb.manual_seed(seed)
    torch.manual_seed(seed)
    return call(*args)


def _differs(a: fb.Tensor, b: fb.Tensor) -> bool:
    return not np.allclose(to_numpy(a), to_numpy(b), rtol=1e-6, atol=1e-8, equal_nan=True)


if __name__ == "__main__":
    sys.exit(main())
