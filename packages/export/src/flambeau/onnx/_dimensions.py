"""Dynamic dimensions of the inputs, in the formats of PyTorch's exporters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flambeau import Tensor, arange

from ._sizes import Samples


class Dimensions:
    """Dynamic dimensions of a program.

    Args:
        wanted: dynamic dimensions by input name or in the order of the inputs; for each input a list of axes, or a
            dictionary from axes to names.
        names: the inputs' names.
        tensors: the inputs.
        parameters: for each input the name of the parameter of ``forward`` that it belongs to.

    Attributes:
        samples: the sizes with which the model is traced.
        sources: an input and an axis for each dynamic dimension.
        shapes: shapes of the inputs, with names for dynamic sizes.
    """

    def __init__(self, wanted: Any, names: Sequence[str], tensors: Sequence[Tensor], parameters: Sequence[str]) -> None:
        self.tensors = tensors
        called = [{name, parameter} for name, parameter in zip(names, parameters, strict=True)]
        self._of = [_axes_of(wanted, position, either) for position, either in enumerate(called)]
        self._check(wanted, {*names, *parameters})
        first: dict[str, int] = {}
        self.sources: dict[str, tuple[str, int]] = {}
        self.shapes: list[list[int | str]] = [list(t.shape) for t in tensors]
        for name, tensor, axes, shape in zip(names, tensors, self._of, self.shapes, strict=True):
            for axis, given in axes.items():
                if not -tensor.ndim <= axis < tensor.ndim:
                    raise ValueError(f"input {name!r} of shape {list(tensor.shape)} has no dimension {axis}")
                axis %= tensor.ndim
                dimension = given or f"{name}_dim_{axis}"
                shape[axis] = dimension
                self.sources.setdefault(dimension, (name, axis))
                if first.setdefault(dimension, tensor.shape[axis]) != tensor.shape[axis]:
                    raise ValueError(
                        f"dynamic dimension {dimension!r} is {first[dimension]} in input "
                        f"{self.sources[dimension][0]!r} and {tensor.shape[axis]} in {name!r}: dimensions "
                        "of the same name must have the same size"
                    )
        if 0 in first.values():
            raise ValueError(f"dynamic dimensions must not have size 0 in the example inputs, got {first}")
        # Size 1 broadcasts; size 2 shows that a dimension does not broadcast.
        self.samples = Samples({name: max(size, 2) for name, size in first.items()})

    def _check(self, wanted: Any, names: set[str]) -> None:
        if isinstance(wanted, Mapping):
            unknown = [name for name in wanted if isinstance(name, str) and name not in names]
            if unknown and not any(self._of):
                listed = ", ".join(map(repr, sorted(names))) or "none"
                raise ValueError(f"there is no input {unknown[0]!r}; the names of the inputs are: {listed}")

    def resized(self, sizes: Mapping[str, int]) -> list[Tensor]:
        """Return the inputs with the dynamic dimensions resized to ``sizes``, by repeating or dropping elements."""
        return [self._resized(tensor, shape, sizes) for tensor, shape in zip(self.tensors, self.shapes, strict=True)]

    def _resized(self, tensor: Tensor, shape: Sequence[int | str], sizes: Mapping[str, int]) -> Tensor:
        for axis, size in enumerate(shape):
            if isinstance(size, str) and sizes[size] != tensor.shape[axis]:
                tensor = tensor.index_select(axis, arange(sizes[size], device=tensor.device) % tensor.shape[axis])
        return tensor


def _axes_of(wanted: Any, position: int, names: set[str]) -> dict[int, str | None]:
    """Return a dictionary from the dynamic axes of one input to their names, None for an unnamed axis."""
    if wanted is not None and not isinstance(wanted, Mapping | list | tuple):
        raise TypeError(f"dynamic dimensions must be a dictionary with the names of inputs as keys, got {wanted!r}")
    if isinstance(wanted, Mapping):
        axes = next((wanted[name] for name in names if name in wanted), None)
    else:
        axes = wanted[position] if wanted is not None and position < len(wanted) else None
    if axes is None:
        return {}
    if isinstance(axes, Mapping):
        return {axis: _name(dimension) for axis, dimension in axes.items() if dimension is not None}
    if not isinstance(axes, list | tuple):
        raise TypeError(
            f"the dynamic dimensions of an input must be a list of axes, or a dictionary of their names as in "
            f'{{"x": {{0: "batch"}}}}, got {axes!r}'
        )
    listed = list(axes)
    if all(isinstance(axis, int) for axis in listed):
        return dict.fromkeys(listed)
    return {axis: _name(dimension) for axis, dimension in enumerate(listed) if dimension is not None}


def _name(dimension: Any) -> str | None:
    """Return the name of a dimension given as a str or ``torch.export.Dim``; None for an unnamed dimension."""
    if isinstance(dimension, str):
        return dimension
    name = getattr(dimension, "__name__", None)
    return name if isinstance(name, str) and name.isidentifier() else None
