"""Run the work of a family of operators on the GPU only, for compute-sanitizer: ``on_gpu NAME``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import flambeau as fb

from .checks import main
from .work import WORK


def run(name: str) -> str:
    """Run the work of a family of operators on the GPU, and wait for it."""
    fb.manual_seed(0)
    results = WORK[name].run("cuda")
    fb.cuda.synchronize()
    return f"{len(results)} results"


CHECKS: dict[str, Callable[[], str]] = {name: partial(run, name) for name in WORK}

if __name__ == "__main__":
    main(CHECKS)
