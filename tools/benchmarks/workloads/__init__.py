"""Every workload, in the order of the report. A row is the only place where its target stands."""

from ..workload import Workload
from . import convolutions, elementwise, footprint, matrices, movement, reductions, small_operators, training

WORKLOADS: tuple[Workload, ...] = (
    *small_operators.ROWS,
    *training.ROWS,
    *matrices.ROWS,
    *convolutions.ROWS,
    *elementwise.ROWS,
    *reductions.ROWS,
    *movement.ROWS,
    *footprint.ROWS,
)

__all__ = ["WORKLOADS"]
