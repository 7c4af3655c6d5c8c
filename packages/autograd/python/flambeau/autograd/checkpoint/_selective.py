"""Selective checkpointing: keep the results of some operators, and recompute only the others."""

from __future__ import annotations

import contextlib
import enum
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Self

from flambeau import Tensor
from flambeau.library._overloads import OpOverload
from flambeau.utils._python_dispatch import TorchDispatchMode
from flambeau.utils._pytree import tree_map

Contexts = tuple[contextlib.AbstractContextManager[Any], contextlib.AbstractContextManager[Any]]
Results = defaultdict[Any, list[Any]]  # for each operator, the saved results of its calls, in order

MISMATCH = (
    "Selective checkpointing: call {number} of {operator} in the recomputation has no counterpart in the forward pass. "
    "The checkpointed function must call the same operators in the same order, also when it runs again."
)
CONSUMED = (
    "Trying to backward an extra time. You are only allowed to backward once on any region computed under selective "
    "activation checkpoint."
)
MUTATED = (
    "Tensor cached during selective activation checkpoint has been mutated. Pass allow_cache_entry_mutation=True to "
    "create_selective_checkpoint_contexts() to allow this."
)
_RECOMPUTE, _CONSUMED = object(), object()


class CheckpointPolicy(enum.Enum):
    """Choice of a policy function for the result of one operator call: save it, or compute it again.

    ``MUST_`` and ``PREFER_`` have the same effect. The ``CPU_OFFLOAD`` policies are not implemented.
    See `create_selective_checkpoint_contexts`.
    """

    MUST_SAVE = 0
    PREFER_SAVE = 1
    MUST_RECOMPUTE = 2
    PREFER_RECOMPUTE = 3
    MUST_CPU_OFFLOAD = 4
    PREFER_CPU_OFFLOAD = 5


class SelectiveCheckpointContext:
    """First argument of a policy function. See `create_selective_checkpoint_contexts`.

    Attributes:
        is_recompute: always False, because the policy is called only in the forward pass.
        op_output: the result of the operator.
    """

    def __init__(self, *, is_recompute: bool, op_output: Any = None) -> None:
        self.is_recompute = is_recompute
        self.op_output = op_output


class _SavedTensor:
    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor.detach()
        self.version = self.tensor._version

    def value(self, may_be_mutated: bool) -> Tensor:
        if self.tensor._version != self.version and not may_be_mutated:
            raise RuntimeError(MUTATED)
        return self.tensor


class _SavingMode(TorchDispatchMode):
    """Mode of the forward pass. It saves the results that the policy selects."""

    def __init__(self, policy: Callable[..., CheckpointPolicy | bool], results: Results) -> None:
        self.policy, self.results = policy, results

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if _is_ignored(func):
            return result
        context = SelectiveCheckpointContext(is_recompute=False, op_output=result)
        policy = self.policy(context, func, *args, **kwargs)
        if policy in (CheckpointPolicy.MUST_CPU_OFFLOAD, CheckpointPolicy.PREFER_CPU_OFFLOAD):
            raise NotImplementedError(f"CheckpointPolicy.{policy.name} is not implemented; use MUST_SAVE")
        saves = policy in (True, CheckpointPolicy.MUST_SAVE, CheckpointPolicy.PREFER_SAVE)
        self.results[func].append(_map_tensors(_SavedTensor, result) if saves else _RECOMPUTE)
        return result


class _ReusingMode(TorchDispatchMode):
    """Mode of the recomputation. It returns the saved results, and runs only the other calls."""

    def __init__(self, results: Results, may_be_mutated: bool) -> None:
        self.results, self.may_be_mutated = results, may_be_mutated
        self.calls: defaultdict[Any, int] = defaultdict(int)

    def __enter__(self) -> Self:
        self.calls.clear()
        return super().__enter__()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if _is_ignored(func):
            return func(*args, **(kwargs or {}))
        number, saved = self.calls[func], self.results[func]
        self.calls[func] += 1
        if number >= len(saved):
            raise RuntimeError(MISMATCH.format(number=number, operator=func))
        entry = saved[number]
        if entry is _RECOMPUTE:
            return func(*args, **(kwargs or {}))
        if entry is _CONSUMED:
            raise RuntimeError(CONSUMED)
        saved[number] = _CONSUMED
        return tree_map(lambda x: x.value(self.may_be_mutated) if isinstance(x, _SavedTensor) else x, entry)


def _is_ignored(operator: Any) -> bool:
    return str(operator) == "aten.detach.default"


def _map_tensors(function: Callable[[Tensor], Any], values: Any) -> Any:
    return tree_map(lambda x: function(x) if isinstance(x, Tensor) else x, values)


def create_selective_checkpoint_contexts(
    policy_fn_or_list: Callable[..., CheckpointPolicy | bool] | list[OpOverload],
    allow_cache_entry_mutation: bool = False,
) -> Contexts:
    """Return two contexts for the ``context_fn`` of `checkpoint`, which keep the results of selected operators.

    Args:
        policy_fn_or_list: the overloads of ``ops.aten`` whose results are saved; or a function that is called as
            ``policy(context, operator, *args, **kwargs)`` after each operator and returns a `CheckpointPolicy`.
        allow_cache_entry_mutation: if True, do not check that saved results have not been changed in-place.
    Returns: contexts for the first run and for the recomputation.
    Raises: ValueError if an element of the list is not an overload. The backward pass raises RuntimeError if it runs
        a second time, or if a saved result has been changed in-place.

    >>> import functools
    >>> import flambeau as fb
    >>> from flambeau.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts
    >>> save_products = functools.partial(create_selective_checkpoint_contexts, [fb.ops.aten.mm.default])
    >>> x = fb.ones(2, 2, requires_grad=True)
    >>> checkpoint(lambda t: (t @ t).exp().sum(), x, use_reentrant=False, context_fn=save_products).backward()
    >>> x.grad[0, 0]
    tensor(29.5562)
    """
    if isinstance(policy_fn_or_list, list):
        operators = policy_fn_or_list
        for operator in operators:
            if not isinstance(operator, OpOverload):
                raise ValueError(
                    f"Expected op in `op_list` to be an OpOverload but got: {operator} of type {type(operator)}. Pass "
                    "an overload such as ops.aten.mm.default"
                )
        return create_selective_checkpoint_contexts(
            lambda context, operator, *args, **kwargs: operator in operators, allow_cache_entry_mutation
        )
    if not callable(policy_fn_or_list):
        raise TypeError("policy_fn_or_list must be either a function or a list of ops.")
    results: Results = defaultdict(list)
    return _SavingMode(policy_fn_or_list, results), _ReusingMode(results, allow_cache_entry_mutation)
