"""A table of a model's layers: output shapes, parameters, multiply-adds and bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

from flambeau import Tensor, no_grad

from .modules.activation import MultiheadAttention
from .modules.conv import _ConvNd
from .modules.linear import Bilinear, Linear
from .modules.module import Module
from .modules.rnn import RNNBase
from .parameter import Parameter

Shape = tuple[int, ...]


@dataclass
class Row:
    """One layer of a summary: path, type, output shapes, and the parameters and multiply-adds of the layer itself."""

    path: str
    kind: str
    outputs: list[Shape] = field(default_factory=list)
    parameters: int = 0
    trainable: int = 0
    multiply_adds: int = 0
    state_bytes: int = 0  # parameters and buffers of this module, without its submodules
    output_bytes: int = 0


class Summary:
    """Result of `summary`. Printing it shows a table.

    Attributes:
        rows: a `Row` for each module, in the order of the tree.
        parameters, trainable, multiply_adds: sums over all rows; shared parameters count once.
        state_bytes: number of bytes in parameters and buffers.
        output_bytes: number of bytes in the outputs of the layers without submodules.
    """

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.parameters = sum(row.parameters for row in rows)
        self.trainable = sum(row.trainable for row in rows)
        self.multiply_adds = sum(row.multiply_adds for row in rows)
        self.state_bytes = sum(row.state_bytes for row in rows)
        self.output_bytes = sum(row.output_bytes for row in rows)

    def __str__(self) -> str:
        table: list[tuple[str, ...]] = [("Layer", "Output", "Parameters", "Multiply-adds", "Bytes")]
        for row in self.rows:
            depth, name = row.path.count(".") + bool(row.path), row.path.rpartition(".")[2]
            label = "  " * depth + (f"{name}: {row.kind}" if name else row.kind)
            shapes = ", ".join(map(str, row.outputs)) or "-"
            table.append((label, shapes, *(f"{n:,}" if n else "-" for n in _counts(row))))
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(_aligned(line, widths)).rstrip() for line in table]
        lines.insert(1, "-" * max(map(len, lines)))
        frozen = self.parameters - self.trainable
        lines += [
            lines[1],
            f"Parameters: {self.parameters:,} ({self.trainable:,} trainable, {frozen:,} frozen)",
            f"Multiply-adds: {self.multiply_adds:,}",
            f"Bytes: {self.state_bytes:,} of parameters and buffers, {self.output_bytes:,} of outputs",
        ]
        return "\n".join(lines)

    __repr__ = __str__


def _counts(row: Row) -> tuple[int, int, int]:
    return row.parameters, row.multiply_adds, row.state_bytes + row.output_bytes


def _aligned(cells: tuple[str, ...], widths: list[int]) -> list[str]:
    text = [cell.ljust(width) for cell, width in zip(cells[:2], widths, strict=False)]
    return text + [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]


def summary(model: Module, *inputs: Any, **kwargs: Any) -> Summary:
    """Call ``model`` once and return the output shapes, parameters, multiply-adds and bytes of each module.

    Multiply-adds count matrix products and convolutions: linear, bilinear, convolutional and recurrent layers, and
    attention. The call records no gradients. It does not change the model's training or evaluation mode.

    Args:
        model: any module.
        inputs, kwargs: arguments of the call.

    >>> print(nn.summary(nn.Sequential(nn.Linear(4, 8), nn.ReLU()), fb.zeros(2, 4)))
    Layer        Output  Parameters  Multiply-adds  Bytes
    -----------------------------------------------------
    Sequential   (2, 8)           -              -      -
      0: Linear  (2, 8)          40             64    224
      1: ReLU    (2, 8)           -              -     64
    -----------------------------------------------------
    Parameters: 40 (40 trainable, 0 frozen)
    Multiply-adds: 64
    Bytes: 160 of parameters and buffers, 128 of outputs
    """
    seen: set[int] = set()
    rows, handles = [], []
    for path, module in model.named_modules():
        rows.append(_row(path, module, seen))
        handles.append(module.register_forward_hook(_observer(rows[-1]), with_kwargs=True))
    try:
        with no_grad():
            model(*inputs, **kwargs)
    finally:
        for handle in handles:
            handle.remove()
    return Summary(rows)


def _row(path: str, module: Module, seen: set[int]) -> Row:
    """Return a module's row with its parameter counts and bytes; the shapes are added when the module is called.

    Tensors whose id is in ``seen`` were counted in an earlier row and are skipped. The ids of the other tensors are
    added to ``seen``.
    """
    row = Row(path, type(module).__name__)
    for tensor in [*module._parameters.values(), *module._buffers.values()]:
        if tensor is None or id(tensor) in seen:
            continue
        seen.add(id(tensor))
        row.state_bytes += tensor.nbytes
        if isinstance(tensor, Parameter):
            row.parameters += tensor.numel()
            row.trainable += tensor.numel() if tensor.requires_grad else 0
    return row


def _observer(row: Row) -> Callable[..., None]:
    def observe(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        outputs = _tensors(output)
        row.outputs = [tuple(tensor.shape) for tensor in outputs]
        if not module._modules:
            row.output_bytes += sum(tensor.nbytes for tensor in outputs)
        inputs = [tuple(tensor.shape) for tensor in _tensors([*args, *kwargs.values()])]
        row.multiply_adds += _multiply_adds(module, inputs, row.outputs)

    return observe


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [tensor for each in value for tensor in _tensors(each)] if isinstance(value, (tuple, list)) else []


def _multiply_adds(module: Module, inputs: list[Shape], outputs: list[Shape]) -> int:
    """Return the number of multiply-adds that one call of a layer performs."""
    if not inputs or not outputs:
        return 0
    if isinstance(module, Linear):
        return prod(outputs[0]) * module.in_features
    if isinstance(module, Bilinear):
        return prod(outputs[0]) * module.in1_features * (module.in2_features + 1)
    if isinstance(module, _ConvNd):
        shape = inputs[0] if module.transposed else outputs[0]
        return prod(shape) * module.weight[0].numel()
    if isinstance(module, RNNBase):
        steps = prod(outputs[0][:-1])
        matrices = [w.numel() for name, w in module.named_parameters() if name.startswith("weight")]
        return steps * sum(matrices)
    if isinstance(module, MultiheadAttention):
        return _of_attention(module, inputs)
    return 0


def _of_attention(module: MultiheadAttention, inputs: list[Shape]) -> int:
    """Return the multiply-adds of multi-head attention: of the four projections, the scores and the weighted sums."""
    query, key = inputs[:2]
    rows, sources = prod(query[:-1]), prod(key[:-1])
    batch = 1 if len(query) == 2 else query[0 if module.batch_first else 1]
    width = module.embed_dim
    projections = width * (rows * 2 * width + sources * (module.kdim + module.vdim))
    return projections + 2 * rows * (sources // batch) * width
