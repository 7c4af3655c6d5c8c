"""Rearranging, concatenating, splitting and repeating, one line each against NumPy."""

import itertools

import numpy as np
import pytest
from hypothesis import given, strategies as st

import flambeau as fb


def draw(*shape, dtype="float64", seed=0):
    return np.random.default_rng([seed, *shape]).integers(-9, 9, shape).astype(dtype)


A, B, M, N, V, W = draw(2, 3, 4), draw(2, 3, 4, seed=1), draw(3, 4), draw(5, 4, seed=2), draw(5), draw(4)
T = fb.tensor

CASES = {
    "flip": (lambda: T(A).flip(0, -1), lambda: np.flip(A, (0, -1))),
    "flip list": (lambda: fb.flip(T(A), [1]), lambda: np.flip(A, 1)),
    "flip nothing": (lambda: T(A).flip(()), lambda: A),
    "fliplr": (lambda: fb.fliplr(T(M)), lambda: np.fliplr(M)),
    "flipud": (lambda: T(M).flipud(), lambda: np.flipud(M)),
    "roll": (lambda: fb.roll(T(A), 5), lambda: np.roll(A, 5)),
    "roll dims": (lambda: T(A).roll((1, -2), (0, 2)), lambda: np.roll(A, (1, -2), (0, 2))),
    "roll twice": (lambda: T(A).roll((1, 1), (2, 2)), lambda: np.roll(A, 2, 2)),
    "rot90": (lambda: fb.rot90(T(A), 3, (0, 2)), lambda: np.rot90(A, 3, (0, 2))),
    "rot90 default": (lambda: T(M).rot90(), lambda: np.rot90(M)),
    "tile": (lambda: T(M).tile(2), lambda: np.tile(M, 2)),
    "tile more": (lambda: fb.tile(T(M), (2, 1, 3)), lambda: np.tile(M, (2, 1, 3))),
    "repeat": (lambda: T(V).repeat(2, 3), lambda: np.tile(V, (2, 3))),
    "repeat_interleave": (lambda: T(M).repeat_interleave(2), lambda: np.repeat(M, 2)),
    "repeat_interleave dim": (
        lambda: fb.repeat_interleave(T(M), T([1, 0, 2]), dim=0, output_size=3),
        lambda: np.repeat(M, [1, 0, 2], 0),
    ),
    "repeat_interleave counts": (lambda: fb.repeat_interleave(T([2, 0, 1])), lambda: np.array([0, 0, 2])),
    "tril": (lambda: fb.tril(T(A), 1), lambda: np.tril(A, 1)),
    "triu": (lambda: T(A).triu(-1), lambda: np.triu(A, -1)),
    "triu far": (lambda: T(A).triu(2**40), lambda: np.zeros_like(A)),
    "tril_indices": (lambda: fb.tril_indices(3, 4, 1), lambda: np.array(np.tril_indices(3, 1, 4))),
    "triu_indices": (lambda: fb.triu_indices(3, 4, -1), lambda: np.array(np.triu_indices(3, -1, 4))),
    "diag": (lambda: fb.diag(T(V), -1), lambda: np.diag(V, -1)),
    "diag of a matrix": (lambda: T(M).diag(1), lambda: np.diag(M, 1)),
    "diagflat": (lambda: fb.diagflat(T(M), 1), lambda: np.diagflat(M, 1)),
    "diag_embed": (lambda: fb.diag_embed(T(M)), lambda: np.stack([np.diag(r) for r in M])),
    "diag_embed dims": (
        lambda: T(M).diag_embed(1, 0, 2),
        lambda: np.stack([np.diag(r, 1) for r in M], 1),
    ),
    "trace": (lambda: fb.trace(T(M)), lambda: np.trace(M)),
    "constant_pad_nd": (
        lambda: fb.constant_pad_nd(T(M), (1, -1, 0, 2), 7.0),
        lambda: np.pad(M, ((0, 2), (1, 0)), constant_values=7)[:, :-1],
    ),
    "movedim": (lambda: fb.moveaxis(T(A), 0, -1), lambda: np.moveaxis(A, 0, -1)),
    "unfold": (lambda: T(A).unfold(2, 2, 1), lambda: np.lib.stride_tricks.sliding_window_view(A, 2, 2)),
    "unfold steps": (lambda: T(V).unfold(0, 2, 3), lambda: np.stack([V[:2], V[3:]])),
    "sum_to_size": (lambda: T(A).sum_to_size(3, 1), lambda: A.sum((0, 2))[:, None]),
    "hstack": (lambda: fb.hstack([T(M), T(M)]), lambda: np.hstack([M, M])),
    "hstack vectors": (lambda: fb.hstack([T(V), T(W)]), lambda: np.hstack([V, W])),
    "vstack": (lambda: fb.vstack([T(M), T(W)]), lambda: np.vstack([M, W])),
    "dstack": (lambda: fb.dstack([T(M), T(M)]), lambda: np.dstack([M, M])),
    "dstack vectors": (lambda: fb.dstack([T(V), T(V)]), lambda: np.dstack([V, V])),
    "column_stack": (lambda: fb.column_stack([T(V), T(N)]), lambda: np.column_stack([V, N])),
    "block_diag": (lambda: fb.block_diag(T(M), T(V))[3:, 4:], lambda: V[None]),
    "atleast_1d": (lambda: fb.atleast_1d(T(3.0)), lambda: np.atleast_1d(3.0)),
    "atleast_2d": (lambda: fb.atleast_2d(T(V)), lambda: np.atleast_2d(V)),
    "atleast_3d": (lambda: fb.atleast_3d(T(M)), lambda: np.atleast_3d(M)),
    "atleast_3d vector": (lambda: fb.atleast_3d([T(V), T(M)])[0], lambda: np.atleast_3d(V)),
    "cartesian_prod": (
        lambda: fb.cartesian_prod(T(V), T(W)),
        lambda: np.array(list(itertools.product(V, W))),
    ),
    "combinations": (lambda: fb.combinations(T(V), 3), lambda: np.array(list(itertools.combinations(V, 3)))),
    "combinations again": (
        lambda: fb.combinations(T(V), with_replacement=True),
        lambda: np.array(list(itertools.combinations_with_replacement(V, 2))),
    ),
    "kron": (lambda: fb.kron(T(M), T(N)), lambda: np.kron(M, N)),
    "kron of other ranks": (lambda: T(A).kron(T(W)), lambda: np.kron(A, W)),
    "tensordot": (lambda: fb.tensordot(T(A), T(B), ([0, 2], [0, -1])), lambda: np.tensordot(A, B, ([0, 2], [0, -1]))),
    "tensordot count": (lambda: fb.tensordot(T(M), T(N).t(), 1), lambda: np.tensordot(M, N.T, 1)),
    "tensordot none": (lambda: fb.tensordot(T(M), T(V), dims=0), lambda: np.tensordot(M, V, 0)),
    "inner": (lambda: fb.inner(T(A), T(N)), lambda: np.inner(A, N)),
    "inner scalar": (lambda: T(M).inner(T(2.0)), lambda: M * 2),
    "cross": (lambda: fb.cross(T(A), T(B)), lambda: np.cross(A, B, axis=1)),
    "cross broadcast": (lambda: T(A).cross(T(B[:1]), dim=-2), lambda: np.cross(A, B[:1], axis=1)),
    "addr": (lambda: fb.addr(T(W), T(V), T(W), beta=2, alpha=3), lambda: 2 * W + 3 * np.outer(V, W)),
    "addbmm": (
        lambda: fb.addbmm(T(V[:3]), T(A), T(B).mT, beta=0.5),
        lambda: V[:3] / 2 + (A @ B.swapaxes(1, 2)).sum(0),
    ),
    "gradient": (lambda: fb.gradient(T(A), dim=1)[0], lambda: np.gradient(A, axis=1)),
    "gradient spacing": (
        lambda: fb.gradient(T(M), spacing=(0.5, 2.0), edge_order=2)[1],
        lambda: np.gradient(M, 0.5, 2.0, edge_order=2)[1],
    ),
    "gradient coordinates": (
        lambda: fb.gradient(T(V), spacing=(T([0.0, 1.0, 3.0, 3.5, 7.0]).double(),), edge_order=2)[0],
        lambda: np.gradient(V, [0.0, 1.0, 3.0, 3.5, 7.0], edge_order=2),
    ),
    "select_scatter": (lambda: T(M).select_scatter(T(V[:3]), 1, 2)[:, 2], lambda: V[:3]),
    "slice_scatter": (lambda: T(V).slice_scatter(fb.zeros(2).double(), 0, 1, 5, 3), lambda: V * [1, 0, 1, 1, 0]),
    "diagonal_scatter": (
        lambda: T(M).diagonal_scatter(fb.zeros(3).double(), 1),
        lambda: M * (1 - np.eye(3, 4, 1)),
    ),
    "as_strided_scatter": (
        lambda: T(V).as_strided_scatter(fb.zeros(2).double(), (2,), (2,), 1),
        lambda: V * [1, 0, 1, 0, 1],
    ),
    "take_along_dim": (
        lambda: fb.take_along_dim(T(M), T(np.argsort(M, 1)), 1),
        lambda: np.sort(M, 1),
    ),
    "take_along_dim flat": (lambda: T(M).take_along_dim(T([[-1, 0]])), lambda: M.ravel()[[-1, 0]]),
}


