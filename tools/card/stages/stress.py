"""Stress tests of the allocator, streams, graphs and errors, and many random calls."""

from __future__ import annotations

from ..machine import without_gpu
from ..setting import Setting
from ..steps import Stage, Step


def steps(setting: Setting) -> list[Step]:
    size = {"FLAMBEAU_STRESS": "small" if setting.emulated else "full"}
    return [
        Step(name, setting.program("stress", name), 400, environment=size, alone=True)
        for name in setting.checks("stress")
    ]


STAGE = Stage("stress", "Stress", steps, missing=without_gpu, emulated=True)
