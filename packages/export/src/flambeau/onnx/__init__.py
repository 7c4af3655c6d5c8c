"""Export of models to ONNX files, which run without Python and without flambeau.

`export` runs a model, records the operators that it calls, and writes them to a file for ONNX Runtime, OpenVINO,
TensorRT and other runtimes. It needs the package `onnx`: ``pip install "flambeau-export[onnx]"``.

>>> import flambeau
>>> model = flambeau.nn.Sequential(flambeau.nn.Linear(4, 3), flambeau.nn.ReLU())
>>> program = flambeau.onnx.export(model, (flambeau.randn(8, 4),), dynamic_axes={"input": {0: "batch"}})
>>> program
ONNXProgram((input) -> (output), 2 nodes)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Any

from flambeau import _public_names, _suggestions
from flambeau._tracing._modes import in_mode

from ._program import ONNXProgram as ONNXProgram

__all__ = ["ONNXProgram", "OperatorExportTypes", "TrainingMode", "export", "is_in_onnx_export"]

_NEEDED = "flambeau.onnx needs the package onnx: pip install onnx"
# Arguments of PyTorch's exporters that have no effect here.
_IGNORED = {"dynamo", "do_constant_folding", "keep_initializers_as_inputs", "operator_export_type", "autograd_inlining"}
_IGNORED |= {"report", "optimize", "profile", "dump_exported_program", "artifacts_dir", "fallback", "input_shapes"}
_running = 0


class OperatorExportTypes(IntEnum):
    """Values of the argument ``operator_export_type`` of `export`. They have no effect.

    >>> model = nn.Linear(2, 2)
    >>> fb.onnx.export(model, (fb.ones(1, 2),), operator_export_type=fb.onnx.OperatorExportTypes.ONNX)
    ONNXProgram((input) -> (output), 1 nodes)
    """

    ONNX = 0
    ONNX_ATEN = 1
    ONNX_ATEN_FALLBACK = 2
    ONNX_FALLTHROUGH = 3


class TrainingMode(IntEnum):
    """Mode of the model during export.

    >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    >>> fb.onnx.export(model, (fb.ones(1, 2),), training=fb.onnx.TrainingMode.EVAL)
    ONNXProgram((input) -> (output), 1 nodes)
    """

    EVAL = 0
    PRESERVE = 1
    TRAINING = 2


def is_in_onnx_export() -> bool:
    """Return True while a model is being exported.

    >>> class Model(nn.Module):
    ...     def forward(self, x):
    ...         print(fb.onnx.is_in_onnx_export())
    ...         return x + 1
    >>> program = fb.onnx.export(Model(), (fb.ones(2),))
    True
    """
    return _running > 0


def export(
    model: Callable[..., Any],
    args: Any = (),
    f: str | os.PathLike[str] | None = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    verbose: bool | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    opset_version: int | None = None,
    dynamic_axes: Mapping[str, Any] | Sequence[Any] | None = None,
    dynamic_shapes: Mapping[str, Any] | Sequence[Any] | None = None,
    external_data: bool | None = None,
    training: TrainingMode = TrainingMode.EVAL,
    export_params: bool = True,
    verify: bool = False,
    **ignored: Any,
) -> ONNXProgram:
    """Export a model to the ONNX format.

    The model runs once on the example inputs, in evaluation mode, and the operators that it calls are recorded.
    Decisions of the Python code are fixed; a `TracerWarning` reports those that depend on the elements of a tensor.
    Sizes are constants, except for the sizes of dynamic dimensions. If there are dynamic dimensions, the model runs
    several times with different sizes. Parameters and buffers keep their names.

    Args:
        model: a module, or a function of tensors.
        args: the example inputs, a tuple; a single tensor is one input. Arguments that are not tensors are constants.
        f: path of the file to write, or None.
        kwargs: keyword inputs.
        verbose: if True, print the program.
        input_names, output_names: names of the first inputs and outputs. By default, inputs have the names of the
            parameters of ``forward``.
        opset_version: ONNX opset version, 14 or later (default: 20).
        dynamic_axes, dynamic_shapes: dynamic dimensions by input name, or in the order of the inputs:
            ``{"x": {0: "batch"}}`` or ``{"x": [0]}``. Dimensions with the same name have the same size.
        external_data: if True, store parameters in a second file next to ``f``. None: only if they exceed 2 GB.
        training: mode of the model during export.
        verify: if True, run the file in ONNX Runtime and compare the outputs with the model's, for the example and for
            another input of the same shapes.
        ignored: further arguments of PyTorch's exporters: ``dynamo``, ``do_constant_folding``, ``optimize``, ...
    Returns: an `ONNXProgram`, which can be saved, and called if ONNX Runtime is installed.
    Raises: NotImplementedError for operators that ONNX, the opset or flambeau's exporter lacks, with the lines that
        call them; ValueError for an unsupported opset; RuntimeError if dynamic dimensions change the sequence of
        operators, or if ``verify`` finds a difference; ImportError without `onnx`.
    Source: the ONNX standard, https://onnx.ai/onnx/operators/.

    >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    >>> fb.onnx.export(model, (fb.ones(8, 4),), output_names=["scores"], dynamic_axes={"input": {0: "batch"}})
    ONNXProgram((input) -> (scores), 2 nodes)
    """
    global _running
    try:
        from ._export import exported
        from ._opsets import OPSET, check_opset
        from ._verify import verified
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise ImportError(_NEEDED) from None
    if ignored.pop("custom_translation_table", None):
        raise NotImplementedError(
            "custom_translation_table is not supported: register each converter with "
            "flambeau.ops.namespace.name.default.register_onnx(converter)"
        )
    if unknown := ignored.keys() - _IGNORED:
        raise TypeError(f"export() got an unexpected keyword argument {min(unknown)!r}")
    if not export_params:
        raise NotImplementedError("export_params=False is not supported: the file always contains the parameters")
    opset = OPSET if opset_version is None else opset_version
    check_opset(opset)
    positional = args if isinstance(args, tuple) else (args,)
    keywords = dict(kwargs or {})
    if positional and isinstance(positional[-1], dict) and not keywords:  # PyTorch's older convention
        positional, keywords = positional[:-1], positional[-1]
    dimensions = dynamic_axes if dynamic_axes is not None else dynamic_shapes
    _running += 1
    try:
        with in_mode(model, None if training == TrainingMode.PRESERVE else training == TrainingMode.TRAINING):
            program = exported(model, positional, keywords, input_names, output_names, dimensions, opset)
            if verify:
                verified(program, model, positional, keywords)
    finally:
        _running -= 1
    if verbose:
        import onnx

        print(onnx.printer.to_text(program.model_proto))
    if f is not None:
        program.save(f, external_data=external_data)
    return program


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), __all__)


_suggestions.suggest_names(__name__)
