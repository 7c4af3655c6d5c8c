"""``__torch_dispatch__``: classes and modes that intercept operators below autograd.

Note [Dispatch]
A call of an operator from Python passes these stages. A stage can return a result; otherwise the next stage runs.

1. Modes and classes with ``__torch_function__``, then ``func.vmap``, then autocast. Note [Interception]
2. If a mode with ``__torch_dispatch__`` is active in this thread, or an argument is an instance of a class that has
   this method, tensor-core passes the call to `handle`. Otherwise the operator runs; this is the case in most programs.
3. ``_resolution`` determines which overload of which operator of ``ops.aten`` was called, and converts the arguments to
   the form of its schema. Composite operators (those in ``_decompositions``, and operators that flambeau defines in
   Python) are decomposed, and each operator that they call begins at 1.
4. ``_recording`` is autograd: if an argument requires a gradient, the next stages run without recording, and the result
   gets a node. The derivative of this node calls operators from Python (``_derivatives``), which begin at 1 as well.
5. ``_torch_dispatch`` calls the innermost mode, which is inactive during this call, or, if no mode is active, the
   classes. They receive an `OpOverload` and may call it, with the same or other arguments. Such a call begins at 1.
6. The operator runs on tensors without ``__torch_dispatch__``.

If `Tensor._make_wrapper_subclass` created an instance of a class with ``__torch_dispatch__``, the instance has no
memory: tensor-core treats it as a tensor on the meta device. Therefore no operator reads elements that do not exist.

The engine adds, sums and converts gradients itself, and dispatches these operators in the same way
(`DispatchedGradients`). If a derivative in C++ was recorded without dispatch, and one of its gradients is an instance
of a class with ``__torch_dispatch__``, the derivative is dispatched as one operator ``flambeau::<name of the node>``.
Modes that are active only during the backward pass do not intercept it.
"""

from __future__ import annotations

from typing import Any

from flambeau import _core, _extension_points
from flambeau.library._overloads import OpOverload, OpOverloadPacket

from . import _recording, _resolution, _torch_dispatch

Arguments = tuple[Any, ...]
_holds_recorded, _call_handlers = _core._holds_recorded, _torch_dispatch.call_handlers

# Cache of overloads for calls whose argument types determine the overload. A key consists of the called object and the
# types of the arguments. tensor-core reads the cache: Note [Known calls] in dispatch.cpp.
_known: dict[Any, tuple[Any, Any]] = {}


def handle(called: Any, args: Arguments, kwargs: dict[str, Any] | None) -> Any:
    """Dispatch a call of an operator. Return NotImplemented if the operator should run as usual."""
    if kwargs is None:
        key = (called, *map(type, args))
        known = _known.get(key)
        if known is not None:
            overload, history = known
            if history is None and _holds_recorded(args):
                _known[key] = overload, _recording.history_of(overload)
            return call(overload, args, {})
    else:
        key = None
    resolved = _resolution.resolve(called, args, kwargs or {})
    if not isinstance(resolved, _resolution.Call):
        return resolved
    if key is not None and resolved.depends_on_types_alone:
        _known[key] = resolved.overload, None
    return resolved.finish(call(resolved.overload, resolved.args, resolved.kwargs))


def call(overload: Any, args: Arguments, kwargs: dict[str, Any]) -> Any:
    """Call an overload with arguments in the form of its schema."""
    if _holds_recorded(args) or (kwargs and _holds_recorded(list(kwargs.values()))):
        return _recording.call(overload, args, kwargs)
    return _call_handlers(overload, args, kwargs)


def apply_derivative(name: str, gradients: list[Any], run: Any) -> Any:
    """Dispatch a derivative implemented in C++ to the classes of ``gradients`` that have ``__torch_dispatch__``.

    The classes receive an operator ``flambeau::<name>``, which maps a list of gradients to a list of gradients. It
    calls ``run``.
    """
    packet = OpOverloadPacket("flambeau", name, run, {})
    return call(OpOverload(packet, "default", None, run), (gradients,), {})


handle.apply_derivative = apply_derivative  # type: ignore[attr-defined]
handle.call_classes = _torch_dispatch.call_classes  # type: ignore[attr-defined]
handle.with_history = _recording.with_history  # type: ignore[attr-defined]
_core._set_dispatch_handler(handle, _known)
_extension_points.dispatch_handler = handle
