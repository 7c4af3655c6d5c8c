"""The command line: select workloads, run them and write the report."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import chart, compiled_report, engines, machine, progress, rounds, summary
from .comparison import Comparison, all_met
from .process import Settings, Side, UnusableLibraryError, describe
from .table import table
from .workload import Workload
from .workloads import WORKLOADS

# The targets are ratios to this release.
BASELINE_VERSIONS = {"torch": "2.13.0"}

ALL_MET, NOT_ALL_MET, NOT_RUN = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark. Return 0 if every target is met, 1 if not, 2 if nothing could be measured."""
    options = parser().parse_args(arguments)
    selected = select(options.only, options.device)
    if not selected:
        print(f"no workload matches {' or '.join(p.pattern for p in options.only)}; see --list", file=sys.stderr)
        return NOT_RUN
    if options.list:
        print("\n".join(map(list_line, selected)))
        return ALL_MET
    settings = Settings(options.threads, options.quick, options.device)
    subject = Side(options.subject, options.python_flambeau)
    baseline = Side(options.baseline, options.python_torch, baseline=True)
    plain, compiled = ([row for row in selected if bool(row.baselines) is kind] for kind in (False, True))
    try:
        versions = [describe(side, settings) for side in ((subject, baseline) if plain else (subject,))]
    except UnusableLibraryError as error:
        print(error, file=sys.stderr)
        return NOT_RUN
    warn(versions)
    result: dict[str, Any] = {"machine": machine.describe(), "settings": vars(settings), "subject": versions[0]}
    comparisons: list[Comparison] = []
    if plain:
        result["baseline"] = versions[1]
        comparisons += measure(plain, subject, {"": baseline}, settings, options.rounds)
    if compiled:
        fast, others = engines.sides(subject, baseline, options.torch_compile)
        wanted = {name for row in compiled for name in row.baselines}
        others, result["baselines"] = engines.usable({n: s for n, s in others.items() if n in wanted}, settings)
        with engines.onnx_files(compiled, subject, settings, lambda text: print(text, file=sys.stderr)) as prepared:
            comparisons += measure(compiled, fast, others, prepared, options.rounds)
    report(comparisons, result, options.output)
    if options.chart is not None and plain:
        draw_summary(comparisons, result, options.chart)
    return ALL_MET if all_met(comparisons) else NOT_ALL_MET


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command-line options."""
    options = argparse.ArgumentParser(
        prog="benchmarks",
        description="Run the same workloads for flambeau and PyTorch in alternating processes and report the ratios.",
        epilog="Exit status: 0 all targets met, 1 some missed, 2 nothing measured.",
    )
    add = options.add_argument
    add("--only", metavar="PATTERN", type=pattern, action="append", default=[], help="workloads to run; repeatable")
    add("--rounds", type=positive, default=None, help="pairs of processes per group (default 5; 2 with --quick)")
    add("--device", choices=sorted({row.device for row in WORKLOADS}), default="cpu", help="device to run workloads on")
    add("--list", action="store_true", help="list the workloads with their targets and stop")
    add("--output", metavar="DIR", type=Path, default=Path("runs/benchmarks"), help="results (default: %(default)s)")
    add("--chart", metavar="FILE", type=Path, help="write a small chart of the workloads as SVG")
    add("--subject", default="flambeau", help="module to measure (default: %(default)s)")
    add("--baseline", default="torch", help="module to compare with (default: %(default)s)")
    add("--quick", action="store_true", help="measure fast but less precisely")
    add("--threads", type=positive, default=machine.cores(), help="threads of both libraries (default: all cores)")
    add(
        "--torch-compile",
        action="store_true",
        help="compare compiled models with torch.compile, too (needs a compiler)",
    )
    add("--python-flambeau", metavar="EXE", default=sys.executable, help="interpreter that has the subject")
    add("--python-torch", metavar="EXE", default=sys.executable, help="interpreter that has the baseline")
    return options


def pattern(text: str) -> re.Pattern[str]:
    """Compile a regular expression that ignores case."""
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a regular expression: {error}") from None


def positive(text: str) -> int:
    """Convert text to a positive integer."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer")
    return int(text)


