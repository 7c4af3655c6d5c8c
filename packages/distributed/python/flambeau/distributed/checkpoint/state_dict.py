"""State dictionaries of models and optimizers with parameter names as keys, for one process or data parallelism.

The keys do not contain the prefixes that `DistributedDataParallel` and `flambeau.compile` add, and optimizers are saved
under the names of the parameters instead of their numbers. flambeau does not shard models, so each process has the
whole state.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flambeau import Tensor
from flambeau.distributed.data_parallel import DistributedDataParallel
from flambeau.nn import Module
from flambeau.nn.modules._state_dict import _IncompatibleKeys
from flambeau.optim import Optimizer
from flambeau.utils._pytree import tree_map_only

__all__ = [
    "StateDictOptions",
    "get_model_state_dict",
    "get_optimizer_state_dict",
    "get_state_dict",
    "set_model_state_dict",
    "set_optimizer_state_dict",
    "set_state_dict",
]

Optimizers = Optimizer | Iterable[Optimizer]


@dataclass
class StateDictOptions:
    """Options of the functions of this module.

    Args:
        full_state_dict: no effect, because each process has the whole state.
        cpu_offload: if True, the returned tensors are on the CPU.
        ignore_frozen_params: if True, omit parameters that do not require gradients.
        keep_submodule_prefixes: if False, keys do not contain the path of the submodule.
        strict: if True, a state that is loaded must contain all keys of the model.
        broadcast_from_rank0, flatten_optimizer_state_dict: only False is supported.
        dsd_fqn_modifiers: no effect.

    >>> from flambeau.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
    >>> model = fb.nn.Sequential(fb.nn.Linear(2, 3).requires_grad_(False), fb.nn.Linear(3, 1))
    >>> list(get_model_state_dict(model, options=StateDictOptions(ignore_frozen_params=True)))
    ['1.weight', '1.bias']
    """

    full_state_dict: bool = False
    cpu_offload: bool = False
    ignore_frozen_params: bool = False
    keep_submodule_prefixes: bool = True
    strict: bool = True
    broadcast_from_rank0: bool = False
    flatten_optimizer_state_dict: bool = False
    dsd_fqn_modifiers: str = "_fqn_modifiers"


def get_model_state_dict(
    model: Module, *, submodules: set[Module] | None = None, options: StateDictOptions | None = None
) -> dict[str, Any]:
    """Return the parameters and persistent buffers of a model or of some of its submodules.

    >>> from flambeau.distributed.checkpoint.state_dict import get_model_state_dict
    >>> list(get_model_state_dict(fb.nn.Linear(2, 3)))
    ['weight', 'bias']
    """
    options = _checked(options)
    state = model.state_dict()
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    for name in list(state):
        value = state.pop(name)
        if not (options.ignore_frozen_params and name in frozen):
            state[_plain_name(model, name)] = value
    if submodules is not None:
        state = _below(model, submodules, state, options.keep_submodule_prefixes)
    return _offloaded(state, options)


def set_model_state_dict(
    model: Module, model_state_dict: dict[str, Any], *, options: StateDictOptions | None = None
) -> _IncompatibleKeys:
    """Load the state that `get_model_state_dict` returned into a model.

    Returns: ``missing_keys`` and ``unexpected_keys``, like `Module.load_state_dict`.
    Raises: RuntimeError if keys are missing or unexpected, unless ``options.strict`` is False.

    >>> from flambeau.distributed.checkpoint.state_dict import get_model_state_dict, set_model_state_dict
    >>> state = get_model_state_dict(fb.nn.Linear(2, 3))
    >>> set_model_state_dict(fb.nn.Linear(2, 3), state)
    <All keys matched successfully>
    """
    names = {_plain_name(model, name): name for name in model.state_dict()}
    state = {names.get(name, name): value for name, value in model_state_dict.items()}
    return model.load_state_dict(state, strict=_checked(options).strict)


def get_optimizer_state_dict(
    model: Module,
    optimizers: Optimizers,
    *,
    submodules: set[Module] | None = None,
    options: StateDictOptions | None = None,
) -> dict[str, Any]:
    """Return the state of optimizers: ``{"state": {name: ...}, "param_groups": [{"params": names, ...}]}``.

    The state of a parameter is missing before the optimizer's first step.

    >>> from flambeau.distributed.checkpoint.state_dict import get_optimizer_state_dict
    >>> model = fb.nn.Linear(2, 3)
    >>> state = get_optimizer_state_dict(model, fb.optim.SGD(model.parameters(), lr=0.1))
    >>> state["param_groups"][0]["params"]
    ['weight', 'bias']
    """
    options = _checked(options)
    names = _names_of_parameters(model)
    state: dict[str, Any] = {}
    groups: list[dict[str, Any]] = []
    for optimizer in _listed(optimizers):
        state_dict = optimizer.state_dict()
        order = [names[id(p)] for group in optimizer.param_groups for p in group["params"]]
        state |= {order[number]: value for number, value in state_dict["state"].items()}
        groups += [
            group | {"params": [order[number] for number in group["params"]]} for group in state_dict["param_groups"]
        ]
    if submodules is not None:
        state = _below(model, submodules, state, True)
        groups = [group | {"params": [*_below(model, submodules, group["params"], True)]} for group in groups]
        groups = [group for group in groups if group["params"]]
    return _offloaded({"state": state, "param_groups": groups}, options)


def set_optimizer_state_dict(
    model: Module,
    optimizers: Optimizers,
    optim_state_dict: dict[str, Any],
    *,
    options: StateDictOptions | None = None,
) -> None:
    """Load the state that `get_optimizer_state_dict` returned. The optimizers may group the parameters differently.

    A group gets the options that its first parameter had.
    Raises: KeyError if the state contains no group with a parameter of the optimizers.

    >>> from flambeau.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict
    >>> model = fb.nn.Linear(2, 3)
    >>> state = get_optimizer_state_dict(model, fb.optim.SGD(model.parameters(), lr=0.5))
    >>> optimizer = fb.optim.SGD(model.parameters(), lr=0.1)
    >>> set_optimizer_state_dict(model, optimizer, state)
    >>> optimizer.param_groups[0]["lr"]
    0.5
    """
    _checked(options)
    names = _names_of_parameters(model)
    settings = {name: group for group in optim_state_dict["param_groups"] for name in group["params"]}
    for optimizer in _listed(optimizers):
        own = optimizer.state_dict()
        order = [names[id(p)] for group in optimizer.param_groups for p in group["params"]]
        if missing := [name for name in order if name not in settings]:
            raise KeyError(f"set_optimizer_state_dict: the state has no group with the parameters {missing}")
        groups = [
            group | settings[order[group["params"][0]]] | {"params": group["params"]} if group["params"] else group
            for group in own["param_groups"]
        ]
        state = {
            i: optim_state_dict["state"][name] for i, name in enumerate(order) if name in optim_state_dict["state"]
        }
        optimizer.load_state_dict({"state": state, "param_groups": groups})


def get_state_dict(
    model: Module,
    optimizers: Optimizers,
    *,
    submodules: set[Module] | None = None,
    options: StateDictOptions | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the results of `get_model_state_dict` and `get_optimizer_state_dict`.

    >>> from flambeau.distributed.checkpoint.state_dict import get_state_dict
    >>> model = fb.nn.Linear(2, 3)
    >>> weights, settings = get_state_dict(model, fb.optim.SGD(model.parameters(), lr=0.1))
    >>> list(weights), list(settings)
    (['weight', 'bias'], ['state', 'param_groups'])
    """
    return (
        get_model_state_dict(model, submodules=submodules, options=options),
        get_optimizer_state_dict(model, optimizers, submodules=submodules, options=options),
    )


