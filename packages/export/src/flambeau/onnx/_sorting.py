"""Sorting and the largest elements."""

from __future__ import annotations

from typing import Any

from ._graph import Graph, Name, converts
from ._values import Value


@converts("topk")
def topk(g: Graph, input: Value, k: Any, dim: int, largest: bool, sorted: bool) -> list[Name]:
    return g.several(2, "TopK", input, g.size(k), axis=dim, largest=int(largest), sorted=int(sorted))


@converts("sort")
def sort(g: Graph, input: Value, dim: int, descending: bool, stable: bool = True) -> list[Name]:
    return g.several(2, "TopK", input, g.size(input.shape[dim]), axis=dim, largest=int(descending))


@converts("argsort")
def argsort(g: Graph, input: Value, dim: int, descending: bool, stable: bool = True) -> Name:
    return sort(g, input, dim, descending)[1]
