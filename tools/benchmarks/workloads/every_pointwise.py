"""Every pointwise operator on a million numbers: a workload for each row of the operator table."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from ..workload import Code, Library, Workload, expression

GROUP = "every pointwise operator, 10^6"
MILLION = (1000, 1000)
FAMILIES = Path(__file__).parents[3] / "packages" / "tensor-core" / "include" / "flambeau" / "pointwise"
ROW = re.compile(r"^(UNARY|BINARY|TERNARY)\(\s*([a-z]\w*),\s*(\w+)", re.MULTILINE)
OPERANDS = {"UNARY": "x", "BINARY": "x, y", "TERNARY": "x, y, z"}
USUAL = (0.5, 1.5)  # interval in which most operators are defined
WITHIN = dict.fromkeys(("logit", "erfinv", "asin", "acos", "atanh"), (0.05, 0.95)) | {"acosh": (1.0, 2.0)}
NUMBERS = {"threshold": ", 1.0, 0.0"}  # required arguments of activations


def rows() -> list[Workload]:
    """Return a workload for each public pointwise operator that takes floats.

    The inputs of activations of ``nn.functional`` are normally distributed.
    """
    workloads = [
        Workload(GROUP, name, activation(name) if family.stem == "activations" else function(name, arity), at_most=1.0)
        for family in sorted(FAMILIES.glob("*.def"))
        for arity, name, domain in ROW.findall(family.read_text())
        if domain not in ("Integral", "Whole") and not (name == "where" or name.startswith("special_"))
    ]
    if not workloads:
        raise FileNotFoundError(f"no rows of operators in {FAMILIES}")
    return workloads


def activation(name: str) -> Callable[[Library], Code]:
    return expression(f"F.{name}(x{NUMBERS.get(name, '')})", x=MILLION)


def function(name: str, arity: str) -> Callable[[Library], Code]:
    operands = dict.fromkeys(OPERANDS[arity].split(", "), MILLION)
    return expression(f"fb.{name}({OPERANDS[arity]})", within=WITHIN.get(name, USUAL), **operands)


ROWS = rows()
