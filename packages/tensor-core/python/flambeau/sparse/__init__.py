"""Sparse tensors: products, sums and softmax, and checks of their invariants.

Create them with ``flambeau.sparse_coo_tensor``, ``sparse_compressed_tensor`` or ``Tensor.to_sparse()``.
"""

from typing import Any

# Importing these modules registers the operators of sparse tensors.
from flambeau import _extension_points, _public_names, _suggestions
from flambeau.sparse import (
    _arithmetic as _arithmetic,
    _attributes as _attributes,
    _factories as _factories,
    _gradients as _gradients,
    _indexing as _indexing,
    _low_rank as _low_rank,
    _pointwise as _pointwise,
)
from flambeau.sparse._diagonals import spdiags
from flambeau.sparse._functions import addmm, log_softmax, mm, softmax, sum
from flambeau.sparse._invariants import check_sparse_tensor_invariants
from flambeau.sparse._legacy import LEGACY_TYPES as _LEGACY_TYPES
from flambeau.sparse._products import sampled_addmm

__all__ = [
    "addmm",
    "check_sparse_tensor_invariants",
    "log_softmax",
    "mm",
    "sampled_addmm",
    "softmax",
    "spdiags",
    "sum",
]


def __getattr__(name: str) -> Any:
    if name in _LEGACY_TYPES:
        return _LEGACY_TYPES[name]
    raise _suggestions.unknown_attribute(__name__, name)


_extension_points.imported(__name__)


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), __all__)
