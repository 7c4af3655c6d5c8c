"""Operators on sparse tensors against NumPy on dense ones."""

import numpy as np
import pytest

import flambeau as fb

RNG = np.random.default_rng(1)
SHAPES = [((4, 5), 9), ((4, 5, 2), 9), ((3, 3), 0), ((1, 6), 4)]


def random(size, nnz, layout="coo", coalesced=False, dtype=np.float64):
    """Return a sparse tensor with repeated indices, and its elements as an array."""
    indices = np.stack([RNG.integers(0, length, nnz) for length in size[:2]])
    values = RNG.normal(size=(nnz, *size[2:])).astype(dtype)
    dense = np.zeros(size, dtype)
    np.add.at(dense, tuple(indices), values)
    s = fb.sparse_coo_tensor(indices, values, size)
    s = s.coalesce() if coalesced else s
    return (s if layout == "coo" else getattr(s, f"to_sparse_{layout}")()), dense


def check(result, expected, layout=None):
    if layout is not None:
        assert str(result.layout) == f"flambeau.{layout}"
    got = result.to_dense().numpy()
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


@pytest.fixture(params=["coo", "coalesced", "csr", "csc"])
def kind(request):
    return request.param


def of_kind(kind, size=(4, 5), nnz=9, dtype=np.float64):
    return random(size, nnz, "coo" if kind == "coalesced" else kind, kind == "coalesced", dtype)


LAYOUT = {"coo": "sparse_coo", "coalesced": "sparse_coo", "csr": "sparse_csr", "csc": "sparse_csc"}
POINTWISE = ("abs", "neg", "sin", "tan", "tanh", "square", "sign", "floor", "ceil", "round", "trunc", "expm1", "sinh")


@pytest.mark.parametrize("name", [*POINTWISE, "isnan", "arctan", "arcsinh"])
def test_pointwise_functions_of_sparse_tensors_match_numpy(name, kind):
    s, dense = of_kind(kind)
    check(getattr(fb, name)(s), getattr(np, name if name != "neg" else "negative")(dense), LAYOUT[kind])