def set_state_dict(
    model: Module,
    optimizers: Optimizers,
    *,
    model_state_dict: dict[str, Any],
    optim_state_dict: dict[str, Any],
    options: StateDictOptions | None = None,
) -> _IncompatibleKeys:
    """Load the state that `get_state_dict` returned. Return the result of `set_model_state_dict`.

    >>> from flambeau.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
    >>> model = fb.nn.Linear(2, 3)
    >>> optimizer = fb.optim.SGD(model.parameters(), lr=0.1)
    >>> weights, settings = get_state_dict(model, optimizer)
    >>> set_state_dict(model, optimizer, model_state_dict=weights, optim_state_dict=settings)
    <All keys matched successfully>
    """
    keys = _IncompatibleKeys([], [])
    loaded = set_model_state_dict(model, model_state_dict, options=options) if model_state_dict else keys
    if optim_state_dict:
        set_optimizer_state_dict(model, optimizers, optim_state_dict, options=options)
    return loaded


def _checked(options: StateDictOptions | None) -> StateDictOptions:
    options = options or StateDictOptions()
    for name in ("broadcast_from_rank0", "flatten_optimizer_state_dict"):
        if getattr(options, name):
            raise NotImplementedError(f"StateDictOptions: {name}=True is not supported")
    return options


def _plain_name(model: Module, name: str) -> str:
    """Return the name of a parameter or buffer without the prefixes of wrappers."""
    if isinstance(model, DistributedDataParallel):
        name = name.removeprefix("module.")
    return name.replace("_orig_mod.", "")


def _names_of_parameters(model: Module) -> dict[int, str]:
    return {id(p): _plain_name(model, name) for name, p in model.named_parameters()}


def _below(model: Module, submodules: set[Module], names: Any, keeps_prefixes: bool) -> Any:
    """Return the entries of ``names``, a dictionary or list, that belong to the submodules."""
    paths = [_plain_name(model, f"{path}.") for path, module in model.named_modules() if module in submodules]
    entries = {}
    for name in names:
        for path in paths:
            if name.startswith(path):
                entries[name if keeps_prefixes else name.removeprefix(path)] = (
                    names[name] if isinstance(names, dict) else 0
                )
    return entries


def _listed(optimizers: Optimizers) -> list[Optimizer]:
    return [optimizers] if isinstance(optimizers, Optimizer) else list(optimizers)


def _offloaded(state: dict[str, Any], options: StateDictOptions) -> dict[str, Any]:
    moved: dict[str, Any] = tree_map_only(Tensor, lambda t: t.detach().cpu(), state) if options.cpu_offload else state
    return moved
