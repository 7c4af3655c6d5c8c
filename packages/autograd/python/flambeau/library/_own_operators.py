"""``flambeau.ops.flambeau``: operators that PyTorch does not have, as objects that ``__torch_dispatch__`` receives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flambeau.library._overloads import OpOverload, OpOverloadPacket

_DERIVATIVE = "_vjp"  # suffix of the name of an operator that computes the derivative of another


class OwnOperators:
    """Type of ``ops.flambeau``: operators by name, and derivatives of operators under ``<name>_vjp``."""

    def __init__(self) -> None:
        self._packets: dict[str, OpOverloadPacket] = {}

    def overload(self, name: str, function: Callable[..., Any]) -> OpOverload:
        """Return the operator ``name``. The first call creates it from ``function``."""
        if name not in self._packets:
            packet = self._packets[name] = OpOverloadPacket("flambeau", name, function, {})
            vars(packet)["default"] = OpOverload(packet, "default", None, function)
        return self._packets[name].default

    def __getattr__(self, name: str) -> Any:
        if name in self._packets:
            return self._packets[name]
        if name.endswith(_DERIVATIVE):
            return _Derivatives(name.removesuffix(_DERIVATIVE))
        message = f"'_OpNamespace' 'flambeau' object has no attribute '{name}'"
        raise AttributeError(message, name=name, obj=self)

    def __dir__(self) -> list[str]:
        return list(self._packets)


class _Derivatives:
    """The derivatives of an operator. Each attribute is the derivative of the overload with the same name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, overload: str) -> OpOverload:
        import flambeau
        from flambeau._dispatch import _vjp

        if overload.startswith("__"):
            raise AttributeError(overload)
        space = own if self._name in own._packets else flambeau.ops.aten
        return _vjp.derivative_overload(getattr(getattr(space, self._name), overload))


own = OwnOperators()
