"""Files that PyTorch's ``torch.export.save`` writes (``.pt2``), as modules over flambeau's operators."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import IO, Any

import flambeau
from flambeau import Tensor, serialization
from flambeau.jit._archive import Archive, entry
from flambeau.jit._program import _assign
from flambeau.nn import Module, Parameter

from ._graph import Graph, Reference, dtype_of
from ._tree import Tree

_PROGRAM = "models/model.json"  # path in files of PyTorch 2.8 and later
_OLDER_PROGRAM = "serialized_exported_program.json"


class ExportedModule(Module):
    """Program from a file that PyTorch exported, with its parameters and buffers.

    Args:
        described: the JSON description of the program.
        tensors: dictionary from names to parameters, buffers and constants.
    """

    def __init__(self, described: Any, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        exported = entry(described, "graph_module")
        self._graph = Graph(entry(exported, "graph"))
        signature = entry(exported, "signature")
        self._constants: list[str] = []
        self._sources: list[str | None] = []  # per graph input: name of a tensor, or None for an argument
        self._expected: list[tuple[Any, Any]] = []  # per argument: the value of a constant argument, and the sizes
        self._described_tensors = entry(entry(exported, "graph"), "tensor_values")
        for specification in entry(signature, "input_specs"):
            self._add_input(specification, tensors)
        self._targets = [_mutation_target(specification) for specification in entry(signature, "output_specs")]
        call = entry(entry(exported, "module_call_graph")[0], "signature")
        fields = exported.get("treespec_namedtuple_fields") or {}
        named = {name: [str(field) for field in fields[name]["fields"]] for name in fields}
        self._takes, self._gives = (Tree.parse(entry(call, key), named) for key in ("in_spec", "out_spec"))
        self._names = call.get("forward_arg_names") or []
        self._ranges = described.get("range_constraints") or {}

    def _add_input(self, specification: Any, tensors: Mapping[str, Tensor]) -> None:
        """Add an input of the program: an argument of the user, or a tensor of the archive."""
        ((kind, content),) = specification.items()
        if kind == "user_input":
            argument = self._graph.inputs[len(self._sources)]
            sizes = None
            if isinstance(argument, Reference) and argument.name in self._described_tensors:
                sizes = entry(self._described_tensors[argument.name], "sizes")
            self._expected.append((argument, sizes))
            self._sources.append(None)
        elif kind == "constant_input":
            self._expected.append((self._graph.inputs[len(self._sources)], None))
            self._sources.append(None)
        elif kind in ("parameter", "buffer", "tensor_constant"):
            name = str(entry(content, f"{kind}_name"))
            if name not in tensors:
                raise RuntimeError(f"the archive has no tensor {name!r}, which its program uses")
            self._add_tensor(name, tensors[name], kind, bool(content.get("persistent", True)))
            self._sources.append(name)
        else:
            raise NotImplementedError(f"programs with inputs of the kind {kind!r} cannot be read")

    def _add_tensor(self, name: str, tensor: Tensor, kind: str, persistent: bool) -> None:
        if kind == "parameter" and not isinstance(tensor, Parameter):
            tensor = Parameter(tensor.detach(), tensor.requires_grad)
        _assign(self, name, tensor)
        if kind == "tensor_constant":
            self._constants.append(name)
        if kind == "tensor_constant" or not persistent:
            owner, _, last = name.rpartition(".")
            self.get_submodule(owner)._non_persistent_buffers_set.add(last)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program."""
        given = iter(self._arguments(args, kwargs))
        inputs = [next(given) if name is None else _tensor_at(self, name) for name in self._sources]
        outputs = self._graph(*inputs)
        results: list[Any] = []
        for target, value in zip(self._targets, outputs, strict=True):
            if target is None:
                results.append(value)
            else:
                self._change(target, value, inputs)
        return self._gives.packed(iter(results))

    def _change(self, target: tuple[str, str], value: Tensor, inputs: list[Any]) -> None:
        kind, name = target
        if kind == "user_input":
            inputs[self._graph.inputs.index(Reference(name))].copy_(value)
        else:
            with flambeau.no_grad():
                _tensor_at(self, name).copy_(value)

    def _arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """Check the arguments against the exported program and return them in the order of the graph's inputs."""
        positional, named = self._takes.children
        missing = self._names[len(args) : len(positional.children)]
        if any(name in kwargs and name not in named.keys for name in missing):
            args = (*args, *(kwargs.pop(name) for name in missing if name in kwargs))
        values = [*positional.leaves(args, "args"), *named.leaves(kwargs, "kwargs")]
        symbols: dict[str, int] = {}
        for i, ((expected, sizes), value) in enumerate(zip(self._expected, values, strict=True)):
            what = repr(expected.name) if isinstance(expected, Reference) else f"input {i}"
            if sizes is not None:
                self._check_sizes(what, sizes, value, symbols)
            elif not isinstance(expected, Reference) and value != expected:
                raise RuntimeError(f"the program was exported with the constant {expected!r} for {what}, got {value!r}")
        return values

    def _check_sizes(self, name: str, sizes: list[Any], value: Any, symbols: dict[str, int]) -> None:
        """Raise an error if a tensor's sizes do not match the program's.

        ``symbols`` maps each symbolic size to its value in this call: the first size given for it, which is added here.
        """
        if not isinstance(value, Tensor):
            raise TypeError(f"the program expects a tensor for {name}, got {type(value).__name__}")
        if value.dim() != len(sizes):
            shape = list(value.shape)
            raise RuntimeError(f"the program expects a tensor of {len(sizes)} dimensions for {name}, got shape {shape}")
        for dim, (expected, size) in enumerate(zip(sizes, value.shape, strict=True)):
            if "as_int" in expected:
                fits = size == expected["as_int"]
                wanted = str(expected["as_int"])
            else:
                expression = str(entry(expected["as_expr"], "expr_str"))
                least, most = self._range(expression)
                first = symbols.setdefault(expression, size)
                fits = size == first and least <= size and (most is None or size <= most)
                limits = f"at least {least}" if most is None else f"from {least} to {most}"
                wanted = limits if size == first else str(first)
            if not fits:
                raise RuntimeError(f"the program expects size {wanted} in dimension {dim} of {name}, got {size}")

    def _range(self, expression: str) -> tuple[int, int | None]:
        for symbol, limits in self._ranges.items():
            if expression.startswith(f"Symbol('{symbol}'"):
                return limits.get("min_val") or 0, limits.get("max_val")
        return 0, None

    @property
    def code(self) -> str:
        """Text of the program, with one call per line."""
        return str(self._graph)


