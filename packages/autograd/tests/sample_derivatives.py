"""Calls of operator samples as functions of their floating and complex tensors, for checks of derivatives."""

import flambeau as fb

# Operators that finite differences cannot check, because their derivative ignores some elements of the inputs.
# test_structural_derivatives.py and test_linalg_derivatives.py check them.
PARTIAL = {
    "cholesky": "the matrix is taken as symmetric",
    "cholesky_ex": "the matrix is taken as symmetric",
    "batch_norm": "running statistics have no gradient",
    "cholesky_inverse": "the factor is taken as a whole matrix",
    "cholesky_solve": "the factor is taken as a whole matrix",
}


def _is_inexact(t):
    return t.is_floating_point() or t.is_complex()


def differentiable(sample):
    """Set ``requires_grad`` of a sample's floating and complex tensors. Return them by name."""
    return {name: t.requires_grad_() for name, t in sample.tensors().items() if _is_inexact(t)}


def outputs(sample, **tensors):
    """Call a sample's operator, with ``tensors`` in place of the sample's own.

    Return the floating and complex results as a tuple.
    """
    result = sample.call(**{**sample.tensors(), **tensors})
    results = result if isinstance(result, tuple | list) else (result,)
    return tuple(r for r in results if isinstance(r, fb.Tensor) and _is_inexact(r))


def has_derivative(sample):
    """Return True if a result has a derivative; test_every_operator.py lists the operators without one."""
    nodes = [result.grad_fn for result in outputs(sample, **differentiable(sample)) if result.requires_grad]
    return sample.operator.__name__ not in PARTIAL and any(
        node is None or not node.name().startswith("NotImplemented") for node in nodes
    )
