"""Functional calls of modules with given parameters and buffers."""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import flambeau
from flambeau import Tensor
from flambeau.autograd._batch_statistics import BatchStatistics

T = TypeVar("T")


def functional_call(
    module: Any,
    parameter_and_buffer_dicts: Mapping[str, Tensor] | Sequence[Mapping[str, Tensor]],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Call a module with the given tensors instead of its parameters and buffers.

    During the call, the module holds the given tensors, so other threads must not use it. If the module assigns a new
    tensor to one of the paths (for example a counter), and ``parameter_and_buffer_dicts`` is a single dictionary, the
    new tensor replaces the given tensor in this dictionary.

    Args:
        module: an ``nn.Module``. It is unchanged after the call.
        parameter_and_buffer_dicts: one dictionary from paths to tensors, or several dictionaries with distinct keys. A
            path can also name another tensor attribute, or a new attribute.
        args: the positional arguments as a tuple, or the only argument.
        kwargs: the keyword arguments.
        tie_weights: if True and a parameter has several paths, the tensor for one path is used for all of them.
        strict: if True, raise RuntimeError unless every parameter and buffer is replaced and every path exists.
    Returns: the result of the module.

    >>> import flambeau as fb
    >>> layer = fb.nn.Linear(2, 1)
    >>> fb.func.functional_call(layer, {"weight": fb.ones(1, 2), "bias": fb.zeros(1)}, fb.tensor([1.0, 2.0]))
    tensor([3.])
    """
    tensors = _merged(parameter_and_buffer_dicts)
    arguments = () if args is None else args if isinstance(args, tuple) else (args,)
    with _reparametrized(module, tensors, tie_weights, strict):
        return module(*arguments, **(kwargs or {}))


def _merged(dicts: Any) -> Mapping[str, Tensor]:
    if isinstance(dicts, Mapping):
        return dicts
    if not isinstance(dicts, Sequence) or not all(isinstance(d, Mapping) for d in dicts):
        raise ValueError(
            "Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, "
            f"but got {type(dicts).__name__}"
        )
    merged: dict[str, Tensor] = {}
    for d in dicts:
        if repeated := sorted(merged.keys() & d.keys()):
            raise ValueError(f"{repeated} appeared in multiple dictionaries; behavior of functional call is ambiguous")
        merged.update(d)
    return merged


@contextmanager
def _reparametrized(module: Any, replacements: Mapping[str, Tensor], tie_weights: bool, strict: bool) -> Iterator[None]:
    """Replace tensors of a module during the block. ``replacements`` receives the tensors that the module assigns."""
    tensors = dict(replacements)
    if tie_weights or strict:
        originals = _registered(module)
        if tie_weights:
            _tie(tensors, originals)
        if strict:
            _check_keys(replacements.keys() - originals.keys(), originals.keys() - tensors.keys())
    former: list[tuple[Any, str, Any, str]] = []
    try:
        for path, tensor in tensors.items():
            owner, _, name = path.rpartition(".")
            holder = module.get_submodule(owner)
            former.append((holder, name, _swap(holder, name, tensor), path))
        yield
    finally:
        present = {path: _swap(holder, name, value) for holder, name, value, path in reversed(former)}
        if isinstance(replacements, MutableMapping):
            changed = {path: value for path, value in present.items() if path in replacements}
            replacements.update({path: value for path, value in changed.items() if value is not _ABSENT})


_ABSENT: Any = object()


def _swap(module: Any, name: str, value: Any) -> Any:
    """Set a parameter, a buffer or another tensor attribute, and return its previous value."""
    if not (value is None or value is _ABSENT or isinstance(value, Tensor)):
        raise TypeError(f"{value} is not an instance of torch.Tensor")
    for registry in (module._parameters, module._buffers):
        if name in registry:
            former = registry[name]
            if value is _ABSENT:
                del registry[name]
            else:
                registry[name] = value  # the registry updates the attribute
            return former
    former = getattr(module, name, _ABSENT)
    if not (former is None or former is _ABSENT or isinstance(former, Tensor)):
        raise TypeError(f"attribute `{name}`: {former} is not an instance of torch.Tensor")
    if value is not _ABSENT:
        setattr(module, name, value)
    elif former is not _ABSENT:
        delattr(module, name)
    return former


def _registered(module: Any) -> dict[str, Tensor]:
    """Return a dictionary from paths to parameters and buffers. A tensor with several paths occurs several times."""
    return {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }


def _tie(chosen: dict[str, Tensor], originals: dict[str, Tensor]) -> None:
    by_original: dict[int, Tensor] = {}
    for path in chosen.keys() & originals.keys():
        if by_original.setdefault(id(originals[path]), chosen[path]) is not chosen[path]:
            same = sorted(p for p in originals if originals[p] is originals[path])
            raise ValueError(
                f"functional_call got multiple values for keys {same}, which are tied. Consider using tie_weights=False"
            )
    for path, original in originals.items():
        if id(original) in by_original:
            chosen[path] = by_original[id(original)]


def _check_keys(unexpected: set[str], missing: set[str]) -> None:
    problems = [
        f"{kind} key(s): {', '.join(map(repr, sorted(keys)))}."
        for kind, keys in (("Unexpected", unexpected), ("Missing", missing))
        if keys
    ]
    if problems:
        raise RuntimeError(" ".join(problems))


def stack_module_state(models: Sequence[Any]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Stack the parameters and the buffers of several models of one class along a new leading dimension.

    Args:
        models: at least one model. All must have the same class and the same training or evaluation mode.
    Returns: two dictionaries from paths to tensors, for parameters and for buffers. The stacked parameters are leaves.
        They require grad if the parameters of the models do.
    Raises: RuntimeError if the models differ or the sequence is empty.

    >>> import flambeau as fb
    >>> params, buffers = fb.func.stack_module_state([fb.nn.Linear(2, 3) for _ in range(4)])
    >>> params["weight"].shape
    flambeau.Size([4, 3, 2])
    """
    listed = list(models)
    if not listed:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if len({m.training for m in listed}) > 1:
        raise RuntimeError("stack_module_state: Expected all models to have the same training/eval mode.")
    if len({type(m) for m in listed}) > 1:
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    parameters = [dict(m.named_parameters()) for m in listed]
    buffers = [dict(m.named_buffers()) for m in listed]
    return (
        {path: _stacked([p[path] for p in parameters]) for path in parameters[0]},
        {path: _stacked([b[path] for b in buffers]) for path in buffers[0]},
    )


def _stacked(tensors: list[Tensor]) -> Tensor:
    wanted = {t.requires_grad for t in tensors}
    if len(wanted) > 1:
        raise RuntimeError(f"Expected {len(tensors)} tensors to have the same .requires_grad")
    with flambeau.no_grad():
        return flambeau.stack(tensors).requires_grad_(wanted.pop())


def replace_all_batch_norm_modules_(root: T) -> T:
    """Remove the running statistics of all batch normalisation layers in a module.

    `vmap` cannot update running statistics separately for each element.

    Args:
        root: the module, which is changed.
    Returns: ``root``, whose layers now normalise with the statistics of the batch.

    >>> import flambeau as fb
    >>> layer = fb.func.replace_all_batch_norm_modules_(fb.nn.BatchNorm1d(2))
    >>> list(layer.buffers())
    []
    """
    tree: Any = root
    for module in tree.modules():
        if isinstance(module, BatchStatistics):
            module.forget_running_statistics()
    return root
