"""Small chart for a page: the subject relative to the baseline, written as SVG without other libraries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from .comparison import Comparison
from .table import quantity

WIDTH, LABELS, VALUES = 880, 400, 170  # pixels: total, for the names on the left, for the values on the right
ROW, BAR, TOP, BOTTOM = 26, 15, 58, 30
STYLE = """
  text { font: 13px -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #24292f }
  .title { font-size: 15px; font-weight: 600 }
  .note { font-size: 11px; fill: #57606a }
  .subject { fill: #d9480f }
  .baseline { fill: #d0d7de }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .note { fill: #8d96a0 }
    .baseline { fill: #3d444d }
  }
"""


def draw(comparisons: Sequence[Comparison], title: str, note: str, path: Path) -> None:
    """Write the chart: a bar for each workload, drawn over a bar of length 1 for the baseline.

    Raises: ValueError if no workload has a ratio.
    """
    rows = [row for row in comparisons if row.ratio]
    if not rows:
        raise ValueError("no workload has a ratio")
    height = TOP + ROW * len(rows) + BOTTOM
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        f"<style>{STYLE}</style>",
        _text(0, 18, title, "title"),
        _text(LABELS, 42, "relative to the baseline (grey), shorter is better", "note"),
        *(element for number, row in enumerate(rows) for element in _bar(row, TOP + ROW * number, _scale(rows))),
        _text(0, height - 8, note, "note"),
        "</svg>",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _scale(rows: Sequence[Comparison]) -> float:
    """Return the length in pixels of a ratio of 1."""
    return (WIDTH - LABELS - VALUES) / max(1.0, *(row.ratio or 0.0 for row in rows))


def _bar(row: Comparison, y: int, scale: float) -> Iterator[str]:
    assert row.ratio is not None
    middle = y + BAR - 3
    yield _text(LABELS - 10, middle, row.workload.key, anchor="end")
    yield _rectangle(y, scale, "baseline")
    yield _rectangle(y, row.ratio * scale, "subject")
    values = " / ".join(quantity(value, row.workload.unit) for value in row.medians)
    yield _text(WIDTH - VALUES + 12, middle, f"{row.ratio:.2f}  ({values})")


def _rectangle(y: int, width: float, kind: str) -> str:
    return f'<rect x="{LABELS}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2" class="{kind}"/>'


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{style}>{escape(text)}</text>'