@pytest.mark.parametrize(("size", "nnz"), SHAPES)
def test_arithmetic_of_sparse_tensors_matches_numpy(size, nnz):
    (a, x), (b, y) = random(size, nnz), random(size, nnz // 2)
    d = RNG.normal(size=size)
    t = fb.from_numpy(d)
    for left in (a, a.coalesce()):
        for right in (b, b.coalesce()):
            check(left + right, x + y, "sparse_coo")
            check(left - right, x - y, "sparse_coo")
            check(left * right, x * y, "sparse_coo")
            check(fb.add(left, right, alpha=3), x + 3 * y)
    check(t + a, d + x, "strided")
    check(t - a, d - x, "strided")
    check(fb.sub(t, a, alpha=2), d - 2 * x)
    check(a * t, x * d, "sparse_coo")
    check(t * a, x * d, "sparse_coo")
    check(a * t[0], x * d[0])
    check(2 * a, 2 * x)
    check(a / 4, x / 4)
    check(a // 2, x // 2)
    check(a**2, x**2)
    check(a * fb.tensor(3.0, dtype=fb.float64), 3 * x)
    check(-a, -x)
    check(t.clone().add_(a, alpha=2), d + 2 * x)
    check(a.clone().mul_(2).add_(b), 2 * x + y)
    transposed = fb.from_numpy(d.copy(order="F"))
    check(transposed.add_(a), d + x)


def test_products_of_sparse_and_dense_tensors_broadcast():
    for size, sparse_dim, other in (
        ((4, 5), 2, (3, 4, 5)),
        ((4, 5), 2, (4, 1)),
        ((4, 5), 1, (2, 4, 5)),
        ((4, 1, 3), 2, (4, 5, 3)),
        ((1, 5), 2, (4, 5)),
        ((5,), 1, (2, 3, 5)),
        ((4, 1), 1, (4, 3)),
        ((), 0, (2, 3)),
        ((4, 1), 2, (4, 0)),
    ):
        x, d = RNG.normal(size=size) * (RNG.random(size) < 0.6), RNG.normal(size=other)
        s, t = fb.tensor(x).to_sparse(sparse_dim), fb.tensor(d)
        check(s * t, x * d, "sparse_coo")
        check(t * s, x * d, "sparse_coo")
        if len(size) <= 2 == sparse_dim:
            check(s * t.to_sparse(), x * d, "sparse_coo")
            check(t.to_sparse() * s, x * d, "sparse_coo")
        assert (s * t).is_coalesced() <= (np.diff(flat_indices(s * t)) > 0).all()
        if np.broadcast_shapes(size, other) == other:
            check(t.clone().mul_(s), x * d, "strided")


def flat_indices(s):
    return np.ravel_multi_index(tuple(s._indices().numpy()), s.shape[: s.sparse_dim()])


def test_zero_dimensional_sparse_tensors_multiply_like_numbers():
    s, dense = random((4, 5), 9)
    two = fb.sparse_coo_tensor(fb.zeros(0, 2, dtype=fb.int64), [0.5, 1.5], ())
    check(s * two, 2 * dense, "sparse_coo")
    check(two * s, 2 * dense, "sparse_coo")
    product = two * fb.tensor(3.0, dtype=fb.float64).to_sparse()
    assert product.dtype is fb.float64 and product.to_dense().item() == 6


def test_equal_patterns_are_added_without_merging():
    s, dense = random((4, 5), 9)
    assert (s + s)._nnz() == 9 and (s + s).is_coalesced() is False
    check(s + s, 2 * dense)
    check(s - 3 * s, -2 * dense)


def test_an_empty_tensor_has_any_number_of_sparse_dimensions():
    s, dense = random((4, 5, 2), 6)
    zeros = fb.sparse_coo_tensor((4, 5, 2), dtype=fb.float32)
    for total in (s + zeros, zeros + s):
        check(total, dense, "sparse_coo")
        assert total.dtype is fb.float64


def test_arithmetic_of_compressed_tensors_matches_numpy():
    for kind in ("csr", "csc"):
        (a, x), (b, y) = of_kind(kind), of_kind(kind, nnz=4)
        d = RNG.normal(size=(4, 5))
        check(a + b, x + y, f"sparse_{kind}")
        check(a * b, x * y, f"sparse_{kind}")
        check(a * fb.from_numpy(d), x * d, f"sparse_{kind}")
        check(a + fb.from_numpy(d), x + d, "strided")
        check(fb.from_numpy(d) - a, d - x, "strided")
        check(a * 2, x * 2, f"sparse_{kind}")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s + fb.ones(4, 5), r"add\(sparse, dense\) is not supported"),
        (lambda s: s + 1, r"add\(sparse, dense\) is not supported"),
        (lambda s: s / fb.ones(4, 5), r"got shape \[4, 5\] for divisor"),
        (lambda s: s**0, "zeroth power"),
        (lambda s: s + fb.sparse_coo_tensor((4, 6)), r"\[4, 5\] != \[4, 6\]"),
        (lambda s: fb.cat([s, fb.ones(4, 5)]), "dense tensor was found at position 1"),
        (lambda s: s @ fb.ones(4, 2), r"cannot be multiplied \(4x5 and 4x2\)"),
        (lambda s: s @ fb.ones(5, 2, dtype=fb.float64), "same dtype"),
        (lambda s: s.sparse_mask(fb.ones(4, 5)), "mask must be sparse"),
        (lambda s: fb.ones(4, 4).sparse_mask(s), "incompatible sizes"),
        (lambda s: s.to_sparse_csr().sum(0), "keepdim=False"),
        (lambda s: bool(s), "more than one value is ambiguous"),
        (lambda s: bool(s[:0]), "no values is ambiguous"),
        (
            lambda s: fb.ones(3) + s,
            "self' and 'other' to have same size, but self has size .3. while other has size .4, 5",
        ),
        (lambda s: s + fb.ones(4, 5).to_sparse(1), "'self' has 2 sparse dimensions while 'other' has 1"),
        (lambda s: s // s, r"Sparse floor division requires .* \(got a sparse divisor\)"),
        (lambda s: s * fb.ones(4), "cannot be broadcast"),
        (lambda s: s.permute(0), "does not match the length of the desired ordering"),
        (lambda s: s.permute(0, 0), "duplicate dims"),
        (lambda s: s.narrow_copy(-1, 0, 1), "Dimension -1 out of range"),
        (lambda s: fb.cat([s, fb.ones(4, 5).to_sparse(1)]), "2, 0, but tensor at position 1 has 1, 1"),
        (
            lambda s: fb.cat([s, fb.ones(4, 4).to_sparse()]),
            r"same shape: \[4, 5\].*found shape: \[4, 4\] at position 1",
        ),
        (lambda s: s.norm(keepdim=True), "does not support keepdim=True"),
        (lambda s: s.norm(dim=0), "only supports full reductions"),
        (lambda s: s.norm(2, dtype=fb.float64), "does not support 'dtype'"),
        (lambda s: s.mv(fb.ones(4)), r"mv: expected self\.size\(-1\) == vec\.size\(-1\)"),
        (lambda s: s @ s.double().t(), "mat1 dtype Float does not match mat2 dtype Double"),
        (lambda s: s._coalesced_(False).asin_(), "asin_ requires coalesced input"),
        (lambda s: s._coalesced_(False).arcsin_(), "asin_ requires coalesced input"),
        (lambda s: s.long().coalesce().log1p_(), "result type .* can't be cast"),
        (lambda s: fb.sin(s, out=s.long()), "result type .* can't be cast"),
        (lambda s: fb.ones(4, 5).to_sparse(1).sparse_mask(s), "self has 1 sparse dimensions, but the mask has 2"),
    ],
)
def test_sparse_operators_reject_invalid_arguments(call, message):
    with pytest.raises(RuntimeError, match=message):
        call(random((4, 5), 6, dtype=np.float32)[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.complex64])
