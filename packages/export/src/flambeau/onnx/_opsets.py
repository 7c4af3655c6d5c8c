"""Conversion of files to other opsets."""

from __future__ import annotations

from typing import Any

import onnx
from onnx import helper

from ._nodes import every_node

OPSET = 20  # opset of the converters; the converters check Graph.opset where older opsets differ
OLDEST = 14


def check_opset(version: int) -> None:
    """Raise ValueError if the opset is not supported."""
    newest = onnx.defs.onnx_opset_version()
    if not isinstance(version, int) or not OLDEST <= version <= newest:
        raise ValueError(
            f"Unsupported ONNX opset version: {version}; flambeau.onnx writes {OLDEST} to {newest} with onnx "
            f"{onnx.__version__}"
        )


def in_opset(model: Any, version: int) -> Any:
    """Convert a model from ``min(version, OPSET)`` to an opset.

    Raises: NotImplementedError for operators that the opset lacks, ValueError for operators that ONNX lacks.
    """
    if version > OPSET:
        try:
            model = onnx.version_converter.convert_version(model, version)
        except Exception as error:
            raise NotImplementedError(
                f"onnx cannot convert the model from opset {OPSET} to {version}: {error}; export it with opset_version="
                f"{OPSET}"
            ) from error
        model.ir_version = max(model.ir_version, helper.find_min_ir_version_for(list(model.opset_import)))
    elif lacking := sorted({node.op_type for node in every_node(model.graph.node) if not _has(node, version)}):
        if unknown := [kind for kind in lacking if not onnx.defs.has(kind)]:
            raise ValueError(f"ONNX has no operator {', '.join(unknown)}; check the registered converter that adds it")
        raise NotImplementedError(
            f"opset {version} lacks {', '.join(lacking)}, which the model needs: leave out opset_version, or ask for a "
            "later one"
        )
    onnx.checker.check_model(model, full_check=version < OPSET)
    return model


def _has(node: Any, version: int) -> bool:
    if node.domain:
        return True
    try:
        onnx.defs.get_schema(node.op_type, max_inclusive_version=version)
    except onnx.defs.SchemaError:
        return False
    return True
