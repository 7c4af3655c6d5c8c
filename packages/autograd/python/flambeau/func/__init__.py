"""Function transforms: gradients, Jacobian products, Jacobians, Hessians, and vectorisation."""

from flambeau import _suggestions
from flambeau.func import _dispatch  # noqa: F401  the import registers the handler of vmap's placeholders
from flambeau.func._forward import jvp, linearize
from flambeau.func._functionalize import functionalize
from flambeau.func._jacobians import hessian, jacfwd, jacrev
from flambeau.func._modules import functional_call, replace_all_batch_norm_modules_, stack_module_state
from flambeau.func._reverse import grad, grad_and_value, vjp
from flambeau.func._vmap import vmap

__all__ = [
    "functional_call",
    "functionalize",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "replace_all_batch_norm_modules_",
    "stack_module_state",
    "vjp",
    "vmap",
]

_suggestions.suggest_names(__name__)