def test_matrix_products_of_sparse_tensors_match_numpy(kind, dtype):
    s, dense = of_kind(kind, dtype=dtype)
    other, more = of_kind(kind, (5, 3), 6, dtype)
    right, left = RNG.normal(size=(5, 6)).astype(dtype), RNG.normal(size=(6, 4)).astype(dtype)
    m, n, v = fb.from_numpy(right), fb.from_numpy(left), fb.from_numpy(right[:, 0].copy())
    close = {"rtol": 1e-5, "atol": 1e-5}
    for result in (s @ m, fb.mm(s, m), fb.spmm(s, m), fb.sparse.mm(s, m), fb.matmul(s, m)):
        assert result.layout is fb.strided and result.dtype is s.dtype
        np.testing.assert_allclose(result.numpy(), dense @ right, **close)
    np.testing.assert_allclose((n @ s).numpy(), left @ dense, **close)
    np.testing.assert_allclose((s @ v).numpy(), dense @ right[:, 0], **close)
    np.testing.assert_allclose(fb.mv(s, v).numpy(), dense @ right[:, 0], **close)
    np.testing.assert_allclose((s.t() @ n.t()).numpy(), dense.T @ left.T, **close)
    product = s @ other
    assert product.layout is not fb.strided
    np.testing.assert_allclose(product.to_dense().numpy(), dense @ more, **close)
    start = fb.ones(4, 6, dtype=s.dtype)
    for addmm in (fb.addmm, fb.sparse.addmm):
        np.testing.assert_allclose(addmm(start, s, m, beta=2, alpha=3).numpy(), 2 + 3 * (dense @ right), **close)
    np.testing.assert_allclose(fb.hspmm(s, m).to_dense().numpy(), dense @ right, **close)
    np.testing.assert_allclose(fb.smm(s, m).to_dense().numpy(), dense @ right, **close)
    beside, more = random((4, 6), 5, dtype=dtype)
    expected = 2 * more + 3 * (dense @ right)
    for saddmm in (fb.saddmm, fb.sspaddmm):
        np.testing.assert_allclose(saddmm(beside, s, m, beta=2, alpha=3).to_dense().numpy(), expected, **close)


def test_matrix_products_of_batches_of_sparse_tensors_match_numpy():
    indices = np.stack([RNG.integers(0, n, 12) for n in (3, 4, 5)])
    values = RNG.normal(size=12)
    dense = np.zeros((3, 4, 5))
    np.add.at(dense, tuple(indices), values)
    right = RNG.normal(size=(3, 5, 2))
    s = fb.sparse_coo_tensor(indices, values, (3, 4, 5))
    for each in (s, s.coalesce()):
        check(fb.bmm(each, fb.from_numpy(right)), dense @ right, "strided")
        check(each @ fb.from_numpy(right), dense @ right, "strided")


