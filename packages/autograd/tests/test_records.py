"""Derivatives of every operator with a record, compared with finite differences, and vmap, compared with a loop."""

import pytest
from sample_derivatives import differentiable, has_derivative, outputs

import flambeau as fb
from flambeau._samples import samples
from flambeau.autograd import gradcheck, gradgradcheck
from flambeau.func import vmap
from flambeau.testing import assert_close

SAMPLES = list(samples())


@pytest.mark.parametrize("sample", list(filter(has_derivative, SAMPLES)), ids=str)
def test_every_sample_of_an_operator_passes_gradcheck(sample):
    names, inputs = zip(*differentiable(sample).items(), strict=True)

    def call(*tensors):
        return outputs(sample, **dict(zip(names, tensors, strict=True)))

    assert gradcheck(call, inputs)
    assert gradgradcheck(call, inputs)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.operator.batched], ids=str)
def test_vmap_of_every_sample_equals_a_loop(sample):
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