def select(patterns: Sequence[re.Pattern[str]], device: str) -> list[Workload]:
    """Return the device's workloads whose ``group: name`` matches a pattern, or all of them without patterns."""
    rows = [row for row in WORKLOADS if row.device == device]
    return [row for row in rows if not patterns or any(pattern.search(row.key) for pattern in patterns)]


def list_line(row: Workload) -> str:
    """Return the line of a workload in the output of ``--list``."""
    target = "" if row.at_most is None else f"at most {row.at_most:g} {row.unit or 'of the baseline'}"
    return f"{row.key:<68} {target}".rstrip()


def warn(versions: Sequence[dict[str, Any]]) -> None:
    """Print a warning for each condition that makes the comparison with the targets unreliable."""
    for baseline in versions[1:]:
        stated = BASELINE_VERSIONS.get(baseline["library"])
        if stated is not None and baseline["version"].partition("+")[0] != stated:
            print(
                f"the targets are stated against {baseline['library']} {stated}, not {baseline['version']}",
                file=sys.stderr,
            )
        if versions[0]["threads"] != baseline["threads"]:
            print(f"threads differ: {versions[0]['threads']} and {baseline['threads']}", file=sys.stderr)
    load = machine.load()
    if load is not None and load > 0.5:
        print(f"the machine is busy (load {load:.1f}): expect wide ranges", file=sys.stderr)


def measure(
    selected: Sequence[Workload], subject: Side, baselines: Mapping[str, Side], settings: Settings, count: int | None
) -> list[Comparison]:
    """Run the rounds with a progress bar and return the comparisons."""
    count = count or (2 if settings.quick else 5)
    bar = progress.bar(count * sum(1 + len(rounds.compared(row, baselines)) for row in selected))
    try:
        return rounds.run(selected, subject, baselines, settings, count, bar.step)
    finally:
        bar.close()


def report(comparisons: Sequence[Comparison], result: dict[str, Any], output: Path) -> None:
    """Write ``results.json``, ``table.txt`` and the charts as SVG and PNG. Print the table."""
    record = {**result, "load_after": machine.load(), "workloads": [row.record() for row in comparisons]}
    output.mkdir(parents=True, exist_ok=True)
    (output / "results.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    plain, compiled = ([row for row in comparisons if bool(row.baseline) is kind] for kind in (False, True))
    tables = []
    if plain:
        sides = [result[side] for side in ("subject", "baseline")]
        tables.append(table(plain, *(side["library"] for side in sides)))
        title = " against ".join("{library} {version}".format(**side) for side in sides)
        write_chart(chart.draw, plain, title, output / "ratios")
    if compiled:
        tables.append(compiled_report.table(compiled))
        title = "Models compiled by {library} {version}".format(**result["subject"])
        write_chart(compiled_report.draw, compiled, title, output / "compiled")
    text = "\n\n".join(tables)
    (output / "table.txt").write_text(text + "\n", encoding="utf-8")
    print(f"{text}\n\nwritten to {output.resolve()}")


def draw_summary(comparisons: Sequence[Comparison], result: dict[str, Any], path: Path) -> None:
    """Write the small chart of the workloads with one baseline, with versions and the machine below it."""
    sides = ["{library} {version}".format(**result[side]) for side in ("subject", "baseline")]
    threads, about = result["settings"]["threads"], result["machine"]
    note = f"{about['processor']}, {threads} threads, {about['date'][:10]}. Medians of rounds in alternating processes."
    summary.draw([row for row in comparisons if not row.baseline], " and ".join(sides), note, path)


def write_chart(draw: Callable[..., None], rows: Sequence[Comparison], title: str, path: Path) -> None:
    """Write a chart as SVG and PNG, or print why it cannot be drawn."""
    try:
        draw(rows, title, [path.with_suffix(".svg"), path.with_suffix(".png")])
    except (ImportError, ValueError) as error:
        print(f"no chart: {error}", file=sys.stderr)