def test_matrix_products_of_empty_sparse_tensors_have_the_right_shapes():
    s = fb.sparse_coo_tensor((3, 4))
    assert (s @ fb.ones(4, 2)).tolist() == [[0, 0]] * 3
    assert (s.to_sparse_csr() @ fb.ones(4)).tolist() == [0, 0, 0]
    assert (s @ fb.ones(4, 0)).shape == (3, 0)
    assert (fb.sparse_coo_tensor((0, 4)) @ fb.ones(4, 2)).shape == (0, 2)
    assert (s @ fb.sparse_coo_tensor((4, 2)))._nnz() == 0
    assert fb.bmm(fb.sparse_coo_tensor((2, 3, 4)), fb.ones(2, 4, 0)).shape == (2, 3, 0)
    empty = fb.sparse_csr_tensor([0, 0, 0], [], [], (2, 3))
    assert fb.sparse.sampled_addmm(empty, fb.ones(2, 4), fb.ones(4, 3))._nnz() == 0


def test_sampled_addmm_matches_numpy():
    s, dense = of_kind("csr")
    left, right = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 5))
    result = fb.sparse.sampled_addmm(s, fb.from_numpy(left), fb.from_numpy(right), beta=0.5, alpha=2.0)
    check(result, np.where(dense != 0, 0.5 * dense + 2 * (left @ right), 0), "sparse_csr")


@pytest.mark.parametrize(("size", "nnz"), SHAPES)
def test_sums_of_sparse_tensors_match_numpy(size, nnz):
    s, dense = random(size, nnz)
    check(s.sum(), dense.sum(), "strided")
    for dim in range(len(size)):
        check(fb.sparse.sum(s, dim), dense.sum(dim), "sparse_coo")
        check(s.sum(dim, keepdim=True), dense.sum(dim, keepdims=True))
    check(fb.sparse.sum(s, (0, 1)), dense.sum((0, 1)), "strided")
    check(fb.sparse.sum(s, (0, -1)), dense.sum((0, -1)))
    np.testing.assert_allclose(s.norm().item(), np.linalg.norm(dense))
    assert s.any().item() == dense.any()
    assert fb.count_nonzero(s).item() == np.count_nonzero(dense)


@pytest.mark.parametrize(("size", "nnz"), SHAPES)
def test_sparse_softmax_uses_only_stored_elements(size, nnz):
    s, dense = random(size, nnz)
    there = np.zeros(size, bool)
    there[tuple(s._indices().numpy())] = True
    for dim in (0, 1):
        with np.errstate(all="ignore"):
            powers = np.exp(np.where(there, dense, -np.inf))
            expected = np.where(there, powers / powers.sum(dim, keepdims=True), 0)
        check(fb.sparse.softmax(s, dim), expected, "sparse_coo")
        with np.errstate(all="ignore"):
            check(fb.sparse.log_softmax(s, dim), np.where(there, np.log(expected), 0), "sparse_coo")


def test_softmax_of_large_sparse_values_does_not_overflow():
    s = fb.sparse_coo_tensor([[0, 0], [0, 1]], [1000.0, 999.0], (1, 2))
    np.testing.assert_allclose(fb.sparse.softmax(s, 1).values().numpy(), [0.7310586, 0.2689414], rtol=1e-6)


@pytest.mark.parametrize(("size", "nnz"), SHAPES)
def test_shape_functions_of_sparse_tensors_match_numpy(size, nnz):
    (s, dense), (r, more) = random(size, nnz), random(size, nnz)
    check(s.transpose(0, 1), dense.swapaxes(0, 1), "sparse_coo")
    check(fb.cat([s, r]), np.concatenate([dense, more]))
    for dim in range(len(size)):
        check(fb.cat([s, r], dim), np.concatenate([dense, more], dim))
        check(fb.stack([s, r], dim), np.stack([dense, more], dim))
        check(s.unsqueeze(dim), np.expand_dims(dense, dim))
        check(s.unsqueeze(dim).squeeze(dim), dense)
        check(s.select(dim, -1), dense.take(-1, dim))
        check(s.index_select(dim, fb.tensor([0, size[dim] - 1, 0])), dense.take([0, size[dim] - 1, 0], dim))
        check(s.narrow(dim, 0, 1), dense.take([0], dim))
    check(s[0], dense[0])
    check(s[0, 1], dense[0, 1], "strided")
    check(s[:, 1:3], dense[:, 1:3])
    check(s[..., 0], dense[..., 0])
    check(s[None], dense[None])
    check(s[::2], dense[::2])
    check(s[fb.tensor([0, 0])], dense[[0, 0]])
    for row, expected in zip(s, dense, strict=True):
        check(row, expected)
    with pytest.raises(IndexError):
        s[7]


