"""Tests that an operator behaves as its registrations declare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.library._custom_op import CustomOpDef
from flambeau.library._library import definition_of
from flambeau.library._overloads import OpOverload, OpOverloadPacket
from flambeau.utils import _pytree


class OpCheckError(Exception):
    """Error for an operator that does not behave as declared."""


def _copies(tree: Any) -> Any:
    return _pytree.tree_map_only(Tensor, lambda x: x.detach().clone().requires_grad_(x.requires_grad), tree)


def _schema(op: CustomOpDef, args: Any, kwargs: Any) -> None:
    mine = _copies((args, kwargs))
    op(*mine[0], **mine[1])
    bound, before = op._signature.bind(*mine[0], **mine[1]), op._signature.bind(*args, **kwargs)
    for name, value in bound.arguments.items():
        pairs = zip(_pytree.tree_leaves(value), _pytree.tree_leaves(before.arguments[name]), strict=True)
        changed = any(isinstance(x, Tensor) and not flambeau.equal(x.detach(), y.detach()) for x, y in pairs)
        if changed and name not in op._mutated:
            raise OpCheckError(f"Argument '{name}' is not defined as mutable but was mutated")


def _autograd_registration(op: CustomOpDef, args: Any, kwargs: Any) -> None:
    asks = any(isinstance(x, Tensor) and x.requires_grad for x in _pytree.tree_leaves((args, kwargs)))
    gives_tensors = "Tensor" in op._schema.rpartition("->")[2]
    if asks and gives_tensors and not op._has_derivative():
        raise OpCheckError(f"{op} has no autograd formula and was given inputs that require grad")


def _faketensor(op: CustomOpDef, args: Any, kwargs: Any) -> None:
    mine = _copies((args, kwargs))
    real = _pytree.tree_leaves(op(*mine[0], **mine[1]))
    fake = _pytree.tree_map_only(Tensor, lambda x: x.detach().to("meta"), (args, kwargs))
    answered = _pytree.tree_leaves(op(*fake[0], **fake[1]))
    for x, y in zip(real, answered, strict=True):
        if isinstance(x, Tensor) and (x.shape, x.stride(), x.dtype) != (y.shape, y.stride(), y.dtype):
            raise OpCheckError(
                f"the fake impl of {op} returned shape {list(y.shape)}, strides {list(y.stride())} and dtype {y.dtype}"
                f", but the operator returned shape {list(x.shape)}, strides {list(x.stride())} and dtype {x.dtype}"
            )


_TESTS: dict[str, Callable[[CustomOpDef, Any, Any], None]] = {
    "test_schema": _schema,
    "test_autograd_registration": _autograd_registration,
    "test_faketensor": _faketensor,
}


def opcheck(
    op: CustomOpDef | OpOverload | OpOverloadPacket | str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None = None,
    *,
    test_utils: str | Sequence[str] = tuple(_TESTS),
    raise_exception: bool = True,
) -> dict[str, Any]:
    """Call an operator and compare its behaviour with its declaration.

    The tests do not check that the derivative is correct; see ``autograd.gradcheck``.

    - ``test_schema``: the operator changes no arguments except those in ``mutates_args``.
    - ``test_autograd_registration``: the operator has a derivative if inputs require grad.
    - ``test_faketensor``: the fake implementation returns the shapes, strides and dtypes of the operator.

    Args:
        op: result of `custom_op`, an operator of ``flambeau.ops``, or its name.
        args, kwargs: arguments of a call.
        test_utils: names of the tests to run.
        raise_exception: if False, return exceptions instead of raising them.
    Returns: a dictionary from the name of each test to ``"SUCCESS"`` or the exception.
    Raises: OpCheckError if a test fails; ValueError for an unknown test.

    >>> @fb.library.custom_op("example::negated", mutates_args=())
    ... def negated(x: fb.Tensor) -> fb.Tensor:
    ...     return -x
    >>> _ = negated.register_fake(lambda x: fb.empty_like(x))
    >>> fb.library.opcheck(negated, (fb.ones(2),), test_utils="test_faketensor")
    {'test_faketensor': 'SUCCESS'}
    """
    chosen = (test_utils,) if isinstance(test_utils, str) else test_utils
    if unknown := sorted(set(chosen) - set(_TESTS)):
        raise ValueError(
            f"opcheck: expected tests among {', '.join(map(repr, _TESTS))}, got {', '.join(map(repr, unknown))}"
        )
    definition = definition_of(op)
    results: dict[str, Any] = {}
    for name in chosen:
        try:
            _TESTS[name](definition, args, kwargs or {})
            results[name] = "SUCCESS"
        except Exception as error:
            if raise_exception:
                raise OpCheckError(f"opcheck(op, ...): {name} failed with {error}") from error
            results[name] = error
    return results
