"""Names of ``torch.nn.modules.pooling`` that PyTorch imports from other modules."""

from flambeau.nn.common_types import _ratio_2_t, _ratio_3_t, _size_2_opt_t, _size_3_opt_t, _size_any_opt_t, _size_any_t

__all__ = ["_ratio_2_t", "_ratio_3_t", "_size_2_opt_t", "_size_3_opt_t", "_size_any_opt_t", "_size_any_t"]