def test_movedim_of_sparse_tensors_matches_numpy():
    s, dense = random((4, 5), 9)
    check(s.movedim(0, 1), dense.T, "sparse_coo")
    check(fb.moveaxis(s, (0, 1), (-1, 0)), dense.T)
    with pytest.raises(RuntimeError, match="same number of distinct dimensions"):
        s.movedim((0, 1), (1, 1))


@pytest.mark.parametrize("shape", [(6, 5), (4, 7)])
def test_svd_lowrank_and_pca_lowrank_accept_sparse_tensors(shape):
    s, dense = random(shape, 15)
    u, sizes, v = fb.svd_lowrank(s, min(shape), M=fb.ones(shape[1], dtype=fb.float64))
    np.testing.assert_allclose((u * sizes @ v.mT).numpy(), dense - 1, atol=1e-12)
    for center, expected in ((True, dense - dense.mean(0)), (False, dense)):
        sizes = fb.pca_lowrank(s, min(shape), center=center)[1]
        np.testing.assert_allclose(sizes.numpy(), np.linalg.svd(expected)[1], atol=1e-12)


def test_float_power_of_a_sparse_tensor_returns_float64():
    s, dense = random((4, 5), 9, dtype=np.float32)
    assert fb.float_power(s, 2).dtype is fb.float64
    check(fb.float_power(s, 2), dense.astype(np.float64) ** 2, "sparse_coo")


def test_sparse_mask_selects_the_elements_of_the_mask():
    (s, dense), (mask, there) = random((4, 5), 9), random((4, 5), 6, coalesced=True)
    d = RNG.normal(size=(4, 5))
    check(fb.from_numpy(d).sparse_mask(mask), np.where(there != 0, d, 0), "sparse_coo")
    check(fb.from_numpy(d).sparse_mask(mask.to_sparse_csr()), np.where(there != 0, d, 0), "sparse_csr")
    masked = s.sparse_mask(mask)
    check(masked, np.where(there != 0, dense, 0))
    assert masked._nnz() == mask._nnz()
    check(s.sparse_mask(mask.to_sparse_csr()), np.where(there != 0, dense, 0), "sparse_csr")
    assert fb.equal(s.sparse_mask(mask._coalesced_(False)).coalesce(), masked)
    repeated = fb.sparse_coo_tensor([[0, 0, 1], [1, 1, 0]], [1.0, 1.0, 1.0], (4, 5))
    values = fb.sparse_coo_tensor([[0], [1]], [7.0], (4, 5)).sparse_mask(repeated)
    assert values._values().tolist() == [7, 7, 0] and not values.is_coalesced()


def test_in_place_sparse_operators_reject_other_sizes_and_dtypes():
    s, _ = random((4, 5), 6)
    with pytest.raises(RuntimeError, match="can't be cast"):
        s.long().div_(2)
    with pytest.raises(RuntimeError, match="sizes of"):
        fb.ones(4).add_(s)


def test_equal_and_allclose_compare_sparse_tensors():
    s, _ = random((4, 5), 9)
    assert fb.equal(s, s.coalesce()) and fb.allclose(s, s * (1 + 1e-9)) and not fb.allclose(s, s * 2)
    assert not fb.equal(s, s * 2) and fb.allclose(s - s, fb.zeros_like(s))


def test_spdiags_matches_scipy():
    diagonals = RNG.normal(size=(3, 4))
    import scipy.sparse

    expected = scipy.sparse.spdiags(diagonals, [0, -1, 2], 5, 4).toarray()
    for layout in (None, fb.sparse_coo, fb.sparse_csr, fb.sparse_csc):
        made = fb.sparse.spdiags(fb.from_numpy(diagonals), fb.tensor([0, -1, 2]), (5, 4), layout)
        check(made, expected, str(layout or fb.sparse_coo).rpartition(".")[2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((fb.ones(2, 3), fb.tensor([0, 0]), (3, 3)), "duplicate"),
        ((fb.ones(1, 3), fb.tensor([0]), (3, 2, 3)), "Output shape must be 2d"),
        ((fb.ones(2, 3), fb.tensor([[1, 2], [0, 3]]), (3, 3)), "Offsets must be scalar or vector"),
        ((fb.ones(3, 2, 3), fb.tensor([0]), (3, 3)), "Diagonals must be vector or matrix"),
        ((fb.ones(3, 3), fb.tensor([0, 1]), (3, 3)), r"diagonals \(3\) does not match the number of offsets \(2\)"),
        ((fb.ones(1, 3), fb.tensor([0]).int(), (3, 3)), "must have dtype Long"),
        ((fb.ones(1, 3), fb.tensor([0]), (3, 3), fb.strided), r"\(sparse_coo, sparse_csr, sparse_csc\) .* got strided"),
    ],
)
def test_spdiags_rejects_diagonals_that_do_not_fit(arguments, message):
    with pytest.raises(RuntimeError, match=message):
        fb.sparse.spdiags(*arguments)


