"""Parameters of Python functions and methods: flambeau's have the names that PyTorch's have, so keywords work."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

MODULES = """
nn nn.functional nn.init nn.utils nn.utils.rnn nn.utils.parametrize nn.utils.parametrizations nn.utils.prune
nn.parallel nn.attention nn.attention.flex_attention optim optim.lr_scheduler optim.swa_utils utils.data
utils.checkpoint utils.hooks utils.benchmark utils._pytree autograd autograd.functional autograd.graph func
distributions distributions.transforms distributions.constraints fx export library amp profiler linalg special fft
signal.windows random hub serialization overrides testing multiprocessing distributed masked compiler accelerator
"""

# Parameters that are missing, with the reason.
MISSING = {
    "nn.attention.flex_attention.BlockMask": "dq_*: writing orders of a GPU kernel",
    "nn.attention.flex_attention.BlockMask.from_kv_blocks": "dq_*: writing orders of a GPU kernel",
    "nn.attention.flex_attention.create_block_mask": "dq_*: writing orders of a GPU kernel",
    "distributions.CorrCholeskyTransform.log_abs_det_jacobian": "intermediates: always None",
    "distributions.transforms.CorrCholeskyTransform.log_abs_det_jacobian": "intermediates: always None",
    "export.ExportedProgram": "flambeau's programs are made by export() and load() only",
    "export.ExportedProgram.run_decompositions": "decompose_custom_triton_ops: there is no Triton",
    "library.infer_schema": "tags: not part of a schema here",
    "library.register_fake": "allow_override: a second registration raises",
    "library.impl_abstract": "an old name, which takes its first argument by position",
    "profiler.tensorboard_trace_handler": "use_python_export: there is one exporter",
    "distributed.barrier": "timeout: the group has one",
    "distributed.new_group": "sort_ranks: the ranks of a group are sorted",
    "distributed.recv_object_list": "use_batch: objects are never batched",
    "distributed.send_object_list": "use_batch: objects are never batched",
}


def functions(module: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the public functions, constructors and methods of a module with their names."""
    for name in getattr(module, "__all__", None) or [name for name in dir(module) if not name.startswith("_")]:
        member = getattr(module, name, None)
        if inspect.isclass(member):
            yield name, member.__init__
            yield from (
                (f"{name}.{key}", getattr(member, key))
                for key in vars(member)
                if not key.startswith("_") and callable(getattr(member, key, None))
            )
        elif callable(member):
            yield name, member


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(function).parameters)
    except (ValueError, TypeError):
        return {}


def missing(theirs: dict[str, inspect.Parameter], ours: dict[str, inspect.Parameter]) -> list[str]:
    """Return the names of PyTorch's parameters that flambeau's function does not have."""
    variable = inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL
    if not ours or any(p.kind is inspect.Parameter.VAR_KEYWORD for p in ours.values()):
        return []
    named = [name for name, p in theirs.items() if p.kind not in variable and not name.startswith("_")]
    return [name for name in named if name not in ours and name != "self"]


@pytest.mark.parametrize("name", MODULES.split())
def test_functions_have_the_parameters_of_pytorch(name: str) -> None:
    ours = dict(functions(importlib.import_module(f"flambeau.{name}")))
    compared = [(key, f, ours[key]) for key, f in functions(importlib.import_module(f"torch.{name}")) if key in ours]
    assert compared
    found = {f"{name}.{key}": missing(parameters(theirs), parameters(own)) for key, theirs, own in compared}
    assert {key: names for key, names in found.items() if names and key not in MISSING} == {}
    listed = {key for key in MISSING if key in found}
    assert listed == {key for key in listed if found[key]}, "listed as missing, but present"
