"""Operators of a program's own: any Python function with a name, a derivative, and what it answers without values.

>>> import flambeau
>>> @flambeau.library.custom_op("readme::cube", mutates_args=())
... def cube(x: flambeau.Tensor) -> flambeau.Tensor:
...     return flambeau.from_numpy(x.numpy() ** 3)
>>> def setup_context(ctx, inputs, output):
...     ctx.save_for_backward(*inputs)
>>> def backward(ctx, grad):
...     return grad * 3 * ctx.saved_tensors[0] ** 2
>>> cube.register_autograd(backward, setup_context=setup_context)
>>> x = flambeau.tensor([1.0, 2.0], requires_grad=True)
>>> flambeau.ops.readme.cube(x).sum().backward()
>>> x.grad
tensor([ 3., 12.])
"""

from flambeau.library._check import opcheck
from flambeau.library._custom_op import CustomOpDef, custom_op
from flambeau.library._extension_op import extension_op
from flambeau.library._operators import (
    ops,
    register_autograd,
    register_fake,
    register_kernel,
    register_vmap,
)
from flambeau.library._schema import infer_schema

__all__ = [
    "CustomOpDef",
    "custom_op",
    "extension_op",
    "infer_schema",
    "opcheck",
    "ops",
    "register_autograd",
    "register_fake",
    "register_kernel",
    "register_vmap",
]
