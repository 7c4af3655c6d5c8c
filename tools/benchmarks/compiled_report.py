"""The report of the groups ``compile``: a row for each model, a column for each baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from .comparison import MISSING, Comparison
from .engines import EAGER, ONNX, TORCH, TORCH_COMPILE
from .table import quantity
from .workloads.compiled import FIRST_CALL, MEMORY, OTHER_SIZE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {EAGER: "#2a7f62", ONNX: "#b8860b", TORCH: "#b83227", TORCH_COMPILE: "#5b4b9a"}
MARKERS = {EAGER: "o", ONNX: "D", TORCH: "s", TORCH_COMPILE: "^"}
INCHES_PER_ROW = 0.27
WIDTH = 18

# The comparisons of one model, by baseline.
Row = dict[str, Comparison]


def by_model(comparisons: Sequence[Comparison], suffix: str = "") -> dict[tuple[str, str], Row]:
    """Return the comparisons of one measurement by group and model, then by baseline.

    The suffix of a workload's name selects the measurement, such as the first call. Without a suffix, the measurement
    is the time of later calls.
    """
    models: dict[tuple[str, str], Row] = {}
    for row in comparisons:
        name = row.workload.name
        own = next((end for end in (FIRST_CALL, OTHER_SIZE, MEMORY) if name.endswith(end)), "")
        if own == suffix:
            models.setdefault((row.workload.group, name.removesuffix(own)), {})[row.baseline] = row
    return models


def table(comparisons: Sequence[Comparison]) -> str:
    """Return a report of the time ratios to each baseline, first calls, other sizes, memory and missing results."""
    times, first = by_model(comparisons), by_model(comparisons, FIRST_CALL)
    baselines = [name for name in COLOURS if any(name in row for row in times.values())]
    width = max(len(row.workload.name) for row in comparisons) + 2
    lines = []
    if times:
        lines.append(_line(width, "ratio to", "compiled", *baselines, "first call", "recovered after"))
    for group, models in groupby(times, key=lambda key: key[0]):
        lines += ["", group]
        for key in models:
            cells = [_ratio(times[key].get(name)) for name in baselines]
            one = next(iter(times[key].values()))
            lines.append(_line(width, f"  {key[1]}", _value(one), *cells, *_first(times[key], first.get(key, {}))))
    for title, suffix in (("another size, against a program for it", OTHER_SIZE), ("peak memory", MEMORY)):
        if rows := by_model(comparisons, suffix):
            lines += ["", title]
            lines += [
                _line(width, f"  {key[1]}", _value(one), _ratio(one), _value(one, 1))
                for key, row in rows.items()
                for one in row.values()
            ]
    return "\n".join([*lines, *_notes(comparisons)])


def recovered_after(times: Row, first: Row) -> float | None:
    """Return the number of compiled calls that compensate for the time of the capture, or None without readings.

    The number is infinite if compiled calls are not faster.
    """
    if EAGER not in times or EAGER not in first:
        return None
    (compiled, eager), captured = times[EAGER].medians, first[EAGER].medians[0]
    if compiled is None or eager is None or captured is None:
        return None
    extra = captured / 1e3 - eager
    return math.inf if compiled >= eager else max(0.0, math.ceil(extra / (eager - compiled)))


def draw(comparisons: Sequence[Comparison], title: str, paths: Sequence[Path]) -> None:
    """Write the chart to each of ``paths``: a line for each model, a mark for each baseline.

    Raises: ImportError without matplotlib; ValueError if no model has a ratio.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = {k: row for k, row in by_model(comparisons).items() if any(one.ratio for one in row.values())}
    if not rows:
        raise ValueError("no model has a ratio")
    groups = len({group for group, _ in rows})
    figure = Figure(figsize=(9.5, 1.8 + INCHES_PER_ROW * (len(rows) + 1.2 * groups)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, loc="left")
    _draw_rows(axes, rows)
    _draw_scale(axes)
    for path in paths:
        figure.savefig(path, dpi=150)


def _draw_rows(axes: Axes, rows: dict[tuple[str, str], Row]) -> None:
    """Draw one row of markers per model: the ratio to each engine, with a line for its spread. Group the models."""
    depth, ticks, named = 0.0, dict[float, str](), set[str]()
    for group, models in groupby(rows, key=lambda key: key[0]):
        axes.text(-0.01, -depth, group, transform=axes.get_yaxis_transform(), ha="right", va="center", weight="bold")
        for key in models:
            depth += 1.0
            ticks[-depth] = key[1]
            for name, one in rows[key].items():
                if one.ratio:
                    label = None if name in named else name
                    named.add(name)
                    if one.spread is not None:
                        axes.plot(one.spread, (-depth, -depth), color=COLOURS[name], linewidth=0.9, alpha=0.6)
                    axes.plot(
                        one.ratio, -depth, MARKERS[name], color=COLOURS[name], markersize=5.5, label=label, alpha=0.9
                    )
        depth += 1.2
    axes.set_yticks(list(ticks), list(ticks.values()), fontsize=8)
    axes.set_ylim(0.8 - depth, 0.8)


def _draw_scale(axes: Axes) -> None:
    """Set a logarithmic axis of ratios, and shade the side where the compiled model is slower."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.5), max(high, 1.5))
    axes.axvspan(1.0, axes.get_xlim()[1], color="#f4e6e3", zorder=0)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.axvline(1.0, color="black", linewidth=1.0)
    axes.grid(axis="both", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel("time of the compiled model relative to, lower is better")
    axes.legend(loc="upper center", bbox_to_anchor=(0.3, -0.06), ncols=4, frameon=False)


def _line(width: int, name: str, *cells: str) -> str:
    return f"{name:<{width}}" + "".join(f"{cell:>{WIDTH}}" for cell in cells)


def _value(row: Comparison, side: int = 0) -> str:
    return quantity(row.medians[side], row.workload.unit)


def _ratio(row: Comparison | None) -> str:
    if row is None or row.ratio is None or row.spread is None:
        return "-"
    return "{:.2f} ({:.2f}-{:.2f})".format(row.ratio, *row.spread)


def _first(times: Row, first: Row) -> tuple[str, str]:
    if not first:
        return "-", "-"
    calls = recovered_after(times, first)
    text = "-" if calls is None else "never" if calls == math.inf else f"{calls:.0f} calls"
    return _value(next(iter(first.values()))), text


def _notes(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Yield the reasons why ratios are missing or unreliable, without repetitions."""
    notes: dict[str, list[str]] = {}
    for row in comparisons:
        if row.status == MISSING or row.disagreement:
            why = row.missing or f"the results differ: {row.disagreement}"
            notes.setdefault(f"{row.workload.key}: {why}", []).append(row.baseline)
    if notes:
        yield from ("", "missing or different")
        yield from sorted(f"  {note} (against {', '.join(names)})" for note, names in notes.items())
