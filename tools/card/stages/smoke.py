"""Smoke tests on a GPU: each family of operators must give the same results as on the CPU."""

from __future__ import annotations

from ..machine import without_gpu
from ..setting import Setting
from ..steps import Stage, Step


def steps(setting: Setting) -> list[Step]:
    return [Step(name, setting.program("smoke", name), 180) for name in setting.checks("smoke")]


STAGE = Stage("smoke", "Results equal the CPU's", steps, missing=without_gpu, jobs=12, emulated=True)
