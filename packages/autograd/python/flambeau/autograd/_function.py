"""``Function``: an operation with a derivative of one's own."""

from collections.abc import Callable, Sequence
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.autograd import _engine


class FunctionCtx:
    """What ``forward`` and ``backward`` share: saved tensors, flags, and any attribute they like."""

    def __init__(self) -> None:
        self.needs_input_grad: tuple[bool, ...] = ()
        self._saved: tuple[Tensor | None, ...] = ()
        self._dirty: tuple[Tensor, ...] = ()
        self._non_differentiable: tuple[Tensor, ...] = ()
        self._materialize = True

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keeps inputs or outputs for ``backward``, which reads them from ``saved_tensors``."""
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument is of type {type(t).__name__}"
                )
        self._saved = tensors

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """What ``save_for_backward`` kept; to be read in ``backward``."""
        return self._saved

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Says which inputs ``forward`` changed in place; it has to return them."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Says which outputs have no gradient."""
        self._non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether ``backward`` is given zeros for an output without a gradient, or None."""
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

    setup_context: Callable[[Any, tuple[Any, ...], Any], None] | None = None

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
        ctx.needs_input_grad = tuple(isinstance(a, Tensor) and a.requires_grad for a in args)
        with flambeau.no_grad():
            if cls.setup_context is None:
                output = cls.forward(ctx, *args)
            else:
                output = cls.forward(*args)
                cls.setup_context(ctx, args, output)
        for t in ctx._dirty:
            _engine.bump_version(t)
        if any(ctx.needs_input_grad) and flambeau.is_grad_enabled():
            return _record(cls, ctx, args, output)
        return output


def _is_any(tensor: Any, tensors: Sequence[Any]) -> bool:
    return any(tensor is t for t in tensors)


def _record(cls: type[Function], ctx: FunctionCtx, args: tuple[Any, ...], output: Any) -> Any:
    several = isinstance(output, (tuple, list))
    outputs = list(output) if several else [output]
    name = f"{cls.__name__}Backward"
    _check_dirty(name, ctx, outputs)
    for i, o in enumerate(outputs):  # an input that is returned as it is becomes an output of its own
        if isinstance(o, Tensor) and _is_any(o, args) and not _is_any(o, ctx._dirty):
            outputs[i] = o.detach()
    tensors = tuple(o for o in outputs if isinstance(o, Tensor))
    kinds = [
        "none" if _is_any(t, ctx._non_differentiable) else "dirty" if _is_any(t, ctx._dirty) else "fresh"
        for t in tensors
    ]
    saved, ctx._saved, ctx._dirty, ctx._non_differentiable = ctx._saved, (), (), ()  # the node keeps them, or nobody
    derivative = _derivative(
        cls,
        ctx,
        returned=[isinstance(o, Tensor) for o in outputs],
        given=[isinstance(a, Tensor) for a in args],
        saved=[t is not None for t in saved],
    )
    kept = tuple(t for t in saved if t is not None)
    _engine.record_function(name, args, tensors, kinds, kept, ctx._materialize, derivative)
    return tuple(outputs) if several else outputs[0]


def _check_dirty(name: str, ctx: FunctionCtx, outputs: list[Any]) -> None:
    for t in ctx._dirty:
        if not _is_any(t, outputs):
            raise RuntimeError(
                f"Some elements marked as dirty during the forward method of {name} were not returned as output. "
                "The inputs that are modified inplace must all be outputs of the Function."
            )
        if t.requires_grad and t.is_leaf:
            raise RuntimeError(
                f"a leaf Variable that requires grad is being used in an in-place operation ({name} marked it dirty)"
            )


def _derivative(
    cls: type[Function], ctx: FunctionCtx, returned: list[bool], given: list[bool], saved: list[bool]
) -> Callable[..., tuple[Tensor | None, ...]]:
    """What the engine calls: the gradients by position in, those of the arguments out."""

    def place(values: tuple[Any, ...], present: list[bool]) -> tuple[Any, ...]:
        following = iter(values)
        return tuple(next(following) if p else None for p in present)

    def derivative(gradients: tuple[Any, ...], kept: tuple[Any, ...], needs: tuple[bool, ...]) -> tuple[Any, ...]:
        former, ctx._saved = ctx._saved, place(kept, saved)
        try:
            result = cls.backward(ctx, *place(gradients, returned))
        finally:
            ctx._saved = former
        results = _checked(f"{cls.__name__}Backward", result, given)
        return tuple(r if n else None for r, n in zip(results, needs, strict=True))

    return derivative


def _checked(name: str, result: Any, given: list[bool]) -> tuple[Any, ...]:
    results = tuple(result) if isinstance(result, (tuple, list)) else (result,)
    expected = len(given)
    if len(results) > expected and all(r is None for r in results[expected:]):
        results = results[:expected]
    if len(results) != expected:
        raise RuntimeError(
            f"function {name} returned an incorrect number of gradients (expected {expected}, got {len(results)})"
        )
    for position, (r, is_tensor) in enumerate(zip(results, given, strict=True), 1):
        if r is not None and not isinstance(r, Tensor):
            raise TypeError(
                f"function {name} returned a {type(r).__name__} at position {position}, expected a Tensor or None"
            )
        if r is not None and not is_tensor:
            raise RuntimeError(
                f"function {name} returned a gradient different from None at position {position}, "
                "but the corresponding forward input was not a Variable"
            )
    return results
