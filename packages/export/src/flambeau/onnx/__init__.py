"""Programs as files of the ONNX format, which run without Python and without flambeau.

`export` runs a program, notes the operators that it calls, and writes them as a file for ONNX Runtime, OpenVINO,
TensorRT or whatever else reads the format. It needs the package `onnx`: ``pip install "flambeau-export[onnx]"``.

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

__all__ = ["ONNXProgram", "TrainingMode", "export", "is_in_onnx_export"]

_NEEDED = "flambeau.onnx needs the package onnx: pip install onnx"
# What PyTorch's exporters can be told and what makes no difference here.
_IGNORED = {"dynamo", "do_constant_folding", "keep_initializers_as_inputs", "operator_export_type", "autograd_inlining"}
_IGNORED |= {"report", "optimize", "profile", "dump_exported_program", "artifacts_dir", "fallback", "input_shapes"}
_running = 0


class TrainingMode(IntEnum):
    """In which mode a model is exported."""

    EVAL = 0
    PRESERVE = 1
    TRAINING = 2


def is_in_onnx_export() -> bool:
    """Whether a program is being exported, for what it does otherwise then."""
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
    """Write what a program does with tensors as a file of the ONNX format.

    The program is run on the example inputs, in evaluation mode, and what it calls is noted: what Python decides, by a
    tensor's elements or otherwise, is decided once and for all (a `TracerWarning` says where). Sizes are constants but
    for those of dynamic dimensions; where there are any, the program is run at several sizes of them. Parameters and
    buffers keep their names.

    Args:
        model: a module, or a function of tensors.
        args: the example inputs, a tuple; a single tensor is one input. Other values than tensors are constants.
        f: the file to write, or None.
        kwargs: further inputs by their names.
        verbose: prints the program.
        input_names, output_names: the first names of inputs and outputs; inputs are named as the parameters of
            ``forward`` otherwise.
        opset_version: version of the operators in the file, 14 or later; None for 20.
        dynamic_axes, dynamic_shapes: by the names of the inputs, or in their order, the dimensions whose sizes the file
            leaves open: ``{"x": {0: "batch"}}`` or ``{"x": [0]}``. Those of one name are of one size.
        external_data: whether parameters go to a file beside ``f``; None: where they are larger than 2 GB.
        training: the mode in which the model runs.
        verify: run the file in ONNX Runtime and compare the outputs with the model's, for the example and for another
            input of the same shapes.
        ignored: what PyTorch's exporters can be told besides: ``dynamo``, ``do_constant_folding``, ``optimize``, ...
    Returns: the program, which can be saved, and called where ONNX Runtime is installed.
    Raises: NotImplementedError for operators that the format lacks or that are not written yet, with the places that
        call them, and for operators that the opset lacks; ValueError for an opset that cannot be written; RuntimeError
        where dynamic dimensions change what the program calls, and where ``verify`` finds a difference; ImportError
        without `onnx`.
    Source: the ONNX standard, https://onnx.ai/onnx/operators/.
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
    if unknown := ignored.keys() - _IGNORED:
        raise TypeError(f"export() got an unexpected keyword argument {min(unknown)!r}")
    if not export_params:
        raise NotImplementedError("export() without parameters")
    opset = OPSET if opset_version is None else opset_version
    check_opset(opset)
    given = args if isinstance(args, tuple) else (args,)
    keywords = dict(kwargs or {})
    if given and isinstance(given[-1], dict) and not keywords:  # PyTorch's older way to give them
        given, keywords = given[:-1], given[-1]
    dimensions = dynamic_axes if dynamic_axes is not None else dynamic_shapes
    _running += 1
    try:
        with in_mode(model, None if training == TrainingMode.PRESERVE else training == TrainingMode.TRAINING):
            program = exported(model, given, keywords, input_names, output_names, dimensions, opset)
            if verify:
                verified(program, model, given, keywords)
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