@pytest.mark.parametrize("name", CASES)
def test_shape_functions_equal_numpy(name):
    ours, reference = CASES[name]
    got, want = ours(), reference()
    assert got.shape == np.shape(want)
    assert np.allclose(got.numpy(), want)


@pytest.mark.parametrize(
    "dtype", ["float16", "bfloat16", "uint8", "int8", "int16", "int64", "uint16", "uint32", "uint64", "bool", "float32"]
)
def test_shape_functions_copy_every_dtype(dtype):
    dtype = getattr(fb, dtype)
    x = T(np.arange(70 * 9).reshape(70, 9) % 2).to(dtype)
    array = x.to(fb.float64).numpy()
    for ours, want in (
        (x.flip(1), array[:, ::-1]),
        (x.flip(0), array[::-1]),
        (x.roll(3, 1), np.roll(array, 3, 1)),
        (x[:, ::2].contiguous(), array[:, ::2]),
        (x[:, ::3].clone(), array[:, ::3]),
        (x.t().contiguous(), array.T),
        (x.repeat(1, 2), np.tile(array, (1, 2))),
        (x[:, :1].expand(70, 5).contiguous(), np.repeat(array[:, :1], 5, 1)),
        (x.triu(), np.triu(array)),
        (x[T([3, -1])], array[[3, -1]]),
        (x[:, T([8, 0, 8])], array[:, [8, 0, 8]]),
    ):
        assert ours.dtype is dtype
        assert np.array_equal(ours.to(fb.float64).numpy(), want)


