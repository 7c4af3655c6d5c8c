"""Jacobians and Hessians."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec

from flambeau import Tensor, stack
from flambeau._core import _set_grad_enabled
from flambeau.func import _engine
from flambeau.func._arguments import Argnums, checked_outputs, choose
from flambeau.func._forward import Linearization
from flambeau.func._reverse import detached, with_aux
from flambeau.utils._pytree import LEAF, TreeSpec, tree_flatten, tree_map, tree_unflatten

P = ParamSpec("P")


def jacrev(
    func: Callable[P, Any],
    argnums: Argnums = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Callable[P, Any]:
    """Return a function that computes the Jacobian of ``func`` in reverse mode.

    The returned function runs a backward pass for each element of the output.

    Args:
        func: function that takes and returns tensors or pytrees of tensors. With ``has_aux``, it returns a pair of its
            output and an auxiliary object.
        argnums: index or tuple of indices of the positional arguments to differentiate.
        has_aux: if True, ``func`` returns an auxiliary object, which is returned unchanged.
        chunk_size: largest number of rows that are computed at once. It has no effect on the result.
    Returns: a function with the arguments of ``func``. For an output of shape ``(*out)`` and an input of shape
        ``(*in)``, it returns a tensor of shape ``(*out, *in)``. The result has the structure of the outputs. In place
        of each output, it has the structure of the argument (a tuple for several ``argnums``).
    Raises: RuntimeError if a result is not a tensor; ValueError if ``chunk_size`` is not positive.

    >>> import flambeau
    >>> flambeau.func.jacrev(lambda x: x**2)(flambeau.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")
    call: Callable[..., Any] = func

    @functools.wraps(func)
    def jacobian(*args: P.args, **kwargs: P.kwargs) -> Any:
        leaves, spec, traced_args = choose("jacrev", args, argnums)
        outer = _set_grad_enabled(True)
        try:
            output, aux = call(*traced_args, **kwargs), None
            if has_aux:
                output, aux = with_aux("jacrev(f)(*args)", output)
            outputs, output_spec = tree_flatten(output)
            checked_outputs("vjp(f, *primals)", outputs)
            depends = outer and _engine.depends_on_others(outputs, leaves)
            last = len(outputs) - 1
            rows = [_engine.jacobian(t, leaves, depends, i < last) for i, t in enumerate(outputs)]
        finally:
            _set_grad_enabled(outer)
        tree = tree_unflatten([tree_unflatten(r, spec) for r in rows], output_spec)
        return (tree, aux if depends else detached(aux)) if has_aux else tree

    return jacobian


def jacfwd(
    func: Callable[P, Any], argnums: Argnums = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Callable[P, Any]:
    """Return a function that computes the Jacobian of ``func`` column by column.

    ``func`` is evaluated once and linearized. Then one pass runs for each element of the arguments. This is cheaper
    than :func:`jacrev` if the arguments have fewer elements than the result.

    Args:
        func, argnums, has_aux: see :func:`jacrev`.
        randomness: accepted for compatibility with PyTorch. ``func`` draws random numbers once, for all columns.
    Returns: see :func:`jacrev`.

    >>> import flambeau
    >>> flambeau.func.jacfwd(lambda x: x**2)(flambeau.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    if randomness not in ("error", "same", "different"):
        raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")

    @functools.wraps(func)
    def jacobian(*args: P.args, **kwargs: P.kwargs) -> Any:
        linear = Linearization("jacfwd", func, argnums, has_aux, args, kwargs)
        last = len(linear.products) - 1
        columns = [
            _engine.jacobian(product, linear.cotangents, linear.depends, i < last)
            for i, product in enumerate(linear.products)
        ]
        dims = [p.dim() for p in linear.products]
        blocks = [
            tree_unflatten([_transposed(c[k], d) for c, d in zip(columns, dims, strict=True)], linear.spec)
            for k in range(len(linear.cotangents))
        ]
        tree = tree_unflatten(blocks, linear.output_spec)
        return (tree, linear.aux) if has_aux else tree

    return jacobian


def _transposed(block: Tensor, dims: int) -> Tensor:
    """Move the first ``dims`` dimensions of a block of the Jacobian, which belong to the input, to the end."""
    order = [*range(dims, block.dim()), *range(dims)]
    return block.permute(order).contiguous()


def hessian(func: Callable[P, Any], argnums: Argnums = 0) -> Callable[P, Any]:
    """Return a function that computes the Hessian of ``func``, which is the Jacobian of its Jacobian.

    Args:
        func: see :func:`jacrev`. It usually returns a scalar.
        argnums: index or tuple of indices of the positional arguments to differentiate.
    Returns: a function with the arguments of ``func``. For one output and one argument, it returns a tensor of shape
        ``(*out, *in, *in)``.

    >>> import flambeau
    >>> flambeau.func.hessian(lambda x: (x**3).sum())(flambeau.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """

    @functools.wraps(func)
    def second(*args: P.args, **kwargs: P.kwargs) -> Any:
        outputs: list[Tensor] = []
        spec: TreeSpec = LEAF

        # Return the elements of an output as separate results, so that each row of the Jacobian has a separate graph.
        # If the rows were one tensor, a backward pass for one element would visit the graphs of all rows.
        def elements(*args: P.args, **kwargs: P.kwargs) -> list[list[Tensor]]:
            nonlocal outputs, spec
            outputs, spec = tree_flatten(func(*args, **kwargs))
            checked_outputs("vjp(f, *primals)", outputs)
            return [list(output.reshape(-1)) if output.numel() else [output] for output in outputs]

        blocks = jacrev(jacrev(elements, argnums), argnums)(*args, **kwargs)
        joined = [
            tree_map(functools.partial(_joined, output.shape), *rows)
            for output, rows in zip(outputs, blocks, strict=True)
        ]
        return tree_unflatten(joined, spec)

    return second


def _joined(shape: Any, *blocks: Tensor) -> Tensor:
    """Stack the blocks of the elements of an output whose shape is ``shape``."""
    return stack(blocks).reshape(*shape, *blocks[0].shape) if shape.numel() else blocks[0]
