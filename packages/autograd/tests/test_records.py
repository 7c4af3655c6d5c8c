"""Derivatives of every operator with a record, compared with finite differences, and vmap, compared with a loop."""

import pytest

import flambeau as fb
from flambeau._samples import samples
from flambeau.autograd import gradcheck, gradgradcheck
from flambeau.func import vmap
from flambeau.testing import assert_close

SAMPLES = list(samples())
# Operators that finite differences cannot check here, because their derivative ignores some elements of the inputs.
# test_structural_derivatives.py and test_linalg_derivatives.py check them.
PARTIAL = {
    "cholesky": "the matrix is taken as symmetric",
    "cholesky_ex": "the matrix is taken as symmetric",
    "batch_norm": "running statistics have no gradient",
    "cholesky_inverse": "the factor is taken as a whole matrix",
    "cholesky_solve": "the factor is taken as a whole matrix",
}


def has_parts(t):
    return t.is_floating_point() or t.is_complex()


def differentiable(sample):
    """Set ``requires_grad`` of a sample's floating and complex tensors. Return them by name."""
    return {name: t.requires_grad_() for name, t in sample.tensors().items() if has_parts(t)}


def outputs(sample, **tensors):
    result = sample.call(**{**sample.tensors(), **tensors})
    results = result if isinstance(result, tuple | list) else (result,)
    return tuple(r for r in results if isinstance(r, fb.Tensor) and has_parts(r))


def has_derivative(sample):
    """Return True if a result has a derivative; test_every_operator.py lists the operators without one."""
    nodes = [result.grad_fn for result in outputs(sample, **differentiable(sample)) if result.requires_grad]
    return sample.operator.__name__ not in PARTIAL and any(
        node is None or not node.name().startswith("NotImplemented") for node in nodes
    )


@pytest.mark.parametrize("sample", list(filter(has_derivative, SAMPLES)), ids=str)
def test_derivatives(sample):
    names, inputs = zip(*differentiable(sample).items(), strict=True)

    def call(*tensors):
        return outputs(sample, **dict(zip(names, tensors, strict=True)))

    assert gradcheck(call, inputs)
    assert gradgradcheck(call, inputs)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.operator.batched], ids=str)
def test_a_batch_gives_what_a_loop_gives(sample):
    batches = {name: fb.stack([t, t.flip(range(t.dim())), t]) for name, t in sample.tensors().items()}
    names = list(batches)

    def call(*tensors):
        return sample.call(**dict(zip(names, tensors, strict=True)))

    expected = [call(*(batch[i] for batch in batches.values())) for i in range(3)]
    assert_close(vmap(call)(*batches.values()), fb.stack(expected))
    twice = [fb.stack([batch, batch.flip(0)]) for batch in batches.values()]
    assert_close(vmap(vmap(call))(*twice), fb.stack([fb.stack(expected), fb.stack(expected[::-1])]))
    behind = [batch.movedim(0, -1) for batch in batches.values()]
    assert_close(vmap(call, in_dims=-1, out_dims=-1)(*behind), fb.stack(expected, -1))
