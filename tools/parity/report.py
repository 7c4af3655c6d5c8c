"""Report of the cells that passed and failed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from tools.parity.cell import FURTHER_KINDS, KINDS, Cell

MARKS = {
    "forward": "f",
    "method": "m",
    "in-place": "i",
    "out": "o",
    "gradient": "g",
    "second": "s",
    "gradcheck": "c",
    "gradgradcheck": "h",
    "errors": "e",
    "forward_ad": "d",
    "autocast": "a",
    "meta": "t",
    "cuda": "u",
}


def table(cells: list[Cell]) -> str:
    """Return a line for each variant, with the letters of the failed checks for each dtype, or a dot if none failed."""
    rows: dict[str, dict[str, list[Cell]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        rows[cell.variant][cell.dtype].append(cell)
    lines = []
    for variant, by_dtype in rows.items():
        marks = []
        for dtype, of_dtype in by_dtype.items():
            failed = "".join(MARKS[c.kind] for c in of_dtype if c.failures)
            marks.append(f"{dtype}:{failed or '.'}")
        lines.append(f"{variant:48} {' '.join(marks)}")
    return "\n".join(lines)


def failures(cells: list[Cell], each: int = 1) -> str:
    """Return the failing cells with their first messages."""
    return "\n".join(
        f"{c.variant} {c.dtype} {c.kind} ({len(c.failures)}/{c.samples}): {text}"
        for c in cells
        for text in c.failures[:each]
    )


def summary(cells: list[Cell], kinds: Sequence[str] = (*KINDS, *FURTHER_KINDS)) -> str:
    """Return the numbers of passing cells for each kind and in total."""
    lines = []
    for kind in (*kinds, "all"):
        of_kind = [c for c in cells if kind in (c.kind, "all")]
        if of_kind:
            passed = sum(not c.failures for c in of_kind)
            lines.append(f"{kind:10} {passed:6} of {len(of_kind):6}  {100 * passed / len(of_kind):6.2f} %")
    return "\n".join(lines)
