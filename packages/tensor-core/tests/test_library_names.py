"""Tests of names that model libraries use."""

import pickle

import numpy as np
import pytest

import flambeau as fb


def test_slices_of_storages_share_their_bytes():
    tensor = fb.tensor([1, 2, 3], dtype=fb.uint8)
    part = tensor.untyped_storage()[1:3]
    part[0] = 9
    assert part.tolist() == [9, 3] and tensor.tolist() == [1, 9, 3]
    with pytest.raises(RuntimeError, match="step"):
        tensor.untyped_storage()[::2]


def test_bytes_of_storages_as_arrays():
    storage = fb.tensor([1.5, 2.5, 3.5]).untyped_storage()[4:]
    assert np.asarray(storage).view(np.float32).tolist() == [2.5, 3.5]
    assert fb.asarray(storage, dtype=fb.uint8).view(fb.float32).tolist() == [2.5, 3.5]
    assert fb.asarray(storage).dtype is fb.uint8 and np.array(storage, dtype=float).shape == (8,)
    copied = np.array(storage)
    copied[:] = 0
    assert storage.tolist() != copied.tolist()


def test_float8_dtypes_have_limits_but_no_tensors():
    limits = fb.finfo(fb.float8_e4m3fn)
    assert (limits.max, limits.eps, limits.tiny, limits.bits) == (448.0, 0.125, 2.0**-6, 8)
    assert pickle.loads(pickle.dumps(limits)) == limits
    x = fb.zeros(2)
    for use in (
        lambda: fb.zeros(2, dtype=fb.float8_e5m2),
        lambda: x.to(fb.float8_e5m2),
        lambda: x.to("cpu", fb.float8_e5m2),
        lambda: x.view(fb.float8_e5m2),
        lambda: x.type(fb.float8_e5m2),
        lambda: fb.set_default_dtype(fb.float8_e5m2),
    ):
        with pytest.raises(NotImplementedError, match=r"flambeau.float8_e5m2 is a name only, .* use bfloat16"):
            use()
