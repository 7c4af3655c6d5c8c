"""Base class of optimizers: groups of parameters with their options, state per parameter, and a step over groups.

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
from ._hooks import Hooked, register_optimizer_step_post_hook, register_optimizer_step_pre_hook

__all__ = ["Optimizer", "ParamsT", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook", "required"]

Group = dict[str, Any]
ParamsT: TypeAlias = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]


class _RequiredParameter:
    """Stands for a default that there is not: every group of parameters has to state the option."""

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

    PyTorch's choices among its implementations (``foreach``, ``fused``, ``capturable``) are accepted and make no
    difference, because there is one. With ``differentiable=True`` a step is recorded: parameters may be results of
    computations, are changed in place, and gradients flow through the step to gradients, state and learning rate.

    Args:
        params: parameters, or dictionaries of ``"params"`` and options of their own, or pairs of name and parameter.
        defaults: options of the groups that do not state them.
    Raises: TypeError for what is no parameter, ValueError for none at all, for the result of a computation, and for a
        parameter in two groups.
    """

    _rule: str | None = None
    _instead_for_sparse = ""

    def __init__(self, params: ParamsT, defaults: Mapping[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got a Tensor: "
                "write [tensor] to optimize one tensor"
            )
        given: Any = params
        if not isinstance(given, Iterable) and hasattr(given, "parameters"):
            raise TypeError(f"params must be Tensors or dicts of them, got {type(given).__name__}: write .parameters()")
        if not isinstance(given, Iterable):
            hint = ": call it, as in model.parameters()" if callable(given) else ""
            raise TypeError(f"params must be an iterable of Tensors or dicts, got {type(given).__name__}{hint}")
        if isinstance(given, Mapping) and "params" not in given:
            raise TypeError("params must be an iterable of Tensors or dicts, got a dict: write model.parameters()")
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
        """Change the parameters that have gradients.

        Args:
            closure: computes the loss and its gradients anew; called first.
        Returns: what ``closure`` returned.
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
                except NotImplementedError:  # of an operator that met a sparse gradient
                    if not any(grad.is_sparse for grad in grads):
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
        """Do what `_update` does if some of the gradients are sparse.

        Raises: RuntimeError if there is no rule for sparse gradients, or if a subclass has replaced `_update`.
        """
        from . import _sparse

        unchanged = type(self)._update is Optimizer._update
        if self._rule is None or self._rule not in _sparse.RULES or not unchanged:
            raise RuntimeError(f"{type(self).__name__} does not support sparse gradients{self._instead_for_sparse}")
        _sparse.step_mixed(self._rule, group, params, grads, self.state)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters; with ``set_to_none=False`` fill them with zeros instead."""
        for group in self.param_groups:
            for param in group["params"]:
                if set_to_none:
                    param.grad = None
                elif param.grad is not None:
                    param.grad = param.grad.detach().zero_()

    # Groups

    def add_param_group(self, param_group: Group) -> None:
        """Take on more parameters, with options of their own; the rest comes from the defaults.

        Args:
            param_group: a dictionary with ``"params"`` and any options, which becomes the group.
        Raises: TypeError, ValueError as the constructor does; nothing is changed then.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        group = {**param_group, **_named(param_group["params"])}
        self._check(group)
        for name, value in self.defaults.items():
            if value is required and name not in group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
            group.setdefault(name, value)
        param_group.update(group)
        self.param_groups.append(param_group)  # itself: an optimizer around another one shares its groups

    @staticmethod
    def _group_tensors_by_device_and_dtype(
        tensorlistlist: Sequence[Sequence[Any]], with_indices: bool = False
    ) -> dict[tuple[Any, Any], tuple[list[list[Any]], list[int]]]:
        """Rows of tensors that are alike: what steps of other packages call on parameters, gradients and states."""
        return _group_tensors_by_device_and_dtype(tensorlistlist, with_indices)

    def _check(self, group: Group) -> None:
        for param in group["params"]:
            if not isinstance(param, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(param).__name__}")
            if not (param.is_leaf or param.retains_grad or self.defaults.get("differentiable")):
                raise ValueError(
                    f"can't optimize a non-leaf Tensor: one of shape {tuple(param.shape)} is the result of a "
                    "computation; optimize what it was computed from, or its .detach()"
                )
        identities = {id(param) for param in group["params"]}
        if len(identities) != len(group["params"]):
            warnings.warn(DUPLICATE_PARAMETERS, stacklevel=4)
        for other in self.param_groups:
            if ("param_names" in group) != ("param_names" in other):
                raise ValueError("all optimizer param groups should be with names, or all without names")
            if not identities.isdisjoint(map(id, other["params"])):
                raise ValueError("some parameters appear in more than one parameter group")

    # State

    def state_dict(self) -> dict[str, Any]:
        """Return the state by the parameters' numbers, and the groups' options.

        >>> fb.optim.SGD([fb.zeros(2)], lr=0.1).state_dict()["param_groups"][0]["params"]
        [0]
        """
        self._call_hooks("state_dict_pre")
        saved = _state_dict.save(self.state, self.param_groups)
        replaced: dict[str, Any] = self._replaced("state_dict_post", saved)
        return replaced

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over state and options from what ``state_dict()`` of an optimizer of the same parameters returned.

        State tensors are copied and converted to the parameters' dtypes. A dictionary saved by PyTorch will do.

        Raises: ValueError if groups differ, KeyError if it is no optimizer's state, with what it seems to be;
            nothing is changed then.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        state_dict = self._replaced("load_state_dict_pre", dict(state_dict))
        numbers = {"step", *(_core._optimizer_scalars(self._rule) if self._rule else ())}
        state, groups = _state_dict.load(state_dict, self.param_groups, self.defaults, numbers)
        self.__setstate__({"state": state, "param_groups": groups})
        self._call_hooks("load_state_dict_post")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_hooks", "_stepping")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over attributes: of a pickle, and of a state that is loaded; classes add here what older ones lack."""
        vars(self).update(state)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for number, group in enumerate(self.param_groups):
            lines += ["", f"Parameter Group {number}"] if number else [f"Parameter Group {number}"]
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join(lines) + "\n)"


def _named(params: Any) -> Group:
    """Return a group's parameters as a list, and their names if they come with names."""
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
    """Raise ValueError for the first option that is below zero or several numbers."""
    for name, value in options.items():
        if isinstance(value, Tensor) and value.numel() != 1:
            raise ValueError(f"Tensor {name} must be 1-element, and its shape is {list(value.shape)}")
        if isinstance(value, str):
            raise TypeError(f"{name} must be a number, got {value!r}, a str")
        if not value >= 0.0:
            described = {"lr": "learning rate", "eps": "epsilon value"}.get(name, f"{name} value")
            raise ValueError(f"Invalid {described}: {value}")


def _use_grad_for_differentiable(step: Callable[..., Any]) -> Callable[..., Any]:
    """A step that is not recorded. Optimizers of other packages decorate theirs with this."""
    return flambeau.no_grad()(step)


def _default_to_fused_or_foreach(
    params: list[Tensor], differentiable: bool, use_fused: bool = False
) -> tuple[bool, bool]:
    """Which of its implementations PyTorch would take; as here all are one, that of single tensors."""
    return False, False


def check_betas(betas: tuple[float, float]) -> None:
    """Raise an error unless these are two numbers in [0, 1)."""
    if not isinstance(betas, Sequence) or len(betas) != 2:
        raise TypeError(f"betas must be two numbers, such as (0.9, 0.999), got {betas!r}")
    for index, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {index}: {beta}")


def options(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options among a constructor's arguments, which are its ``locals()``.

    Raises: RuntimeError for choices among PyTorch's implementations that exclude each other.
    """
    chosen = {name: value for name, value in arguments.items() if name not in ("self", "params", "__class__")}
    if chosen.get("fused") and chosen.get("differentiable"):
        raise RuntimeError("`fused` does not support `differentiable`")
    if chosen.get("fused") and chosen.get("foreach"):
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    return chosen
