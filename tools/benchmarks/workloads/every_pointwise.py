"""Every pointwise operator on a million numbers: a row of the benchmark for each row of the operators' table."""

from __future__ import annotations

import re
from pathlib import Path

from ..workload import Workload, expression

GROUP = "every pointwise operator, 10^6"
MILLION = (1000, 1000)
FAMILIES = Path(__file__).parents[3] / "packages" / "tensor-core" / "include" / "flambeau" / "rows"
ROW = re.compile(r"^(UNARY|BINARY|TERNARY)\(\s*([a-z]\w*),\s*(\w+)", re.MULTILINE)
OPERANDS = {"UNARY": "x", "BINARY": "x, y", "TERNARY": "x, y, z"}


def rows() -> list[Workload]:
    """A workload for each public row that takes floats; the numbers lie in [0.5, 1.5), where most are defined."""
    table = "".join(family.read_text() for family in sorted(FAMILIES.glob("*.def")))
    found = [
        Workload(
            GROUP,
            name,
            expression(
                f"fb.{name}({OPERANDS[arity]})",
                positive=True,
                **dict.fromkeys(OPERANDS[arity].split(", "), MILLION),
            ),
            at_most=1.0,
        )
        for arity, name, domain in ROW.findall(table)
        if domain not in ("Integral", "Whole") and not (name == "where" or name.startswith("special_"))
    ]
    if not found:
        raise FileNotFoundError(f"no rows of operators in {FAMILIES}")
    return found


ROWS = rows()
