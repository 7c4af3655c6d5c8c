"""Saving and loading of the state of a module: a dictionary that maps paths to tensors.

Note [Loading in two phases]: `Module._load_from_state_dict` checks the values of a module, and fills a list in
``local_metadata`` with functions that write the values. These functions run only if the check of every module of the
tree succeeds. So one error reports all mismatches, and a module is either loaded completely or unchanged. Hooks that
run after loading see the written values, and may change the lists of missing and unexpected keys or raise an error. If
there are such hooks, the load is provisional: the values are written and the hooks run. If a hook fails or unmatched
keys remain, everything is restored from a copy (_rollback.py).
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from flambeau import Tensor, __future__, no_grad, overrides
from flambeau.utils import swap_tensors
from flambeau.utils.hooks import RemovableHandle, new_handle

from ..parameter import NO_SHAPE_YET, Parameter, is_lazy
from ._key_advice import loading_hint, problems as key_problems
from ._rollback import snapshot
from ._tree import Tree

if TYPE_CHECKING:
    from .module import Module

EXTRA_STATE = "_extra_state"

NO_OPERATION = (
    "for {key}: copying from a non-meta parameter in the checkpoint to a meta parameter in the current model, which is "
    "a no-op. (Did you mean to pass `assign=True` to assign items in the state dictionary to their corresponding key "
    "in the module instead of copying them in place?)"
)


class _Keys(NamedTuple):
    missing_keys: list[str]
    unexpected_keys: list[str]


class _IncompatibleKeys(_Keys):
    """Missing and unexpected keys found by ``load_state_dict(strict=False)``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return super().__repr__() if any(self) else "<All keys matched successfully>"

    __str__ = __repr__


class StateHooks:
    """Hooks of a module that run before and after its state is saved and loaded, by the id of the handle."""

    def __init__(self) -> None:
        self.before_saving: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self.after_saving: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self.before_loading: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self.after_loading: OrderedDict[int, Callable[..., Any]] = OrderedDict()


class _WithModule:
    """Wrapper that marks a hook whose first argument is the module.

    The wrapper does not store the module, because that would be a reference cycle.
    """

    def __init__(self, hook: Callable[..., Any]) -> None:
        self.hook = hook

    def __call__(self, *args: Any) -> Any:
        return self.hook(*args)