@pytest.mark.parametrize("dtype", ["int8", "int16", "float32", "float64", "complex128"])
@pytest.mark.parametrize("shape", [(16, 64), (203, 150), (65, 33), (2, 130, 67)])
def test_transposed_copies_match_numpy(dtype, shape):
    array = np.arange(int(np.prod(shape))).astype(dtype).reshape(shape)
    x = T(array)
    reverse = range(x.dim())[::-1]
    for view, own in ((array.T, x.permute(*reverse)), (array[..., ::2, 3:].T, x[..., ::2, 3:].permute(*reverse))):
        assert np.array_equal(own.contiguous().numpy(), view)
        assert np.array_equal((own + own.contiguous()).numpy(), view + view)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=4), st.data())
def test_flip_and_roll_match_numpy(shape, data):
    array = np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape)
    dims = data.draw(st.lists(st.integers(0, len(shape) - 1), unique=True))
    x = T(np.asfortranarray(array).T).permute(*range(array.ndim - 1, -1, -1))
    assert np.array_equal(x.flip(dims).numpy(), np.flip(array, dims))
    shifts = [data.draw(st.integers(-9, 9)) for _ in dims]
    if dims:
        assert np.array_equal(x.roll(shifts, dims).numpy(), np.roll(array, shifts, dims))


