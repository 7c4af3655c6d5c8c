"""Tests of names that model libraries use."""

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


def test_storages_convert_to_arrays_of_bytes():
    storage = fb.tensor([1.5, 2.5, 3.5]).untyped_storage()[4:]
    assert np.asarray(storage).view(np.float32).tolist() == [2.5, 3.5]
    assert fb.asarray(storage, dtype=fb.uint8).view(fb.float32).tolist() == [2.5, 3.5]
    assert fb.asarray(storage).dtype is fb.uint8 and np.array(storage, dtype=float).shape == (8,)
    copied = np.array(storage)
    copied[:] = 0
    assert storage.tolist() != copied.tolist()


def test_dtypes_of_four_bits_are_names_only():
    x = fb.zeros(2)
    for use in (
        lambda: fb.zeros(2, dtype=fb.float4_e2m1fn_x2),
        lambda: x.to(fb.float4_e2m1fn_x2),
        lambda: x.to("cpu", fb.float4_e2m1fn_x2),
        lambda: x.view(fb.float4_e2m1fn_x2),
        lambda: x.type(fb.float4_e2m1fn_x2),
        lambda: fb.set_default_dtype(fb.float4_e2m1fn_x2),
    ):
        with pytest.raises(NotImplementedError, match=r"flambeau.float4_e2m1fn_x2 is a name only, .* use bfloat16"):
            use()
