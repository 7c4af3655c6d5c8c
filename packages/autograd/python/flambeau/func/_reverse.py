"""Reverse-mode transforms: ``grad``, ``grad_and_value`` and ``vjp``.

Note [Levels]
A transform creates a leaf for each input and differentiates with respect to the leaves. If neither an enclosing
transform nor plain autograd differentiates an input, its leaf is a detached tensor that shares the elements. Otherwise
the leaf is connected to the graph of the input, so that the outer graph continues through it. The gradient is recorded
only if the function's value also depends on other tensors that require grad. Otherwise the results are detached. The
function runs with grad mode enabled. If grad mode is disabled outside the transform, the results are detached as well.
"""

import functools
from collections.abc import Callable
from typing import Any, Literal, ParamSpec, TypeVar, overload

import flambeau
from flambeau import Tensor
from flambeau._core import _set_grad_enabled
from flambeau.func import _engine
from flambeau.func._arguments import Argnums, checked_outputs, choose, leaves_of
from flambeau.utils._pytree import LEAF, TreeSpec, tree_flatten, tree_map, tree_unflatten

P = ParamSpec("P")
T = TypeVar("T")
Aux = TypeVar("Aux")


def detached(tree: Any) -> Any:
    """Detach all tensors of a pytree."""
    return tree_map(lambda t: _engine.detached(t) if isinstance(t, Tensor) and t.requires_grad else t, tree)


def with_aux(name: str, output: Any) -> tuple[Any, Any]:
    """Return the pair ``(output, aux)`` that a function with ``has_aux`` must return."""
    if not isinstance(output, tuple) or len(output) != 2:
        raise RuntimeError(f"{name}: output of function f should be a tuple: (output, aux) if has_aux is True")
    return output


