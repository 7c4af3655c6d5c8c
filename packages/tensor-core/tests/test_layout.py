"""Strides, memory formats and storages."""

import numpy as np
import pytest

import flambeau as fb

X = fb.arange(120.0).reshape(2, 3, 4, 5)
LAST = fb.channels_last


def test_channels_last_changes_only_the_strides():
    y = X.contiguous(memory_format=LAST)
    assert y.stride() == (60, 1, 15, 3)
    assert np.array_equal(y.numpy(), X.numpy())
    assert y.is_contiguous(memory_format=LAST)
    assert not y.is_contiguous()
    assert not X.is_contiguous(memory_format=LAST)
    assert y.contiguous(memory_format=LAST) is y
    assert y.contiguous().stride() == X.stride()
    assert y.dim_order() == (0, 2, 3, 1)
    volume = fb.zeros(2, 3, 2, 2, 2)
    assert volume.contiguous(memory_format=fb.channels_last_3d).stride() == (24, 1, 12, 6, 3)
    with pytest.raises(RuntimeError, match="rank 4"):
        fb.zeros(3).contiguous(memory_format=LAST)
    with pytest.raises(RuntimeError, match="preserve"):
        X.contiguous(memory_format=fb.preserve_format)
    with pytest.raises(TypeError, match="memory_format"):
        X.contiguous(memory_format="rows")


def test_clone_keeps_the_order_of_strides():
    y = X.contiguous(memory_format=LAST)
    assert y.clone().stride() == y.stride()
    assert y.clone(memory_format=fb.contiguous_format).is_contiguous()
    assert X.permute(3, 0, 2, 1).clone().stride() == X.permute(3, 0, 2, 1).stride()
    assert X[..., ::2].clone().stride() == (36, 12, 3, 1)
    assert fb.ones(3, 1).expand(3, 4).clone().is_contiguous()
    assert np.array_equal(X.mT.clone().numpy(), X.mT.numpy())


def test_masked_fill_and_quantile_return_contiguous_tensors():
    columns, mask = X.mT, X > 7
    assert columns.masked_fill(mask.mT, 1).is_contiguous()
    assert columns.masked_fill(fb.tensor(True), 1).is_contiguous()
    assert np.array_equal(columns.masked_fill(mask.mT, 1).numpy(), np.where(X.mT.numpy() > 7, 1, X.mT.numpy()))
    for q in (0.5, fb.tensor([0.2, 0.5])):
        assert X.quantile(q, 0).is_contiguous()


def test_empty_strided_and_empty_permuted_set_the_strides():
    x = fb.empty_strided((2, 3), (1, 2))
    assert (x.shape, x.stride()) == ((2, 3), (1, 2))
    assert x.untyped_storage().nbytes() == 24
    assert fb.empty_permuted((2, 3, 4), (2, 0, 1), dtype=fb.int16).stride() == (3, 1, 6)
    assert X.new_empty_strided((2,), (3,)).dtype is X.dtype
    for call, message in (
        (lambda: fb.empty_strided((2,), (1, 2)), "must match dimensionality of strides"),
        (lambda: fb.empty_strided((2,), (-1,)), "egative"),
        (lambda: fb.empty_strided((-2,), (1,)), "negative dimension"),
        (lambda: fb.empty_strided((2**40, 2**40), (2**40, 1)), "overflow"),
        (lambda: fb.empty_permuted((2, 3), (0, 0)), "Duplicate"),
    ):
        with pytest.raises(RuntimeError, match=message):
            call()


def test_resizing_keeps_existing_elements():
    x = fb.arange(6)
    assert x.resize_(2, 2) is x
    assert x.tolist() == [[0, 1], [2, 3]]
    x.resize_((2, 4))
    assert x.view(-1)[:6].tolist() == [0, 1, 2, 3, 4, 5]
    assert fb.empty(0).resize_as_(X).shape == X.shape
    transposed = fb.ones(2, 3).t()
    assert transposed.resize_as_(fb.zeros(3, 2)) is transposed and transposed.stride() == (1, 3)
    assert fb.zeros(2, 3, 4, 5).resize_(1, 2, 3, 4, memory_format=LAST).stride() == (24, 1, 8, 2)
    for size in ((-1,), (2**62, 4)):
        with pytest.raises(RuntimeError):
            x.resize_(size)
    assert x.shape == (2, 4)


