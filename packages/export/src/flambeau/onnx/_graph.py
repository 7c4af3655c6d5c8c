"""Builder of the nodes of an ONNX file."""

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
Converter = Callable[..., Any]  # function of the graph and the operator's arguments that returns the names of results
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
    """Register a converter for operators of these names."""

    def register(function: F) -> F:
        CONVERTERS.update(dict.fromkeys(operators, function))
        return function

    return register


class Graph:
    """Builder of nodes and constants, with the names of values.

    Args:
        inputs: names of the inputs.
        dimensions: for each dynamic dimension, an input or intermediate value and the axis that has its size.
        parameter_names: dictionary from ids of parameters and buffers to their names.
        opset: ONNX opset version.
        computed: dictionary of further dimensions, each with an ONNX operator and its operands, a size and a number.
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
        self.results: list[Value] = []  # results of the current call
        self.operator = ""  # name of the current operator
        self._inputs = inputs
        self._dimensions = dimensions
        self._parameter_names = parameter_names
        self._names: dict[Value, Name] = {}
        self._sizes: dict[str, Name] = {}
        self._constants: dict[Any, Name] = {}
        self._counter = itertools.count()

    @property
    def result(self) -> Value:
        """First result of the current call."""
        return self.results[0]

    def op(self, kind: str, *inputs: Any, **attributes: Any) -> Name:
        """Add a node with one output and return the output's name. The arguments are the same as for `several`."""
        return self.several(1, kind, *inputs, **attributes)[0]

    def several(self, outputs: int, kind: str, *inputs: Any, **attributes: Any) -> list[Name]:
        """Add a node and return the names of its outputs.

        Args:
            inputs: names, values, or None for a missing optional input.
            attributes: attributes of the node; None is omitted.
        """
        names = [self.name(x) if isinstance(x, Value) else x or "" for x in inputs]
        while names and not names[-1]:
            names.pop()
        results = [self.new_name(self.operator or kind.lower()) for _ in range(outputs)]
        attributes = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(helper.make_node(kind, names, results, name=f"{kind}_{len(self.nodes)}", **attributes))
        return results

    def loop(self, count: Name, body: Callable[[Name], Sequence[tuple[Name, Any, Sequence[int]]]]) -> list[Name]:
        """Add a Loop and return the names of its stacked results.

        Args:
            count: number of iterations, int64.
            body: function that adds the nodes of an iteration. It gets the name of the iteration number, and returns
                the name, dtype and shape of each result.
        """
        outer, self.nodes, sizes = self.nodes, [], dict(self._sizes)
        number, condition = self.new_name("iteration"), self.new_name("condition")
        results = body(number)
        goes_on = self.op("Identity", condition)
        body_graph = helper.make_graph(
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
        self.nodes, self._sizes = outer, sizes  # sizes computed in the body are not visible outside
        return self.several(len(results), "Loop", count, self.constant(True), body=body_graph)

    def new_name(self, stem: str) -> Name:
        return f"{stem.strip('_')}_{next(self._counter)}"

    def bind(self, value: Value, name: Name) -> None:
        self._names[value] = name

    def name(self, value: Value) -> Name:
        """Return the name of a value; a value that depends on inputs must be converted already."""
        if value not in self._names:
            if value.input is not None:
                self._names[value] = self._inputs[value.input]
            else:
                known = self._parameter_names.get(id(value.tensor))
                self._names[value] = self.constant(value.tensor, known)
        return self._names[value]

    def constant(self, data: Any, name: Name | None = None, dtype: Any = None) -> Name:
        """Return the name of a constant tensor or of data for `flambeau.tensor`. Equal small constants are shared."""
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
        """Cast a value, or a name with its ``dtype``, to another dtype."""
        source = value.dtype if isinstance(value, Value) else dtype
        name = self.name(value) if isinstance(value, Value) else value
        return name if source == to else self.op("Cast", name, to=ELEMENT_TYPES[to])

    def operand(self, x: Any, dtype: Any) -> Name:
        """Convert a value, a Python number or a size to a name with this dtype."""
        if isinstance(x, Value):
            return self.cast(x, dtype)
        if isinstance(x, Size):
            scalar = self.op("Reshape", self.size(x), self.constant([], dtype=flambeau.int64))
            return self.cast(scalar, dtype, flambeau.int64)
        return self.constant(x, dtype=dtype)

    def size(self, size: int | Size) -> Name:
        """Return the name of a size as int64 of shape (1,)."""
        if isinstance(size, int):
            return self.constant([size])
        if str(size) not in self._sizes:
            self._sizes[str(size)] = self._compute_size(size)
        return self._sizes[str(size)]

    def _compute_size(self, size: Size) -> Name:
        below = size.denominator
        terms = []
        for names, coefficient in size.terms.items():
            factors = [self._dimension(name) for name in names]
            if coefficient * below != 1 or not factors:
                factors.append(self.constant([int(coefficient * below)]))
            terms.append(self._fold("Mul", factors))
        total = self._fold("Add", terms)
        return total if below == 1 else self.op("Div", total, self.constant([below]))

    def _fold(self, kind: str, names: Sequence[Name]) -> Name:
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
                    f"the size {name!r}, which was {[shape[axis] for shape in tensor.seen]} for growing dynamic "
                    "dimensions, is needed before its tensor is computed"
                )
            self._sizes[name] = self.op("Shape", tensor, start=axis, end=axis + 1)
        return self._sizes[name]

    def sizes(self, sizes: Sequence[int | Size]) -> Name:
        """Return the name of several sizes as a one-dimensional int64 tensor."""
        if all(isinstance(size, int) for size in sizes):
            return self.constant(list(sizes), dtype=flambeau.int64)
        return self.op("Concat", *(self.size(size) for size in sizes), axis=0)

    def reshaped(self, value: Value | Name, shape: Sequence[int | Size | None]) -> Name:
        """Reshape a value. The node copies unchanged leading sizes from its input and can infer one unknown size."""
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
            known = list(self.result.shape)  # `shape` raises an error that names the unknown size
        return self.op("Reshape", value, self.sizes(known), allowzero=1 if 0 in shape else None)
