"""Pointwise operators."""

from __future__ import annotations

import math
from typing import Any

import flambeau

from ._graph import ELEMENT_TYPES, Graph, Name, converts
from ._sizes import Size
from ._values import Value

# Dictionary from flambeau's names to ONNX operators. Operands are first cast to the dtype of the result.
UNARY = {
    **{name: name.capitalize() for name in ("abs", "neg", "sign", "floor", "ceil", "exp", "log", "sqrt", "reciprocal")},
    **{name: name.capitalize() for name in ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh")},
    **{name: name.capitalize() for name in ("asinh", "acosh", "atanh", "erf", "sigmoid", "relu", "selu", "mish")},
    "softsign": "Softsign",
    "hardswish": "HardSwish",
    "logical_not": "Not",
}
BINARY = {"mul": "Mul", "pow": "Pow", "maximum": "Max", "minimum": "Min"}
BINARY_OF_BOOLS = {"mul": "And", "maximum": "Or", "minimum": "And"}
COMPARED = {"eq": "Equal", "lt": "Less", "gt": "Greater", "le": "LessOrEqual", "ge": "GreaterOrEqual"}
LOGICAL = {"logical_and": "And", "logical_or": "Or", "logical_xor": "Xor"}
BITWISE = {
    f"bitwise_{name.lower()}": (name, f"Bitwise{name}") for name in ("And", "Or", "Xor")
}  # ONNX operators for bool operands and for integers


def unary(g: Graph, input: Value) -> Name:
    return g.op(UNARY[g.operator], g.cast(input, g.result.dtype))


def binary(g: Graph, **operands: Any) -> Name:
    names = BINARY_OF_BOOLS if g.result.dtype == flambeau.bool else BINARY
    return g.op(names[g.operator], *(g.operand(x, g.result.dtype) for x in operands.values()))


def compared(g: Graph, input: Any, other: Any) -> Name:
    dtype = _comparison_dtype(input, other)
    return g.op(COMPARED[g.operator], g.operand(input, dtype), g.operand(other, dtype))


def logical(g: Graph, input: Any, other: Any) -> Name:
    return g.op(LOGICAL[g.operator], g.operand(input, flambeau.bool), g.operand(other, flambeau.bool))


def bitwise(g: Graph, input: Any, other: Any) -> Name:
    dtype = g.result.dtype
    kind = BITWISE[g.operator][dtype != flambeau.bool]
    return g.op(kind, g.operand(input, dtype), g.operand(other, dtype))


converts(*UNARY)(unary)
converts(*BINARY)(binary)
converts(*COMPARED)(compared)
converts(*LOGICAL)(logical)
converts(*BITWISE)(bitwise)


def _comparison_dtype(*operands: Any) -> flambeau.dtype:
    """Return the dtype in which operands are compared."""
    return flambeau.result_type(*(_stand_in(x) for x in operands))


def _stand_in(x: Any) -> Any:
    if isinstance(x, Value):
        return flambeau.empty(x.tensor.shape, dtype=x.dtype, device="meta")
    return 1 if isinstance(x, Size) else x


@converts("ne")
def not_equal(g: Graph, input: Any, other: Any) -> Name:
    dtype = _comparison_dtype(input, other)
    return g.op("Not", g.op("Equal", g.operand(input, dtype), g.operand(other, dtype)))


@converts("bitwise_not")
def bitwise_not(g: Graph, input: Value) -> Name:
    return g.op("Not" if input.dtype == flambeau.bool else "BitwiseNot", input)


@converts("isnan")
def is_nan(g: Graph, input: Value) -> Name:
    return g.op("IsNaN", input)


@converts("isinf")
def is_infinite(g: Graph, input: Value) -> Name:
    return g.op("IsInf", input)


@converts("isfinite")
def is_finite(g: Graph, input: Value) -> Name:
    return g.op("Not", g.op("Or", g.op("IsNaN", input), g.op("IsInf", input)))


@converts("add", "sub")
def sum_of_two(g: Graph, input: Any, other: Any, alpha: Any) -> Name:
    dtype = g.result.dtype
    right = g.operand(other, dtype)
    if dtype == flambeau.bool:
        return g.op("Or", g.operand(input, dtype), right)
    if alpha != 1:
        right = g.op("Mul", right, g.operand(alpha, dtype))
    return g.op(g.operator.capitalize(), g.operand(input, dtype), right)


@converts("div")
def quotient(g: Graph, input: Any, other: Any, rounding_mode: str | None) -> Name:
    dtype = g.result.dtype
    a, b = g.operand(input, dtype), g.operand(other, dtype)
    ratio = g.op("Div", a, b)
    if rounding_mode is None or (rounding_mode == "trunc" and not dtype.is_floating_point):
        return ratio
    if rounding_mode == "floor" and dtype.is_floating_point:
        return g.op("Floor", ratio)
    if rounding_mode == "trunc":
        return g.op("Where", g.op("Less", ratio, g.constant(0, dtype=dtype)), g.op("Ceil", ratio), g.op("Floor", ratio))
    return g.op("Div", g.op("Sub", a, g.op("Mod", a, b)), b)  # Mod has the sign of the divisor, so this is exact


@converts("remainder")
def remainder(g: Graph, input: Any, other: Any) -> Name:
    dtype = g.result.dtype
    a, b = g.operand(input, dtype), g.operand(other, dtype)
    if not dtype.is_floating_point:
        return g.op("Mod", a, b)
    return g.op("Sub", a, g.op("Mul", b, g.op("Floor", g.op("Div", a, b))))


@converts("fmod")
def fmod(g: Graph, input: Any, other: Any) -> Name:
    dtype = g.result.dtype
    return g.op("Mod", g.operand(input, dtype), g.operand(other, dtype), fmod=1)


@converts("round")
def rounded(g: Graph, input: Value, decimals: int = 0) -> Name:
    if not decimals:
        return g.op("Round", input)
    scale = g.constant(10.0**decimals, dtype=input.dtype)
    return g.op("Div", g.op("Round", g.op("Mul", input, scale)), scale)


@converts("clamp")
def clamp(g: Graph, input: Value, min: Any, max: Any) -> Name:
    dtype = g.result.dtype
    result = g.cast(input, dtype)
    if all(not isinstance(limit, Value) for limit in (min, max)):
        return g.op("Clip", result, *(None if x is None else g.operand(x, dtype) for x in (min, max)))
    result = result if min is None else g.op("Max", result, g.operand(min, dtype))
    return result if max is None else g.op("Min", result, g.operand(max, dtype))


@converts("clamp_min")
def clamp_min(g: Graph, input: Value, min: Any) -> Name:
    return clamp(g, input, min, None)


@converts("clamp_max")
def clamp_max(g: Graph, input: Value, max: Any) -> Name:
    return clamp(g, input, None, max)


@converts("where")
def where(g: Graph, condition: Value, input: Any, other: Any) -> Name:
    if input is None or other is None:
        raise NotImplementedError(
            "where() with only a condition cannot be exported, because the size of its result depends on the condition"
        )
    dtype = g.result.dtype
    return g.op("Where", g.cast(condition, flambeau.bool), g.operand(input, dtype), g.operand(other, dtype))


@converts("masked_fill")
def masked_fill(g: Graph, input: Value, mask: Value, value: Any) -> Name:
    return g.op("Where", mask, g.operand(value, input.dtype), input)


# Activations with parameters


@converts("gelu")
def gelu(g: Graph, input: Value, approximate: str) -> Name:
    if g.opset >= 20:
        return g.op("Gelu", input, approximate=approximate)

    def number(x: float) -> Name:
        return g.constant(x, dtype=input.dtype)

    if approximate == "tanh":
        cube = g.op("Mul", g.op("Pow", input, number(3.0)), number(0.044715))
        curve = g.op("Tanh", g.op("Mul", g.op("Add", input, cube), number(math.sqrt(2 / math.pi))))
    else:
        curve = g.op("Erf", g.op("Mul", input, number(math.sqrt(0.5))))
    return g.op("Mul", input, g.op("Mul", g.op("Add", curve, number(1.0)), number(0.5)))


@converts("leaky_relu")
def leaky_relu(g: Graph, input: Value, negative_slope: float) -> Name:
    return g.op("LeakyRelu", input, alpha=float(negative_slope))


@converts("elu")
def elu(g: Graph, input: Value, alpha: float, scale: float = 1.0) -> Name:
    result = g.op("Elu", input, alpha=float(alpha))
    return result if scale == 1 else g.op("Mul", result, g.constant(scale, dtype=input.dtype))


@converts("celu")
def celu(g: Graph, input: Value, alpha: float) -> Name:
    return g.op("Celu", input, alpha=float(alpha))


@converts("softshrink")
def softshrink(g: Graph, input: Value, lambd: float) -> Name:
    return g.op("Shrink", input, lambd=float(lambd), bias=float(lambd))


@converts("softplus")
def softplus(g: Graph, input: Value, beta: float, threshold: float) -> Name:
    scale = g.constant(beta, dtype=input.dtype)
    scaled = g.name(input) if beta == 1 else g.op("Mul", input, scale)
    result = g.op("Softplus", scaled)
    result = result if beta == 1 else g.op("Div", result, scale)
    if threshold >= 20:
        return result  # above the threshold, softplus equals its input up to rounding
    return g.op("Where", g.op("Greater", scaled, g.constant(threshold, dtype=input.dtype)), input, result)


@converts("prelu")
def prelu(g: Graph, input: Value, weight: Value) -> Name:
    slopes = g.op("Reshape", weight, g.constant([-1, *[1] * max(input.ndim - 2, 0)]))
    return g.op("PRelu", input, slopes)


@converts("bernoulli")
def bernoulli(g: Graph, input: Value, p: Any = None, **_: Any) -> Name:
    probabilities = g.name(input) if p is None else g.op("Expand", g.operand(p, input.dtype), g.sizes(g.result.shape))
    return g.op("Bernoulli", probabilities)


# Conversions and copies

CASTS = ("float", "double", "half", "bfloat16", "bool", "int", "long", "short", "byte", "char", "type", "type_as", "to")
COPIES = ("clone", "detach", "data", "contiguous", "alias", "cpu", "cuda", "positive", "real", "conj", "resolve_conj")


@converts(*CASTS, *COPIES)
def converted(g: Graph, input: Value, **_: Any) -> Name:
    return g.cast(input, g.result.dtype)


@converts("dropout", "feature_dropout", "alpha_dropout")
def dropout(g: Graph, input: Value, p: float, training: bool = False, train: bool = False, **_: Any) -> Name:
    if training or train:
        if g.operator != "dropout":
            raise NotImplementedError(f"{g.operator} in training mode cannot be exported: call model.eval() first")
        return g.several(2, "Dropout", input, g.constant(p), g.constant(True))[0]
    return g.name(input)


@converts("rand", "randn")
def random(g: Graph, **_: Any) -> Name:
    return _drawn(g)


@converts("rand_like", "randn_like")
def random_like(g: Graph, input: Value, **_: Any) -> Name:
    return _drawn(g)


def _drawn(g: Graph) -> Name:
    kind = "RandomUniformLike" if g.operator.startswith("rand_like") or g.operator == "rand" else "RandomNormalLike"
    like = g.op("ConstantOfShape", g.sizes(g.result.shape))
    return g.op(kind, like, dtype=ELEMENT_TYPES[g.result.dtype])