def test_tensors_share_storages():
    x = fb.arange(6, dtype=fb.int32)
    storage = x[2:].untyped_storage()
    assert (storage.nbytes(), storage.size(), len(storage)) == (24, 24, 24)
    assert storage.data_ptr() == x.data_ptr()
    y = fb.empty(0, dtype=fb.int32).set_(storage, 1, (2, 2), (2, 1))
    assert y.tolist() == [[1, 2], [3, 4]]
    y[0, 0] = 9
    assert x[1] == 9
    storage[0] = 7
    assert x[0] == 7
    z = fb.empty(0, dtype=fb.int32).set_(x[3:])
    assert z.is_set_to(x[3:])
    assert z.set_().numel() == 0
    with pytest.raises(RuntimeError, match="storage"):
        fb.empty(0, dtype=fb.int32).set_(storage, 5, (2,), (1,))
    with pytest.raises(RuntimeError, match="float32"):
        fb.empty(0).set_(x)
    with pytest.raises(TypeError, match="source"):
        x.set_(3)


@pytest.mark.parametrize(
    ("size", "stride", "offset", "message"),
    [
        ((2, 4), (4, 1), 1, "require more"),
        ((9,), (1,), 0, "require more"),
        ((2,), (-1,), 1, "Negative strides"),
        ((2,), (1, 1), 0, "mismatch"),
        ((-1,), (1,), 0, "negative"),
        ((1,), (1,), -1, "offset"),
        ((2,), (2**63 - 1,), 0, "range|more"),
        ((1,), (1,), 2**62, "require more"),
    ],
)
def test_views_stay_within_their_storage(size, stride, offset, message):
    with pytest.raises(RuntimeError, match=message):
        fb.arange(8).as_strided(size, stride, offset)


def test_transposing_tensors_of_other_than_2_dimensions_warns_or_raises():
    assert fb.zeros(2, 3).T.shape == (3, 2)
    with pytest.warns(UserWarning, match="deprecated"):
        assert fb.zeros(2, 3, 4).T.shape == (4, 3, 2)
    with pytest.raises(RuntimeError, match="1-D"):
        _ = fb.zeros(3).mT


@pytest.mark.parametrize("dtype", ["uint8", "float32", "complex128"])
def test_copies_and_fills_of_long_strided_rows_match_numpy(dtype):
    a = np.arange(400_001).astype(dtype)
    x = fb.tensor(a)
    views = {
        "every third": lambda t: t[::3],
        "a column": lambda t: t[:400_000].reshape(-1, 2)[:, 1],
        "planes": lambda t: t[:399_996].reshape(2, 3, 66_666)[:, 1:, ::2],
        "turned": lambda t: t[:399_999].reshape(133_333, 3).T,
        "turned planes": lambda t: t[:399_996].reshape(2, 33_333, 6).swapaxes(1, 2),
    }
    for name, view in views.items():
        assert np.array_equal(view(x).contiguous().numpy(), view(a)), name
        assert np.array_equal(view(x).to(fb.float64 if dtype == "float32" else x.dtype).numpy(), view(a)), name
        into, want = fb.zeros_like(x), np.zeros_like(a)
        view(into).copy_(view(x) * 2)
        view(want)[...] = view(a) * 2
        assert np.array_equal(into.numpy(), want), name
        view(into).fill_(7)
        view(want)[...] = 7
        assert np.array_equal(into.numpy(), want), name


def test_storages_are_shown_as_in_pytorch():
    x = fb.tensor([1.0, -2.5])
    kind = "flambeau.storage.TypedStorage(dtype=flambeau.float32, device=cpu) of size 2"
    assert repr(x.storage()) == f" 1.0\n -2.5\n[{kind}]"
    kind = "flambeau.storage.UntypedStorage(device=cpu) of size 2"
    assert repr(fb.tensor([3, 255], dtype=fb.uint8).untyped_storage()) == f" 3\n 255\n[{kind}]"
    lines = repr(fb.arange(5000).storage()).split("\n")
    assert lines[499:502] == [" 499", " ...", " 4500"] and len(lines) == 1002


def test_resize_as_can_keep_the_memory_format_of_the_template():
    for shape, order in (((2, 3, 4, 5), fb.channels_last), ((2, 3, 4, 5, 2), fb.channels_last_3d)):
        template = fb.zeros(shape).contiguous(memory_format=order)
        resized = fb.zeros(3).resize_as_(template, memory_format=fb.preserve_format)
        assert resized.shape == shape and resized.stride() == template.stride()
        assert fb.zeros(3).resize_as_(template).is_contiguous()
