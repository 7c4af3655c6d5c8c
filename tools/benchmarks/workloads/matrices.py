"""Matrix products in float32 and bfloat16."""

from __future__ import annotations

from collections.abc import Callable

from ..workload import Code, Library, Workload, expression

GROUP, EINSUM = "gemm", "einsum"
TARGETS = {2048: 1.0}  # maximum ratios to PyTorch's time, by size of the matrices


def linear_in_bfloat16(rows: int, inputs: int, outputs: int) -> Callable[[Library], Code]:
    """Return a function that prepares ``linear`` on ``rows`` rows in bfloat16, without gradients."""

    def prepare(library: Library) -> Code:
        x, w = (library.normal(*shape).to(library.fb.bfloat16) for shape in ((rows, inputs), (outputs, inputs)))
        return Code("F.linear(x, w)", {"F": library.functional, "x": x, "w": w})

    return prepare


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
    Workload(GROUP, "linear 512x768 to 768, bfloat16", linear_in_bfloat16(512, 768, 768)),
    Workload(GROUP, "linear 1x4096 to 4096, bfloat16", linear_in_bfloat16(1, 4096, 4096), at_most=1.0),
    Workload(GROUP, "bmm 64 of 128x128", expression("fb.bmm(a, b)", a=(64, 128, 128), b=(64, 128, 128))),
    Workload(GROUP, "bmm 1024 of 16x16", expression("fb.bmm(a, b)", a=(1024, 16, 16), b=(1024, 16, 16))),
    Workload(GROUP, "qr of 60000x5", expression("fb.linalg.qr(a)[1].abs()", a=(60_000, 5))),
    Workload(GROUP, "cdist of 500x64, order 1", expression("fb.cdist(a, b, p=1.0)", a=(500, 64), b=(500, 64))),
    Workload(GROUP, "nuclear norm of 300x300", expression("fb.linalg.matrix_norm(a, 'nuc')", a=(300, 300))),
    *(
        Workload(EINSUM, equation, expression(f"fb.einsum('{equation}', {', '.join(shapes)})", **shapes), at_most=1.0)
        for equation, shapes in (
            ("ij,jk->ik", {"a": (512, 512), "b": (512, 512)}),
            ("bij,bjk->bik", {"a": (64, 128, 128), "b": (64, 128, 128)}),
            ("bhqd,bhkd->bhqk", {"a": (8, 8, 128, 64), "b": (8, 8, 128, 64)}),
            ("ij,ij->", {"a": (1000, 1000), "b": (1000, 1000)}),
            ("ij,ij->i", {"a": (1000, 1000), "b": (1000, 1000)}),
            ("ii->i", {"a": (1000, 1000)}),
            ("ijk->jki", {"a": (64, 128, 128)}),
            ("ij,jk,kl->il", {"a": (256, 1024), "b": (1024, 16), "c": (16, 1024)}),
            ("abcd,cdef->abef", {"a": (16, 16, 32, 32), "b": (32, 32, 16, 16)}),
            ("i,j->ij", {"a": (1000,), "b": (1000,)}),
            ("ab,bc->ac", {"a": (4, 4), "b": (4, 4)}),
        )
    ),
)
