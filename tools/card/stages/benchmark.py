"""The benchmark against PyTorch's CUDA build (tools/benchmarks), one group of workloads at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..machine import printed, without_pytorch
from ..setting import Setting
from ..steps import FAILED, PASSED, Ended, Outcome, Stage, Step, failure

ROUNDS = 3
MEASURED = (0, 1)  # exit statuses of tools.benchmarks: all targets met, some missed


def steps(setting: Setting) -> list[Step]:
    listed = printed([setting.python, "-m", "tools.benchmarks", "--device", "cuda", "--list"], setting.environment)
    if listed is None:
        raise RuntimeError("tools.benchmarks cannot list its workloads")
    groups = dict.fromkeys(line.partition(": ")[0] for line in listed.splitlines())
    return [step(group, setting) for group in groups]


def step(group: str, setting: Setting) -> Step:
    """Return the step that measures a group."""
    folder = setting.work / "benchmark" / re.sub(r"[^A-Za-z0-9]+", "-", group)
    command = [setting.python, "-m", "tools.benchmarks", "--device", "cuda", "--only", f"^{re.escape(group)}: "]
    command += ["--rounds", str(ROUNDS), "--output", str(folder)]
    return Step(group, command, 500, read=partial(outcome, folder / "results.json"))


def outcome(file: Path, ended: Ended) -> Outcome:
    """Return the medians and ratios of a group. A missed target is a result, not a failure."""
    if ended.status not in MEASURED or not file.exists():
        return failure(ended, ended.lines[-1] if ended.lines else "")
    rows = json.loads(file.read_text(encoding="utf-8"))["workloads"]
    counts = {
        status: sum(row["status"] == status for row in rows) for status in dict.fromkeys(r["status"] for r in rows)
    }
    failed = any(row["status"] in ("missing", "differs", "unmeasured") for row in rows)
    note = ", ".join(f"{count} {status}" for status, count in counts.items())
    return {"status": FAILED if failed else PASSED, "note": note, "rows": rows}


def report(outcomes: Mapping[str, Outcome]) -> list[str]:
    """Return a table of all workloads."""
    lines = [
        "Medians of alternating processes; a ratio below 1 means that flambeau is faster. Under `beside a copy`, the "
        "values are times per byte relative to a copy of the same library, and in parentheses the fraction of the "
        "copy's bandwidth.",
        "",
        "| workload | flambeau | PyTorch | ratio | rounds | target | |",
        "|---|---|---|---|---|---|---|",
    ]
    return lines + [line(row) for outcome in outcomes.values() for row in outcome.get("rows", [])]


def line(row: Mapping[str, Any]) -> str:
    """Return the table row of a workload."""
    fraction = row["unit"] == "times"
    mine, other = (quantity(row[f"{side}_median"], row["unit"], fraction) for side in ("subject", "baseline"))
    ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
    spread = "" if row["ratio_spread"] is None else "{:.2f} to {:.2f}".format(*row["ratio_spread"])
    target = "" if row["at_most"] is None else f"{row['at_most']:g}"
    remark = row["status"] + (f": {row['note']}" if row["note"] else "")
    name = f"{row['group']}: {row['name']}".removeprefix("GPU, ")
    return f"| {' | '.join([name, mine, other, ratio, spread, target, remark])} |"


def quantity(value: float | None, unit: str, fraction: bool) -> str:
    """Return a value with its unit.

    >>> quantity(0.0000025, "s", False), quantity(0.5, "s", False), quantity(1.25, "times", True)
    ('2.50 µs', '500 ms', '1.25 (80 %)')
    """
    if value is None:
        return ""
    if fraction:
        return f"{value:.2f} ({100 / value:.0f} %)" if value > 0 else f"{value:.2f}"
    if unit != "s":
        return f"{value:.1f} {unit}"
    for factor, name in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if value * factor >= 1:
            return f"{value * factor:.3g} {name}"
    return f"{value * 1e9:.3g} ns"


STAGE = Stage("benchmark", "Speed against PyTorch", steps, missing=without_pytorch)
