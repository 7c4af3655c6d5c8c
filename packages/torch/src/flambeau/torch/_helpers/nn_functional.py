"""Names of ``torch.nn.functional`` that PyTorch imports from other modules."""

import math

__all__ = ["math"]
