"""Description of the inputs and outputs of a program's graph, with the names of ``torch.export.graph_signature``."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

__all__ = [
    "ConstantArgument",
    "ExportGraphSignature",
    "InputKind",
    "InputSpec",
    "OutputKind",
    "OutputSpec",
    "TensorArgument",
]


class InputKind(enum.Enum):
    """Origin of an input of a graph. See `InputSpec`."""

    USER_INPUT = 1
    PARAMETER = 2
    BUFFER = 3
    CONSTANT_TENSOR = 4


class OutputKind(enum.Enum):
    """Use of an output of a graph. See `OutputSpec`."""

    USER_OUTPUT = 1
    LOSS_OUTPUT = 2
    BUFFER_MUTATION = 3
    GRADIENT_TO_PARAMETER = 4
    GRADIENT_TO_USER_INPUT = 5
    USER_INPUT_MUTATION = 6
    TOKEN = 7


@dataclasses.dataclass
class TensorArgument:
    """Tensor in a graph, by the name of its node.

    >>> from flambeau.export.graph_signature import TensorArgument
    >>> TensorArgument("x")
    TensorArgument(name='x')
    """

    name: str


@dataclasses.dataclass
class ConstantArgument:
    """Constant input or output of a graph.

    >>> from flambeau.export.graph_signature import ConstantArgument
    >>> ConstantArgument("scale", 2.0)
    ConstantArgument(name='scale', value=2.0)
    """

    name: str
    value: int | float | bool | str | None


@dataclasses.dataclass
class InputSpec:
    """Input of a graph: its kind, its node and, unless it is an argument of the user, the name of its tensor.

    >>> from flambeau.export.graph_signature import InputKind, InputSpec, TensorArgument
    >>> InputSpec(InputKind.PARAMETER, TensorArgument("p_weight"), "weight").target
    'weight'
    """

    kind: InputKind
    arg: TensorArgument | ConstantArgument
    target: str | None
    persistent: bool | None = None


@dataclasses.dataclass
class OutputSpec:
    """Output of a graph: its kind, its node and, if it is the new value of a tensor, the name of this tensor.

    >>> from flambeau.export.graph_signature import OutputKind, OutputSpec, TensorArgument
    >>> OutputSpec(OutputKind.USER_OUTPUT, TensorArgument("relu"), None).arg.name
    'relu'
    """

    kind: OutputKind
    arg: TensorArgument | ConstantArgument
    target: str | None


@dataclasses.dataclass
class ExportGraphSignature:
    """Inputs and outputs of a graph, in order.

    >>> program = fb.export.export(nn.Linear(3, 2), (fb.ones(4, 3),))
    >>> program.graph_signature.parameters, program.graph_signature.user_inputs
    (('weight', 'bias'), ('input',))
    """

    input_specs: list[InputSpec]
    output_specs: list[OutputSpec]

    def _targets(self, kind: InputKind) -> tuple[str, ...]:
        return tuple(spec.target for spec in self.input_specs if spec.kind is kind and spec.target is not None)

    def _inputs(self, kind: InputKind) -> Mapping[str, str]:
        targets = {spec.arg.name: spec.target for spec in self.input_specs if spec.kind is kind}
        return MappingProxyType({name: target for name, target in targets.items() if target is not None})

    def _mutations(self, kind: OutputKind) -> Mapping[str, str]:
        targets = {spec.arg.name: spec.target for spec in self.output_specs if spec.kind is kind}
        return MappingProxyType({name: target for name, target in targets.items() if target is not None})

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return self._targets(InputKind.PARAMETER)

    @property
    def buffers(self) -> tuple[str, ...]:
        """Names of the buffers."""
        return self._targets(InputKind.BUFFER)

    @property
    def non_persistent_buffers(self) -> tuple[str, ...]:
        """Names of the buffers that are not in the state dictionary."""
        return tuple(s.target for s in self.input_specs if s.persistent is False and s.target is not None)

    @property
    def lifted_tensor_constants(self) -> tuple[str, ...]:
        """Names of the tensors that are neither parameters nor buffers."""
        return self._targets(InputKind.CONSTANT_TENSOR)

    @property
    def user_inputs(self) -> tuple[Any, ...]:
        """Names of the tensors among the user's arguments, and the values of constants."""
        return tuple(_described(spec.arg) for spec in self.input_specs if spec.kind is InputKind.USER_INPUT)

    @property
    def user_outputs(self) -> tuple[Any, ...]:
        """Names of the tensors among the results, and the values of constants."""
        return tuple(_described(spec.arg) for spec in self.output_specs if spec.kind is OutputKind.USER_OUTPUT)

    @property
    def inputs_to_parameters(self) -> Mapping[str, str]:
        """Names of parameters by the names of their nodes."""
        return self._inputs(InputKind.PARAMETER)

    @property
    def inputs_to_buffers(self) -> Mapping[str, str]:
        """Names of buffers by the names of their nodes."""
        return self._inputs(InputKind.BUFFER)

    @property
    def inputs_to_lifted_tensor_constants(self) -> Mapping[str, str]:
        """Names of constant tensors by the names of their nodes."""
        return self._inputs(InputKind.CONSTANT_TENSOR)

    @property
    def buffers_to_mutate(self) -> Mapping[str, str]:
        """Names of buffers by the names of the outputs that are their new values."""
        return self._mutations(OutputKind.BUFFER_MUTATION)

    @property
    def user_inputs_to_mutate(self) -> Mapping[str, str]:
        """Names of the user's arguments by the names of the outputs that are their new values."""
        return self._mutations(OutputKind.USER_INPUT_MUTATION)

    def __str__(self) -> str:
        lines = ["", "# inputs"]
        for spec in self.input_specs:
            target = "" if spec.target is None else f" target={spec.target!r}"
            persistent = "" if spec.persistent is None else f" persistent={spec.persistent}"
            lines.append(f"{spec.arg.name}: {spec.kind.name}{target}{persistent}")
        lines += ["", "# outputs"]
        for output in self.output_specs:
            target = "" if output.target is None else f" target={output.target!r}"
            lines.append(f"{output.arg.name}: {output.kind.name}{target}")
        return "\n".join([*lines, ""])


def _described(argument: TensorArgument | ConstantArgument) -> Any:
    return argument.value if isinstance(argument, ConstantArgument) else argument.name
