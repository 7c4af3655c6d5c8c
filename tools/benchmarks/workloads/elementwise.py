"""Elementwise operators on a million numbers, and on ten million numbers, for which memory bandwidth is the limit."""

from ..workload import Workload, expression

MILLION = (1000, 1000)
TEN_MILLION = (10, 1000, 1000)

MEDIUM, LARGE = "elementwise, 10^6", "elementwise, 10^7"

ROWS = (
    Workload(MEDIUM, "exp", expression("fb.exp(x)", x=MILLION), at_most=1.0),
    Workload(MEDIUM, "tanh", expression("fb.tanh(x)", x=MILLION), at_most=1.0),
    Workload(MEDIUM, "add", expression("x + y", x=MILLION, y=MILLION), at_most=1.0),
    Workload(MEDIUM, "mul", expression("x * y", x=MILLION, y=MILLION)),
    Workload(MEDIUM, "div", expression("x / y", x=MILLION, y=MILLION, positive=True)),
    Workload(MEDIUM, "add, broadcast row", expression("x + y", x=MILLION, y=(1000,))),
    Workload(MEDIUM, "add, broadcast column", expression("x + y", x=MILLION, y=(1000, 1))),
    Workload(MEDIUM, "add, transposed", expression("x + y.t()", x=MILLION, y=MILLION)),
    Workload(MEDIUM, "add 1 to a transposed matrix", expression("x.t() + 1", x=MILLION)),
    Workload(MEDIUM, "add 1 to every second number", expression("x[::2] + 1", x=(2_000_000,))),
    Workload(MEDIUM, "add, broadcast row of 64", expression("x + y", x=(4096, 64), y=(64,))),
    Workload(MEDIUM, "add, broadcast column of 64", expression("x + y", x=(4096, 64), y=(4096, 1))),
    Workload(MEDIUM, "add, broadcast rows of five", expression("x + y", x=(20_000, 1, 5), y=(10, 5))),
    Workload(MEDIUM, "and of two masks", expression("(x > 0.0) & (x < 1.0)", x=MILLION)),
    Workload(MEDIUM, "logit within bounds", expression("fb.logit(x - 0.5, 1e-6)", x=MILLION, positive=True)),
    Workload(MEDIUM, "add_, in place", expression("x.add_(y)", x=MILLION, y=MILLION)),
    Workload(MEDIUM, "mul by scalar", expression("x * 2.5", x=MILLION)),
    Workload(MEDIUM, "log", expression("fb.log(x)", x=MILLION, positive=True)),
    Workload(MEDIUM, "sqrt", expression("fb.sqrt(x)", x=MILLION, positive=True)),
    Workload(MEDIUM, "sin", expression("fb.sin(x)", x=MILLION)),
    Workload(MEDIUM, "erf", expression("fb.erf(x)", x=MILLION)),
    Workload(MEDIUM, "pow 3", expression("x ** 3", x=MILLION)),
    Workload(MEDIUM, "pow, tensor", expression("x ** y", x=MILLION, y=MILLION, positive=True)),
    Workload(MEDIUM, "sigmoid", expression("fb.sigmoid(x)", x=MILLION)),
    Workload(MEDIUM, "relu", expression("fb.relu(x)", x=MILLION)),
    Workload(MEDIUM, "gelu", expression("F.gelu(x)", x=MILLION)),
    Workload(MEDIUM, "silu", expression("F.silu(x)", x=MILLION)),
    Workload(MEDIUM, "clamp", expression("fb.clamp(x, -1.0, 1.0)", x=MILLION)),
    Workload(MEDIUM, "addcmul with a value", expression("fb.addcmul(x, y, y, value=0.1)", x=MILLION, y=MILLION)),
    Workload(MEDIUM, "maximum", expression("fb.maximum(x, y)", x=MILLION, y=MILLION)),
    Workload(MEDIUM, "compare", expression("x > y", x=MILLION, y=MILLION)),
    Workload(MEDIUM, "where", expression("fb.where(x > 0.0, x, y)", x=MILLION, y=MILLION)),
    Workload(MEDIUM, "to float64", expression("x.to(fb.float64)", x=MILLION)),
    Workload(
        MEDIUM,
        "gelu, with gradient",
        expression("fb.autograd.grad(F.gelu(x), x, s)", x=MILLION, s=MILLION, requires_grad="x"),
    ),
    Workload(LARGE, "exp", expression("fb.exp(x)", x=TEN_MILLION)),
    Workload(LARGE, "add", expression("x + y", x=TEN_MILLION, y=TEN_MILLION)),
    Workload(LARGE, "mul", expression("x * y", x=TEN_MILLION, y=TEN_MILLION)),
    Workload(LARGE, "where", expression("fb.where(x > 0.0, x, y)", x=TEN_MILLION, y=TEN_MILLION)),
)
