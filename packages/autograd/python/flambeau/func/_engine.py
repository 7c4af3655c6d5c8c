"""The engine functions that transforms call. Inside vmap, they run for each element of the batch.

The batched implementations are in ``_batching/differentiation.py``.
"""

from flambeau._core import _interceptable
from flambeau.autograd import _engine
from flambeau.overrides import _NOT_CONVERTED

__all__ = [
    "close",
    "close_level",
    "depends_on_others",
    "detached",
    "gradients",
    "jacobian",
    "leaf",
    "make_dual",
    "open_level",
    "unpack_dual",
]

leaf = _interceptable(
    _engine.leaf, True
)  # inside vmap, these calls are always intercepted: a shared input has a gradient for each element
gradients = _interceptable(_engine.gradients)
depends_on_others = _interceptable(_engine.depends_on_others)
close = _interceptable(_engine.close)
jacobian = _interceptable(_engine.jacobian)
detached = _interceptable(_engine.detached)
make_dual = _interceptable(_engine.make_dual)
unpack_dual = _interceptable(_engine.unpack_dual)
open_level = _engine.open_level
close_level = _engine.close_level

# The results of these functions are not converted to the subclass of their arguments: leaves and derivatives are plain
# tensors.
_NOT_CONVERTED |= {leaf, gradients, jacobian, detached, make_dual, unpack_dual}
