"""Reductions and normalisations of masked tensors.

Each function takes ``mask``, a tensor that is True for the elements to include. The MaskedTensor class of PyTorch,
which stores its mask, is not supported.

>>> x = flambeau.tensor([[1.0, -1.0], [2.0, 4.0]])
>>> flambeau.masked.mean(x, 1, mask=x > 0)
tensor([1., 3.])
"""

from ._masks import _canonical_dim, _input_mask, _output_mask, _reduction_identity
from ._normalizations import cumprod, cumsum, log_softmax, logaddexp, normalize, softmax, softmin
from ._reductions import amax, amin, argmax, argmin, logsumexp, mean, median, norm, prod, std, sum, var

__all__ = [
    "_canonical_dim",
    "_input_mask",
    "_output_mask",
    "_reduction_identity",
    "amax",
    "amin",
    "argmax",
    "argmin",
    "cumprod",
    "cumsum",
    "log_softmax",
    "logaddexp",
    "logsumexp",
    "mean",
    "median",
    "norm",
    "normalize",
    "prod",
    "softmax",
    "softmin",
    "std",
    "sum",
    "var",
]
