"""Code generation for functions with nested arguments and results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flambeau.utils import _pytree as pytree

from ._codegen import CodeGen


class PyTreeCodeGen(CodeGen):
    """Code generator that flattens the arguments and unflattens the result.

    Args:
        names: names of the function's parameters.
        in_spec: structure of the arguments; ``out_spec`` is the structure of the result.
    """

    def __init__(self, names: list[str], in_spec: Any) -> None:
        super().__init__()
        self.names, self.in_spec = names, in_spec
        self.out_spec: Any = None

    def process_inputs(self, *args: Any) -> Sequence[Any]:
        """Return the leaves of the arguments."""
        return pytree.tree_leaves(args)

    def process_outputs(self, outputs: Any) -> Any:
        """Unflatten the results."""
        if self.out_spec is None:
            return outputs
        return pytree.tree_unflatten(outputs if isinstance(outputs, (list, tuple)) else [outputs], self.out_spec)

    def gen_fn_def(self, free_vars: list[str], maybe_return_annotation: str) -> str:
        """Return the ``def`` line, and the line that flattens the arguments."""
        names = self.names
        with_self = free_vars if not names or names[0] != "self" else ["self", *free_vars]
        head = super().gen_fn_def(list(names), maybe_return_annotation)
        if not with_self:
            return head
        leaves = [text.partition(":")[0].partition("=")[0].strip() for text in with_self]
        arguments = ", ".join(names)
        return f"{head}\n    {', '.join(leaves)}, = fx_pytree.tree_flatten_spec([{arguments}], self._in_spec)"

    def generate_output(self, output_args: Any, *, repr_fn: Callable[[Any], str] = repr) -> str:
        """Return the statement that unflattens the result."""
        if self.out_spec is None:
            return super().generate_output(output_args, repr_fn=repr_fn)
        return f"return pytree.tree_unflatten({repr_fn(output_args)}, self._out_spec)"

    def additional_globals(self) -> list[tuple[str, Any]]:
        """Return the functions for flattening and unflattening."""
        from . import _pytree as fx_pytree

        return [("fx_pytree", fx_pytree)]
