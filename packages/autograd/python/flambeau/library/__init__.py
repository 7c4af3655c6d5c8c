"""Custom operators: Python functions with a name, a derivative and a fake implementation.

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
from flambeau.library._library import (
    Library,
    _scoped_library,
    define,
    fallthrough_kernel,
    get_ctx,
    impl,
    triton_op,
    wrap_triton,
)
from flambeau.library._operators import (
    ops,
    register_autocast,
    register_autograd,
    register_fake,
    register_kernel,
    register_torch_dispatch,
    register_vmap,
)
from flambeau.library._schema import infer_schema

impl_abstract = register_fake  # the name in earlier versions of PyTorch

__all__ = [
    "CustomOpDef",
    "Library",
    "_scoped_library",
    "custom_op",
    "define",
    "extension_op",
    "fallthrough_kernel",
    "get_ctx",
    "impl",
    "impl_abstract",
    "infer_schema",
    "opcheck",
    "ops",
    "register_autocast",
    "register_autograd",
    "register_fake",
    "register_kernel",
    "register_torch_dispatch",
    "register_vmap",
    "triton_op",
    "wrap_triton",
]
