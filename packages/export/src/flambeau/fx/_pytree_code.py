"""Code whose arguments and result are containers, while the graph knows their leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flambeau.utils import _pytree as pytree

from ._codegen import CodeGen


class PyTreeCodeGen(CodeGen):
    """Takes the arguments apart into the inputs of the graph, and puts the result together.

    Args:
        names: of the function's parameters.
        in_spec: how its arguments are nested; the result's is ``out_spec``.
    """

    def __init__(self, names: list[str], in_spec: Any) -> None:
        super().__init__()
        self.names, self.in_spec = names, in_spec
        self.out_spec: Any = None

    def process_inputs(self, *args: Any) -> Sequence[Any]:
        """The leaves of the arguments."""
        return pytree.tree_leaves(args)

    def process_outputs(self, outputs: Any) -> Any:
        """The container of the results."""
        if self.out_spec is None:
            return outputs
        return pytree.tree_unflatten(outputs if isinstance(outputs, (list, tuple)) else [outputs], self.out_spec)

    def gen_fn_def(self, free_vars: list[str], maybe_return_annotation: str) -> str:
        """The head, and the line that takes the arguments apart."""
        names = self.names
        with_self = free_vars if not names or names[0] != "self" else ["self", *free_vars]
        head = super().gen_fn_def(list(names), maybe_return_annotation)
        if not with_self:
            return head
        leaves = [text.partition(":")[0].partition("=")[0].strip() for text in with_self]
        arguments = ", ".join(names)
        return f"{head}\n    {', '.join(leaves)}, = fx_pytree.tree_flatten_spec([{arguments}], self._in_spec)"

    def generate_output(self, output_args: Any, *, repr_fn: Callable[[Any], str] = repr) -> str:
        """The statement that puts the result together."""
        if self.out_spec is None:
            return super().generate_output(output_args, repr_fn=repr_fn)
        return f"return pytree.tree_unflatten({repr_fn(output_args)}, self._out_spec)"

    def additional_globals(self) -> list[tuple[str, Any]]:
        """The functions that take containers apart."""
        from . import _pytree as fx_pytree

        return [("fx_pytree", fx_pytree)]
