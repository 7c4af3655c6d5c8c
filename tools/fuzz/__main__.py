"""Run hostile calls with one seed after another: ``python -m tools.fuzz [--calls-of operators layers programs]``.

The targets are divided among processes. If a target fails, the tool prints the command that repeats the call, and tests
the remaining targets of the process in a new process.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

PACKAGES = Path(__file__).resolve().parents[2] / "packages"
# For each group of targets, the script that makes the calls and a statement that lists the targets.
SCRIPTS = {
    "operators": (
        PACKAGES / "tensor-core/tests/hostile.py",
        "import hostile; names = [*hostile.targets(), *hostile.PROTOCOLS]",
    ),
    "layers": (PACKAGES / "nn/tests/hostile_layers.py", "import hostile_layers; names = [*hostile_layers.TARGETS]"),
    "programs": (
        PACKAGES / "export/tests/compile/hostile_programs.py",
        "import hostile_programs; names = [*hostile_programs.TARGETS]",
    ),
}
SHARE = 40  # targets per process


def names(kind: str) -> list[str]:
    """Return the names of all targets of a script."""
    script, listing = SCRIPTS[kind]
    code = f"import json; {listing}; print(json.dumps(names))"
    listed = subprocess.run([sys.executable, "-c", code], cwd=script.parent, capture_output=True, text=True, check=True)
    found: list[str] = json.loads(listed.stdout)
    return found


@dataclass
class Attack:
    """Settings of the calls. The methods make the calls of some of the targets in separate processes."""

    script: Path
    seed: int
    calls: int
    memory: int
    patience: float
    end: float
    options: list[str]  # options of the script

    def process(self, share: list[str], folder: Path) -> str | None:
        """Call the targets in one process. Return None if all succeed, or a description of the first failure."""
        journal, errors = folder / "journal", folder / "errors"
        journal.write_text("")
        command = [sys.executable, str(self.script), "--journal", str(journal), "--seed", str(self.seed)]
        command += ["--calls", str(self.calls), "--memory", str(self.memory)]
        command += [*self.options, "--only", *share]
        environment = {**os.environ, "PYTHONFAULTHANDLER": "1"}
        with errors.open("w") as file:
            running = subprocess.Popen(command, stdout=file, stderr=file, env=environment)
        written, since = "", time.monotonic()
        while running.poll() is None:
            time.sleep(0.2)
            if (now := journal.read_text()) != written:
                written, since = now, time.monotonic()
            if time.monotonic() - since > self.patience or time.monotonic() > self.end:
                running.kill()
                running.wait()
                late = time.monotonic() > self.end
                return None if late else f"no end after {self.patience:.0f} seconds"
        return f"exit code {running.returncode}\n{errors.read_text()[-6000:]}" if running.returncode else None

    def share(self, share: list[str]) -> list[str]:
        """Call the targets named in ``share``, and return the failures with commands that repeat them.

        After a failure, a new process continues with the next target.
        """
        reports = []
        with tempfile.TemporaryDirectory() as folder:
            while share and time.monotonic() < self.end:
                what = self.process(share, Path(folder))
                if what is None:
                    break
                calls = [json.loads(line) for line in (Path(folder) / "journal").read_text().splitlines()]
                name = calls[0]["only"] if calls else share[0]
                commands = [
                    " ".join(["Again: python", self.script.name, *self.options, "--calls 1"])
                    + "".join(f" --{key} '{value}'" for key, value in call.items())
                    for call in calls  # one for each thread
                ]
                reports.append("\n".join([f"{name}: {what}", *commands]))
                print(reports[-1], flush=True)
                share = share[share.index(name) + 1 :]
        return reports


def main() -> int:
    """Call random targets with random arguments until the time is over. Return 1 after a failure."""
    parser = argparse.ArgumentParser(prog="tools.fuzz", description=__doc__)
    parser.add_argument("--calls-of", choices=SCRIPTS, nargs="+", default=["operators"], help="kinds of targets")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--calls", type=int, default=50, help="number of calls per target and seed")
    parser.add_argument("--seed", type=int, default=1, help="first seed")
    parser.add_argument(
        "--seeds", type=int, default=10**9, help="maximum number of seeds (default: until the time is over)"
    )
    parser.add_argument("--only", help="test only targets whose name contains ONLY")
    parser.add_argument("--memory", type=int, default=4, help="memory limit of each process in GiB; 0: no limit")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="number of parallel processes")
    parser.add_argument("--patience", type=float, default=100, help="time limit of a call in seconds")
    parser.add_argument("--device", default="cpu", help="device of most tensors (default: %(default)s)")
    parser.add_argument(
        "--way", default="plain", help="how operators are called: plain, vmap, grad or threads (default: %(default)s)"
    )
    o = parser.parse_args()
    end, seed, failures = time.monotonic() + 60 * o.minutes, o.seed, 0
    chosen = {kind: [name for name in names(kind) if not o.only or o.only in name] for kind in o.calls_of}
    with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
        while time.monotonic() < end and seed < o.seed + o.seeds:
            for kind in sorted(chosen, key=lambda kind: len(chosen[kind])):  # the time limit may skip the last groups
                options = ["--device", o.device, *(["--way", o.way] if kind == "operators" else [])]
                attack = Attack(SCRIPTS[kind][0], seed, o.calls, o.memory, o.patience, end, options)
                shares = [chosen[kind][i : i + SHARE] for i in range(0, len(chosen[kind]), SHARE)]
                failures += sum(map(len, pool.map(attack.share, shares)))
            state = "through" if time.monotonic() < end else "cut short"
            print(
                f"seed {seed} {state}: {sum(map(len, chosen.values()))} targets, {failures} failures so far", flush=True
            )
            seed += 1
    return bool(failures)


sys.exit(main())
