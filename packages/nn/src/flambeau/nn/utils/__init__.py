"""Tools for gradients and parameters."""

from ._gradients import clip_grad_norm_, clip_grad_value_
from ._vectors import parameters_to_vector, vector_to_parameters

__all__ = ["clip_grad_norm_", "clip_grad_value_", "parameters_to_vector", "vector_to_parameters"]
