"""Modules as functions of their parameters."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
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
    """Call a module with other tensors in place of its parameters and buffers.

    During the call the module holds these tensors, so other threads must not use the module.

    Args:
        module: an ``nn.Module``; it is left as it was.
        parameter_and_buffer_dicts: tensors by path, in one dictionary or several that share no key.
        args: the positional arguments, a tuple, or the only one.
        kwargs: the keyword arguments.
        tie_weights: where a parameter has several paths, its replacement stands at all of them.
        strict: raise RuntimeError unless every parameter and buffer is replaced and every path exists.
    Returns: what the module returns.

    >>> import flambeau as fb
    >>> layer = fb.nn.Linear(2, 1)
    >>> fb.func.functional_call(layer, {"weight": fb.ones(1, 2), "bias": fb.zeros(1)}, fb.tensor([1.0, 2.0]))
    tensor([3.])
    """
    tensors = _merged(parameter_and_buffer_dicts)
    arguments = () if args is None else args if isinstance(args, tuple) else (args,)
    with ExitStack() as stack:
        for registry, name, tensor in _places(module, tensors, tie_weights, strict):
            stack.enter_context(_replaced(registry, name, tensor))
        return module(*arguments, **(kwargs or {}))


def _merged(given: Any) -> dict[str, Tensor]:
    if isinstance(given, Mapping):
        return dict(given)
    if not isinstance(given, Sequence) or not all(isinstance(d, Mapping) for d in given):
        raise ValueError(
            "Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, "
            f"but got {type(given).__name__}"
        )
    merged: dict[str, Tensor] = {}
    for d in given:
        if repeated := sorted(merged.keys() & d.keys()):
            raise ValueError(f"{repeated} appeared in multiple dictionaries; behavior of functional call is ambiguous")
        merged.update(d)
    return merged


def _registered(module: Any) -> dict[str, tuple[dict[str, Any], str]]:
    """Of every path of a parameter or buffer: its module's registry of it and its name there."""
    found = {}
    for path, owner in module.named_modules(remove_duplicate=False):
        for registry in (owner._parameters, owner._buffers):
            for name, value in registry.items():
                if value is not None:
                    found[f"{path}.{name}" if path else name] = (registry, name)
    return found


def _places(
    module: Any, tensors: dict[str, Tensor], tie_weights: bool, strict: bool
) -> Iterator[tuple[dict[str, Any], str, Tensor]]:
    registered = _registered(module)
    originals = {path: registry[name] for path, (registry, name) in registered.items()}
    chosen = {path: tensor for path, tensor in tensors.items() if path in registered}
    if tie_weights:
        _tie(chosen, originals)
    if strict:
        _check_keys(tensors.keys() - registered.keys(), registered.keys() - chosen.keys())
    for path, tensor in chosen.items():
        yield (*registered[path], tensor)


def _tie(chosen: dict[str, Tensor], originals: dict[str, Tensor]) -> None:
    by_original: dict[int, Tensor] = {}
    for path, tensor in chosen.items():
        if by_original.setdefault(id(originals[path]), tensor) is not tensor:
            same = [p for p in chosen if originals[p] is originals[path]]
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


@contextmanager
def _replaced(registry: dict[str, Any], name: str, tensor: Tensor) -> Iterator[None]:
    """The registry keeps the attribute in step; a buffer that was set anew goes, too."""
    former = registry[name]
    registry[name] = tensor
    try:
        yield
    finally:
        registry[name] = former


def stack_module_state(models: Sequence[Any]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The parameters and the buffers of models of one kind, stacked along a dimension in front.

    Args:
        models: at least one; all of one class, all in training mode or all in evaluation mode.
    Returns: two dictionaries by path; the parameters are leaves that require grad where those of the models do.
    Raises: RuntimeError for models that differ, or none.

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
    """Let every batch norm of a module forget its running statistics, which `vmap` cannot keep for each element.

    Returns: the module, which normalises by the batch's own statistics from here on.

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