def test_sparse_operators_allocate_no_dense_matrix():
    """Test with a size for which a dense matrix would not fit in memory."""
    n = 10**6
    indices = RNG.integers(0, n, (2, 1000))
    s = fb.sparse_coo_tensor(indices, RNG.normal(size=1000), (n, n))
    v = fb.ones(n, 1, dtype=fb.float64)
    total = s.sum().item()
    same = (s + s - s, s.t(), s * 1.0, s.index_select(0, fb.arange(n)))
    for each in (s, s.coalesce(), s.to_sparse_csr(), s.to_sparse_csc(), *same):
        np.testing.assert_allclose((each @ v).sum().item(), total)
    np.testing.assert_allclose(fb.sparse.sum(s @ s, 0).to_dense().sum().item(), (s @ (s @ v)).sum().item(), atol=1e-9)
    assert (s * s)._nnz() <= 1000 and fb.sparse.softmax(s, 1).shape == (n, n) and (s.sin() ** 2).shape == (n, n)


@pytest.mark.parametrize("reduce", ["sum", "mean", "amax", "amin", "max", "min"])
def test_sparse_mm_with_a_reduction_matches_numpy(reduce):
    s, dense = random((4, 5), 9, "csr")
    right = RNG.normal(size=(5, 3))
    expected = np.zeros((4, 3))
    combine = {"sum": np.sum, "mean": np.mean, "amax": np.max, "amin": np.min, "max": np.max, "min": np.min}[reduce]
    for row in range(4):
        if stored := np.flatnonzero(dense[row]).tolist():
            expected[row] = combine(dense[row, stored, None] * right[stored], axis=0)
    check(fb.sparse.mm(s, fb.from_numpy(right), reduce), expected)
    empty = fb.sparse_csr_tensor([0, 0, 0], [], [], (2, 5), dtype=fb.float64)
    check(fb.sparse.mm(empty, fb.from_numpy(right), reduce=reduce), np.zeros((2, 3)))


def test_sparse_mm_with_a_reduction_rejects_other_layouts():
    s, _ = random((4, 5), 9, "csr", dtype=np.float32)
    m = fb.ones(5, 2)
    for call, message in (
        (lambda: fb.sparse.mm(s, m, "prod"), "reduce must be one of sum, mean, amax, amin, got 'prod'"),
        (lambda: fb.sparse.mm(s.to_sparse_coo(), m, "sum"), "requires a matrix of the layout .*sparse_csr"),
        (lambda: fb.sparse.mm(s, s, "sum"), "and a strided one"),
        (lambda: fb.sparse.mm(s, m.double(), "sum"), "same dtype"),
        (lambda: fb.sparse.mm(s, m[:2], "sum"), "cannot be multiplied"),
    ):
        with pytest.raises(RuntimeError, match=message):
            call()
    with pytest.raises(NotImplementedError, match="requires a floating dtype"):
        fb.sparse.mm(s.to(fb.int64), m.long(), "sum")


def test_real_and_imaginary_parts_are_attributes_of_sparse_tensors():
    dense = fb.tensor([[1 + 2j, 0], [0, 3 - 1j]])
    sparse = dense.to_sparse()
    assert np.array_equal(sparse.real.to_dense().numpy(), dense.numpy().real)
    assert np.array_equal(sparse.imag.to_dense().numpy(), dense.numpy().imag)
    assert sparse.real.real.dtype == fb.float32
    with pytest.raises(RuntimeError, match="imag is not implemented for tensors with non-complex dtypes"):
        _ = sparse.real.imag
