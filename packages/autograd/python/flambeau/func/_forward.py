"""Forward-mode transforms: ``jvp`` and ``linearize``."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar, overload

import flambeau
from flambeau import Tensor
from flambeau._core import _set_grad_enabled
from flambeau.func import _engine
from flambeau.func._arguments import Argnums, _leaf, checked_outputs, choose, tensors_of
from flambeau.func._reverse import detached, with_aux
from flambeau.utils._pytree import TreeSpec, tree_flatten, tree_map, tree_unflatten

T = TypeVar("T")
Aux = TypeVar("Aux")


@overload
def jvp(
    func: Callable[..., T], primals: Any, tangents: Any, *, strict: bool = False, has_aux: Literal[False] = False
) -> tuple[T, T]: ...


@overload
def jvp(
    func: Callable[..., tuple[T, Aux]], primals: Any, tangents: Any, *, strict: bool = False, has_aux: Literal[True]
) -> tuple[T, T, Aux]: ...


def jvp(
    func: Callable[..., Any], primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False
) -> tuple[Any, ...]:
    """Return the value of ``func`` and the product of its Jacobian with a vector.

    Args:
        func: function that takes and returns tensors or pytrees of tensors. With ``has_aux``, it returns a pair of its
            output and an auxiliary object.
        primals: a tuple of the arguments.
        tangents: the vector, with the structure of ``primals``: one tensor for each tensor in ``primals``.
        strict: if True, raise RuntimeError for an output that does not depend on the arguments. If False, the tangent
            of this output is zero.
        has_aux: if True, ``func`` returns an auxiliary object, which is returned unchanged.
    Returns: ``(output, tangent)``, or ``(output, tangent, aux)`` with ``has_aux``.
    Raises: RuntimeError if the structures, shapes or dtypes do not match.

    >>> import flambeau
    >>> flambeau.func.jvp(flambeau.sin, (flambeau.zeros(2),), (flambeau.tensor([1.0, 2.0]),))
    (tensor([0., 0.]), tensor([1., 2.]))
    """
    if not isinstance(primals, tuple):
        raise RuntimeError(
            "jvp(f, primals, tangents): Expected primals to be a tuple. E.g. it should be valid to call f(*primals)."
        )
    values, spec = tree_flatten(primals)
    directions, tangent_spec = tree_flatten(tangents)
    _check_primals(values, spec, tangent_spec)
    level = _engine.open_level()
    try:
        duals = [_engine.make_dual(p, t, level) for p, t in zip(values, directions, strict=True)]
        output, aux = func(*tree_unflatten(duals, spec)), None
        if has_aux:
            output, aux = with_aux("jvp(f, primals, tangents)", output)
            aux = tree_map(lambda t: _unpack(t, level)[0] if isinstance(t, Tensor) else t, aux)
        results, output_spec = tree_flatten(output)
        pairs = [_unpack(t, level, strict) for t in checked_outputs("jvp(f, primals, tangents)", results)]
    finally:
        _engine.close_level()
    out, tangents_out = (tree_unflatten([pair[i] for pair in pairs], output_spec) for i in (0, 1))
    return (out, tangents_out, aux) if has_aux else (out, tangents_out)


def _check_primals(values: list[Any], spec: TreeSpec, tangent_spec: TreeSpec) -> None:
    if spec != tangent_spec:
        raise RuntimeError(
            "jvp(f, primals, tangents): Expected primals and tangents to have the same python structure. For example, "
            "if primals is a tuple of 3 tensors, tangents also must be."
        )
    if not values:
        raise RuntimeError("jvp(f, primals, tangents): Expected primals to hold at least one Tensor.")
    tensors_of("jvp(f, primals, tangents)", values)


def _unpack(t: Tensor, level: int, strict: bool = False) -> tuple[Tensor, Tensor]:
    primal, tangent = _engine.unpack_dual(t, level)
    if tangent is None and strict:
        raise RuntimeError(
            "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. This is not "
            "allowed with strict=True."
        )
    return primal, flambeau.zeros_like(t.detach()) if tangent is None else tangent


class Linearization:
    """The derivative of a function at one point, as the graph of a linear map.

    The gradients of the inputs, computed in reverse mode, are a linear function of the gradients of the outputs. This
    linear function is recorded. A backward pass through its graph maps tangents of the inputs to tangents of the
    outputs. It can run any number of times.
    """

    def __init__(
        self, name: str, func: Callable[..., Any], argnums: Argnums, has_aux: bool, args: Any, kwargs: Any
    ) -> None:
        leaves, self.spec, args = choose(name, args, argnums)
        outer = _set_grad_enabled(True)
        try:
            output, self.aux = func(*args, **kwargs), None
            if has_aux:
                output, self.aux = with_aux(f"{name}(f)(*args)", output)
            results, self.output_spec = tree_flatten(output)
            outputs = checked_outputs("jvp(f, primals, tangents)", results)
            self.depends = outer and _engine.depends_on_others(outputs, leaves)
            pairs = [_leaf(flambeau.ones_like(t.detach())) for t in outputs]
            self.cotangents = [leaf for leaf, _ in pairs]
            self.products, _ = _engine.gradients(outputs, leaves, [given for _, given in pairs], True, True)
        finally:
            _set_grad_enabled(outer)
        for product in self.products:
            if not product.requires_grad and product.any():
                raise NotImplementedError(
                    f"{name}: an operator in the function is only differentiable once, but {name} differentiates it "
                    "twice"
                )
        self.leaves = leaves
        if not self.depends:
            output, self.aux = detached(output), detached(self.aux)
        self.output = output


def linearize(func: Callable[..., T], *primals: Any) -> tuple[T, Callable[..., T]]:
    """Return the value of ``func``, and a function that multiplies its Jacobian at this point by vectors.

    ``func`` is evaluated once. Each product then costs about as much as a backward pass. For a single product,
    :func:`jvp` is cheaper.

    Args:
        func: function that takes and returns tensors or pytrees of tensors.
        primals: the arguments.
    Returns: ``(output, jvp_fn)``. ``jvp_fn`` takes a tangent for each argument and returns the tangent of the output.

    >>> import flambeau
    >>> output, jvp_fn = flambeau.func.linearize(flambeau.sin, flambeau.zeros(2))
    >>> jvp_fn(flambeau.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    linear = Linearization("linearize", func, tuple(range(len(primals))), False, primals, {})
    products = [(i, p) for i, p in enumerate(linear.products) if p.requires_grad]

    def jvp_fn(*tangents: Any) -> T:
        directions, spec = tree_flatten(tangents)
        if spec != linear.spec:
            raise RuntimeError("Expected the tangents to have the same argspec as the primals used for linearization.")
        for leaf, direction in zip(linear.leaves, directions, strict=True):
            if leaf.shape != direction.shape or leaf.dtype != direction.dtype:
                raise RuntimeError(
                    f"Expected a tangent of shape {list(leaf.shape)} and dtype {leaf.dtype}, "
                    f"got {list(direction.shape)} and {direction.dtype}"
                )
        chosen = tuple(p for _, p in products)
        follow = flambeau.is_grad_enabled()
        out, _ = _engine.gradients(chosen, linear.cotangents, [directions[i] for i, _ in products], follow, True)
        product: T = tree_unflatten(out, linear.output_spec)
        return product

    return linear.output, jvp_fn
