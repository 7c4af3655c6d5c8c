"""Operators on 16 numbers: the cost of a call without the arithmetic."""

from ..workload import Workload, expression

GROUP = "small operators"
SMALL = (4, 4)

ROWS = (
    Workload(GROUP, "a + b", expression("a + b", a=SMALL, b=SMALL), at_most=0.25),
    Workload(GROUP, "a.exp()", expression("a.exp()", a=SMALL), at_most=0.25),
    Workload(GROUP, "a @ b", expression("a @ b", a=SMALL, b=SMALL), at_most=0.25),
    Workload(GROUP, "a[0]", expression("a[0]", a=SMALL), at_most=0.25),
    Workload(GROUP, "zeros(4, 4)", expression("fb.zeros(4, 4)"), at_most=0.25),
    Workload(GROUP, "a + b, recorded", expression("a + b", a=SMALL, b=SMALL, requires_grad="a"), at_most=0.3),
    Workload(
        GROUP,
        "(g * b).sum().backward()",
        expression("(g * b).sum().backward()", g=SMALL, b=SMALL, requires_grad="g"),
        at_most=0.2,
    ),
    Workload(GROUP, "a + 1.0", expression("a + 1.0", a=SMALL)),
    Workload(GROUP, "a.add_(b)", expression("a.add_(b)", a=SMALL, b=SMALL)),
    Workload(GROUP, "a + b, broadcast", expression("a + b", a=SMALL, b=(4,))),
    Workload(GROUP, "a.sum()", expression("a.sum()", a=SMALL)),
    Workload(GROUP, "a.sum(1)", expression("a.sum(1)", a=SMALL)),
    Workload(GROUP, "a.view(16)", expression("a.view(16)", a=SMALL)),
    Workload(GROUP, "a.t()", expression("a.t()", a=SMALL)),
    Workload(GROUP, "a[1:3, ::2]", expression("a[1:3, ::2]", a=SMALL)),
    Workload(GROUP, "a[0, 0].item()", expression("a[0, 0].item()", a=SMALL)),
    Workload(GROUP, "a.shape", expression("a.shape", a=SMALL, compare=False)),
    Workload(GROUP, "softmax(a, 1)", expression("fb.softmax(a, 1)", a=SMALL)),
    Workload(GROUP, "cat([a, b])", expression("fb.cat([a, b])", a=SMALL, b=SMALL)),
    Workload(GROUP, "F.linear(x, w, b)", expression("F.linear(x, w, b)", x=(1, 4), w=SMALL, b=(4,))),
    Workload(GROUP, "F.relu(a)", expression("F.relu(a)", a=SMALL)),
    Workload(GROUP, "tensor([1.0, 2.0])", expression("fb.tensor([1.0, 2.0])")),
)
