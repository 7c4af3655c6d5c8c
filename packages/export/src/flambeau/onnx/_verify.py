"""Comparison of a file's outputs in ONNX Runtime with the model's."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau._tracing._structure import leaves, replaced

from ._program import ONNXProgram

# Tolerances relative to each element, and relative to the largest element of the output.
_RELATIVE, _OF_LARGEST = 1e-3, 1e-4
_HALF_TOLERANCES = {flambeau.float16: 1e-2, flambeau.bfloat16: 5e-2}


def verified(program: ONNXProgram, model: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Compare the program's outputs with the model's, for the example and for another input of the same shapes.

    Raises: RuntimeError if they differ.
    """
    with flambeau.no_grad(), flambeau.random.fork_rng(devices=[]):
        _compare(program, model, args, kwargs, "the example")
        other_inputs = with_other_elements([args, kwargs])
        try:
            model(*other_inputs[0], **other_inputs[1])
        except Exception as error:
            warnings.warn(
                "verify: the model does not run with another input of the same shapes, so the file was compared only "
                f"for the example inputs: {error}",
                stacklevel=4,
            )
            return
        _compare(program, model, other_inputs[0], other_inputs[1], "another input of the same shapes")


def with_other_elements(structure: Any) -> Any:
    """Return copies of the arguments with other elements: rolled by one, and slightly scaled if floating-point.

    Integers are not scaled, so that indices stay valid.
    """
    generator = flambeau.Generator().manual_seed(0)

    def alter(tensor: Tensor) -> Tensor:
        axis = next((d for d, size in enumerate(tensor.shape) if size > 1), None)
        moved = tensor if axis is None else tensor.roll(1, axis)
        if not (tensor.is_floating_point() or tensor.is_complex()):
            return moved.clone()
        scale = flambeau.rand(tensor.shape, generator=generator) * 0.04 + 0.98
        return moved * scale.to(device=tensor.device, dtype=tensor.dtype)

    return replaced(structure, Tensor, alter)


def _compare(program: ONNXProgram, model: Callable[..., Any], args: Any, kwargs: Any, inputs: str) -> None:
    expected = leaves(model(*args, **kwargs), Tensor)
    for i, (mine, other) in enumerate(zip(expected, program(*args, **kwargs), strict=True)):
        if mine.shape != other.shape:
            raise RuntimeError(
                f"output {i} has the shape {list(other.shape)} in ONNX Runtime and {list(mine.shape)} in the model, "
                f"for {inputs}"
            )
        _compare_elements(i, mine.detach().cpu(), other, inputs)


def _compare_elements(i: int, mine: Tensor, other: Tensor, inputs: str) -> None:
    """Raise RuntimeError if output ``i`` of ONNX Runtime differs from the model's by more than rounding."""
    if not (mine.is_floating_point() or mine.is_complex()):
        if not flambeau.equal(mine, other.to(mine.dtype)):
            raise RuntimeError(f"output {i} has different elements in ONNX Runtime and in the model, for {inputs}")
        return
    wide = flambeau.complex128 if mine.is_complex() else flambeau.float64
    coarse = _HALF_TOLERANCES.get(mine.dtype, 0.0)
    mine, other = mine.to(wide), other.to(wide)
    finite = mine[mine.isfinite()].abs()
    largest = finite.max().item() if finite.numel() else 0.0
    relative, absolute = max(_RELATIVE, coarse), max(_OF_LARGEST, coarse) * largest
    if not flambeau.allclose(other, mine, relative, absolute, equal_nan=True):
        off = (mine - other).abs().max().item()
        raise RuntimeError(
            f"output {i} in ONNX Runtime differs from the model's by up to {off:.3g}, and its largest element is "
            f"{largest:.3g}, for {inputs}"
        )