def grad(func: Callable[P, Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[P, Any]:
    """Return a function that computes the gradient of ``func``, which must return a scalar tensor.

    Args:
        func: function of tensors, or of tuples, lists and dictionaries of tensors. It returns a 0-D tensor. With
            ``has_aux``, it returns a pair of a 0-D tensor and an auxiliary object.
        argnums: index or tuple of indices of the positional arguments to differentiate.
        has_aux: if True, ``func`` returns an auxiliary object, which is returned unchanged.
    Returns: a function with the arguments of ``func``. It returns the gradient with the structure of the argument (a
        tuple for several ``argnums``). With ``has_aux``, it returns a pair of the gradient and the auxiliary object.
    Raises: RuntimeError if the result is not a scalar tensor, or if an argument does not exist.
    Gradient: defined to any order, including for tensors that ``func`` captures.

    >>> import flambeau
    >>> x = flambeau.tensor(2.0)
    >>> flambeau.func.grad(lambda x: x**3)(x)
    tensor(12.)
    >>> flambeau.func.grad(flambeau.func.grad(lambda x: x**3))(x)
    tensor(12.)
    """

    @functools.wraps(func)
    def gradient(*args: P.args, **kwargs: P.kwargs) -> Any:
        gradients, result = _grad_and_value(func, argnums, has_aux, args, kwargs)
        return (gradients, result[1]) if has_aux else gradients

    return gradient


def grad_and_value(func: Callable[P, T], argnums: Argnums = 0, has_aux: bool = False) -> Callable[P, tuple[Any, T]]:
    """Return a function that computes the gradient and the value of ``func``. See :func:`grad`.

    With ``has_aux``, the second result is the pair ``(value, aux)``.

    >>> import flambeau
    >>> flambeau.func.grad_and_value(lambda x: x**3)(flambeau.tensor(2.0))
    (tensor(12.), tensor(8.))
    """

    @functools.wraps(func)
    def gradient_and_value(*args: P.args, **kwargs: P.kwargs) -> tuple[Any, T]:
        return _grad_and_value(func, argnums, has_aux, args, kwargs)

    return gradient_and_value


def _grad_and_value(
    func: Callable[..., Any], argnums: Argnums, has_aux: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, Any]:
    """Return the gradients of the arguments ``argnums``, and the value, in a pair with the auxiliary result if any."""
    leaves, spec, args = choose("grad", args, argnums)
    outer = _set_grad_enabled(True)
    try:
        value = output = func(*args, **kwargs)
        aux = None
        if has_aux:
            value, aux = with_aux("grad_and_value(f)(*args)", output)
        _check_scalar(value)
        gradients, depends = _engine.gradients((value,), leaves, None, outer, False)
    finally:
        _set_grad_enabled(outer)
    if not depends:
        value, aux = _engine.detached(value), detached(aux) if has_aux else None
    tree = gradients[0] if spec is LEAF else tree_unflatten(gradients, spec)
    return tree, (value, aux) if has_aux else value


def _check_scalar(value: Any) -> None:
    if not isinstance(value, Tensor):
        raise RuntimeError(f"grad_and_value(f)(*args): Expected f(*args) to return a tensor, got {type(value)}")
    if value.dim() != 0:
        raise RuntimeError(
            "grad_and_value(f)(*args): Expected f(*args) to return a scalar tensor, got tensor with "
            f"{value.dim()} dims. Maybe you wanted to use the vjp or jacrev APIs instead?"
        )


@overload
def vjp(
    func: Callable[..., T], *primals: Any, has_aux: Literal[False] = False
) -> tuple[T, Callable[..., tuple[Any, ...]]]: ...


@overload
def vjp(
    func: Callable[..., tuple[T, Aux]], *primals: Any, has_aux: Literal[True]
) -> tuple[T, Callable[..., tuple[Any, ...]], Aux]: ...


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """Return the value of ``func``, and a function that computes products of vectors with the Jacobian of ``func``.

    Args:
        func: function that takes and returns tensors or pytrees of tensors. With ``has_aux``, it returns a pair of its
            output and an auxiliary object.
        primals: the arguments.
        has_aux: if True, ``func`` returns an auxiliary object, which is returned unchanged.
    Returns: ``(output, vjp_fn)``, or ``(output, vjp_fn, aux)`` with ``has_aux``. ``vjp_fn`` takes cotangents with the
        structure of the output, and returns a tuple with the product for each of ``primals``.

    >>> import flambeau
    >>> output, vjp_fn = flambeau.func.vjp(flambeau.sin, flambeau.zeros(2))
    >>> vjp_fn(flambeau.tensor([1.0, 2.0]))
    (tensor([1., 2.]),)
    """
    leaves, spec, traced_args = leaves_of("vjp", primals)
    outer = _set_grad_enabled(True)
    try:
        output = func(*traced_args)
    finally:
        _set_grad_enabled(outer)
    aux = None
    if has_aux:
        output, aux = with_aux("vjp(f, *primals)", output)
    outputs, output_spec = tree_flatten(output)
    checked_outputs("vjp(f, *primals)", outputs)
    depends = outer and _engine.depends_on_others(outputs, leaves)
    _engine.close(leaves)
    vjp_fn = _product(tuple(outputs), output_spec, leaves, spec)
    output, aux = (output, aux) if depends else (detached(output), detached(aux))
    return (output, vjp_fn, aux) if has_aux else (output, vjp_fn)


def _product(
    outputs: tuple[Tensor, ...], output_spec: TreeSpec, leaves: list[Tensor], spec: TreeSpec
) -> Callable[..., Any]:
    def vjp_fn(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        given, given_spec = tree_flatten(cotangents)
        if given_spec != output_spec:
            raise RuntimeError(
                "Expected pytree structure of cotangents to be the same as pytree structure of outputs to the function."
            )
        follow = flambeau.is_grad_enabled() if create_graph is None else create_graph
        gradients, _ = _engine.gradients(outputs, leaves, given, follow, retain_graph)
        return tree_unflatten(gradients, spec)

    return vjp_fn
