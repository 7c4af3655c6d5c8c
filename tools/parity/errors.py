"""Cells that check the inputs that must raise an error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from tools.parity.bridge import to_flambeau
from tools.parity.cell import Cell, arguments, error_text, quiet, seeded, shown
from tools.parity.rebind import rebind
from tools.parity.scope import title


def errors(op: Any) -> Iterator[Cell]:
    """Yield the cell that checks the inputs of an operator that must raise an error."""
    if op.error_inputs_func is None:
        return
    cell = Cell(title(op), "-", "errors")
    with quiet():
        inputs = list(op.error_inputs("cpu"))
    for wrong in inputs:
        sample = wrong.sample_input
        kind = _rejection(op.op, sample)
        if kind is None:
            continue
        cell.samples += 1
        try:
            args = [to_flambeau(a, rebind, copy=True) for a in (sample.input, *sample.args)]
            kwargs = to_flambeau(sample.kwargs, rebind)
        except (TypeError, ValueError):  # flambeau has no such tensor, for example with 65 dimensions
            cell.samples -= 1
            continue
        try:
            seeded(rebind(op.op, op.name), *args, **kwargs)
        except Exception as error:  # only its type matters
            if not isinstance(error, kind) or (isinstance(error, AttributeError) and kind is not AttributeError):
                cell.failures.append(f"{error_text(error)} instead of {kind.__name__} for {shown(sample)}")
        else:
            cell.failures.append(f"no {kind.__name__} for {shown(sample)}")
    if cell.samples:
        yield cell


def _rejection(call: Any, sample: Any) -> type[BaseException] | None:
    try:
        with quiet():
            call(*arguments(sample, True), **sample.kwargs)
    except torch.linalg.LinAlgError:
        return RuntimeError
    except Exception as error:  # only its type matters
        return type(error)
    return None
