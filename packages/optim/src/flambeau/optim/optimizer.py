"""Base class of optimizers. Each parameter group has options, and each parameter has a state.

A custom optimizer derives from `Optimizer` and defines ``step``, as in PyTorch, or ``_update``, which is shorter.
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
from ._helpers_of_torch import (
    StateDict as StateDict,
    _capturable_doc as _capturable_doc,
    _default_to_fused_or_foreach as _default_to_fused_or_foreach,
    _device_dtype_check_for_fused as _device_dtype_check_for_fused,
    _differentiable_doc as _differentiable_doc,
    _disable_dynamo_if_unsupported as _disable_dynamo_if_unsupported,
    _foreach_doc as _foreach_doc,
    _fused_doc as _fused_doc,
    _get_capturable_supported_devices as _get_capturable_supported_devices,
    _get_scalar_dtype as _get_scalar_dtype,
    _get_value as _get_value,
    _maximize_doc as _maximize_doc,
    _params_doc as _params_doc,
    _stack_if_compiling as _stack_if_compiling,
    _to_scalar as _to_scalar,
    _use_grad_for_differentiable as _use_grad_for_differentiable,
    _view_as_real as _view_as_real,
)
from ._hooks import Hooked, register_optimizer_step_post_hook, register_optimizer_step_pre_hook

__all__ = ["Optimizer", "ParamsT", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook", "required"]

Group = dict[str, Any]
ParamsT: TypeAlias = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]


class _RequiredParameter:
    """Marker for an option without a default value. Every parameter group must specify the option."""

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

    A subclass passes the defaults of the options to ``__init__`` and defines ``_update(group, params, grads)``. This
    method changes the parameters of one group. It keeps the state of a parameter in ``self.state[parameter]``. Most
    optimizers of this package name an update rule of tensor-core instead, which updates a group in one native call.

    >>> class SignDescent(fb.optim.Optimizer):
    ...     def __init__(self, params, lr):
    ...         super().__init__(params, {"lr": lr})
    ...
    ...     def _update(self, group, params, grads):
    ...         for param, grad in zip(params, grads):
    ...             param.data = param.detach() - group["lr"] * grad.sign()

    The options ``foreach``, ``fused`` and ``capturable``, which select implementations in PyTorch, have no effect. With
    ``differentiable=True``, autograd records the step. The step then changes the parameters in place, and gradients
    flow through the step to the gradients, the state and the learning rate. Parameters may be results of computations.

    Args:
        params: parameters, pairs of a name and a parameter, or dictionaries of ``"params"`` and options for one group.
        defaults: values of the options that a group does not specify.
    Raises: TypeError if a parameter is not a tensor; KeyError if a group has no ``"params"``; ValueError if the list is
        empty, if a parameter is the result of a computation without ``differentiable=True``, or if a parameter is in
        two groups.
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
            closure: function that computes the loss and the gradients. ``step`` calls it first.
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
                except NotImplementedError:  # an operator does not support sparse gradients
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
        """Update the parameters of a group in which some gradients are sparse.

        Raises: RuntimeError if a rule for sparse gradients does not exist, or if a subclass overrides `_update`.
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
        """Add a parameter group. Set the options that the group does not specify to the defaults.

        Args:
            param_group: a dictionary with ``"params"`` and any options. The optimizer stores it without a copy.
        Raises: TypeError, KeyError or ValueError in the same cases as the constructor. Then the optimizer is unchanged.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        if "params" not in param_group:
            raise KeyError(f"a parameter group needs the key 'params', but has the keys {list(param_group)}")
        group = {**param_group, **_as_group(param_group["params"])}
        self._check(group)
        for name, value in self.defaults.items():
            if value is required and name not in group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
            group.setdefault(name, value)
        param_group.update(group)
        self.param_groups.append(param_group)  # not a copy, because an optimizer that wraps this one shares the groups

    @staticmethod
    def _group_tensors_by_device_and_dtype(
        tensorlistlist: Sequence[Sequence[Any]], with_indices: bool = False
    ) -> dict[tuple[Any, Any], tuple[list[list[Any]], list[int]]]:
        """Group the elements of parallel tensor lists by device and dtype. Optimizers of other packages call this."""
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
        """Return a dictionary of the state of each parameter and the options of each group.

        The dictionary contains numbers in place of the parameters.

        >>> fb.optim.SGD([fb.zeros(2)], lr=0.1).state_dict()["param_groups"][0]["params"]
        [0]
        """
        self._call_hooks("state_dict_pre")
        saved = _state_dict.save(self.state, self.param_groups)
        replaced: dict[str, Any] = self._filter_through_hooks("state_dict_post", saved)
        return replaced

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load the state and the options from the ``state_dict()`` of an optimizer of the same parameters.

        State tensors are copied and converted to the dtypes of the parameters. Dictionaries that PyTorch saved are
        accepted.

        Raises: ValueError if the groups differ; KeyError if the dictionary is not the state of an optimizer. Then the
            optimizer is unchanged.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        state_dict = self._filter_through_hooks("load_state_dict_pre", dict(state_dict))
        numbers = {"step", *_core._optimizer_scalars(self._rule)} if self._rule else None
        state, groups = _state_dict.load(state_dict, self.param_groups, self.defaults, numbers)
        self.__setstate__({"state": state, "param_groups": groups})
        self._call_hooks("load_state_dict_post")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_hooks", "_stepping")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore attributes from a pickle or a loaded state. A subclass can add options that older files lack."""
        vars(self).update(state)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for number, group in enumerate(self.param_groups):
            lines += ["", f"Parameter Group {number}"] if number else [f"Parameter Group {number}"]
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join(lines) + "\n)"


