"""The autograd graph: nodes, hooks for saved tensors and for several gradients, and drawings."""

from flambeau.autograd._draw import Drawing, draw
from flambeau.autograd._engine import Node
from flambeau.autograd._multi_grad import register_multi_grad_hook
from flambeau.autograd._nodes import GradientEdge, get_gradient_edge, increment_version
from flambeau.autograd._saved import (
    allow_mutation_on_saved_tensors,
    disable_saved_tensors_hooks,
    save_on_cpu,
    saved_tensors_hooks,
)

__all__ = [
    "Drawing",
    "GradientEdge",
    "Node",
    "allow_mutation_on_saved_tensors",
    "disable_saved_tensors_hooks",
    "draw",
    "get_gradient_edge",
    "increment_version",
    "register_multi_grad_hook",
    "save_on_cpu",
    "saved_tensors_hooks",
]
