"""Matrix products in float32."""

from ..workload import Workload, expression

GROUP = "gemm"
TARGETS = {2048: 1.0}

ROWS = (
    *(
        Workload(GROUP, f"a @ b, {n}x{n}", expression("a @ b", a=(n, n), b=(n, n)), at_most=TARGETS.get(n))
        for n in (64, 128, 256, 512, 1024, 2048)
    ),
    Workload(GROUP, "a @ b.t(), 1024x1024", expression("a @ b.t()", a=(1024, 1024), b=(1024, 1024))),
    Workload(GROUP, "a @ v, 4096x4096", expression("a @ v", a=(4096, 4096), v=(4096,))),
    Workload(
        GROUP, "linear 256x1024 to 1024", expression("F.linear(x, w, b)", x=(256, 1024), w=(1024, 1024), b=(1024,))
    ),
    Workload(GROUP, "bmm 64 of 128x128", expression("fb.bmm(a, b)", a=(64, 128, 128), b=(64, 128, 128))),
    Workload(GROUP, "bmm 1024 of 16x16", expression("fb.bmm(a, b)", a=(1024, 16, 16), b=(1024, 16, 16))),
)
