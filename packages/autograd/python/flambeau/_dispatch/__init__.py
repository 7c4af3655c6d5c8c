"""``__torch_dispatch__``: classes and modes that answer for operators below autograd.

Note [Dispatch]
A call of an operator from Python passes these stations. Each of them may answer; otherwise the call goes on.

1. Modes and classes with ``__torch_function__``, then maps of ``func.vmap``, then autocast. Note [Interception]
2. If a mode with ``__torch_dispatch__`` is entered in this thread, or an argument is an instance of a class that has
   the method, tensor-core hands the call to `handle`. Otherwise the operator runs: most programs see no more.
3. ``_resolution`` finds out which overload of which operator of ``ops.aten`` was called, and brings the arguments into
   the form of its schema. Operators that PyTorch makes of others (``_decompositions``, and those that flambeau
   writes in Python) run instead, and each operator that they call begins at 1.
4. ``_recording`` is autograd: if an argument requires a gradient, the call goes on without recording, and its result
   gets a node whose derivative calls operators from Python (``_derivatives``), which pass these stations as well.
5. ``_asking`` asks the innermost mode, which is left while it answers, or if there is none the classes. They are
   given an `OpOverload` and call it, with the same or other arguments. For the modes that remain, the call begins at 1.
6. The operator runs on tensors that no one answers for.

An instance of a class with ``__torch_dispatch__`` that `Tensor._make_wrapper_subclass` made has no memory: tensor-core
sees a tensor on the meta device. So no operator reads elements that are not there.

The engine adds, sums and converts gradients itself, and has these operators answered the same way
(`DispatchedGradients`). A derivative of C++, which was recorded where no one was asked, is one operator
``flambeau::<name of the node>`` for a class whose instance it gets as a gradient. Modes that are entered for the
backward pass alone do not see it.
"""

from __future__ import annotations

from typing import Any

from flambeau import _core, _extension_points
from flambeau.library._overloads import OpOverload, OpOverloadPacket

from . import _asking, _recording, _resolution

Arguments = tuple[Any, ...]
_holds_recorded, _ask = _core._holds_recorded, _asking.ask

# Overloads by the called object and the types of its arguments, where these alone decide.
# Tensor-core reads them: Note [Known calls] in dispatch.cpp.
_known: dict[Any, tuple[Any, Any]] = {}


def handle(called: Any, args: Arguments, kwargs: dict[str, Any] | None) -> Any:
    """Answer for a call of an operator, or return NotImplemented to let it run as usual."""
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
    return _ask(overload, args, kwargs)


def apply_derivative(name: str, gradients: list[Any], run: Any) -> Any:
    """Return what a derivative of C++ computes from gradients, some of which are instances of a class.

    The class is given an operator ``flambeau::<name>`` of the list of gradients, which returns a list of gradients.
    """
    packet = OpOverloadPacket("flambeau", name, run, {})
    return call(OpOverload(packet, "default", None, run), (gradients,), {})


handle.apply_derivative = apply_derivative  # type: ignore[attr-defined]
handle.ask_classes = _asking.ask_classes  # type: ignore[attr-defined]
handle.with_history = _recording.with_history  # type: ignore[attr-defined]
_core._set_dispatch_handler(handle, _known)
_extension_points.dispatch_handler = handle
