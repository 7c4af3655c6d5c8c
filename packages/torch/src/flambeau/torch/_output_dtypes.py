"""Function of ``torch._higher_order_ops.out_dtype``, PyTorch's private module."""

from collections.abc import Callable
from typing import Any

from flambeau import Tensor, dtype, promote_types
from flambeau.utils import _pytree

__all__ = ["out_dtype"]


def out_dtype(op: Callable[..., Any], output_dtype: dtype, *args: Any) -> Any:
    """Call an operator on tensors converted to ``output_dtype``, and convert the result to ``output_dtype``.

    If type promotion of the arguments and ``output_dtype`` gives a wider dtype, the operator computes in that dtype.

    >>> import flambeau
    >>> from flambeau.torch._output_dtypes import out_dtype
    >>> out_dtype(flambeau.mul, flambeau.int32, flambeau.tensor([100], dtype=flambeau.int8), 3)
    tensor([300], dtype=torch.int32)
    """
    computed = output_dtype
    for leaf in _pytree.tree_leaves(args):
        if isinstance(leaf, Tensor):
            computed = promote_types(computed, leaf.dtype)
    return op(*_pytree.tree_map_only(Tensor, lambda tensor: tensor.to(computed), args)).to(output_dtype)