def test_split_functions_equal_numpy():
    x, array = T(A), A
    for ours, want in (
        (fb.tensor_split(x, 3, 2), np.array_split(array, 3, 2)),
        (x.tensor_split((1, -1), dim=2), np.split(array, [1, 3], 2)),
        (x.tensor_split(T([1, 9]), dim=1), np.split(array, [1, 9], 1)),
        (x.hsplit(3), np.hsplit(array, 3)),
        (T(V).hsplit([1, 2]), np.hsplit(V, [1, 2])),
        (fb.vsplit(x, 2), np.vsplit(array, 2)),
        (x.dsplit([1]), np.dsplit(array, [1])),
        (fb.unsafe_chunk(x, 2, 2), np.split(array, 2, 2)),
        (x.split_with_sizes([1, 3], 2), np.split(array, [1], 2)),
    ):
        assert isinstance(ours, tuple)
        assert all(np.array_equal(o.numpy(), w) for o, w in zip(ours, want, strict=True))
    x.hsplit(3)[1].zero_()
    assert x[:, 1].sum() == 0


def test_broadcast_functions_equal_numpy():
    assert fb.broadcast_shapes((2, 1), 3, ()) == (2, 3)
    assert fb.broadcast_shapes((2, 3)) == fb.broadcast_shapes((2, 1), (3,)) == (2, 3)
    assert fb.broadcast_shapes() == ()
    assert [t.shape for t in fb.broadcast_tensors(fb.ones(2, 1), fb.ones(3))] == [(2, 3)] * 2
    want = np.unravel_index([1, 5, 11], (3, 4))
    assert [t.tolist() for t in fb.unravel_index(T([1, 5, 11]), (3, 4))] == [w.tolist() for w in want]
    assert [g.shape for g in fb.meshgrid(fb.arange(3), T(1), indexing="xy")] == [(1, 3)] * 2


COPIES = {
    "view": (3, 8),
    "expand": (5, 2, 3, 4),
    "permute": (2, 0, 1),
    "select": (1, 0),
    "squeeze": (),
    "transpose": (0, 1),
    "unsqueeze": (0,),
    "unfold": (2, 2, 1),
    "diagonal": (1, 0, 2),
    "as_strided": ((2, 2), (1, 3)),
    "detach": (),
}


@pytest.mark.parametrize("name", COPIES)
def test_view_copy_functions_return_copies(name):
    x, args = T(A), COPIES[name]
    view = getattr(x, name)(*args)
    takes_a_shape = name in ("view", "expand", "permute")
    copy = getattr(fb, f"{name}_copy")(x, *([args] if takes_a_shape else args))
    assert np.array_equal(copy.numpy(), view.numpy())
    assert copy.is_contiguous()
    copy.zero_()
    assert np.array_equal(x.numpy(), A)


def test_unbind_copy_split_copy_and_similar_functions_return_copies():
    x = T(M)
    out = [fb.empty(0).double() for _ in range(3)]
    assert fb.unbind_copy(x, out=out) is out
    assert np.array_equal(out[2].numpy(), M[2])
    assert [p.shape for p in fb.split_with_sizes_copy(x, [1, 3], 1)] == [(3, 1), (3, 3)]
    assert fb.t_copy(x).tolist() == M.T.tolist()
    assert fb.alias_copy(x).data_ptr() != x.data_ptr()
    assert fb.slice_copy(x, 1, 0, 4, 2).tolist() == M[:, ::2].tolist()
    assert x.narrow_copy(1, T(1), 2).tolist() == M[:, 1:3].tolist()


