"""Context managers that enable and disable the recording of the graph, under PyTorch's module name."""

from flambeau._grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled
from flambeau.autograd._multithreading import set_multithreading_enabled

__all__ = ["enable_grad", "inference_mode", "no_grad", "set_grad_enabled", "set_multithreading_enabled"]
