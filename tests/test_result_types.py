"""Tests that public functions have annotated results, unless the result type depends on values of the caller."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any, get_overloads

import flambeau as fb

# Functions whose result type depends on values of the caller, grouped by what determines it.
DECIDED_BY_THE_CALLER = {
    # the result of a function or module that the caller passes
    "flambeau.autograd.checkpoint.checkpoint_sequential",
    "flambeau.func._modules.functional_call",
    "flambeau.hub._entry_points.load",
    "flambeau.nn.parallel.data_parallel.data_parallel",
    "flambeau.nn.utils.stateless.functional_call",
    "flambeau.overrides.handle_torch_function",
    # the content of a file
    "flambeau.jit.load",
    "flambeau.serialization.load",
    # the structure of the argument, or the array type of the installed libraries
    "flambeau.data.collate.collate",
    "flambeau.data.collate.collate_float_fn",
    "flambeau.data.collate.collate_int_fn",
    "flambeau.data.collate.collate_numpy_array_fn",
    "flambeau.data.collate.collate_numpy_scalar_fn",
    "flambeau.data.collate.collate_tensor_fn",
    "flambeau.data.collate.default_collate",
    "flambeau.data.collate.default_convert",
    "flambeau.fx.node.map_aggregate",
    "flambeau.fx.node.map_arg",
    "flambeau.nn.parallel.scatter_gather.gather",
    # an entry of a dictionary that is passed
    "flambeau.vision.transforms._pad.fill_for",
    # the type of the numbers that are passed
    "flambeau._control_flow.sym_ite",
    "flambeau._control_flow.sym_max",
    "flambeau._control_flow.sym_min",
    "flambeau._control_flow.sym_sum",
    # a group, or an object that marks non-members
    "flambeau.distributed.groups.new_group",
    # an index of pycocotools if that is installed
    "flambeau.vision.datasets._coco_index.read_annotations",
}
OPTIONAL = ("flambeau.onnx", "flambeau.torch", "flambeau.utils.tensorboard")


def functions() -> Iterator[Any]:
    """Yield the functions of the public modules that are installed with their dependencies."""
    found = [module.name for module in pkgutil.walk_packages(fb.__path__, "flambeau.")]
    for name in ("flambeau", *(name for name in found if "._" not in name and not name.startswith(OPTIONAL))):
        module = importlib.import_module(name)
        names = [each for each in getattr(module, "__all__", dir(module)) if not each.startswith("_")]
        values = [getattr(module, each, None) for each in names]
        yield from (value for value in values if callable(value) and not isinstance(value, type))


def test_public_functions_have_specific_return_annotations() -> None:
    unknown = {
        f"{function.__module__}.{function.__qualname__}"
        for function in functions()
        if getattr(function, "__annotations__", {}).get("return") in (Any, "Any") and not get_overloads(function)
    }
    assert {name for name in unknown if name.startswith("flambeau.")} == DECIDED_BY_THE_CALLER
