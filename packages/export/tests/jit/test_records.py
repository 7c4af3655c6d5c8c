"""Every operator with a record: a traced program returns its results."""

import pytest

import flambeau as fb
from flambeau._samples import samples
from flambeau.testing import assert_close


@pytest.mark.parametrize("sample", [s for s in samples() if s.tensors()], ids=str)
def test_the_traced_program_of_every_operator_gives_the_same_result(sample):
    names, tensors = zip(*sample.tensors().items(), strict=True)

    def call(*given):
        return sample.call(**dict(zip(names, given, strict=True)))

    program = fb.jit.trace(call, tensors)
    others = [t.flip(range(t.dim())) for t in tensors]
    assert_close(program(*others), call(*others))
