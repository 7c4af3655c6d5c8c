"""Jacobians, Hessians, and their products with vectors.

``flambeau.func`` has function transforms for the same computations, which accept pytrees of arguments.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, overload

import flambeau
from flambeau import Tensor, _core, enable_grad, overrides
from flambeau.autograd import _engine
from flambeau.autograd._backward import grad

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

Tensors = Tensor | tuple[Tensor, ...]
Function = Callable[..., Any]
Inputs = TypeVar("Inputs", Tensor, tuple[Tensor, ...])
Outputs = TypeVar("Outputs", Tensor, tuple[Tensor, ...])

FORWARD_NEEDS_VECTORIZE = (
    "Computing Jacobian using forward-AD or forward-over-reverse Hessian is only implemented for `vectorize=True`."
)
NO_STRICT_VECTORIZE = "{name}: `strict=True` and `vectorize=True` are not supported together; set vectorize=False."

TWICE = ("hessian", "hvp", "vhp")  # functions that differentiate a gradient


def _tuple(value: Any, what: str, name: str) -> tuple[Tensor, ...]:
    values = value if isinstance(value, tuple) else (value,)
    for i, item in enumerate(values):
        if not isinstance(item, Tensor):
            where = f" at index {i}" if isinstance(value, tuple) else ""
            raise TypeError(
                f"The {what} given to {name} must be either a Tensor or a tuple of Tensors but the value{where} has "
                f"type {type(item)}."
            )
    return values


def _like(original: Any, values: Sequence[Any]) -> Any:
    return tuple(values) if isinstance(original, tuple) else values[0]


def _leaf(t: Tensor, create_graph: bool) -> tuple[Tensor, Tensor]:
    """Return the tensor with respect to which to differentiate, and the tensor to pass to the function."""
    if create_graph and not (overrides.has_torch_function_unary(t) or _is_dispatched(t)):
        return _engine.leaf(t)
    # Keep the subclass, because the function may use its methods and attributes.
    leaf = t.view_as(t) if create_graph and t.requires_grad else t.detach().requires_grad_()
    return leaf, leaf


class _Problem:
    """A function and its result for leaf tensors. With ``create_graph``, the leaves are connected to the inputs."""

    def __init__(self, name: str, func: Function, inputs: Any, create_graph: bool, strict: bool) -> None:
        self.name = name
        self.inputs = _tuple(inputs, "inputs", name)
        pairs = [_leaf(t, create_graph) for t in self.inputs]
        self.leaves = [leaf for leaf, _ in pairs]
        self.result = func(*(given for _, given in pairs))
        self.outputs = _tuple(self.result, "outputs of the user-provided function", name)
        self.create_graph = create_graph
        if strict:
            for i, t in enumerate(self.outputs):
                if not t.requires_grad:
                    raise RuntimeError(
                        f"Output {i} of the user-provided function does not require gradients. The outputs must be "
                        "computed in a differentiable manner from the input when running in strict mode."
                    )

    def values(self) -> Any:
        """Return the function's result. It is detached from the graph if ``create_graph`` is False."""
        return _like(self.result, self.outputs if self.create_graph else [t.detach() for t in self.outputs])

    def gradients(self, outputs: Sequence[Tensor], directions: Any, create_graph: bool) -> list[Tensor | None]:
        """Return the gradient of the outputs for each leaf, or None for a leaf on which no output depends."""
        chosen = [(t, v) for t, v in zip(outputs, directions, strict=True) if t.requires_grad]
        if not chosen:
            return [None] * len(self.leaves)
        tensors, vectors = zip(*chosen, strict=True)
        return list(grad(tensors, self.leaves, vectors, create_graph=create_graph, allow_unused=True))

    def filled(self, gradients: Sequence[Tensor | None], what: str, strict: bool) -> list[Tensor]:
        """Replace None in the gradients with zeros. In strict mode, raise RuntimeError instead."""
        for i, g in enumerate(gradients):
            if strict and g is None and self.name == "hessian":
                raise RuntimeError(self._constant(what, i))
            if strict and g is None:
                raise RuntimeError(
                    f"{what} of the user-provided function is independent of input {i}. This is not allowed in strict "
                    "mode."
                )
            # True if the gradient will be differentiated.
            again = self.create_graph or (what == "The output" and self.name in TWICE)
            if strict and again and g is not None and not g.requires_grad:
                raise RuntimeError(self._constant(what, i))
        return [
            flambeau.zeros_like(t.detach()) if g is None else g for g, t in zip(gradients, self.inputs, strict=True)
        ]

    def _constant(self, what: str, i: int) -> str:
        """Return the error message for a derivative that does not depend on input ``i``."""
        if self.name in TWICE and what == "The output":
            return (
                f"While computing the hessian, found that the jacobian of the user-provided function with respect to "
                f"input {i} is independent of the input. This is not allowed in strict mode."
            )
        derivative = "hessian" if what == "The jacobian" else "jacobian"
        return (
            f"The {derivative} of the user-provided function is independent of input {i}. This is not allowed in "
            "strict mode when create_graph=True."
        )

    def scalar(self, name: str) -> Tensor:
        """Return the only output, which must have one element."""
        if isinstance(self.result, tuple):
            raise RuntimeError(f"The function given to {name} should return a single Tensor")
        (output,) = self.outputs
        if output.numel() != 1:
            raise RuntimeError(f"The Tensor returned by the function given to {name} should contain a single element")
        return output