class Stateful(Tree):
    """The part of `Module` that saves and loads its state."""

    _version: int = 1
    _state_hooks: StateHooks | None = None

    # Saving

    def state_dict(
        self, *args: Any, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """Return a dictionary of the parameters and persistent buffers by path, which share storage with the module.

        Args:
            args: the following arguments, passed by position.
            destination: dictionary to fill; by default a new one.
            prefix: text in front of every key.
            keep_vars: if True, return the parameters themselves instead of detached tensors.

        >>> list(nn.Linear(2, 3).state_dict())
        ['weight', 'bias']
        """
        if args:
            warnings.warn(
                "Positional args are being deprecated, use kwargs instead: state_dict(destination=..., prefix=..., "
                "keep_vars=...).",
                FutureWarning,
                stacklevel=2,
            )
            given: list[Any] = [*args, *(destination, prefix, keep_vars)[len(args) :]]
            destination, prefix, keep_vars = given
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()  # type: ignore[attr-defined]
        local_metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local_metadata
        hooks = self._state_hooks
        for before in tuple(hooks.before_saving.values()) if hooks else ():
            before(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for after in tuple(hooks.after_saving.values()) if hooks else ():
            replaced = after(self, destination, prefix, local_metadata)
            destination = destination if replaced is None else replaced
        return destination

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        """Add the state of this module without submodules to ``destination``. Subclasses may override it."""
        for name, tensor in self._own_state():
            destination[prefix + name] = tensor if keep_vars or is_lazy(tensor) else tensor.detach()
        if self._saves_extra_state():
            destination[prefix + EXTRA_STATE] = self.get_extra_state()

    def _saves_extra_state(self) -> bool:
        return type(self).get_extra_state is not Stateful.get_extra_state

    def _own_state(self) -> Iterator[tuple[str, Tensor]]:
        """Yield the parameters and persistent buffers of this module, without submodules."""
        for name, parameter in self._parameters.items():
            if parameter is not None:
                yield name, parameter
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                yield name, buffer

    def get_extra_state(self) -> Any:
        """Return additional state, which must be picklable; a subclass may define this method.

        Raises: RuntimeError if the subclass does not define it.
        """
        raise RuntimeError(
            "Reached a code path in Module.get_extra_state() that should never be called; define get_extra_state() "
            f"in {type(self).__name__} together with set_extra_state()."
        )

    def set_extra_state(self, state: Any) -> None:
        """Restore the value returned by `get_extra_state`. Raises: RuntimeError if the subclass does not define it."""
        raise RuntimeError(
            "Reached a code path in Module.set_extra_state() that should never be called; define set_extra_state() "
            f"in {type(self).__name__} together with get_extra_state()."
        )

    # Loading

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _IncompatibleKeys:
        """Copy the values of ``state_dict`` into this module and its submodules.

        Args:
            state_dict: dictionary of tensors by path, such as a result of ``state_dict()``.
            strict: if False, missing and unexpected keys are returned and do not raise an error.
            assign: if True, the module refers to the given tensors instead of copying their values.
        Returns: the missing and the unexpected keys.
        Raises: RuntimeError that names every missing or unexpected key and every value with a wrong shape. The module
            is then unchanged.

        >>> nn.Linear(2, 3).load_state_dict(nn.Linear(2, 3).state_dict())
        <All keys matched successfully>
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}{loading_hint(state_dict)}.")
        loading = _Loading(state_dict, assign)
        loading.visit(self, dict(state_dict), "")
        return loading.finish(cast("Module", self), strict)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Load the state of this module without submodules. Subclasses may first convert an older ``state_dict``.

        Args:
            state_dict: values by path; the keys of this module begin with ``prefix``. The method may change it.
            prefix: the module's path and a dot.
            local_metadata: metadata of the module from `state_dict`, such as its ``version``.
            strict: if True, record missing and unexpected keys.
            missing_keys, unexpected_keys, error_msgs: lists to which the method appends problems.
        """
        hooks = self._state_hooks
        for before in tuple(hooks.before_loading.values()) if hooks else ():
            first = (self,) if isinstance(before, _WithModule) else ()
            before(*first, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        assign = local_metadata.get("assign_to_params_buffers", False)
        own = dict(self._own_state())
        loaded = {name: state_dict[prefix + name] for name in own if prefix + name in state_dict}
        if strict:
            missing_keys.extend(prefix + name for name in own if name not in loaded)
        writes = _copy_actions(cast("Module", self), own, loaded, prefix, assign, error_msgs)
        extra = prefix + EXTRA_STATE
        takes_extra = type(self).set_extra_state is not Stateful.set_extra_state
        if takes_extra and extra in state_dict:
            writes.append(partial(self.set_extra_state, state_dict[extra]))
        elif takes_extra and strict:
            missing_keys.append(extra)
        if strict:
            known = {*own, *self._modules, *((EXTRA_STATE,) if takes_extra else ())}
            unexpected_keys.extend(key for key in state_dict if not _is_known(key, prefix, known, self._modules))
        deferred = local_metadata.get("deferred")  # see Note [Loading in two phases]
        if deferred is not None:
            deferred.extend(writes)
        else:
            _run_actions(writes)

    # Hooks

    def _own_state_hooks(self) -> StateHooks:
        if self._state_hooks is None:
            object.__setattr__(self, "_state_hooks", StateHooks())
        return self._state_hooks  # type: ignore[return-value]

    # Libraries that implement state_dict() themselves call these hooks.

    @property
    def _state_dict_pre_hooks(self) -> OrderedDict[int, Callable[..., Any]]:
        return self._own_state_hooks().before_saving

    @property
    def _state_dict_hooks(self) -> OrderedDict[int, Callable[..., Any]]:
        return self._own_state_hooks().after_saving

    @property
    def _load_state_dict_pre_hooks(self) -> OrderedDict[int, Callable[..., Any]]:
        return self._own_state_hooks().before_loading

    @property
    def _load_state_dict_post_hooks(self) -> OrderedDict[int, Callable[..., Any]]:
        return self._own_state_hooks().after_loading

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, prefix, keep_vars)`` before the state is saved."""
        return new_handle(self._own_state_hooks().before_saving, hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` after saving. It may change the dictionary."""

        def without_result(*args: Any) -> None:
            if hook(*args) is not None:
                raise RuntimeError("state_dict post-hook must return None")

        return new_handle(self._own_state_hooks().after_saving, without_result)

    def _register_state_dict_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Register a post-hook. If the hook returns a dictionary, it replaces the state dictionary."""
        return new_handle(self._own_state_hooks().after_saving, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Register a hook that runs before this module is loaded and may change the dictionary.

        It is called as ``hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
        error_msgs)``.
        """
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def _register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], with_module: bool = False
    ) -> RemovableHandle:
        return new_handle(self._own_state_hooks().before_loading, _WithModule(hook) if with_module else hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, incompatible_keys)`` after loading. Keys that the hook removes do not raise an error."""
        return new_handle(self._own_state_hooks().after_loading, hook)


class _Loading:
    """State of one ``load_state_dict`` call: the problems found so far, and the writes to run if there are none."""

    def __init__(self, state: Mapping[str, Any], assign: bool) -> None:
        self.state = state
        self.metadata = getattr(state, "_metadata", {})
        self.assign = assign
        self.keys = _IncompatibleKeys([], [])
        self.errors: list[str] = []
        self.writes: list[Callable[[], Any]] = []
        self.afterwards: list[Callable[[], Any]] = []

    def visit(self, module: Stateful, state: dict[str, Any], prefix: str) -> None:
        """Check ``module`` and its submodules recursively."""
        local_metadata = {**self.metadata.get(prefix[:-1], {}), "deferred": self.writes}
        if self.assign:
            local_metadata["assign_to_params_buffers"] = True
        module._load_from_state_dict(state, prefix, local_metadata, True, *self.keys, self.errors)
        for name, child in module._modules.items():
            if child is not None:
                start = f"{prefix}{name}."
                self.visit(child, {key: value for key, value in state.items() if key.startswith(start)}, start)
        if module._state_hooks:
            hooks = module._state_hooks.after_loading.values()
            self.afterwards += [partial(_after_loading, hook, module, self.keys) for hook in hooks]

    def finish(self, module: Module, strict: bool) -> _IncompatibleKeys:
        """Write the values and run the hooks, or raise an error and leave the module unchanged."""
        rejected = strict and any(self.keys)
        if not self.errors and self.afterwards:
            rejected = self._rejected_after_hooks(module, strict)
        elif not self.errors and not rejected:
            _run_actions(self.writes)
        if self.errors or rejected:
            problems = (key_problems(*self.keys, self.state) if strict else []) + self.errors
            name = type(module).__name__
            raise RuntimeError(f"Error(s) in loading state_dict for {name}:\n\t" + "\n\t".join(problems))
        return self.keys

    def _rejected_after_hooks(self, module: Module, strict: bool) -> bool:
        """Load provisionally. If unmatched keys remain after the hooks, restore the module and return True."""
        restore = snapshot(module)
        try:
            _run_actions(self.writes)
            _run_actions(self.afterwards)
        except BaseException:
            restore()
            raise
        rejected = strict and any(self.keys)
        if rejected:
            restore()
        return rejected


def _after_loading(hook: Callable[..., Any], module: Stateful, keys: _IncompatibleKeys) -> None:
    if hook(module, keys) is not None:
        raise AssertionError(
            "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new values; "
            "change incompatible_keys in place instead"
        )


def _run_actions(actions: list[Callable[[], Any]]) -> None:
    with no_grad():
        for action in actions:
            action()


def _is_known(key: str, prefix: str, known: set[str], modules: Mapping[str, Any]) -> bool:
    """Return True if ``key`` does not begin with ``prefix``, or names a value or submodule of this module."""
    if not key.startswith(prefix):
        return True
    name, dot, _ = key[len(prefix) :].partition(".")
    return name in modules if dot else name in known


def _convert_old_scalar(value: Any, current: Tensor) -> Any:
    """Convert a one-element vector to a scalar if ``current`` is a scalar; early PyTorch versions saved vectors."""
    alone = isinstance(value, Tensor) and not is_lazy(current) and current.ndim == 0 and tuple(value.shape) == (1,)
    return value[0] if alone else value


def _mismatches(key: str, current: Tensor, value: Any) -> Iterator[str]:
    if not overrides.is_tensor_like(value):
        yield f'"{key}": expected a Tensor from the checkpoint but received {type(value).__name__}'
    elif is_lazy(value) and not is_lazy(current):
        yield f'"{key}" is not initialised in the checkpoint, but is in the current model. {NO_SHAPE_YET}'
    elif not is_lazy(current) and tuple(value.shape) != tuple(current.shape):
        yield (
            f"size mismatch for {key}: copying a param with shape {value.shape} from checkpoint, "
            f"the shape in current model is {current.shape}."
        )


def _copy_actions(
    module: Module, own: dict[str, Tensor], given: dict[str, Any], prefix: str, assign: bool, error_msgs: list[str]
) -> list[Callable[[], Any]]:
    """Return functions that store the matching values. Messages for mismatches are appended to ``error_msgs``."""
    fillings: list[Callable[[], Any]] = []
    for name, value in given.items():
        current, key = own[name], prefix + name
        value = _convert_old_scalar(value, current)
        if misfits := list(_mismatches(key, current, value)):
            error_msgs.extend(misfits)
            continue
        if current.is_meta and not assign and not is_lazy(current) and not value.is_meta:
            warnings.warn(NO_OPERATION.format(key=key), stacklevel=3)
        fillings.append(partial(_copy_value, module, key, current, value, assign))
    return fillings


def _copy_value(module: Module, key: str, current: Tensor, value: Tensor, assign: bool) -> None:
    if is_lazy(value):
        return
    if __future__.get_swap_module_params_on_conversion() and not is_lazy(current):
        _swap_value(key, current, value, assign)
    elif assign:
        replacement = _as_parameter(value, current.requires_grad) if isinstance(current, Parameter) else value
        setattr(module, key.rpartition(".")[2], replacement)
    else:
        if is_lazy(current):
            current.materialize(value.shape)  # type: ignore[attr-defined]
        current.copy_(value)


def _as_parameter(value: Tensor, requires_grad: bool) -> Parameter:
    return value.requires_grad_(requires_grad) if isinstance(value, Parameter) else Parameter(value, requires_grad)


def _swap_value(key: str, current: Tensor, value: Tensor, assign: bool) -> None:
    """Replace a parameter or buffer with the loaded value by swapping the tensors."""
    shapes = list(current.shape), list(value.shape)
    try:
        loaded = current.module_load(value, assign=assign)
        if loaded is value or loaded is current:
            raise RuntimeError(
                "module_load returned one of self or other, please .detach() the result if returning one of the inputs "
                "in module_load"
            )
        if isinstance(current, Parameter):
            loaded = _as_parameter(loaded, current.requires_grad)
        swap_tensors(current, loaded)
    except Exception as error:
        raise RuntimeError(
            f'While swapping the parameter named "{key}", whose dimensions in the model are {shapes[0]} and whose '
            f"dimensions in the checkpoint are {shapes[1]}, an exception occurred : {error}"
        ) from error
