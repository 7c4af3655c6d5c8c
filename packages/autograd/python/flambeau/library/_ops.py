"""Classes of operator objects, as in PyTorch's private module ``torch._ops``."""

from flambeau.library._operators import _Namespace as _OpNamespace, ops
from flambeau.library._overloads import HigherOrderOperator, OpOverload, OpOverloadPacket

__all__ = ["HigherOrderOperator", "OpOverload", "OpOverloadPacket", "OperatorBase", "_OpNamespace", "ops"]

OperatorBase = OpOverload
