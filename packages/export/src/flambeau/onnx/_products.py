"""Products of matrices, determinants and einsum."""

from __future__ import annotations

from typing import Any

from ._graph import Graph, Name, converts
from ._values import Value


@converts("matmul", "mm", "bmm", "mv", "dot")
def matmul(g: Graph, input: Value, **others: Any) -> Name:
    other = next(value for value in others.values() if isinstance(value, Value))
    dtype = g.result.dtype
    return g.op("MatMul", g.cast(input, dtype), g.cast(other, dtype))


@converts("addmm")
def addmm(g: Graph, input: Value, mat1: Value, mat2: Value, beta: Any, alpha: Any) -> Name:
    return g.op("Gemm", mat1, mat2, input, alpha=float(alpha), beta=float(beta))


@converts("linear")
def linear(g: Graph, input: Value, weight: Value, bias: Value | None) -> Name:
    if input.ndim == 2:
        return g.op("Gemm", input, weight, bias, transB=1)
    transposed = g.op("Transpose", weight, perm=[1, 0]) if weight.ndim == 2 else g.name(weight)
    product = g.op("MatMul", input, transposed)
    return product if bias is None else g.op("Add", product, bias)


@converts("det")
def determinant(g: Graph, **matrices: Value) -> Name:
    return g.op("Det", *matrices.values())


@converts("einsum")
def einsum(g: Graph, equation: Any, operands: Any) -> Name:
    if not isinstance(equation, str):
        raise NotImplementedError("einsum() with lists of subscripts cannot be exported: write them as an equation")
    return g.op("Einsum", *(g.cast(x, g.result.dtype) for x in operands), equation=equation.replace(" ", ""))
