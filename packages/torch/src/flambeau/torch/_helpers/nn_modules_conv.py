"""Names of ``torch.nn.modules.conv``: a former name of a class, and names that PyTorch imports from other modules."""

from flambeau.nn.common_types import _size_1_t, _size_2_t, _size_3_t
from flambeau.nn.modules.conv import _ConvTransposeNd
from flambeau.nn.modules.utils import _pair, _single, _triple

__all__ = ["_ConvTransposeMixin", "_pair", "_single", "_size_1_t", "_size_2_t", "_size_3_t", "_triple"]

_ConvTransposeMixin = _ConvTransposeNd
