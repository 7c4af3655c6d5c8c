"""Base class of optimizers, with parameter groups, options per group and state per parameter.

Custom optimizers derive from `Optimizer` and define ``step``, as in PyTorch, or ``_update``, which is shorter.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import flambeau
from flambeau import Tensor, _core
from flambeau.utils._foreach_utils import _group_tensors_by_device_and_dtype

from . import _state_dict
from ._helpers_of_torch import StateDict as StateDict
from ._helpers_of_torch import _default_to_fused_or_foreach as _default_to_fused_or_foreach
from ._helpers_of_torch import _get_scalar_dtype as _get_scalar_dtype
from ._helpers_of_torch import _get_value as _get_value
from ._helpers_of_torch import _stack_if_compiling as _stack_if_compiling
from ._helpers_of_torch import _to_scalar as _to_scalar
from ._helpers_of_torch import _use_grad_for_differentiable as _use_grad_for_differentiable
from ._helpers_of_torch import _view_as_real as _view_as_real
from ._hooks import Hooked, register_optimizer_step_post_hook, register_optimizer_step_pre_hook

__all__ = ["Optimizer", "ParamsT", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook", "required"]

Group = dict[str, Any]
ParamsT: TypeAlias = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]


class _RequiredParameter:
    """Marker for an option without a default value: every parameter group has to specify it."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _RequiredParameter()

UNORDERED_PARAMETERS = (
    "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets will change "
    "between runs. Please use a list instead."
)
DUPLICATE_PARAMETERS = (
    "optimizer contains a parameter group with duplicate parameters: each step moves them as often as they occur. "
    "Give every parameter once; model.parameters() does."
)


