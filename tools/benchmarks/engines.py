"""The engines that run models in the groups ``compile``, and the ONNX files for one of the engines."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from .process import Settings, Side, UnusableLibraryError, describe, environment, module_command
from .workload import Workload

EAGER, AS_COMPILED_FOR, ONNX, TORCH, TORCH_COMPILE = (
    "eager",
    "a program for this size",
    "ONNX Runtime",
    "PyTorch",
    "torch.compile",
)


def sides(subject: Side, baseline: Side, torch_compile: bool) -> tuple[Side, dict[str, Side]]:
    """Return the subject with ``compile``, and the baselines with which it is compared, by name.

    Args:
        torch_compile: if True, include ``torch.compile``, which takes 4 to 50 s to compile each model.
    """
    compiled = replace(subject, engine="compile")
    baselines = {
        EAGER: replace(subject, baseline=True),
        AS_COMPILED_FOR: replace(compiled, baseline=True),
        ONNX: Side("onnxruntime", baseline.python, baseline=True, engine="onnx"),
        TORCH: baseline,
    }
    if torch_compile:
        baselines[TORCH_COMPILE] = replace(baseline, engine="compile")
    return compiled, baselines


def usable(baselines: Mapping[str, Side], settings: Settings) -> tuple[dict[str, Side], dict[str, Any]]:
    """Return the baselines that can be run, and their descriptions. Print the names of other baselines to stderr."""
    engines: dict[str, Side] = {}
    descriptions: dict[str, Any] = {}
    for name, side in baselines.items():
        try:
            descriptions[name] = describe(side, settings)
            engines[name] = side
        except UnusableLibraryError as error:
            print(f"not compared with {name}: {error}", file=sys.stderr)
    return engines, descriptions


@contextmanager
def onnx_files(
    selected: Sequence[Workload], subject: Side, settings: Settings, progress: Callable[[str], None]
) -> Iterator[Settings]:
    """Write the models' ONNX files in a process of the subject, and yield settings with their temporary folder."""
    keys = [row.key for row in selected if ONNX in row.baselines]
    with tempfile.TemporaryDirectory() as folder:
        if keys:
            progress("ONNX files")
            command = module_command(subject, "onnx_files", json.dumps({"library": subject.library, "files": folder}))
            subprocess.run([*command, *keys], env=environment(settings), stdout=subprocess.DEVNULL, check=True)
        yield replace(settings, files=folder)