def _directions(v: Any, original: Any, targets: Sequence[Tensor], name: str, single: str) -> list[Tensor]:
    """Return the vectors of a Jacobian product, one for each tensor in ``targets``.

    Raises: RuntimeError if the number or the shapes of the vectors are wrong.
    """
    if v is None:
        if len(targets) != 1 or targets[0].numel() != 1:
            raise RuntimeError(f"The vector v can only be None if {single}.")
        return [flambeau.ones_like(targets[0].detach())]
    vectors = _tuple(v, "v", name)
    several = isinstance(original, tuple)
    if len(vectors) != len(targets) and not several:
        raise RuntimeError("The given v should contain a single Tensor.")
    if len(vectors) != len(targets):
        raise RuntimeError(f"v is a tuple of invalid length: should be {len(targets)} but got {len(vectors)}.")
    for i, (vector, t) in enumerate(zip(vectors, targets, strict=True)):
        if vector.shape != t.shape:
            entry = f"Entry {i} in v" if several else "v"
            raise RuntimeError(f"{entry} has invalid size: should be {t.shape} but got {vector.shape}.")
    return list(vectors)


RETURNS_ONE = "the user-provided function returns a single Tensor with a single element"
TAKES_ONE = "the input to the user-provided function is a single Tensor with a single element"


def vjp(
    func: Callable[..., Outputs],
    inputs: Inputs,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Outputs, Inputs]:
    """Return the value of ``func`` and the product of a vector with its Jacobian (vector-Jacobian product).

    Args:
        func: function that takes tensors and returns a tensor or a tuple of tensors.
        inputs: the arguments, a tensor or a tuple of tensors.
        v: the vector, with the structure and shapes of the outputs. None means 1 if the output is a single number.
        create_graph: if True, record the value and the product so that they can be differentiated.
        strict: if True, raise RuntimeError if a result does not depend on an argument. Otherwise its derivative is
            zero.
    Returns: ``(outputs, product)``. The product has the structure of ``inputs``.

    >>> import flambeau
    >>> flambeau.autograd.functional.vjp(lambda x: x**2, flambeau.tensor([1.0, 2.0]), flambeau.ones(2))
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    with enable_grad():
        problem = _Problem("vjp", func, inputs, create_graph, strict)
        vectors = _directions(v, problem.result, problem.outputs, "vjp", RETURNS_ONE)
        gradients = problem.gradients(problem.outputs, vectors, create_graph)
        product = problem.filled(gradients, "The output", strict)
    return problem.values(), _like(inputs, product)


def jvp(
    func: Callable[..., Outputs],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Outputs, Outputs]:
    """Return the value of ``func`` and the product of its Jacobian with a vector, computed in forward mode.

    Args:
        func, inputs, create_graph: see :func:`vjp`.
        v: the vector, with the structure and shapes of ``inputs``. None means 1 if the input is a single number.
        strict: see :func:`vjp`. An additional call of ``func`` determines on which arguments the results depend.
    Returns: ``(outputs, product)``. The product has the structure of the outputs.

    >>> import flambeau
    >>> flambeau.autograd.functional.jvp(lambda x: x**2, flambeau.tensor([1.0, 2.0]), flambeau.ones(2))
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    if strict:
        with enable_grad():
            problem = _Problem("jvp", func, inputs, create_graph, strict)
            ones = [flambeau.ones_like(t.detach()) for t in problem.outputs]
            problem.filled(problem.gradients(problem.outputs, ones, create_graph), "The output", strict)
    vectors = _directions(v, inputs, _tuple(inputs, "inputs", "jvp"), "jvp", TAKES_ONE)
    if not create_graph:
        vectors = [t.detach() for t in vectors]
    if _is_dispatched(*_tuple(inputs, "inputs", "jvp")):
        return _jvp_by_operators(func, inputs, vectors, create_graph)
    level = _engine.open_level()
    try:
        with flambeau.set_grad_enabled(create_graph):
            values = _tuple(inputs, "inputs", "jvp")
            duals = [_engine.make_dual(t, w, level) for t, w in zip(values, vectors, strict=True)]
            result = func(*duals)
            pairs = [
                _engine.unpack_dual(t, level) for t in _tuple(result, "outputs of the user-provided function", "jvp")
            ]
    finally:
        _engine.close_level()
    tangents = [flambeau.zeros_like(t.detach()) if tangent is None else tangent for t, tangent in pairs]
    return _like(result, [t for t, _ in pairs]), _like(result, tangents)