def test_in_place_view_methods_change_the_shape_of_the_tensor_itself():
    x = T(A)
    assert x.transpose_(0, 2) is x
    assert np.array_equal(x.numpy(), A.swapaxes(0, 2))
    assert x.unsqueeze_(0).shape == (1, 4, 3, 2)
    assert x.squeeze_(0).shape == (4, 3, 2)
    assert x.swapaxes_(1, 2).swapdims_(0, 1).shape == (2, 4, 3)
    assert T(M).t_().shape == (4, 3)
    assert T(M).as_strided_((2, 2), (1, 4)).tolist() == [[M[0, 0], M[1, 0]], [M[0, 1], M[1, 1]]]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: T(M).flip(0, 0), RuntimeError, "multiple times"),
        (lambda: T(M).flip(2), IndexError, "Dimension out of range"),
        (lambda: fb.fliplr(T(V)), RuntimeError, "2-d"),
        (lambda: T(M).roll((), 0), RuntimeError, "shifts"),
        (lambda: T(M).roll((1, 2), 0), RuntimeError, "shifts: 2, dims:1"),
        (lambda: T(M).rot90(1, (0, 0)), RuntimeError, "different"),
        (lambda: T(M).rot90(1, (0,)), RuntimeError, "dims = 1"),
        (lambda: T(M).repeat(2), RuntimeError, "smaller"),
        (lambda: T(M).repeat(2**40, 2**40), RuntimeError, "large|overflow"),
        (lambda: T(M).repeat_interleave(-1), RuntimeError, "non-negative"),
        (lambda: T(M).repeat_interleave(T([1, 2]), 0), RuntimeError, r"= 2 and input.size\(0\) = 3"),
        (lambda: T(M).repeat_interleave(T([1.0]), 0), RuntimeError, "Long or Int"),
        (lambda: T(M).repeat_interleave(2, 0, output_size=5), RuntimeError, "5 and 6"),
        (lambda: fb.tril(T(V)), RuntimeError, "2 dimensions"),
        (lambda: fb.tril_indices(-1, 2), RuntimeError, "non-negative"),
        (lambda: fb.diag(T(A)), RuntimeError, "3D"),
        (lambda: fb.diag_embed(T(M), 0, 1, 1), RuntimeError, "identical"),
        (lambda: fb.trace(T(V)), RuntimeError, r"\[5\]"),
        (lambda: fb.constant_pad_nd(T(V), (1,)), RuntimeError, "even"),
        (lambda: fb.constant_pad_nd(T(V), (-3, -3)), RuntimeError, "negative output size"),
        (lambda: fb.constant_pad_nd(T(V), (2**62, 2**62)), RuntimeError, "negative|overflow"),
        (lambda: T(V).unfold(0, 6, 1), RuntimeError, "5 but size is 6"),
        (lambda: T(V).unfold(0, 2, 0), RuntimeError, "step is 0"),
        (lambda: T(M).sum_to_size(2, 4), RuntimeError, "expandable"),
        (lambda: T(M).hsplit(3), RuntimeError, "divisible"),
        (lambda: T(V).dsplit(1), RuntimeError, "at least 3"),
        (lambda: T(1.0).tensor_split(2), RuntimeError, "0 dims"),
        (lambda: fb.block_diag(T(A)), RuntimeError, "Input 0 has 3"),
        (lambda: fb.hstack([]), RuntimeError, "non-empty"),
        (lambda: fb.cartesian_prod(T(M)), RuntimeError, "1D"),
        (lambda: fb.combinations(T(V), -1), RuntimeError, "non-negative"),
        (lambda: fb.combinations(fb.arange(60), 30), RuntimeError, "30 of 60 elements is too large"),
        (lambda: fb.combinations(fb.ones(1), 10**16, True), RuntimeError, "1 elements is too large"),
        (lambda: fb.combinations(fb.ones(1), 10**14, True), RuntimeError, "out of memory"),
        (lambda: fb.tensordot(T(M), T(N), 1), RuntimeError, "need to match"),
        (lambda: fb.tensordot(T(M), T(N), -1), RuntimeError, "dims=-1"),
        (lambda: fb.inner(T(M), T(V)), RuntimeError, r"\[3, 4\] and \[5\]"),
        (lambda: fb.cross(T(N), T(N)), RuntimeError, "no dimension of size 3"),
        (lambda: fb.addr(T(V), T(M), T(V)), RuntimeError, "2-D"),
        (lambda: fb.gradient(T(V), spacing=(1.0, 2.0)), RuntimeError, "length 2"),
        (lambda: fb.gradient(T(V), edge_order=3), RuntimeError, "edge_order"),
        (lambda: fb.unravel_index(T([1.0]), (2,)), ValueError, "float32"),
        (lambda: fb.broadcast_shapes((2,), (3,)), RuntimeError, "Shape mismatch"),
        (lambda: T(M).select_scatter(T(V), 0, 0), RuntimeError, r"\[5\].*\[4\]"),
        (lambda: T(M).narrow(0, T([0]), 1), RuntimeError, "0-dim integral"),
        (lambda: T(M).narrow_copy(-3, 0, 1), IndexError, "out of range"),
        (lambda: T(1.0).unbind(), IndexError, "no dimensions"),
        (lambda: fb.cat([T(M), T(V)]), RuntimeError, "dimensions"),
    ],
)
def test_shape_functions_reject_invalid_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_combinations_of_more_elements_than_exist_are_empty():
    assert fb.combinations(fb.arange(50), 49).shape == (50, 49)
    assert fb.combinations(fb.ones(3), 10**12).shape == (0, 10**12)
    assert fb.combinations(fb.ones(0), 10**16, True).shape == (0, 10**16)
    assert fb.combinations(fb.ones(1), 1000, True).shape == (1, 1000)


