"""Run the calls of packages/tensor-core/tests/hostile.py with one seed after another: ``python -m tools.fuzz``.

Each operator's calls go on after a failure; each failure is printed with the command that makes the call again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HOSTILE = Path(__file__).resolve().parents[2] / "packages/tensor-core/tests/hostile.py"


def names() -> list[str]:
    """Every operator and protocol that hostile.py attacks."""
    code = "import json, hostile; print(json.dumps([*hostile.targets(), *hostile.PROTOCOLS]))"
    listing = subprocess.run(
        [sys.executable, "-c", code], cwd=HOSTILE.parent, capture_output=True, text=True, check=True
    )
    found: list[str] = json.loads(listing.stdout)
    return found


def attack(options: list[str], journal: Path, timeout: float) -> tuple[str, dict[str, str | int]] | None:
    """One process of calls: None if all went well, else what happened and in which call."""
    journal.write_text("")
    command = [sys.executable, str(HOSTILE), "--journal", str(journal), *options]
    environment = {**os.environ, "PYTHONFAULTHANDLER": "1"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment)
    except subprocess.TimeoutExpired:
        return f"no end after {timeout:.0f} seconds", json.loads(journal.read_text())
    if done.returncode == 0:
        return None
    return f"exit code {done.returncode}\n{done.stderr[-4000:]}", json.loads(journal.read_text() or "{}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="start no process later than this")
    parser.add_argument("--calls", type=int, default=200, help="of each operator and seed")
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument("--only", help="operators whose name contains this")
    parser.add_argument("--memory", type=int, default=4, help="limit in GiB of each process; 0: none")
    options = parser.parse_args()
    end, seed, failures = time.monotonic() + 60 * options.minutes, options.seed, 0
    chosen = [name for name in names() if not options.only or options.only in name]
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end:
            for name in chosen:
                if time.monotonic() > end:
                    break
                run = ["--seed", str(seed), "--only", name, "--memory", str(options.memory)]
                failed = attack([*run, "--calls", str(options.calls)], Path(folder) / "journal", 600)
                if failed:
                    failures += 1
                    what, call = failed
                    again = " ".join(f"--{key} '{value}'" for key, value in call.items())
                    print(f"{name}: {what}\nAgain: python {HOSTILE.name} {again} --calls 1\n", flush=True)
            print(f"seed {seed}: {len(chosen)} operators, {failures} failures so far", flush=True)
            seed += 1
    return bool(failures)


sys.exit(main())
