"""Names of ``torch.nn.modules.loss`` that PyTorch imports from other modules."""

from flambeau.torch import _reductions as _Reduction

__all__ = ["_Reduction"]