def _params_advice(params: object) -> str:
    """Return the end of an error message: what to pass instead of ``params``, which is not iterable."""
    if hasattr(params, "parameters"):
        return "; pass model.parameters() instead of the model"
    return "; call it, as in model.parameters()" if callable(params) else ""


def _as_group(params: Any) -> Group:
    """Return ``{"params": list}``, and ``"param_names"`` if ``params`` contains pairs of a name and a parameter."""
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
    """Raise ValueError if an option is negative or has more than one element, TypeError if it is a str."""
    for name, value in options.items():
        if isinstance(value, Tensor) and value.numel() != 1:
            raise ValueError(f"Tensor {name} must be 1-element, but its shape is {list(value.shape)}")
        if isinstance(value, str):
            raise TypeError(f"{name} must be a number, got the str {value!r}")
        if not value >= 0.0:
            described = {"lr": "learning rate", "eps": "epsilon value"}.get(name, f"{name} value")
            raise ValueError(f"Invalid {described}: {value}; expected a number >= 0")


def check_betas(betas: tuple[float, float]) -> None:
    """Raise TypeError if ``betas`` are not two numbers, ValueError if a number is not in [0, 1)."""
    if not isinstance(betas, Sequence) or len(betas) != 2:
        raise TypeError(f"betas must be two numbers, such as (0.9, 0.999), got {betas!r}")
    for index, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {index}: {beta}; expected 0 <= beta < 1")


def options(arguments: Mapping[str, Any], order: str = "") -> dict[str, Any]:
    """Return the options of an optimizer. ``arguments`` is the ``locals()`` of its constructor.

    ``order`` lists options that come first, in PyTorch's order, if this is not the order of the arguments.

    Raises: RuntimeError if ``fused`` is combined with ``differentiable`` or ``foreach``.
    """
    others = (name for name in arguments if name not in ("self", "params", "__class__", "order"))
    names = dict.fromkeys([*order.split(), *others])
    chosen = {name: arguments[name] for name in names}
    if chosen.get("fused") and chosen.get("differentiable"):
        raise RuntimeError("`fused` does not support `differentiable`")
    if chosen.get("fused") and chosen.get("foreach"):
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    return chosen
