"""Export of models as programs with dynamic dimensions, with the interface of ``torch.export``.

`export` traces a module as `flambeau.jit.trace` does. Every size that is not declared dynamic must equal the size in
the example; otherwise the program raises RuntimeError.

>>> import flambeau
>>> from flambeau import nn
>>> from flambeau.export import Dim, export
>>> program = export(nn.Linear(3, 2), (flambeau.ones(4, 3),), dynamic_shapes={"input": {0: Dim("batch", max=64)}})
>>> program.module()(flambeau.ones(7, 3)).shape
flambeau.Size([7, 2])
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

from flambeau import Tensor, _public_names, _suggestions, jit, no_grad
from flambeau._tracing._numbers import Number
from flambeau.jit._trace import Trace
from flambeau.nn import Module
from flambeau.utils._pytree import tree_leaves

from .exported_program import ExportedProgram, ValueRanges

__all__ = ["Dim", "ExportedProgram", "dims", "export", "load", "save"]


class _Kind:
    """Type of `Dim.AUTO`, `Dim.DYNAMIC` and `Dim.STATIC`."""

    def __init__(self, name: str, dynamic: bool) -> None:
        self.name, self.dynamic = name, dynamic

    def __repr__(self) -> str:
        return f"Dim.{self.name}"


class Dim:
    """Dynamic dimension. All dimensions with the same `Dim` have the same size.

    Args:
        name: identifier, used in error messages.
        min, max: smallest and largest size, inclusive; None for no limit.

    >>> fb.export.Dim("batch", min=1, max=64)
    Dim('batch', min=1, max=64)
    """

    AUTO = _Kind("AUTO", True)
    DYNAMIC = _Kind("DYNAMIC", True)
    STATIC = _Kind("STATIC", False)

    def __init__(self, name: str, *, min: int | None = None, max: int | None = None) -> None:
        if not name.isidentifier():
            raise ValueError(f"the name of a Dim must be an identifier, got {name!r}")
        if min is not None and max is not None and min > max:
            raise ValueError(f"Dim({name!r}): min {min} is larger than max {max}")
        self.__name__, self.min, self.max = name, min, max

    def __repr__(self) -> str:
        limits = "".join(f", {key}={getattr(self, key)}" for key in ("min", "max") if getattr(self, key) is not None)
        return f"Dim({self.__name__!r}{limits})"


def dims(*names: str, min: int | None = None, max: int | None = None) -> tuple[Dim, ...]:
    """Return a `Dim` for each name.

    >>> batch, length = fb.export.dims("batch", "length", max=512)
    >>> length
    Dim('length', max=512)
    """
    return tuple(Dim(name, min=min, max=max) for name in names)


def export(
    mod: Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None = None,
    *,
    dynamic_shapes: Mapping[str, Any] | Sequence[Any] | None = None,
    strict: bool = False,
    preserve_module_call_signature: Sequence[str] = (),
    **options: Any,
) -> ExportedProgram:
    """Convert a module to a program by one traced run; see `flambeau.jit.trace` for details.

    Args:
        mod: the module; it keeps its training or evaluation mode, and the values of its buffers.
        args, kwargs: example arguments. Later inputs must have the same sizes in all dimensions that are not dynamic.
        dynamic_shapes: dynamic dimensions, as a mapping from argument names, or as a sequence in the order of the
            arguments. Each tensor has ``{dimension: Dim}`` or a sequence with one entry per dimension: a `Dim`,
            `Dim.AUTO`, `Dim.DYNAMIC`, `Dim.STATIC`, a size or None. Tuples, lists and dictionaries of tensors have a
            structure of the same form. None means static.
    Raises: ValueError if ``mod`` is not a module, if the shapes do not match, or if the program needs a fixed size for
        a dimension that is declared dynamic; NotImplementedError as for `flambeau.jit.trace`.

    >>> batch = fb.export.Dim("batch")
    >>> program = fb.export.export(nn.ReLU(), (fb.ones(4, 3),), dynamic_shapes={"input": {0: batch}})
    >>> program.module()(-fb.ones(1, 3))
    tensor([[0., 0., 0.]])
    """
    if not isinstance(mod, Module):
        raise ValueError(f"Expected `mod` to be an instance of `nn.Module`, got {type(mod).__name__}.")
    if not isinstance(args, tuple):
        raise ValueError(f"Expecting `args` to be a tuple of example positional inputs, got {type(args).__name__}")
    demands = _SizeRequirements(dynamic_shapes)
    kwargs = dict(kwargs or {})
    with _restored_afterwards(mod, (args, kwargs)):
        traced: jit.ScriptModule = jit.trace(
            mod, args, check_trace=False, example_kwarg_inputs=kwargs, _prepare=demands.note
        )
    demands.check(traced.code)
    for path, module in mod.named_modules(remove_duplicate=False):
        if module._non_persistent_buffers_set:
            traced.get_submodule(path)._non_persistent_buffers_set |= module._non_persistent_buffers_set
    return ExportedProgram(traced, (args, kwargs), demands.ranges)


@contextlib.contextmanager
def _restored_afterwards(mod: Module, inputs: Any) -> Iterator[None]:
    """Restore the buffers of a module and the input tensors when the block ends."""
    buffers = [(module._buffers, dict(module._buffers)) for module in mod.modules()]
    tensors = [leaf for leaf in (*mod.buffers(), *tree_leaves(inputs)) if isinstance(leaf, Tensor)]
    saved = [(tensor, tensor._version, tensor.detach().clone()) for tensor in tensors]
    try:
        yield
    finally:
        for registry, before in buffers:
            registry.update(before)
        with no_grad():
            for tensor, version, values in saved:
                if tensor._version != version:
                    tensor.copy_(values)


class _SizeRequirements:
    """Requirements of a program on the sizes of its inputs."""

    def __init__(self, shapes: Any) -> None:
        self.shapes = shapes
        self.dynamic: dict[str, str] = {}  # declared dynamic dimensions by their names in the program
        self.ranges: dict[str, ValueRanges] = {}  # limits of the dynamic dimensions by name
        self._firsts: dict[Dim, Number] = {}

    def note(self, trace: Trace, inputs: Mapping[str, Any]) -> None:
        """Record the required sizes of ``inputs`` in ``trace``, before the module runs."""
        shapes = self.shapes
        if shapes is None:
            shapes = {}
        elif not isinstance(shapes, Mapping):
            if len(shapes) != len(inputs):
                raise ValueError(f"dynamic_shapes has {len(shapes)} entries for {len(inputs)} arguments")
            shapes = dict(zip(inputs, shapes, strict=True))
        if unknown := [name for name in shapes if name not in inputs]:
            raise ValueError(f"dynamic_shapes names the unknown arguments {unknown}; the arguments are {list(inputs)}")
        for name, value in inputs.items():
            self._note_structure(trace, value, shapes.get(name), name)

    def _note_structure(self, trace: Trace, value: Any, shape: Any, path: str) -> None:
        if isinstance(value, Tensor):
            self._note_tensor(trace, value, shape, path)
        elif isinstance(value, Mapping):
            for key, item in value.items():
                self._note_structure(trace, item, None if shape is None else shape.get(key), f"{path}[{key!r}]")
        elif isinstance(value, tuple | list):
            for i, item in enumerate(value):
                self._note_structure(trace, item, None if shape is None else shape[i], f"{path}[{i}]")

    def _note_tensor(self, trace: Trace, tensor: Tensor, shape: Any, path: str) -> None:
        by_dim = shape or {}
        if isinstance(by_dim, tuple | list):
            if len(by_dim) != tensor.dim():
                raise ValueError(
                    f"dynamic_shapes has {len(by_dim)} dimensions for {path} of shape {list(tensor.shape)}"
                )
            by_dim = dict(enumerate(by_dim))
        if wrong := [dim for dim in by_dim if not 0 <= dim < tensor.dim()]:
            raise ValueError(
                f"dynamic_shapes names the dimensions {wrong} of {path}, which has shape {list(tensor.shape)}"
            )
        for dim, size in enumerate(tensor.shape):
            number = trace.measured("size", tensor, dim, size)
            self._require_size(trace, number, by_dim.get(dim), f"{path}.size({dim})")

    def _require_size(self, trace: Trace, number: Number, wanted: Any, text: str) -> None:
        """Require a size of an example input to match its entry in ``dynamic_shapes``."""
        if wanted is None or wanted is Dim.STATIC or isinstance(wanted, int):
            if isinstance(wanted, int) and number.value != wanted:
                raise ValueError(f"{text} is {number.value} in the example inputs, but {wanted} in dynamic_shapes")
            trace.require("eq", number, number.value)
        elif isinstance(wanted, Dim):
            number.text = wanted.__name__
            self.ranges[wanted.__name__] = ValueRanges(wanted.min or 0, wanted.max)
            self.dynamic[number.name] = f"{text} ({wanted.__name__})"
            first = self._firsts.setdefault(wanted, number)
            if first is not number:
                if first.value != number.value:
                    raise ValueError(
                        f"{wanted} must be one size, but is {first.value} and {number.value} in the example inputs"
                    )
                trace.require("eq", number, first)
            for comparison, limit in (("ge", wanted.min), ("le", wanted.max)):
                if limit is not None:
                    if (number.value < limit) if comparison == "ge" else (number.value > limit):
                        raise ValueError(
                            f"{wanted} is {number.value} in the example inputs, which is outside of its limits"
                        )
                    trace.require(comparison, number, limit)
        elif wanted in (Dim.DYNAMIC, Dim.AUTO):
            self.ranges[text] = ValueRanges(0, None)
            if wanted is Dim.DYNAMIC:
                self.dynamic[number.name] = text
        else:
            raise ValueError(f"dynamic_shapes must have a Dim, an int or None for {text}, got {wanted!r}")

    def check(self, code: str) -> None:
        """Raise ValueError if the program requires a dynamic size to equal the size in the example."""
        for line in code.splitlines():
            call, _, location = line.partition("  # ")
            if call.startswith("require_eq("):
                name, other, *_ = call.removeprefix("require_eq(").split(", ")
                if name in self.dynamic and not other.startswith("%"):
                    raise ValueError(
                        f"{self.dynamic[name]} is declared dynamic, but the model needs it to be {other} ({location}), "
                        "because it loops over it or branches on it. Declare it static, or change the model"
                    )


def save(
    ep: ExportedProgram, f: str | os.PathLike[str] | IO[bytes], *, extra_files: Any = None, **options: Any
) -> None:
    """Write a program and its tensors to a file, as `flambeau.jit.save` does.

    >>> import io
    >>> file = io.BytesIO()
    >>> fb.export.save(fb.export.export(nn.ReLU(), (fb.ones(2),)), file)
    >>> _ = file.seek(0)
    >>> fb.export.load(file).module()(fb.tensor([-1.0, 1.0]))
    tensor([0., 1.])
    """
    if not isinstance(ep, ExportedProgram):
        raise TypeError(
            f"The 'ep' parameter must be an instance of 'ExportedProgram', got '{type(ep).__name__}' instead."
        )
    if not isinstance(module := ep.module(), jit.ScriptModule):
        raise NotImplementedError(
            "flambeau.export.save cannot write a program that was loaded from a file of PyTorch: keep that file"
        )
    jit.save(module, f, extra_files)


def load(
    f: str | os.PathLike[str] | IO[bytes], *, extra_files: dict[str, Any] | None = None, **options: Any
) -> ExportedProgram:
    """Load a file that `save` or PyTorch's ``torch.export.save`` wrote. No Python code from the file is run.

    See `save`.

    Args:
        f: path, or a file opened for reading bytes.
        extra_files: a dictionary of file names; its values are replaced with the contents of these files.
    Raises: RuntimeError if the file is truncated, damaged or of an unknown type; NotImplementedError if flambeau lacks
        an operator of the program.
    """
    from flambeau.jit._archive import is_archive, opened  # on first use: they import zipfile

    with opened(f) as file:
        if is_archive(file):
            from . import _archive

            return ExportedProgram(_archive.read(file, extra_files))
        return ExportedProgram(jit.load(file, _extra_files=extra_files))


def register_dataclass(cls: type, **options: Any) -> None:
    """Raise NotImplementedError: inputs and outputs must be tensors in tuples, lists and dictionaries."""
    raise NotImplementedError("flambeau.export accepts tensors in tuples, lists and dictionaries, not dataclasses")


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), __all__)


_suggestions.suggest_names(__name__)
