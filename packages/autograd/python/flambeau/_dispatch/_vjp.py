"""The derivative of an operator as a single operator, which runs the original operator again. See ``_derivatives``."""

from __future__ import annotations

import functools
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.library._overloads import OpOverload, OpOverloadPacket
from flambeau.utils import _pytree

from ._derivatives import Differentiated


class VectorJacobianProduct(OpOverload):
    """The operator ``flambeau::<name>_vjp(gradients, needs, *args, **kwargs)``, which returns a list of gradients."""

    def __init__(self, of: OpOverload) -> None:
        packet = OpOverloadPacket("flambeau", f"{of._opname}_vjp", self._compute, {})
        super().__init__(packet, of._overloadname, None, self._compute)
        self.of = of

    def _compute(self, gradients: list[Any], needs: list[bool], *args: Any, **kwargs: Any) -> list[Any]:
        """Run the operator again with recording, and return the gradients of its tensor arguments."""
        higher = flambeau.is_grad_enabled()
        leaves, structure = _pytree.tree_flatten((args, kwargs))
        wanted = iter(needs)
        inputs: list[Tensor | None] = []
        with flambeau.enable_grad():
            for i, leaf in enumerate(leaves):
                if not isinstance(leaf, Tensor):
                    continue
                needed = next(wanted)
                # Copy the other tensors: the operator may change them, as batch_norm changes its running statistics.
                leaves[i] = self._differentiated(leaf, higher) if needed else leaf.detach().clone()
                inputs.append(leaves[i] if needed else None)
            given, named = _pytree.tree_unflatten(leaves, structure)
            results = [each for each in _pytree.tree_leaves(self.of(*given, **named)) if isinstance(each, Tensor)]
        pairs = [(r, g) for r, g in zip(results, gradients, strict=True) if g is not None and r.requires_grad]
        sources = [each for each in inputs if each is not None]
        remaining = iter(
            flambeau.autograd.grad(
                [r for r, _ in pairs], sources, [g for _, g in pairs], create_graph=higher, allow_unused=True
            )
            if pairs
            else [None] * len(sources)
        )
        return [None if each is None else next(remaining) for each in inputs]

    @staticmethod
    def _differentiated(leaf: Tensor, higher: bool) -> Tensor:
        return leaf.view_as(leaf) if higher and leaf.requires_grad else leaf.detach().requires_grad_()


@functools.cache
def derivative_overload(overload: OpOverload) -> VectorJacobianProduct:
    """Return the operator that computes the derivative of ``overload``."""
    return VectorJacobianProduct(overload)


def gradients(call: Differentiated) -> tuple[Any, ...]:
    """Compute the gradients of a call with a single operator, its `VectorJacobianProduct`."""
    operator = derivative_overload(call.overload)
    return tuple(operator(list(call.gradients), list(call.needs), *call.args, **call.kwargs))
