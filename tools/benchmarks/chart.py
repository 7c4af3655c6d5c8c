"""Chart of the report: a bar for each ratio, which starts at 1 and extends to the left if the subject is faster."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from .comparison import FASTER, MET, MISSED, SLOWER, Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {MET: "#2a7f62", MISSED: "#b83227", FASTER: "#92c5ad", SLOWER: "#e5a198"}
OTHER = "#b5b5b5"
INCHES_PER_ROW = 0.2


def draw(comparisons: Sequence[Comparison], title: str, paths: Sequence[Path]) -> None:
    """Write the chart to each of ``paths``. The suffix of a path selects the format.

    Raises: ImportError without matplotlib; ValueError if no workload has a ratio.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [comparison for comparison in comparisons if comparison.ratio]
    if not rows:
        raise ValueError("no workload has a ratio")
    groups = len({row.group for row in rows})
    figure = Figure(figsize=(9.5, 1.8 + INCHES_PER_ROW * (len(rows) + 1.6 * groups)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title)
    _rows(axes, rows)
    _scale(axes)
    _legend(axes, {row.status for row in rows})
    for path in paths:
        figure.savefig(path, dpi=150)


def _rows(axes: Axes, rows: Sequence[Comparison]) -> None:
    """Draw the groups from top to bottom, with the name above each group and a gap between groups."""
    depth, ticks = 0.0, dict[float, str]()
    for group, members in groupby(rows, key=lambda row: row.group):
        axes.text(-0.01, -depth, group, transform=axes.get_yaxis_transform(), ha="right", va="center", weight="bold")
        for row in members:
            depth += 1.0
            ticks[-depth] = row.workload.name
            _bar(axes, -depth, row)
        depth += 1.6
    axes.set_yticks(list(ticks), list(ticks.values()), fontsize=8)
    axes.set_ylim(1.0 - depth, 1.0)


def _bar(axes: Axes, height: float, row: Comparison) -> None:
    """Draw one bar with its range over the rounds, its value, and the mark of its target."""
    assert row.ratio is not None
    axes.barh(height, row.ratio - 1.0, left=1.0, height=0.78, color=COLOURS.get(row.status, OTHER))
    if row.spread is not None:
        axes.plot(row.spread, (height, height), color="#333333", linewidth=0.8)
    if row.target_ratio is not None:
        axes.plot(row.target_ratio, height, marker="|", markersize=9, markeredgewidth=2.2, color="black", zorder=3)
    label = f" {row.ratio:.2f} "
    end = max(row.ratio, 1.0, *(row.spread or ()))
    axes.text(end, height, label, va="center", ha="left", fontsize=7, color="#333333")


def _scale(axes: Axes) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.5), max(high, 2.0) * 1.15)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.axvline(1.0, color="black", linewidth=1.0)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel("ratio to the baseline, lower is better")


def _legend(axes: Axes, statuses: set[str]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    meaning = {MET: "target met", MISSED: "target missed", FASTER: "no target, faster", SLOWER: "no target, slower"}
    patches = [Patch(color=COLOURS[status], label=meaning[status]) for status in COLOURS if status in statuses]
    target = Line2D([], [], color="black", marker="|", markersize=9, markeredgewidth=2.2, linestyle="", label="target")
    spread = Line2D([], [], color="#333333", linewidth=0.8, label="range over rounds")
    axes.legend(
        handles=[*patches, target, spread], loc="upper center", bbox_to_anchor=(0.3, -0.02), ncols=3, frameon=False
    )
