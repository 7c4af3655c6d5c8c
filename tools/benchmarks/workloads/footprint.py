"""Costs of a library before it computes anything. The targets are values, not ratios."""

from .. import footprint
from ..workload import Workload

GROUP = "footprint"

ROWS = (
    Workload(GROUP, "import beyond NumPy", lambda library: footprint.import_ms(library.name), at_most=40.0, unit="ms"),
    Workload(
        GROUP,
        "installed, without NumPy and Pillow",
        lambda library: footprint.installed_mb(library.name),
        at_most=30.0,
        unit="MB",
    ),
    Workload(
        GROUP, "memory after import", lambda library: footprint.resident_mb(library.name), at_most=45.0, unit="MB"
    ),
)
