"""Propagation of shapes and dtypes by running a graph."""

from __future__ import annotations

from typing import Any, NamedTuple

import flambeau
from flambeau import Tensor

from ..graph_module import GraphModule
from ..interpreter import Interpreter
from ..node import Node, map_aggregate

__all__ = ["ShapeProp", "TensorMetadata"]


class TensorMetadata(NamedTuple):
    """Metadata of a tensor, which `ShapeProp` stores in nodes.

    >>> from flambeau.fx.passes.shape_prop import ShapeProp
    >>> traced = fb.fx.symbolic_trace(lambda x: x.exp())
    >>> result = ShapeProp(traced).propagate(fb.ones(2, 3))
    >>> traced.graph.output_node().meta["tensor_meta"].stride
    (3, 1)
    """

    shape: flambeau.Size
    dtype: flambeau.dtype
    requires_grad: bool
    stride: tuple[int, ...]
    memory_format: flambeau.memory_format | None
    is_quantized: bool
    qparams: dict[str, Any]


_FORMATS = (flambeau.contiguous_format, flambeau.channels_last, flambeau.channels_last_3d)


def _extract_tensor_metadata(result: Tensor) -> TensorMetadata:
    fitting = (
        known
        for dims, known in zip((None, 4, 5), _FORMATS, strict=True)
        if (dims is None or result.ndim == dims) and result.is_contiguous(memory_format=known)
    )
    return TensorMetadata(
        result.shape, result.dtype, result.requires_grad, tuple(result.stride()), next(fitting, None), False, {}
    )


class ShapeProp(Interpreter):
    """Interpreter that sets ``meta["tensor_meta"]`` and ``meta["type"]`` of nodes from sample inputs.

    >>> from flambeau import fx
    >>> from flambeau.fx.passes.shape_prop import ShapeProp
    >>> traced = fx.symbolic_trace(lambda x: fb.cat([x, x]).sum(1))
    >>> result = ShapeProp(traced).propagate(fb.ones(2, 3))
    >>> [(node.name, tuple(node.meta["tensor_meta"].shape)) for node in traced.graph.nodes]
    [('x', (2, 3)), ('cat', (4, 3)), ('sum_1', (4,)), ('output', (4,))]
    """

    def __init__(self, gm: GraphModule, fake_mode: Any = None) -> None:
        super().__init__(gm)
        if fake_mode is not None:
            raise NotImplementedError("ShapeProp does not support fake_mode: pass meta tensors to propagate()")

    def run_node(self, n: Node) -> Any:
        """Run a node and record its metadata. Raises RuntimeError that names the node."""
        try:
            result = super().run_node(n)
        except Exception as error:
            raise RuntimeError(f"ShapeProp error for: node={n.format_node()} with meta={n.meta}") from error
        has_tensor = False

        def noted(value: Any) -> Any:
            nonlocal has_tensor
            has_tensor = has_tensor or isinstance(value, Tensor)
            return _extract_tensor_metadata(value) if isinstance(value, Tensor) else value

        meta = map_aggregate(result, noted)
        if has_tensor:
            n.meta["tensor_meta"] = meta
        n.meta["type"] = type(result)
        return result

    def propagate(self, *args: Any) -> Any:
        """Run the module on sample inputs and return its result."""
        return self.run(*args)
