"""Views against NumPy's over the same memory, with Hypothesis."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

import flambeau as fb

shapes = st.lists(st.integers(0, 4), max_size=5).map(tuple)


def pair(shape):
    array = np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape)
    return array, fb.from_numpy(array)


def check(tensor, array, owner=None):
    assert tensor.shape == array.shape
    assert np.array_equal(tensor.numpy(), array)
    assert tensor.numel() == array.size
    assert tensor.is_contiguous() == (array.flags.c_contiguous or array.size == 0)
    if owner is not None and array.size:
        assert np.shares_memory(tensor.numpy(), owner)


def permuted(draw, array, tensor):
    order = draw(st.permutations(range(array.ndim)))
    return array.transpose(order), tensor.permute(*order)


def transposed(draw, array, tensor):
    a, b = (draw(st.integers(-array.ndim, array.ndim - 1)) for _ in range(2))
    return np.swapaxes(array, a, b), tensor.transpose(a, b)


def moved(draw, array, tensor):
    a, b = (draw(st.integers(0, array.ndim - 1)) for _ in range(2))
    return np.moveaxis(array, a, b), tensor.movedim(a, b)


def squeezed(draw, array, tensor):
    return np.squeeze(array), tensor.squeeze()


def unsqueezed(draw, array, tensor):
    at = draw(st.integers(-array.ndim - 1, array.ndim))
    return np.expand_dims(array, at), tensor.unsqueeze(at)


def sliced(draw, array, tensor):
    d = draw(st.integers(0, array.ndim - 1))
    bounds = st.one_of(st.none(), st.integers(-6, 6))
    part = slice(draw(bounds), draw(bounds), draw(st.one_of(st.none(), st.integers(1, 3))))
    key = (slice(None),) * d + (part,)
    return array[key], tensor[key]


def selected(draw, array, tensor):
    d = draw(st.integers(0, array.ndim - 1))
    if not array.shape[d]:
        return array, tensor
    i = draw(st.integers(-array.shape[d], array.shape[d] - 1))
    return array[(slice(None),) * d + (i,)], tensor.select(d, i)


def expanded(draw, array, tensor):
    size = [draw(st.integers(0, 3)) if s == 1 else s for s in array.shape]
    return np.broadcast_to(array, size), tensor.expand(size)


def diagonal(draw, array, tensor):
    if array.ndim == 1:
        return array, tensor
    offset, last = draw(st.integers(-3, 3)), array.ndim - 1
    return np.diagonal(array, offset, 0, last), tensor.diagonal(offset, 0, last)


VIEWS = [permuted, transposed, moved, squeezed, unsqueezed, sliced, selected, expanded, diagonal]


@st.composite
def steps(draw):
    """Draw a chain of views of an array and of a tensor."""
    owner, tensor = pair(draw(shapes))
    array = owner
    for _ in range(draw(st.integers(1, 4))):
        view = draw(st.sampled_from(VIEWS)) if array.ndim else unsqueezed
        array, tensor = view(draw, array, tensor)
    return array, tensor, owner


@given(steps())
def test_chains_of_views_equal_numpy(case):
    array, tensor, owner = case
    assert tensor.shape == array.shape
    assert np.array_equal(tensor.numpy(), array)
    if array.size:
        assert np.shares_memory(tensor.numpy(), owner)
    assert np.array_equal((tensor + 1).numpy(), array + 1)
    assert np.array_equal(tensor.clone().numpy(), array)
    assert tensor.clone(memory_format=fb.contiguous_format).is_contiguous()
    assert tensor.sum().item() == array.sum(dtype=np.float64)


@given(steps(), st.data())
def test_reshape_copies_only_if_a_view_is_impossible(case, data):
    array, tensor, _ = case
    sizes = [s for s in array.shape if s != 1]
    merged = (
        data.draw(st.sampled_from([[-1], [*sizes, 1], [int(np.prod(sizes[:2])), *sizes[2:]]]))
        if array.size
        else [*array.shape, 1]
    )
    want = array.reshape(merged)
    assert np.array_equal(tensor.reshape(merged).numpy(), want)
    if np.shares_memory(want, array):  # if NumPy returns a view, flambeau must also return one
        assert np.array_equal(tensor.view(merged).numpy(), want)


def test_a_copy_made_by_reshape_is_no_view():
    x = fb.arange(6.0)
    pairs = x.view(2, 3)
    copy = pairs.t().reshape(6)
    assert not copy._is_view() and copy._base is None and pairs.reshape(6)._base is x
    copy.zero_()
    assert x.tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(("shape", "size"), [((5,), (1, 1, 5)), ((3, 1), (1, 3, 1)), ((), (1, 1)), ((4, 5), (1, 4, 5))])
def test_new_dimensions_of_size_1_have_the_strides_of_unsqueeze(shape, size):
    x = fb.zeros(shape)
    unsqueezed = x
    for _ in range(len(size) - len(shape)):
        unsqueezed = unsqueezed.unsqueeze(0)
    assert x.expand(size).stride() == unsqueezed.stride()
    assert x.expand(2, *size).stride() == (0, *unsqueezed.stride())


def test_view_rejects_incompatible_strides():
    x = fb.arange(6.0).reshape(2, 3).t()
    with pytest.raises(RuntimeError, match=r"\[3, 2\].*\[1, 3\].*\[6\].*reshape"):
        x.view(6)
    assert x.reshape(6).tolist() == [0, 3, 1, 4, 2, 5]
    assert x.view(3, 2, 1).shape == (3, 2, 1)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((4,), r"\[4\].*6"),
        ((-1, -1), "one dimension"),
        ((-2, 3), "-2"),
        ((-1, 4), r"\[-1, 4\].*6"),
        ((2**62, 4), "large|invalid"),
    ],
)
def test_view_and_reshape_reject_invalid_shapes(size, message):
    with pytest.raises(RuntimeError, match=message):
        fb.zeros(6).view(size)
    with pytest.raises(RuntimeError, match=message):
        fb.zeros(6).reshape(size)


def test_reshape_with_minus_one_is_ambiguous_for_empty_tensors():
    with pytest.raises(RuntimeError, match=r"ambiguous|any value"):
        fb.zeros(0, 3).view(0, -1)
    assert fb.zeros(0, 3).view(-1, 3).shape == (0, 3)


def test_split_chunk_and_unbind_match_numpy():
    array, x = pair((7, 4))
    for size in (1, 2, 3, 7, 9):
        parts = x.split(size)
        assert isinstance(parts, tuple)
        want = [array[i : i + size] for i in range(0, 7, size)]
        assert all(np.array_equal(p.numpy(), w) for p, w in zip(parts, want, strict=True))
    for size, part in zip((1, 0, 3), x.split([1, 0, 3], dim=1), strict=True):
        assert part.shape == (7, size)
    for count in (1, 2, 3, 5, 7, 9):
        step = -(-7 // count)
        want = [array[i : i + step] for i in range(0, 7, step)]
        assert all(np.array_equal(p.numpy(), w) for p, w in zip(x.chunk(count), want, strict=True))
    assert all(np.array_equal(p.numpy(), w) for p, w in zip(x.unbind(1), array.T, strict=True))
    for count in (1, 3, 4):
        want = np.array_split(array, count)
        assert all(np.array_equal(p.numpy(), w) for p, w in zip(fb.tensor_split(x, count), want, strict=True))
    with pytest.raises(RuntimeError, match=r"7.*\[1, 2\]"):
        x.split([1, 2])
    for wrong in ("abc", 2.5, None):
        with pytest.raises(TypeError):
            x.split(wrong)


def test_flatten_narrow_and_other_views_equal_numpy():
    array, x = pair((2, 3, 4))
    check(x.flatten(), array.reshape(-1), array)
    check(x.flatten(1), array.reshape(2, 12), array)
    check(x.flatten(0, 1), array.reshape(6, 4), array)
    check(x.unflatten(2, (2, -1)), array.reshape(2, 3, 2, 2), array)
    check(x.narrow(1, 1, 2), array[:, 1:3], array)
    check(x.T if x.dim() == 2 else x.permute(2, 1, 0), array.T, array)
    check(x.mT, array.swapaxes(1, 2), array)
    check(x.squeeze(0), array, array)
    check(x.unsqueeze(0).squeeze(0), array, array)
    check(x.as_strided((2, 2), (1, 5), 3), np.lib.stride_tricks.as_strided(array.ravel()[3:], (2, 2), (4, 20)), array)
    check(x.expand(5, 2, 3, 4)[2], array, array)
    check(x.swapaxes(0, 2), array.swapaxes(0, 2), array)
    check(x.repeat(2, 1, 3), np.tile(array, (2, 1, 3)))
    check(x.repeat(2, 1, 1, 1), np.tile(array, (2, 1, 1, 1)))
    assert x.view(fb.int32).tolist() == array.view(np.int32).tolist()
    assert x.view(fb.float64).tolist() == array.view(np.float64).tolist()
    assert x.view(fb.uint8).shape == (2, 3, 16)
    with pytest.raises(RuntimeError, match="divisible"):
        fb.zeros(3).view(fb.float64)
    assert np.array_equal(fb.tril(x, 1).numpy(), np.tril(array, 1))
    assert np.array_equal(fb.triu(x, -1).numpy(), np.triu(array, -1))
    assert [g.tolist() for g in fb.meshgrid(fb.arange(2), fb.arange(3), indexing="ij")] == [
        g.tolist() for g in np.meshgrid(range(2), range(3), indexing="ij")
    ]
    assert [g.tolist() for g in fb.meshgrid(fb.arange(2), fb.arange(3), indexing="xy")] == [
        g.tolist() for g in np.meshgrid(range(2), range(3))
    ]


def test_a_write_through_a_view_is_visible_in_all_views():
    x = fb.zeros(3, 4)
    x.t()[1].fill_(5)
    x[:, 2:].add_(1)
    x.view(-1)[0] = 9
    assert x.tolist() == [[9, 5, 1, 1], [0, 5, 1, 1], [0, 5, 1, 1]]


def test_writing_to_an_expanded_tensor_is_rejected():
    x = fb.zeros(1, 3).expand(2, 3)
    with pytest.raises(RuntimeError, match=r"single memory location.*\[2, 3\]"):
        x.add_(1)
    assert x.tolist() == [[0, 0, 0]] * 2


def test_views_reject_too_many_dimensions_and_elements():
    x = fb.zeros((1,) * 64)
    for call in (
        lambda: x.unsqueeze(0),
        lambda: x.expand((1,) * 65),
        lambda: fb.stack([x]),
        lambda: x.repeat((1,) * 65),
    ):
        with pytest.raises(RuntimeError, match="64 dimensions"):
            call()
    assert (x + 1).item() == 1
    assert x.permute(*range(63, -1, -1)).sum().item() == 0
    with pytest.raises(RuntimeError, match="overflow"):
        fb.zeros(1).expand(2**40, 2**40)
    with pytest.raises(RuntimeError, match="overflow"):
        fb.zeros(1).as_strided((2**40, 2**40), (0, 0))
    with pytest.raises(RuntimeError):
        fb.zeros(4).as_strided((2,), (2**62,))
    with pytest.raises(IndexError, match="no dimensions"):
        fb.tensor(1.0).size(0)
    with pytest.raises(IndexError, match="no dimensions"):
        fb.tensor(1.0).stride(0)


def test_size_is_a_tuple():
    size = fb.zeros(2, 3).shape
    assert isinstance(size, tuple)
    assert size == (2, 3)
    assert size.numel() == 6
    assert repr(size) == "flambeau.Size([2, 3])"
    assert isinstance(size[1:], fb.Size)
    assert isinstance(size + (4,), fb.Size)
    assert fb.zeros(2, 3).stride() == (3, 1)
    assert type(fb.zeros(2, 3).stride()) is tuple


def test_vsplit_and_tensor_split_reject_excessive_numbers_of_parts():
    assert [len(part) for part in fb.ones(4).chunk(2**63 - 1)] == [1, 1, 1, 1]
    for split in (fb.vsplit, fb.tensor_split):
        with pytest.raises(RuntimeError, match="at most 16777216"):
            split(fb.ones(0, 3), 2**40)


def test_chunking_an_empty_dimension_gives_the_requested_number_of_chunks():
    assert [part.shape for part in fb.zeros(2, 0, 3).chunk(3, 1)] == [(2, 0, 3)] * 3


def test_roll_without_dimensions_rolls_the_flattened_tensor():
    x = np.arange(6).reshape(2, 3)
    assert np.array_equal(fb.roll(fb.tensor(x), 1, None).numpy(), np.roll(x, 1))


def test_a_view_can_be_replayed_on_another_base():
    complex_base = fb.ones(2, 3, dtype=fb.complex64)
    base = fb.arange(12.0).reshape(3, 4).clone()
    for view in (base[1], base.t()[1:, ::2], base.as_strided((4,), (2,), 1), fb.view_as_complex(base.reshape(3, 2, 2))):
        same = view._view_func(base + 100)
        assert same.dtype is view.dtype and same.stride() == view.stride()
        assert same.storage_offset() == view.storage_offset()
        assert fb.equal(same, view + (100 + 100j if view.is_complex() else 100))
    assert fb.view_as_real(complex_base)._view_func(complex_base * 1j)[..., 1].tolist() == [[1.0] * 3] * 2
    assert base._view_func(base) is None  # base is not a view
    assert base[1]._view_func(fb.zeros(4, 3)) is None and base[1]._view_func(fb.zeros(4, 3).t()) is None


def test_ravel_is_contiguous_and_a_view_if_possible():
    x = fb.arange(10.0)
    assert x[::2].ravel().is_contiguous() and x[::2].ravel().tolist() == [0, 2, 4, 6, 8]
    x.reshape(2, 5).ravel()[0] = 7.0
    assert x[0].item() == 7.0


@pytest.mark.parametrize(
    "compute",
    [
        lambda x: x @ x,
        lambda x: x @ fb.ones(4),
        lambda x: fb.linalg.cholesky(x.mT @ x + fb.eye(4)),
        lambda x: fb.linalg.eigh(x.mT @ x)[1],
        lambda x: x.repeat(2, 1, 1, 1),
        lambda x: x.roll(1),
        lambda x: x.topk(2)[0],
        lambda x: x.median(1)[0],
        lambda x: fb.linalg.matrix_power(x, 3),
        lambda x: fb.quantile(x, 0.5),
    ],
)
def test_results_that_are_computed_as_views_of_temporaries_are_no_views(compute):
    result = compute(fb.randn(2, 3, 4, 4))
    assert not result._is_view() and result._base is None
    pytest.importorskip("flambeau.autograd")
    result.detach_()
    with fb.no_grad():
        result = compute(fb.randn(2, 3, 4, 4))
    result.mul_(fb.ones((), requires_grad=True))  # would raise an error for a view that was created without a graph
    assert result.requires_grad


def test_views_of_temporary_tensors_are_views():
    view = fb.zeros(4).view(2, 2)
    assert view._is_view() and view._base.shape == (4,)
    rows = fb.zeros(2, 2).unbind()
    assert all(row._is_view() and row._base is rows[0]._base for row in rows)


def test_cdata_identifies_a_tensor():
    x = fb.ones(2)
    assert x._cdata == x._cdata != x.detach()._cdata
