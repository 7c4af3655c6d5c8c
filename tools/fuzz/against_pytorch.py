"""Compare hostile calls of layers with PyTorch: ``python -m tools.fuzz.against_pytorch --pytorch /path/to/python``."""

from __future__ import annotations

import argparse
import collections
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LAYERS = Path(__file__).resolve().parents[2] / "packages/nn/tests/hostile_layers.py"
Outcome = dict[str, Any]


def names(python: str) -> list[str]:
    """Return the names of the targets."""
    code = "import json, hostile_layer_targets as t; print(json.dumps([*t.TARGETS]))"
    listed = subprocess.run([python, "-c", code], cwd=LAYERS.parent, capture_output=True, text=True, check=True)
    found: list[str] = json.loads(listed.stdout)
    return found


def outcomes(python: str, library: str, name: str, o: argparse.Namespace) -> dict[int, Outcome]:
    """Return the outcomes of a target's calls by number, except for calls that crash or exceed the time limit."""
    with tempfile.TemporaryDirectory() as folder:
        file, journal = Path(folder) / "outcomes", Path(folder) / "journal"
        first = 0
        while first < o.calls:
            journal.write_text("")
            command = [python, str(LAYERS), "--library", library, "--outcomes", str(file), "--journal", str(journal)]
            command += ["--only", name, "--seed", str(o.seed), "--first", str(first), "--calls", str(o.calls - first)]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=o.patience, check=False)
                ended = f"exit code {done.returncode}"
            except subprocess.TimeoutExpired:
                ended = "no end"
            if ended == "exit code 0":
                break
            at = json.loads(journal.read_text() or "{}").get("first", o.calls)
            print(f"{library}: {name} {at}: {ended}", flush=True)
            first = at + 1
        lines = file.read_text().splitlines() if file.exists() else []
    return {outcome["number"]: outcome for outcome in map(json.loads, lines)}


def describe_difference(ours: Any, theirs: Any) -> str | None:
    """Return a description of how two results differ in type, shape or elements, or None."""
    if isinstance(ours, str) or isinstance(theirs, str):
        return None if ours == theirs else f"{ours!s:.60} instead of {theirs!s:.60}"
    if ours[:2] != theirs[:2]:
        return f"{ours[1]}{ours[0]} instead of {theirs[1]}{theirs[0]}"
    finite = [abs(x) for x in theirs[2] if math.isfinite(x)]
    tolerance = (1e-8 if ours[1] == "float64" else 1e-3) * (1 + max(finite, default=0.0))
    for at, (x, y) in enumerate(zip(ours[2], theirs[2], strict=True)):
        if not (x == y or (math.isnan(x) and math.isnan(y)) or abs(x - y) <= tolerance):
            return f"element {at} of {ours[1]}{ours[0]} is {x:.8g} instead of {y:.8g}"
    return None


def differences(ours: Outcome, theirs: Outcome) -> Iterator[tuple[str, str]]:
    """Yield the kind of a difference between two outcomes and its description."""
    if "error" in ours or "error" in theirs:
        kinds = [each.get("error", "a result") for each in (ours, theirs)]
        if kinds[0] != kinds[1]:
            yield " instead of ".join(kinds), f"{ours.get('message')} | {theirs.get('message')}"
        return
    for i, (mine, other) in enumerate(zip(ours["results"], theirs["results"], strict=True)):
        if how := describe_difference(mine, other):
            yield "other values", f"result {i}: {how}"
            return


def main() -> int:
    """Print how the results of random calls differ between flambeau and PyTorch, grouped by the kind of difference."""
    parser = argparse.ArgumentParser(prog="tools.fuzz.against_pytorch", description=__doc__)
    parser.add_argument("--pytorch", required=True, help="interpreter that has PyTorch and NumPy")
    parser.add_argument("--calls", type=int, default=50, help="number of calls per target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="test only targets whose name contains ONLY")
    parser.add_argument("--show", type=int, default=2, help="number of examples to print for each kind of difference")
    parser.add_argument("--patience", type=float, default=100, help="time limit in seconds for the calls of a target")
    o = parser.parse_args()
    compared = differing = 0
    for name in names(sys.executable):
        if o.only and o.only not in name:
            continue
        ours, theirs = outcomes(sys.executable, "flambeau", name, o), outcomes(o.pytorch, "torch", name, o)
        differing_calls = collections.defaultdict(list)
        for number in ours.keys() & theirs.keys():
            compared += 1
            for kind, how in differences(ours[number], theirs[number]):
                differing_calls[kind].append(f"    {number}: {'; '.join(ours[number]['call'])}: {how}")
        for kind, examples in sorted(differing_calls.items()):
            differing += len(examples)
            print(f"{name}: {kind} ({len(examples)})", *examples[: o.show], sep="\n", flush=True)
    print(f"{compared} calls compared, {differing} differ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
