"""Every operator with a record: its samples against NumPy and SciPy, in memory of any order, without memory."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import _core
from flambeau._samples import samples

SAMPLES = list(samples())
# Records without samples, and why.
UNTESTED: dict[str, str] = {}
# Operators whose results' shapes depend on their inputs' values.
READ_VALUES: set[str] = set()


def each(result):
    return result if isinstance(result, tuple | list) else (result,)


def same(result, expected):
    for got, wanted in zip(each(result), each(expected), strict=True):
        if isinstance(got, fb.Tensor):
            assert got.shape == np.shape(wanted)
        np.testing.assert_allclose(np.asarray(got), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_a_sample_gives_what_the_reference_gives(sample):
    same(sample.call(**sample.tensors()), sample.expected())


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_strides_do_not_change_the_result(sample):
    tensors = {name: t.mT.contiguous().mT if t.dim() > 1 else t for name, t in sample.tensors().items()}
    tensors = {name: fb.stack([t, t], -1)[..., 1] for name, t in tensors.items()}
    same(sample.call(**tensors), sample.expected())


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_a_tensor_without_memory_gives_the_shape_and_dtype(sample):
    if sample.operator.__name__ in READ_VALUES:
        with pytest.raises((NotImplementedError, RuntimeError), match="meta"):
            sample.call(**sample.tensors(device="meta"))
        return
    result = sample.call(**sample.tensors())
    made = sample.call(**sample.tensors(device="meta"))
    for got, wanted in zip(each(made), each(result), strict=True):
        assert got.is_meta and got.shape == wanted.shape and got.dtype == wanted.dtype


def test_every_record_has_samples_and_a_reference():
    records = {entry["name"]: entry for entry in _core.signatures() if "samples" in entry}
    assert records
    lacking = {name for name, entry in records.items() if not (entry["samples"] and entry["reference"])}
    assert lacking == set(UNTESTED)
