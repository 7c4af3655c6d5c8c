"""Invertible transforms of random variables, with the logarithms of their Jacobian determinants."""

from ._base import Transform, _InverseTransform
from ._compose import ComposeTransform, IndependentTransform, ReshapeTransform, identity_transform
from ._joint import CatTransform, CumulativeDistributionTransform, StackTransform
from ._matrices import CorrCholeskyTransform, LowerCholeskyTransform, PositiveDefiniteTransform
from ._pointwise import (
    AbsTransform,
    AffineTransform,
    ExpTransform,
    PowerTransform,
    SigmoidTransform,
    SoftplusTransform,
    TanhTransform,
    _clipped_sigmoid as _clipped_sigmoid,  # other libraries import this name
)
from ._simplex import SoftmaxTransform, StickBreakingTransform

__all__ = [
    "AbsTransform",
    "AffineTransform",
    "CatTransform",
    "ComposeTransform",
    "CorrCholeskyTransform",
    "CumulativeDistributionTransform",
    "ExpTransform",
    "IndependentTransform",
    "LowerCholeskyTransform",
    "PositiveDefiniteTransform",
    "PowerTransform",
    "ReshapeTransform",
    "SigmoidTransform",
    "SoftplusTransform",
    "TanhTransform",
    "SoftmaxTransform",
    "StackTransform",
    "StickBreakingTransform",
    "Transform",
    "_InverseTransform",
    "identity_transform",
]
