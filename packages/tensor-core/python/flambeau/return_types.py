"""Named tuples that operators with several results return. Each type has the name of its operator.

>>> import flambeau
>>> flambeau.sort(flambeau.tensor([3, 1, 2]))
flambeau.return_types.sort(
values=tensor([1, 2, 3]),
indices=tensor([1, 2, 0]))
"""

import importlib
from typing import TYPE_CHECKING, Any

from flambeau import _core

if TYPE_CHECKING:
    aminmax = _core._Aminmax
    cummax = _core._Cummax
    cummin = _core._Cummin
    frexp = _core._Frexp
    geqrf = _core._Geqrf
    histogram = _core._Histogram
    histogramdd = _core._Histogramdd
    kthvalue = _core._Kthvalue
    linalg_cholesky_ex = _core._LinalgCholeskyEx
    linalg_eig = _core._LinalgEig
    linalg_eigh = _core._LinalgEigh
    linalg_inv_ex = _core._LinalgInvEx
    linalg_ldl_factor = _core._LinalgLdlFactor
    linalg_ldl_factor_ex = _core._LinalgLdlFactorEx
    linalg_lstsq = _core._LinalgLstsq
    linalg_lu = _core._LinalgLu
    linalg_lu_factor = _core._LinalgLuFactor
    linalg_lu_factor_ex = _core._LinalgLuFactorEx
    linalg_qr = _core._LinalgQr
    linalg_slogdet = _core._LinalgSlogdet
    linalg_solve_ex = _core._LinalgSolveEx
    linalg_svd = _core._LinalgSvd
    lu_unpack = _core._LuUnpack
    max = _core._Max
    median = _core._Median
    min = _core._Min
    mode = _core._Mode
    nanmedian = _core._Nanmedian
    qr = _core._Qr
    sort = _core._Sort
    svd = _core._Svd
    topk = _core._Topk
    triangular_solve = _core._TriangularSolve


if not TYPE_CHECKING:  # hidden from type checkers, which then report names that do not exist

    def __getattr__(name: str) -> type[tuple[Any, ...]]:
        if name not in _core._return_types:
            importlib.import_module("flambeau.linalg")  # the import registers the module's return types
        try:
            return _core._return_types[name]
        except KeyError:
            raise AttributeError(f"module 'flambeau.return_types' has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted(_core._return_types)
