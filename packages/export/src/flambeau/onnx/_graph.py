"""The nodes of a file while they are put together."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import flambeau
import onnx
from flambeau import Tensor
from onnx import TensorProto, helper

from ._opsets import OPSET
from ._sizes import Size
from ._values import Value

F = TypeVar("F", bound=Callable[..., Any])
Name = str
Converter = Callable[..., Any]  # of the graph and the operator's arguments; the names of the results
CONVERTERS: dict[str, Converter] = {}

ELEMENT_TYPES = {
    flambeau.float32: TensorProto.FLOAT,
    flambeau.float64: TensorProto.DOUBLE,
    flambeau.float16: TensorProto.FLOAT16,
    flambeau.bfloat16: TensorProto.BFLOAT16,
    flambeau.bool: TensorProto.BOOL,
    flambeau.int8: TensorProto.INT8,
    flambeau.int16: TensorProto.INT16,
    flambeau.int32: TensorProto.INT32,
    flambeau.int64: TensorProto.INT64,
    flambeau.uint8: TensorProto.UINT8,
    flambeau.uint16: TensorProto.UINT16,
    flambeau.uint32: TensorProto.UINT32,
    flambeau.uint64: TensorProto.UINT64,
    flambeau.complex64: TensorProto.COMPLEX64,
    flambeau.complex128: TensorProto.COMPLEX128,
}


def converts(*operators: str) -> Callable[[F], F]:
    """Registers a converter of the operators of these names."""

    def register(function: F) -> F:
        CONVERTERS.update(dict.fromkeys(operators, function))
        return function

    return register


class Graph:
    """Nodes and constants, and the names of the values among them.

    Args:
        inputs: the name of each input.
        dimensions: of each dynamic dimension, an input or a value inside of the program, and an axis, that have it.
        parameter_names: the names of parameters and buffers, by their ids.
        opset: the version of the operators that the nodes call.
        computed: further dimensions, each made of a size and a number by an operator.
    """

    def __init__(
        self,
        inputs: Sequence[Name],
        dimensions: Mapping[str, tuple[Name | Value, int]],
        parameter_names: Mapping[int, Name],
        opset: int = OPSET,
        computed: Mapping[str, tuple[str, Size, int]] | None = None,
    ) -> None:
        self._computed_dimensions = computed or {}
        self.opset = min(opset, OPSET)
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[Name, onnx.TensorProto] = {}
        self.results: list[Value] = []  # of the call that is being converted
        self.operator = ""  # its name
        self._inputs = inputs
        self._dimensions = dimensions
        self._parameter_names = parameter_names
        self._names: dict[Value, Name] = {}
        self._sizes: dict[str, Name] = {}
        self._constants: dict[Any, Name] = {}
        self._counter = itertools.count()

    @property
    def result(self) -> Value:
        """The first result of the call that is being converted."""
        return self.results[0]

    def op(self, kind: str, *inputs: Any, **attributes: Any) -> Name:
        """Adds a node of one output and returns its name. The arguments are those of `several`."""
        return self.several(1, kind, *inputs, **attributes)[0]

    def several(self, outputs: int, kind: str, *inputs: Any, **attributes: Any) -> list[Name]:
        """Adds a node and returns the names of its outputs.

        Args:
            inputs: names, values, or None for one that is left out.
            attributes: None is left out.
        """
        names = [self.name(x) if isinstance(x, Value) else x or "" for x in inputs]
        while names and not names[-1]:
            names.pop()
        made = [self.new_name(self.operator or kind.lower()) for _ in range(outputs)]
        attributes = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(helper.make_node(kind, names, made, name=f"{kind}_{len(self.nodes)}", **attributes))
        return made

    def loop(self, count: Name, body: Callable[[Name], Sequence[tuple[Name, Any, Sequence[int]]]]) -> list[Name]:
        """Add a Loop and return the names of its results: those of each iteration, stacked.

        Args:
            count: number of iterations, int64.
            body: adds the nodes of an iteration, given the name of its number, and returns the name, dtype and shape
                of each result.
        """
        outer, self.nodes, sizes = self.nodes, [], dict(self._sizes)
        number, condition = self.new_name("iteration"), self.new_name("condition")
        results = body(number)
        goes_on = self.op("Identity", condition)
        made = helper.make_graph(
            self.nodes,
            self.new_name("body"),
            [
                helper.make_tensor_value_info(number, TensorProto.INT64, []),
                helper.make_tensor_value_info(condition, TensorProto.BOOL, []),
            ],
            [
                helper.make_tensor_value_info(goes_on, TensorProto.BOOL, []),
                *(helper.make_tensor_value_info(name, ELEMENT_TYPES[kind], shape) for name, kind, shape in results),
            ],
        )
        self.nodes, self._sizes = outer, sizes  # a size that the body computes is not known outside of it
        return self.several(len(results), "Loop", count, self.constant(True), body=made)

    def new_name(self, stem: str) -> Name:
        return f"{stem.strip('_')}_{next(self._counter)}"

    def bind(self, value: Value, name: Name) -> None:
        self._names[value] = name

    def name(self, value: Value) -> Name:
        """The name of a value; one that varies must have been converted."""
        if value not in self._names:
            if value.input is not None:
                self._names[value] = self._inputs[value.input]
            else:
                known = self._parameter_names.get(id(value.tensor))
                self._names[value] = self.constant(value.tensor, known)
        return self._names[value]

    def constant(self, data: Any, name: Name | None = None, dtype: Any = None) -> Name:
        """The name of a constant: a tensor, or what `flambeau.tensor` takes. Small ones of the same content are one."""
        tensor = data if isinstance(data, Tensor) else flambeau.tensor(data, dtype=dtype)
        content = tensor.detach().cpu().contiguous()
        raw = content.reshape(-1).view(flambeau.uint8).numpy().tobytes()
        key = (str(tensor.dtype), tuple(tensor.shape), raw) if len(raw) <= 64 and name is None else None
        if key is None or key not in self._constants:
            made = name or self.new_name("constant")
            if made not in self.initializers:
                kind = ELEMENT_TYPES[tensor.dtype]
                self.initializers[made] = helper.make_tensor(made, kind, tuple(tensor.shape), raw, raw=True)
            if key is None:
                return made
            self._constants[key] = made
        return self._constants[key]

    def cast(self, value: Any, to: Any, dtype: Any = None) -> Name:
        """A value, or a name of ``dtype``, in another dtype."""
        given = value.dtype if isinstance(value, Value) else dtype
        name = self.name(value) if isinstance(value, Value) else value
        return name if given == to else self.op("Cast", name, to=ELEMENT_TYPES[to])

    def operand(self, x: Any, dtype: Any) -> Name:
        """A value, a Python number or a size, as something of this dtype."""
        if isinstance(x, Value):
            return self.cast(x, dtype)
        if isinstance(x, Size):
            scalar = self.op("Reshape", self.size(x), self.constant([], dtype=flambeau.int64))
            return self.cast(scalar, dtype, flambeau.int64)
        return self.constant(x, dtype=dtype)

    def size(self, size: int | Size) -> Name:
        """A size as int64 of shape (1,)."""
        if isinstance(size, int):
            return self.constant([size])
        if str(size) not in self._sizes:
            self._sizes[str(size)] = self._computed(size)
        return self._sizes[str(size)]

    def _computed(self, size: Size) -> Name:
        below = size.denominator
        terms = []
        for names, coefficient in size.terms.items():
            factors = [self._dimension(name) for name in names]
            if coefficient * below != 1 or not factors:
                factors.append(self.constant([int(coefficient * below)]))
            terms.append(self._folded("Mul", factors))
        total = self._folded("Add", terms)
        return total if below == 1 else self.op("Div", total, self.constant([below]))

    def _folded(self, kind: str, names: Sequence[Name]) -> Name:
        folded = names[0]
        for name in names[1:]:
            folded = self.op(kind, folded, name)
        return folded

    def _dimension(self, name: str) -> Name:
        if name in self._computed_dimensions and name not in self._sizes:
            kind, size, number = self._computed_dimensions[name]
            self._sizes[name] = self.op(kind, self.size(size), self.constant([number]))
        if name not in self._sizes:
            tensor, axis = self._dimensions[name]
            if isinstance(tensor, Value) and tensor not in self._names:
                raise RuntimeError(
                    f"the size {name} of {[shape[axis] for shape in tensor.seen]}, as the dynamic dimensions grow, is "
                    "needed before the tensor is there"
                )
            self._sizes[name] = self.op("Shape", tensor, start=axis, end=axis + 1)
        return self._sizes[name]

    def sizes(self, sizes: Sequence[int | Size]) -> Name:
        """Several sizes, as int64 of one dimension."""
        if all(isinstance(size, int) for size in sizes):
            return self.constant(list(sizes), dtype=flambeau.int64)
        return self.op("Concat", *(self.size(size) for size in sizes), axis=0)

    def reshaped(self, value: Value | Name, shape: Sequence[int | Size | None]) -> Name:
        """A value in another shape. Sizes that its first dimensions have already, and one more, need not be known."""
        sizes = list(shape)
        own = value.shape_or_none if isinstance(value, Value) and 0 not in shape else ()
        for d, (size, old) in enumerate(zip(shape, own, strict=False)):
            if old is None or str(size) != str(old):
                break
            sizes[d] = 0 if isinstance(size, Size) else size
        free = [d for d, size in enumerate(sizes) if size is None or isinstance(size, Size)]
        if len(free) == 1 and 0 not in shape:
            sizes[free[0]] = -1
        known = [size for size in sizes if size is not None]
        if len(known) < len(sizes):
            known = list(self.result.shape)  # which says what is not known
        return self.op("Reshape", value, self.sizes(known), allowzero=1 if 0 in shape else None)