def test_fill_copies_and_fill_in_place_changes_the_tensor():
    x = fb.arange(3)
    assert fb.fill(x, 2.5).tolist() == fb.fill(x, fb.tensor(2.5)).tolist() == [2, 2, 2]
    assert x.tolist() == [0, 1, 2]
    assert x.fill_(fb.tensor(7)) is x and x.tolist() == [7, 7, 7]
    for wrong in (fb.tensor([1]), 1j):
        with pytest.raises(RuntimeError, match=r"dimension value|overflow"):
            fb.fill(x, wrong)
        with pytest.raises(RuntimeError, match=r"dimension value|overflow"):
            x.fill_(wrong)


def test_gradient_computes_in_the_dtype_of_float64_coordinates():
    values, at = np.float32([1, 4, 9, 16]), np.array([0.0, 1e-3, 2e-3, 5e-3])
    (slopes,) = fb.gradient(fb.from_numpy(values), spacing=[fb.from_numpy(at)])
    assert slopes.dtype is fb.float64
    np.testing.assert_allclose(slopes.numpy(), np.gradient(values.astype(np.float64), at), rtol=1e-12)


def test_sums_of_sizes_that_overflow_raise():
    huge = 2**62
    with pytest.raises(RuntimeError, match="split_sizes to sum exactly to 5"):
        fb.split(fb.arange(5), [huge] * 4 + [5])
    parts = [fb.ones(1).expand(huge)] * 3 + [fb.ones(1).expand(huge - 1), fb.arange(3.0)]
    with pytest.raises(RuntimeError, match=r"the sizes along dimension 0 add up to more than 2\*\*63 - 1"):
        fb.cat(parts)


def test_methods_accept_dimensions_as_separate_arguments():
    x = fb.ones(1, 1, 3)
    assert x.squeeze(0, 1).shape == x.clone().squeeze_(0, -2).shape == (3,)
    assert x.count_nonzero(0, 1).tolist() == [1, 1, 1]
    with pytest.raises(TypeError, match="takes 2 positional arguments at most but 3 were given"):
        x.squeeze(0, "a")
