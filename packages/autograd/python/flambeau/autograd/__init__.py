"""Automatic differentiation: the recorded graph, the engine that runs it backwards, checks by finite differences."""

from flambeau._grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled
from flambeau.autograd import forward_ad, function, functional, graph
from flambeau.autograd._backward import backward, grad
from flambeau.autograd._function import Function
from flambeau.autograd._gradcheck import GradcheckError, gradcheck, gradgradcheck
from flambeau.autograd._variable import Variable

__all__ = [
    "Function",
    "GradcheckError",
    "Variable",
    "backward",
    "enable_grad",
    "forward_ad",
    "function",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "no_grad",
    "set_grad_enabled",
]
