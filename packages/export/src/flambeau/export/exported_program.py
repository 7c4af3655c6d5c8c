"""`ExportedProgram`, the result of `flambeau.export.export`."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from flambeau import Tensor, jit
from flambeau.fx import Graph, GraphModule
from flambeau.nn import Parameter
from flambeau.utils._pytree import tree_structure

from .graph_signature import ExportGraphSignature, InputKind, InputSpec, TensorArgument

if TYPE_CHECKING:
    from ._archive import ExportedModule

__all__ = ["ExportedProgram"]


class ValueRanges(NamedTuple):
    """Smallest and largest size of a dynamic dimension, inclusive. ``upper`` is None if there is no limit."""

    lower: int
    upper: int | None


class CallSpec(NamedTuple):
    """Structures of the arguments and the results of a program, as pytrees."""

    in_spec: Any
    out_spec: Any


class ExportedProgram:
    """Program that `export` returns.

    Attributes:
        example_inputs: positional and keyword arguments of the traced call; None for a program that was loaded.
        range_constraints: limits of the dynamic dimensions, by the name of the `Dim` or, for `Dim.AUTO` and
            `Dim.DYNAMIC`, by the dimension, such as ``x.size(0)``.

    >>> program = fb.export.export(nn.Linear(3, 2), (fb.ones(4, 3),))
    >>> sorted(program.state_dict)
    ['bias', 'weight']
    >>> program.module()(fb.ones(4, 3)).shape
    flambeau.Size([4, 2])
    """

    def __init__(
        self,
        module: jit.ScriptModule | ExportedModule,
        example_inputs: Any = None,
        range_constraints: Mapping[str, ValueRanges] = MappingProxyType({}),
    ) -> None:
        self._module, self.example_inputs = module, example_inputs
        self.range_constraints = dict(range_constraints)

    def module(self, check_guards: bool = True) -> jit.ScriptModule | ExportedModule:
        """Return the program as a module with parameters."""
        return self._module

    @property
    def code(self) -> str:
        """Text of the program."""
        return self._module.code

    @functools.cached_property
    def _recorded(self) -> tuple[GraphModule, ExportGraphSignature]:
        if self.example_inputs is None or not isinstance(self._module, jit.ScriptModule):
            raise NotImplementedError(
                "a program that was loaded has no graph; export the model again to read its graph, or use `code`"
            )
        from . import _aten_graph

        args, kwargs = self.example_inputs
        specs = self._state_specs()
        state = {str(spec.target): self._tensor(str(spec.target)) for spec in specs}
        example, dynamic = [*args, *kwargs.values()], bool(self.range_constraints)
        graph, signature = _aten_graph.recorded(self._module._program, state, specs, example, dynamic)
        return GraphModule({}, graph), signature

    @property
    def graph_module(self) -> GraphModule:
        """Graph of the program as a module, whose inputs are the parameters, buffers, constants and arguments.

        The nodes call operators of ``ops.aten``. Sizes in ``meta["val"]`` of the nodes are those of the example.

        >>> program = fb.export.export(nn.Linear(3, 2), (fb.ones(4, 3),))
        >>> [node.name for node in program.graph_module.graph.nodes]
        ['p_weight', 'p_bias', 'input', 'linear', 'output']
        """
        return self._recorded[0]

    @property
    def graph(self) -> Graph:
        """Graph of `graph_module`."""
        return self.graph_module.graph

    @property
    def graph_signature(self) -> ExportGraphSignature:
        """Description of the inputs and outputs of the graph."""
        return self._recorded[1]

    @property
    def call_spec(self) -> CallSpec:
        """Structures of the arguments and of the results."""
        outputs = self._module._program.outputs  # type: ignore[union-attr]
        args, kwargs = self.example_inputs
        return CallSpec(tree_structure((args, kwargs)), tree_structure(outputs.pack(range(len(self.graph.nodes)))))

    def run_decompositions(self, decomp_table: Mapping[Any, Callable[..., Any]] | None = None) -> ExportedProgram:
        """Return the program with a graph of simpler operators, without in-place operators.

        The new values of buffers that in-place operators change become the first outputs of the graph. Only
        ``batch_norm`` still updates its running statistics, if the module was exported in training mode. `module`
        returns the same module as before.

        Args:
            decomp_table: functions that compute the results of overloads, in addition to flambeau's decompositions.
        Raises: NotImplementedError if the program has dynamic dimensions or was loaded.

        >>> program = fb.export.export(nn.Linear(3, 2), (fb.ones(4, 3),)).run_decompositions()
        >>> [node.name for node in program.graph.nodes]
        ['p_weight', 'p_bias', 'input', 't', 'addmm', 'output']
        """
        from . import _aten_graph

        if self.range_constraints:
            raise NotImplementedError("run_decompositions does not support programs with dynamic dimensions")
        made = ExportedProgram(self._module, self.example_inputs, self.range_constraints)
        graph, signature = _aten_graph.decomposed(self.graph, self.graph_signature, decomp_table)
        made._recorded = GraphModule({}, graph), signature
        return made

    def _state_specs(self) -> list[InputSpec]:
        """Return descriptions of the graph's inputs that are parameters, buffers and constants."""
        kept = self.state_dict
        specs = []
        for kind, prefix, names in (
            (InputKind.PARAMETER, "p", [n for n, _ in self._module.named_parameters(remove_duplicate=False)]),
            (InputKind.BUFFER, "b", [n for n, _ in self.named_buffers()]),
            (InputKind.CONSTANT_TENSOR, "c", self._module._constants),
        ):
            for name in names:
                argument = TensorArgument(re.sub(r"\W", "_", f"{prefix}_{name}"))
                specs.append(InputSpec(kind, argument, name, name in kept if kind is InputKind.BUFFER else None))
        return specs

    def _tensor(self, name: str) -> Tensor:
        owner, _, last = name.rpartition(".")
        tensor: Tensor = getattr(self._module.get_submodule(owner), last)
        return tensor

    @property
    def state_dict(self) -> dict[str, Any]:
        """Parameters and persistent buffers by name."""
        return dict(self._module.state_dict())

    @property
    def constants(self) -> dict[str, Tensor]:
        """Tensors that are neither parameters nor persistent buffers."""
        kept = self.state_dict
        others = [name for name, _ in self.named_buffers() if name not in kept]
        return {name: self._module.get_buffer(name) for name in [*self._module._constants, *others]}

    tensor_constants = constants

    def parameters(self) -> Iterator[Parameter]:
        """Return an iterator over the parameters."""
        return self._module.parameters()

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Return an iterator over pairs of name and parameter."""
        return self._module.named_parameters()

    def buffers(self) -> Iterator[Tensor]:
        """Return an iterator over the buffers."""
        return (buffer for _, buffer in self.named_buffers())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Return an iterator over pairs of name and buffer."""
        return ((n, b) for n, b in self._module.named_buffers() if n not in self._module._constants)

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise RuntimeError: call the result of `module` instead."""
        raise RuntimeError(
            "Unable to call ExportedProgram directly. You should use `exported_program.module()` instead."
        )

    def __str__(self) -> str:
        return f"ExportedProgram:\n{self.code}"
