"""``Function``, the base class of operations with custom derivatives."""

import warnings
from typing import Any, NoReturn

from flambeau._core import _interceptable
from flambeau.autograd import _engine

# Warning for a program that creates an instance of a Function.
NOT_INSTANTIATED = (
    "{name} should not be instantiated. Methods on autograd functions are all static, so you should invoke them on "
    "the class itself: {name}.apply(...)."
)
LEGACY = (
    "Legacy autograd function with non-static forward method is deprecated. Please use new-style autograd function "
    "with static forward method, and call {name}.apply(...)."
)


class _NodeClass:
    """Descriptor that returns the class of the graph nodes of a Function."""

    def __get__(self, instance: Any, owner: type) -> Any:
        return _engine.node_class(f"{owner.__name__}Backward")


class Function:
    """Base class of custom operations with static methods ``forward(ctx, *args)`` and ``backward(ctx, *grad_outputs)``.

    Call the operation with ``apply``, which accepts positional and keyword arguments. ``backward`` returns one gradient
    or None for each argument of ``forward``. ``backward`` can be differentiated if it consists of differentiable
    operations.

    If the class defines ``setup_context(ctx, inputs, output)``, ``forward`` takes no ``ctx``. ``inputs`` includes the
    default values of arguments that were not passed.

    A static method ``jvp(ctx, *tangents)`` supports forward mode. A static method ``vmap(info, in_dims, *args)``, or
    ``generate_vmap_rule = True``, supports ``func.vmap``.

    >>> import flambeau
    >>> class Cube(flambeau.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x**3
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (x,) = ctx.saved_tensors
    ...         return 3 * x * x * grad
    >>> x = flambeau.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor(12.)
    """

    generate_vmap_rule: bool = False
    setup_context: Any = None
    vjp: Any = None
    _backward_cls = _NodeClass()

    apply: Any = classmethod(_interceptable(_engine.apply))  # func.vmap can intercept calls with batched arguments

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warnings.warn(NOT_INSTANTIATED.format(name=type(self).__name__), DeprecationWarning, stacklevel=2)

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise RuntimeError(LEGACY.format(name=type(self).__name__))

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the outputs. The first argument is ``ctx``, unless the class defines ``setup_context``."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any, **_: Any) -> Any:  # `**_` lets type checkers accept any parameters
        """Return a gradient, or None, for each input of ``forward``, given the gradients of the outputs."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with "
            "backward mode AD."
        )

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any, **_: Any) -> Any:
        """Return the tangents of the outputs from the tangents of the inputs."""
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with forward mode AD."
        )

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any, **_: Any) -> Any:
        """Return the outputs for a batch of inputs, and the batch dimensions of the outputs."""
        raise NotImplementedError(
            "To use autograd.Function with vmap, you must either override the vmap staticmethod or set "
            "generate_vmap_rule=True."
        )
