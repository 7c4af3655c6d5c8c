"""All workloads, in the order of the report. The row of a workload states its target."""

from ..workload import Workload
from . import (
    autograd,
    compiled,
    convolutions,
    data,
    distributions,
    elementwise,
    every_pointwise,
    everyday,
    footprint,
    functional,
    gpu,
    mapping,
    matrices,
    models,
    movement,
    reductions,
    small_operators,
    sorting,
    training,
)

WORKLOADS: tuple[Workload, ...] = (
    *small_operators.ROWS,
    *everyday.ROWS,
    *autograd.ROWS,
    *training.ROWS,
    *models.ROWS,
    *distributions.ROWS,
    *functional.ROWS,
    *mapping.ROWS,
    *matrices.ROWS,
    *convolutions.ROWS,
    *elementwise.ROWS,
    *every_pointwise.ROWS,
    *reductions.ROWS,
    *sorting.ROWS,
    *movement.ROWS,
    *data.ROWS,
    *compiled.ROWS,
    *footprint.ROWS,
    *gpu.ROWS,
)

__all__ = ["WORKLOADS"]