class Optimizer(Hooked):
    """Base class of optimizers.

    A subclass passes the options' defaults to ``__init__`` and defines ``_update``, which changes one group's
    parameters given lists of them and of their gradients, and keeps their state in ``self.state[parameter]``. Most
    optimizers of this package name an update rule of tensor-core instead, which steps a group in one native call.

    >>> class SignDescent(fb.optim.Optimizer):
    ...     def __init__(self, params, lr):
    ...         super().__init__(params, {"lr": lr})
    ...
    ...     def _update(self, group, params, grads):
    ...         for param, grad in zip(params, grads):
    ...             param.data = param.detach() - group["lr"] * grad.sign()

    ``foreach``, ``fused`` and ``capturable``, which select implementations in PyTorch, are accepted without effect.
    With ``differentiable=True``, autograd records the step: parameters, which may be results of computations, are
    changed in place, and gradients flow through the step to gradients, state and learning rate.

    Args:
        params: parameters, pairs of name and parameter, or dictionaries of ``"params"`` and options for this group.
        defaults: options for the groups that do not specify them.
    Raises: TypeError for an object that is not a parameter; ValueError for an empty list, for the result of a
        computation, and for a parameter in two groups.
    """

    _rule: str | None = None
    _instead_for_sparse = ""

    def __init__(self, params: ParamsT, defaults: Mapping[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got a Tensor; "
                "write [tensor] to optimize one tensor"
            )
        given: Any = params
        if not isinstance(given, Iterable):
            raise TypeError(
                f"'{type(given).__name__}' object is not iterable: params must be an iterable of Tensors or dicts"
                f"{_params_advice(given)}"
            )
        if isinstance(given, Mapping) and "params" not in given:
            raise TypeError(
                "params must be an iterable of Tensors or dicts, but got a dict; write model.parameters(), or "
                "[{'params': tensors}] for a parameter group"
            )
        self.defaults = dict(defaults)
        self.state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[Group] = []
        given = list(given)
        if not given:
            raise ValueError("optimizer got an empty parameter list")
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    # Stepping

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters that have gradients.

        Args:
            closure: function that recomputes the loss and its gradients; called first.
        Returns: the result of ``closure``.
        """
        loss = None
        if isinstance(closure, Tensor):
            raise TypeError("step() got a Tensor; call loss.backward() first, then step() without arguments")
        if closure is not None:
            with flambeau.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = group["params"]
            grads = [grad for param in params if (grad := param.grad) is not None]
            if len(grads) != len(params):
                params = [param for param in params if param.grad is not None]
            if grads:
                try:
                    self._update(group, params, grads)
                except NotImplementedError:  # raised by an operator that does not support sparse gradients
                    if all(grad.layout is flambeau.strided for grad in grads):
                        raise
                    self._update_by_sparse(group, params, grads)
        return loss

    def _update(self, group: Group, params: list[Tensor], grads: list[Tensor]) -> None:
        if self._rule is None:
            raise NotImplementedError(f"{type(self).__name__} defines neither _update() nor step()")
        if group.get("differentiable"):
            from . import _differentiable

            _differentiable.step(self._rule, group, params, grads, self.state)
        else:
            _core._optimizer_step(self._rule, group, params, grads, self.state)

    def _update_by_sparse(self, group: Group, params: list[Tensor], grads: list[Tensor]) -> None:
        """Run `_update` if some of the gradients are sparse.

        Raises: RuntimeError if there is no rule for sparse gradients, or if a subclass has replaced `_update`.
        """
        from . import _sparse

        unchanged = type(self)._update is Optimizer._update
        if self._rule is None or self._rule not in _sparse.RULES or not unchanged:
            raise RuntimeError(f"{type(self).__name__} does not support sparse gradients{self._instead_for_sparse}")
        _sparse.step_mixed(self._rule, group, params, grads, self.state)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set the gradients of all parameters to None, or to zeros if ``set_to_none`` is False."""
        for group in self.param_groups:
            for param in group["params"]:
                if set_to_none:
                    param.grad = None
                elif param.grad is not None:
                    if param.grad.requires_grad:
                        param.grad.detach_()
                    param.grad.zero_()

    # Groups

    def add_param_group(self, param_group: Group) -> None:
        """Add a group of parameters; options that it does not specify are set to the defaults.

        Args:
            param_group: a dictionary with ``"params"`` and any options. It is stored without a copy.
        Raises: TypeError or ValueError as the constructor does; the optimizer is then unchanged.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        group = {**param_group, **_as_group(param_group["params"])}
        self._check(group)
        for name, value in self.defaults.items():
            if value is required and name not in group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
            group.setdefault(name, value)
        param_group.update(group)
        self.param_groups.append(param_group)  # no copy: a wrapping optimizer shares the groups

    @staticmethod
    def _group_tensors_by_device_and_dtype(
        tensorlistlist: Sequence[Sequence[Any]], with_indices: bool = False
    ) -> dict[tuple[Any, Any], tuple[list[list[Any]], list[int]]]:
        """Group the rows of several tensor lists by device and dtype. Optimizers of other packages call this."""
        return _group_tensors_by_device_and_dtype(tensorlistlist, with_indices)

    def _check(self, group: Group) -> None:
        for param in group["params"]:
            if not isinstance(param, Tensor):
                hint = "; pass its parameters()" if hasattr(param, "parameters") else ""
                raise TypeError(
                    f"optimizer can only optimize Tensors, but one of the params is {type(param).__name__}{hint}"
                )
            if not (param.is_leaf or param.retains_grad or self.defaults.get("differentiable")):
                raise ValueError(
                    f"can't optimize a non-leaf Tensor: one of shape {list(param.shape)} is the result of a "
                    "computation; optimize the tensors it was computed from, or its .detach()"
                )
        identities = {id(param) for param in group["params"]}
        if len(identities) != len(group["params"]):
            warnings.warn(DUPLICATE_PARAMETERS, stacklevel=4)
        for other in self.param_groups:
            if ("param_names" in group) != ("param_names" in other):
                with_names = "param_names" in group
                raise ValueError(
                    "all optimizer param groups should be with/without names. Cannot add a param group "
                    f"{'with' if with_names else 'without'} names to an optimizer "
                    f"{'without' if with_names else 'with'} names"
                )
            if not identities.isdisjoint(map(id, other["params"])):
                raise ValueError("some parameters appear in more than one parameter group")

    # State

    def state_dict(self) -> dict[str, Any]:
        """Return the state by parameter number, and the options of the groups.

        >>> fb.optim.SGD([fb.zeros(2)], lr=0.1).state_dict()["param_groups"][0]["params"]
        [0]
        """
        self._call_hooks("state_dict_pre")
        saved = _state_dict.save(self.state, self.param_groups)
        replaced: dict[str, Any] = self._filter_through_hooks("state_dict_post", saved)
        return replaced

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load state and options from the ``state_dict()`` of an optimizer of the same parameters.

        State tensors are copied and converted to the parameters' dtypes. Dictionaries saved by PyTorch are accepted.

        Raises: ValueError if the groups differ; KeyError if the dictionary is not the state of an optimizer. The
            optimizer is then unchanged.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        state_dict = self._filter_through_hooks("load_state_dict_pre", dict(state_dict))
        numbers = {"step", *(_core._optimizer_scalars(self._rule) if self._rule else ())}
        state, groups = _state_dict.load(state_dict, self.param_groups, self.defaults, numbers)
        self.__setstate__({"state": state, "param_groups": groups})
        self._call_hooks("load_state_dict_post")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_hooks", "_stepping")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore attributes from a pickle or a loaded state. Subclasses add options that older versions lack."""
        vars(self).update(state)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for number, group in enumerate(self.param_groups):
            lines += ["", f"Parameter Group {number}"] if number else [f"Parameter Group {number}"]
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join(lines) + "\n)"


def _params_advice(params: object) -> str:
    """Return the end of an error message: advice on what to pass instead of ``params``, which is not iterable."""
    if hasattr(params, "parameters"):
        return "; pass model.parameters() instead of the model"
    return "; call it, as in model.parameters()" if callable(params) else ""


def _as_group(params: Any) -> Group:
    """Return ``{"params": list}``, with ``"param_names"`` if ``params`` contains pairs of name and parameter."""
    if isinstance(params, Tensor):
        return {"params": [params]}
    if isinstance(params, (set, frozenset)):
        raise TypeError(UNORDERED_PARAMETERS)
    listed = list(params)
    pairs = [entry for entry in listed if isinstance(entry, tuple)]
    if not pairs:
        return {"params": listed}
    if len(pairs) != len(listed):
        raise ValueError("all optimizer params should be with/without names. Some param names are missing")
    return {"params": [param for _, param in pairs], "param_names": [name for name, _ in pairs]}


def check_nonnegative(**options: Any) -> None:
    """Raise ValueError for an option that is negative or has more than one element, TypeError for a str."""
    for name, value in options.items():
        if isinstance(value, Tensor) and value.numel() != 1:
            raise ValueError(f"Tensor {name} must be 1-element, but its shape is {list(value.shape)}")
        if isinstance(value, str):
            raise TypeError(f"{name} must be a number, got the str {value!r}")
        if not value >= 0.0:
            described = {"lr": "learning rate", "eps": "epsilon value"}.get(name, f"{name} value")
            raise ValueError(f"Invalid {described}: {value}; expected a number >= 0")


def check_betas(betas: tuple[float, float]) -> None:
    """Raise an error unless these are two numbers in [0, 1)."""
    if not isinstance(betas, Sequence) or len(betas) != 2:
        raise TypeError(f"betas must be two numbers, such as (0.9, 0.999), got {betas!r}")
    for index, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {index}: {beta}; expected 0 <= beta < 1")


def options(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options in ``arguments``, the ``locals()`` of a constructor.

    Raises: RuntimeError for ``fused`` together with ``differentiable`` or ``foreach``.
    """
    chosen = {name: value for name, value in arguments.items() if name not in ("self", "params", "__class__")}
    if chosen.get("fused") and chosen.get("differentiable"):
        raise RuntimeError("`fused` does not support `differentiable`")
    if chosen.get("fused") and chosen.get("foreach"):
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    return chosen
