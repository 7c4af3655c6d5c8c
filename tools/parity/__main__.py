"""``python -m tools.parity``: compare flambeau with PyTorch for all operators in PyTorch's table.

Prints a line for each variant, a message for each failing cell, and the percentage of cells that pass.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import re
import sys
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from torch.testing._internal.common_methods_invocations import op_db
from tqdm import tqdm

from tools.parity import report
from tools.parity.cell import FURTHER_KINDS, KINDS, Cell
from tools.parity.cells import Variant
from tools.parity.errors import errors
from tools.parity.scope import DTYPES, OUT_OF_SCOPE, reason_to_skip, title


def main() -> int:
    """Run the chosen part of the table. Return exit status 0 if enough cells pass, otherwise 1."""
    parser = argparse.ArgumentParser(prog="parity", description=__doc__)
    parser.add_argument("-k", default="", metavar="REGEX", help="test only variants whose name matches")
    parser.add_argument("--dtypes", default=",".join(DTYPES), help="dtypes to test, separated by commas")
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"of {','.join((*KINDS, *FURTHER_KINDS))}")
    parser.add_argument("--samples", type=int, help="maximum number of samples per cell")
    parser.add_argument("--json", metavar="FILE", help="write the results of all cells to FILE")
    parser.add_argument("--at-least", type=float, default=0, metavar="PERCENT", help="fail if fewer cells pass")
    parser.add_argument("-v", action="store_true", help="print all messages of failing cells")
    options = parser.parse_args()
    faulthandler.enable()
    cells = walk(options)
    print(report.table(cells))
    print(report.failures(cells, sys.maxsize if options.v else 1))
    print("out of scope:", "; ".join(f"{start}* ({why})" for start, why in OUT_OF_SCOPE.items()))
    print(report.summary(cells))
    if options.json:
        with open(options.json, "w") as file:
            json.dump([asdict(c) for c in cells], file)
    passed = sum(not c.failures for c in cells)
    return int(passed < len(cells) * options.at_least / 100)


def walk(options: argparse.Namespace) -> list[Cell]:
    """Run and return every selected cell."""
    chosen = [op for op in op_db if re.search(options.k, title(op)) and not reason_to_skip(op)]
    kinds = set(options.kinds.split(","))
    cells: list[Cell] = []
    progress = tqdm(chosen, disable=None, leave=False)
    for op in progress:
        progress.set_description(title(op))
        supported = {str(d).removeprefix("torch.") for d in op.supported_dtypes("cpu")}
        for dtype in options.dtypes.split(","):
            if dtype in supported:
                cells += watched(Variant(op, dtype, options.samples, kinds).cells(), op, dtype)
        if "errors" in kinds:
            cells += watched(errors(op), op, "-")
    return cells


def watched(cells: Iterator[Cell], op: Any, dtype: str) -> Iterator[Cell]:
    """Yield the cells, and a failing cell if PyTorch cannot create the samples."""
    try:
        yield from cells
    except Exception:
        yield Cell(title(op), dtype, "forward", 1, [traceback.format_exc(limit=-3)])


if __name__ == "__main__":
    sys.exit(main())
