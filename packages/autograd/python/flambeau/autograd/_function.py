"""``Function``: an operation with a derivative of one's own."""

from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.autograd import _engine


class FunctionCtx:
    """What ``forward`` and ``backward`` share: saved tensors, flags, and any attribute they like."""

    def __init__(self) -> None:
        self.needs_input_grad: tuple[bool, ...] = ()
        self._to_save: tuple[Tensor | None, ...] = ()
        self._saved: tuple[Tensor | None, ...] | None = None
        self._dirty: tuple[Tensor, ...] = ()
        self._non_differentiable: tuple[Tensor, ...] = ()
        self._materialize = True

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keeps inputs or outputs for ``backward``, which reads them from ``saved_tensors``."""
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(f"save_for_backward can only save variables, but argument is of type {type(t).__name__}")
        self._to_save = tensors

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """What ``save_for_backward`` kept."""
        return self._to_save if self._saved is None else self._saved

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Says which inputs ``forward`` changed in place."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Says which outputs have no gradient."""
        self._non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether a missing gradient is given to ``backward`` as zeros."""
        self._materialize = value


class Function:
    """Subclass it with static methods ``forward(ctx, *args)`` and ``backward(ctx, *grad_outputs)``; call ``apply``.

    ``backward`` returns one gradient (or None) for each argument of ``forward``. It may be differentiated again if it
    is made of differentiable operations. ``forward`` may leave ``ctx`` to ``setup_context(ctx, inputs, output)``.

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

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        raise NotImplementedError("You must implement the backward function for custom autograd.Function.")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Runs ``forward`` and records the operation if an argument requires grad."""
        ctx = FunctionCtx()
        needs = tuple(isinstance(a, Tensor) and a.requires_grad for a in args)
        ctx.needs_input_grad = needs
        with flambeau.no_grad():
            if "setup_context" in dir(cls):
                output = cls.forward(*args)
                cls.setup_context(ctx, args, output)  # type: ignore[attr-defined]
            else:
                output = cls.forward(ctx, *args)
        if any(needs) and flambeau.is_grad_enabled():
            return _record(cls, ctx, args, output)
        return output


def _record(cls: type[Function], ctx: FunctionCtx, args: tuple[Any, ...], output: Any) -> Any:
    outputs = list(output) if isinstance(output, (tuple, list)) else [output]
    # An input that is returned as it is becomes an output of its own, unless it was changed in place.
    for i, o in enumerate(outputs):
        if isinstance(o, Tensor) and any(o is a for a in args) and not any(o is d for d in ctx._dirty):
            outputs[i] = o.view(o.shape).detach()
    tensors = [o for o in outputs if isinstance(o, Tensor)]

    def derivative(gradients: tuple[Tensor, ...], saved: tuple[Any, ...], needs: tuple[bool, ...]) -> tuple[Any, ...]:
        kept = iter(saved)
        ctx._saved = tuple(None if t is None else next(kept) for t in ctx._to_save)
        try:
            by_position = iter(gradients)
            result = cls.backward(ctx, *(next(by_position) if isinstance(o, Tensor) else None for o in template))
        finally:
            ctx._saved = ()
        returned = result if isinstance(result, (tuple, list)) else (result,)
        if len(returned) > len(args) and all(r is None for r in returned[len(args) :]):
            returned = returned[: len(args)]
        if len(returned) != len(args):
            raise RuntimeError(
                f"function {cls.__name__}Backward returned an incorrect number of gradients "
                f"(expected {len(args)}, got {len(returned)})"
            )
        return tuple(r if n else None for r, n in zip(returned, needs, strict=True))

    template = [flambeau.empty(0) if isinstance(o, Tensor) else None for o in outputs]
    saved = [t for t in ctx._to_save if t is not None]
    node = _engine.record_function(f"{cls.__name__}Backward", args, tensors, saved, derivative)
    ctx._to_save = tuple(None if t is None else template_tensor for t in ctx._to_save)
    for index, t in enumerate(tensors):
        if t.is_floating_point() and not any(t is n for n in ctx._non_differentiable):
            _engine.set_history(t, node, index)
    if isinstance(output, (tuple, list)):
        return tuple(outputs)
    return outputs[0]


template_tensor = flambeau.empty(0)  # stands for a saved tensor: the node holds the tensor itself