def _tensor_at(module: Module, path: str) -> Any:
    owner, _, name = path.rpartition(".")
    return getattr(module.get_submodule(owner), name)


def _mutation_target(specification: Any) -> tuple[str, str] | None:
    """Return the type ("buffer", "parameter" or "user_input") and name of the tensor to which an output is copied.

    Returns None if the program returns the output.
    """
    ((kind, content),) = specification.items()
    if kind == "user_output":
        return None
    if kind in ("buffer_mutation", "parameter_mutation", "user_input_mutation"):
        what = kind.removesuffix("_mutation")
        return what, str(entry(content, f"{what}_name"))
    raise NotImplementedError(f"programs with outputs of the kind {kind!r} cannot be read")


def read(file: IO[bytes], extra_files: dict[str, Any] | None) -> ExportedModule:
    """Return the program in an archive.

    Raises: RuntimeError if the archive is truncated, damaged or of an unknown type; NotImplementedError if flambeau
        lacks a feature that the program uses.
    """
    archive = Archive(file, _PROGRAM, _OLDER_PROGRAM)
    archive.fill(extra_files)
    try:
        described = json.loads(archive.text(_PROGRAM if _PROGRAM in archive else _OLDER_PROGRAM))
        return ExportedModule(described, _tensors(archive))
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise RuntimeError(f"the program in the archive is damaged: {type(error).__name__}: {error}") from error


def _tensors(archive: Archive) -> dict[str, Tensor]:
    """Return the parameters, buffers and constants of an archive of any supported format version, by name."""
    tensors: dict[str, Tensor] = {}
    for name in (
        "data/weights/model.pt",
        "data/constants/model.pt",
        "serialized_state_dict.pt",
        "serialized_constants.pt",
    ):
        if name in archive and (content := archive.read(name)):
            tensors |= serialization.load(io.BytesIO(content))
    for folder, config in (("weights", "model_weights_config"), ("constants", "model_constants_config")):
        path = f"data/{folder}/{config}.json"
        if path in archive:
            entries = entry(json.loads(archive.text(path)), "config")
            contents: dict[str, Any] = {}  # tensors can share a file
            for name, described in entries.items():
                tensors[name] = _tensor(archive, f"data/{folder}/{entry(described, 'path_name')}", described, contents)
    return tensors


def _tensor(archive: Archive, path: str, described: Any, contents: dict[str, Any]) -> Tensor:
    if described.get("use_pickle"):
        loaded = serialization.load(io.BytesIO(archive.read(path)))
        if not isinstance(loaded, Tensor):
            raise RuntimeError(f"the file {path!r} of the archive holds {type(loaded).__name__}, not a tensor")
        return loaded
    about = entry(described, "tensor_meta")
    dtype = dtype_of(entry(about, "dtype"))
    if path not in contents:
        content = bytearray(archive.read(path))
        contents[path] = flambeau.frombuffer(content, dtype=flambeau.uint8) if content else flambeau.empty(0)
    size, stride = ([entry(item, "as_int") for item in entry(about, key)] for key in ("sizes", "strides"))
    offset = entry(entry(about, "storage_offset"), "as_int")
    made = flambeau.empty(0, dtype=dtype).set_(contents[path].untyped_storage(), offset, size, stride)
    return Parameter(made, bool(about.get("requires_grad"))) if described.get("is_param") else made