def _jvp_by_operators(func: Function, inputs: Any, vectors: list[Tensor], create_graph: bool) -> tuple[Any, Any]:
    """Compute values and tangents with two backward passes, because subclasses do not support dual tensors."""
    with enable_grad():
        problem = _Problem("jvp", func, inputs, create_graph, False)
        seeds = [flambeau.zeros_like(t.detach()).requires_grad_() for t in problem.outputs]
        gradients = problem.gradients(problem.outputs, seeds, True)
        pairs = [(g, v) for g, v in zip(gradients, vectors, strict=True) if g is not None and g.requires_grad]
        products: Any = (None,) * len(seeds)
        if pairs:
            linear, directions = zip(*pairs, strict=True)
            products = grad(linear, seeds, directions, create_graph=create_graph, allow_unused=True)
    tangents = [
        flambeau.zeros_like(t.detach()) if g is None else g for t, g in zip(problem.outputs, products, strict=True)
    ]
    return problem.values(), _like(problem.result, tangents)


@overload
def jacobian(
    func: Callable[..., Tensor],
    inputs: Tensor,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Tensor: ...


@overload
def jacobian(
    func: Callable[..., Tensor],
    inputs: tuple[Tensor, ...],
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> tuple[Tensor, ...]: ...


@overload
def jacobian(
    func: Callable[..., tuple[Tensor, ...]],
    inputs: Tensor,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> tuple[Tensor, ...]: ...


@overload
def jacobian(
    func: Callable[..., tuple[Tensor, ...]],
    inputs: tuple[Tensor, ...],
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> tuple[tuple[Tensor, ...], ...]: ...


def jacobian(
    func: Function,
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """Return the Jacobian of ``func``.

    Args:
        func, inputs, create_graph, strict: see :func:`vjp`.
        vectorize: accepted for compatibility with PyTorch. If True, the graph that ``func`` recorded is freed. It has
            no effect on the result.
        strategy: ``"reverse-mode"`` runs once per element of the outputs. ``"forward-mode"``, which requires
            ``vectorize=True``, runs once per element of the inputs.
    Returns: a tensor of shape ``(*out, *in)`` for an output of shape ``(*out)`` and an input of shape ``(*in)``. If
        ``inputs`` or the result of ``func`` is a tuple, a tuple of these tensors. If both are tuples, a tuple of
        tuples, indexed by output and then by input.

    >>> import flambeau
    >>> flambeau.autograd.functional.jacobian(lambda x: x**2, flambeau.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    _check_strategy("jacobian", strict, vectorize, strategy)
    if strategy == "forward-mode":
        return _forward_jacobian(func, inputs, create_graph)
    with enable_grad():
        problem = _Problem("jacobian", func, inputs, create_graph, strict)
        if strict:
            _check_rows(problem)
        # Like PyTorch, keep the graph if not vectorize: func may have stored tensors that the caller differentiates.
        last = len(problem.outputs) - 1 if vectorize else len(problem.outputs)
        of = _jacobian_by_operators if _is_dispatched(*problem.outputs, *problem.leaves) else _engine.jacobian
        rows = [of(t, problem.leaves, create_graph, i < last) for i, t in enumerate(problem.outputs)]
    return _like(problem.result, [_like(inputs, row) for row in rows])


def _construct_standard_basis_for(tensors: Sequence[Tensor], tensor_numels: Sequence[int]) -> tuple[Tensor, ...]:
    """Split an identity matrix into blocks of columns, one for each tensor, with its dtype and on its device.

    ``tensor_numels`` are the numbers of elements of the tensors. PyTorch has a function of the same name.
    """
    if not len(tensors) == len(tensor_numels) > 0:
        raise AssertionError(
            f"expected at least one tensor and a number of elements for each, got {len(tensors)} tensors and "
            f"{len(tensor_numels)} numbers"
        )
    total, first, blocks = sum(tensor_numels), 0, []
    for tensor, numel in zip(tensors, tensor_numels, strict=True):
        block = tensor.new_zeros(total, numel)
        block.diagonal(-first).fill_(1)
        blocks.append(block)
        first += numel
    return tuple(blocks)


# Functions that libraries import although they are private in PyTorch


def _as_tuple(inp: Any, arg_name: str | None = None, fn_name: str | None = None) -> tuple[bool, tuple[Tensor, ...]]:
    """Return ``(is_tuple, values)``: whether the argument is a tuple, and the argument as a tuple.

    Raises: TypeError if ``arg_name`` or ``fn_name`` is given and an element is not a tensor.
    """
    if arg_name is None and fn_name is None:
        return isinstance(inp, tuple), inp if isinstance(inp, tuple) else (inp,)
    return isinstance(inp, tuple), _tuple(inp, str(arg_name), str(fn_name))


def _tuple_postprocess(res: Any, to_unpack: Any) -> Any:
    """Convert a tuple of results, or a tuple of tuples, to the structure that the caller of a function expects.

    Args:
        res: the tuple.
        to_unpack: True to keep the tuple, False to return its only element. For a tuple of tuples, a pair of booleans:
            the first for the outer tuple, the second for the inner tuples.
    """
    if not isinstance(to_unpack, tuple):
        return res if to_unpack else res[0]
    outer, inner = to_unpack
    rows = res if inner else tuple(row[0] for row in res)
    return rows if outer else rows[0]


def _grad_preprocess(inputs: Sequence[Any], create_graph: bool, need_graph: bool) -> tuple[Any, ...]:
    """Return new tensors for differentiation. With ``create_graph``, they are connected to the inputs."""

    def prepared(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return _grad_preprocess(value, create_graph, need_graph)
        return value.view_as(value) if create_graph else value.detach().requires_grad_(need_graph)

    return tuple(map(prepared, inputs))


def _grad_postprocess(inputs: Any, create_graph: bool) -> Any:
    """Detach the tensors, also in nested tuples, from the graph. With ``create_graph``, return them unchanged."""
    if isinstance(inputs, Tensor):
        return inputs if create_graph else inputs.detach()
    return tuple(_grad_postprocess(value, create_graph) for value in inputs)


def _is_dispatched(*tensors: Tensor) -> bool:
    return any(_core._is_dispatching_class(type(t)) for t in tensors)


def _jacobian_by_operators(
    output: Tensor, leaves: list[Tensor], create_graph: bool, keep_graph: bool
) -> tuple[Tensor, ...]:
    """Compute the Jacobian of an output by calling operators, which a class with ``__torch_dispatch__`` handles."""
    columns: list[list[Tensor]] = [[] for _ in leaves]
    for element in output.reshape(-1).unbind():
        gradients: Any = (None,) * len(leaves)
        if element.requires_grad:
            gradients = grad(element, leaves, retain_graph=True, create_graph=create_graph, allow_unused=True)
        for column, leaf, gradient in zip(columns, leaves, gradients, strict=True):
            column.append(flambeau.zeros_like(leaf.detach()) if gradient is None else gradient)
    return tuple(
        flambeau.stack(column).view((*output.shape, *leaf.shape))
        if column
        else leaf.detach().new_zeros((*output.shape, *leaf.shape))
        for column, leaf in zip(columns, leaves, strict=True)
    )


def _check_strategy(name: str, strict: bool, vectorize: bool, strategy: str) -> None:
    if strategy not in ("forward-mode", "reverse-mode"):
        raise ValueError(
            f"Expected strategy to be either 'forward-mode' or 'reverse-mode', but got '{strategy}'. Hint: If your "
            "function has more outputs than inputs, 'forward-mode' tends to be more performant."
        )
    if strict and (vectorize or strategy == "forward-mode"):
        raise RuntimeError(NO_STRICT_VECTORIZE.format(name=name))
    if strategy == "forward-mode" and not vectorize:
        raise NotImplementedError(FORWARD_NEEDS_VECTORIZE)


def _forward_jacobian_by_operators(
    func: Function, inputs: Tensors, given: tuple[Tensor, ...], create_graph: bool
) -> Any:
    """Compute the Jacobian as products with unit vectors, for classes with ``__torch_dispatch__``."""
    result, blocks = None, []
    for i, t in enumerate(given):
        columns = []
        for unit in flambeau.eye(t.numel(), dtype=t.dtype, device=t.device):
            vectors = [flambeau.zeros_like(other.detach()) for other in given]
            vectors[i] = unit.view(t.shape)
            result, tangents = _jvp_by_operators(func, given, vectors, create_graph)
            columns.append(tangents if isinstance(tangents, tuple) else (tangents,))
        blocks.append(
            [flambeau.stack(rows, -1).view((*rows[0].shape, *t.shape)) for rows in zip(*columns, strict=True)]
        )
    return _like(result, [_like(inputs, row) for row in zip(*blocks, strict=True)])


def _check_rows(problem: _Problem) -> None:
    for i, t in enumerate(problem.outputs):
        ones = flambeau.ones_like(t.detach())
        gradients = grad(
            t, problem.leaves, ones, retain_graph=True, create_graph=problem.create_graph, allow_unused=True
        )
        problem.filled(gradients, f"Output {i}", strict=True)


def _forward_jacobian(func: Function, inputs: Tensors, create_graph: bool) -> Any:
    values = _tuple(inputs, "inputs", "jacobian")
    points = values if create_graph else tuple(t.detach() for t in values)
    if _is_dispatched(*values):
        return _forward_jacobian_by_operators(func, inputs, points, create_graph)

    def checked(*args: Tensor) -> Any:
        result = func(*args)
        _tuple(result, "outputs of the user-provided function", "jacobian")
        return result

    columns = flambeau.func.jacfwd(checked, argnums=tuple(range(len(points))))(*points)
    if isinstance(inputs, tuple):
        return columns
    return tuple(row[0] for row in columns) if isinstance(columns[0], tuple) else columns[0]


@overload
def hessian(
    func: Callable[..., Tensor],
    inputs: Tensor,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Tensor: ...


@overload
def hessian(
    func: Callable[..., Tensor],
    inputs: tuple[Tensor, ...],
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> tuple[tuple[Tensor, ...], ...]: ...


def hessian(
    func: Function,
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """Return the Hessian of ``func``, which must return a single number.

    Args: see :func:`jacobian`. ``outer_jacobian_strategy`` is the ``strategy`` of the second derivative.
    Returns: a tensor of shape ``(*in, *in)``. If ``inputs`` is a tuple, a tuple of tuples of shapes ``(*in_i, *in_j)``.

    >>> import flambeau
    >>> flambeau.autograd.functional.hessian(lambda x: (x**3).sum(), flambeau.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    _check_strategy("hessian", strict, vectorize, outer_jacobian_strategy)
    _tuple(inputs, "inputs", "hessian")

    def gradient(*args: Tensor) -> Any:
        problem = _Problem("hessian", func, args, True, strict)
        output = problem.scalar("hessian")
        gradients = problem.gradients([output], [flambeau.ones_like(output.detach())], True)
        return _like(inputs, problem.filled(gradients, "The output", strict))

    return jacobian(gradient, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)


def _hessian_product(
    name: str, func: Function, inputs: Tensors, v: Tensors | None, create_graph: bool, strict: bool
) -> tuple[Any, Any]:
    with enable_grad():
        problem = _Problem(name, func, inputs, create_graph, strict)
        vectors = _directions(v, inputs, problem.inputs, name, TAKES_ONE)
        output = problem.scalar(name)
        gradients = problem.gradients([output], [flambeau.ones_like(output.detach())], True)
        first = problem.filled(gradients, "The output", strict)
        second = problem.gradients(first, vectors, create_graph)
        product = problem.filled(second, "The jacobian", strict)
    return problem.values(), _like(inputs, product)


def hvp(
    func: Callable[..., Tensor],
    inputs: Inputs,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Tensor, Inputs]:
    """Return the value of ``func`` and the product of its Hessian with a vector. ``func`` must return a single number.

    Args: see :func:`vjp`. ``v`` has the structure and shapes of ``inputs``.
    Returns: ``(output, product)``. The product has the structure of ``inputs``.

    >>> import flambeau
    >>> flambeau.autograd.functional.hvp(lambda x: (x**3).sum(), flambeau.tensor([1.0, 2.0]), flambeau.ones(2))
    (tensor(9.), tensor([ 6., 12.]))
    """
    return _hessian_product("hvp", func, inputs, v, create_graph, strict)


def vhp(
    func: Callable[..., Tensor],
    inputs: Inputs,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Tensor, Inputs]:
    """Return the value of ``func`` and the product of a vector with its Hessian. ``func`` must return a single number.

    The Hessian is symmetric, so the result equals the result of :func:`hvp`.

    >>> import flambeau
    >>> flambeau.autograd.functional.vhp(lambda x: (x**3).sum(), flambeau.tensor([1.0, 2.0]), flambeau.ones(2))
    (tensor(9.), tensor([ 6., 12.]))
    """
    return _hessian_product("vhp", func, inputs, v, create_graph, strict)
