"""Compressed sparse layouts with blocks, batches and dense dimensions, against NumPy and SciPy."""

import copy
import itertools
import pickle

import numpy as np
import pytest
import scipy.sparse

import flambeau as fb
import flambeau.sparse

RNG = np.random.default_rng(3)
BLOCKS = {"csr": (), "csc": (), "bsr": (2, 3), "bsc": (2, 3)}
BATCHES = [(), (3,), (2, 3)]
DENSE = [(), (2,), (2, 1)]


def elements(batch=(), dense=()):
    """Return matrices of 4 x 6 elements in which two of the four blocks of 2 x 3 are not zero.

    One element of each of these blocks is zero.
    """
    blocks = np.zeros((*batch, 4, 2, 3, *dense))
    for index in np.ndindex(batch):
        blocks[index][RNG.permutation(4)[:2]] = RNG.integers(1, 9, (2, 2, 3, *dense))
    blocks[(*[slice(None)] * len(batch), slice(None), 0, 1)] = 0
    grid = blocks.reshape(*batch, 2, 2, 2, 3, *dense)
    return grid.swapaxes(len(batch) + 1, len(batch) + 2).reshape(*batch, 4, 6, *dense)


def parts_of(matrix, layout, block, batch_dims=0):
    """Return offsets, indices and values of a matrix, computed from their definition."""
    if batch_dims:
        return tuple(
            map(np.stack, zip(*(parts_of(each, layout, block, batch_dims - 1) for each in matrix), strict=True))
        )
    height, width = block or (1, 1)
    grid = matrix.shape[0] // height, matrix.shape[1] // width
    by_row = layout in ("csr", "bsr")
    offsets, indices, values = [0], [], []
    for line in range(grid[0] if by_row else grid[1]):
        for other in range(grid[1] if by_row else grid[0]):
            row, column = (line, other) if by_row else (other, line)
            entry = matrix[row * height : (row + 1) * height, column * width : (column + 1) * width]
            if entry.any():
                indices.append(other)
                values.append(entry if block else entry[0, 0])
        offsets.append(len(indices))
    return np.array(offsets), np.array(indices, int), np.array(values).reshape(-1, *block, *matrix.shape[2:])


def indices_of(tensor):
    if tensor.layout in (fb.sparse_csr, fb.sparse_bsr):
        return tensor.crow_indices(), tensor.col_indices()
    return tensor.ccol_indices(), tensor.row_indices()


def compressed(matrix, layout, dense_dim=0, block=None):
    block = BLOCKS[layout] if block is None else block
    options = {"layout": getattr(fb, f"sparse_{layout}"), "blocksize": block or None, "dense_dim": dense_dim}
    return fb.from_numpy(matrix).to_sparse(**options)


def check_parts(tensor, parts):
    for got, expected in zip((*indices_of(tensor), tensor.values()), parts, strict=True):
        np.testing.assert_array_equal(got.numpy(), expected)


def check_valid(tensor):
    made = fb.sparse_compressed_tensor(
        *indices_of(tensor), tensor.values(), tensor.shape, layout=tensor.layout, check_invariants=True
    )
    assert made.layout is tensor.layout and made.shape == tensor.shape


def check(tensor, expected):
    np.testing.assert_allclose(tensor.to_dense().numpy(), expected, rtol=1e-12)


@pytest.fixture(params=BLOCKS)
def layout(request):
    return request.param


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("dense", DENSE)
def test_compressed_tensors_have_the_expected_indices_and_values(layout, batch, dense):
    matrix = elements(batch, dense)
    s = compressed(matrix, layout, len(dense))
    parts = parts_of(matrix, layout, BLOCKS[layout], len(batch))
    check_parts(s, parts)
    check(s, matrix)
    assert s.shape == matrix.shape and (s.sparse_dim(), s.dense_dim()) == (2, len(dense))
    assert s._nnz() == parts[1].shape[-1] and str(s.layout) == f"flambeau.sparse_{layout}"
    made = getattr(fb, f"sparse_{layout}_tensor")(*parts, matrix.shape, check_invariants=True)
    check(made, matrix)
    assert fb.equal(made, s)
    lists = fb.sparse_compressed_tensor(*(part.tolist() for part in parts), layout=s.layout, dtype=fb.float64)
    assert lists.shape[: len(batch)] == batch and lists.shape[len(batch) + 2 :] == dense
    check_parts(lists, parts)


@pytest.mark.parametrize("size", [(0, 6), (4, 0), (0, 0), (2, 0, 3)])
def test_compressed_tensors_without_elements_can_be_created_and_converted(layout, size):
    s = compressed(np.zeros(size), layout)
    assert s.shape == size and s._nnz() == 0 and s.to_dense().shape == size
    assert s.to_sparse_csr().to_sparse_csc().shape == size and s.clone().shape == size


@pytest.mark.parametrize("name", ["bsr", "csr", "csc"])
def test_block_layouts_match_scipy(name):
    matrix = scipy.sparse.random(12, 30, 0.1, random_state=0, format="csr")
    expected = matrix.tobsr((3, 5))
    expected.sort_indices()
    parts = expected.indptr, expected.indices, expected.data
    source = fb.sparse_coo_tensor(np.stack(matrix.nonzero()), matrix.data, matrix.shape)
    if name != "bsr":
        source = getattr(source, f"to_sparse_{name}")()
    check_parts(source.to_sparse_bsr((3, 5)), parts)
    check_parts(source.t().to_sparse_bsc((5, 3)).t(), parts)
    check_parts(fb.from_numpy(matrix.toarray()).to_sparse_bsr((3, 5)), parts)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("dense", DENSE[:2])
@pytest.mark.parametrize("dtype", [fb.int32, fb.int64])
def test_conversions_between_layouts_keep_the_elements(layout, batch, dense, dtype):
    matrix = elements(batch, dense)
    offsets, indices, values = parts_of(matrix, layout, BLOCKS[layout], len(batch))
    offsets, indices = fb.tensor(offsets, dtype=dtype), fb.tensor(indices, dtype=dtype)
    s = fb.sparse_compressed_tensor(offsets, indices, values, matrix.shape, layout=getattr(fb, f"sparse_{layout}"))
    coo = s.to_sparse_coo()
    assert coo.is_coalesced() and coo.sparse_dim() == len(batch) + 2 and coo.dense_dim() == len(dense)
    check(coo, matrix)
    for other, block in (*BLOCKS.items(), ("bsr", (1, 1)), ("bsc", (4, 2))):
        target = {"layout": getattr(fb, f"sparse_{other}"), "blocksize": block or None}
        if batch and block == (4, 2):  # the matrices of the batch may have different numbers of blocks
            continue
        for made, kind in ((s.to_sparse(**target), dtype), (coo.to_sparse(**target), fb.int64)):
            check_valid(made)
            check(made, matrix)
            assert all(each.dtype is kind for each in indices_of(made)) and made.layout is target["layout"]
            if block == BLOCKS[layout]:
                check_parts(made, parts_of(matrix, other, block, len(batch)))
    assert s.to_sparse(layout=s.layout) is s and fb.strided is fb.ones(2).to_sparse(layout=fb.strided).layout


def test_changed_indices_do_not_affect_other_conversions(layout):
    coo = compressed(elements(), "csr").to_sparse_coo()
    target = {"layout": getattr(fb, f"sparse_{layout}"), "blocksize": BLOCKS[layout] or None}
    first = coo.to_sparse(**target)
    expected = [each.tolist() for each in indices_of(first)]
    for each in indices_of(first):
        each.zero_()
    assert [each.tolist() for each in indices_of(coo.to_sparse(**target))] == expected


def test_duplicate_indices_stay_separate_entries():
    s = fb.sparse_csr_tensor([0, 3], [1, 0, 1], [1.0, 2.0, 4.0], (1, 2))
    assert s.to_sparse_csc().values().tolist() == [2, 1, 4] and s.to_dense().tolist() == [[2, 5]]
    assert s.to_sparse_bsr((1, 2)).values().tolist() == [[[2, 5]]]


@pytest.mark.parametrize("batch", BATCHES[:2])
def test_copies_of_compressed_tensors_keep_layout_and_elements(layout, batch, tmp_path):
    matrix = elements(batch, (2,))
    s = compressed(matrix, layout, 1)
    fb.save(s, tmp_path / "s.pt")
    copies = s.clone(), s.detach(), copy.copy(s), copy.deepcopy(s), pickle.loads(pickle.dumps(s)), s.data
    for each in (*copies, fb.load(tmp_path / "s.pt"), fb.zeros_like(s).copy_(s), s.float().double(), s.cpu()):
        assert each.layout is s.layout and each.shape == s.shape and each.dtype is fb.float64
        check_parts(each, parts_of(matrix, layout, BLOCKS[layout], len(batch)))
    assert s.clone().values().data_ptr() != s.values().data_ptr() == s.detach().values().data_ptr()
    zeros = fb.zeros_like(s)
    check_valid(zeros)
    assert zeros._nnz() == 0 and zeros.layout is s.layout and zeros.shape == s.shape
    check(s.clone().zero_(), 0 * matrix)
    check(zeros.copy_(s.to_sparse_coo()), matrix)


def test_compressed_tensors_are_printed_like_pytorch():
    s = fb.sparse_bsc_tensor([[0, 1], [0, 1]], [[0], [0]], [[[[1.0, 2.0]]], [[[3.0, 4.0]]]], (2, 1, 2))
    assert repr(s) == (
        "tensor(ccol_indices=tensor([[0, 1],\n"
        "                            [0, 1]]),\n"
        "       row_indices=tensor([[0],\n"
        "                           [0]]),\n"
        "       values=tensor([[[[1., 2.]]],\n\n\n"
        "                      [[[3., 4.]]]]), size=(2, 1, 2), nnz=1,\n"
        "       layout=flambeau.sparse_bsc)"
    )


@pytest.mark.parametrize("dense", DENSE[:2])
def test_transpose_and_select_change_the_dimensions_of_compressed_tensors(layout, dense):
    matrix = elements((2, 3), dense)
    s = compressed(matrix, layout, len(dense))
    other_layout = {"csr": "csc", "csc": "csr", "bsr": "bsc", "bsc": "bsr"}[layout]
    swapped = s.transpose(2, 3)
    assert str(swapped.layout) == f"flambeau.sparse_{other_layout}"
    check_valid(swapped)
    check(swapped, matrix.swapaxes(2, 3))
    check(s.transpose(0, 1), matrix.swapaxes(0, 1))
    check(s.transpose(0, 0), matrix)
    order = (1, 0, 3, 2, *range(4, matrix.ndim))
    check(s.permute(order), matrix.transpose(order))
    with pytest.raises(RuntimeError, match=r"same type .*, got 1\(Batch\) and 2\(Sparse\)"):
        s.transpose(1, 2)
    with pytest.raises(RuntimeError, match="same type"):
        s.permute(2, 1, 0, *range(3, matrix.ndim))
    for dim in (0, 1, *range(4, matrix.ndim)):
        check(s.select(dim, 1), matrix.take(1, dim))
        assert s.select(dim, 1).layout is s.layout
    copied = fb.select_copy(s, 0, 1)
    copied.values().zero_()
    check(s, matrix)
    check(s[1, 2], matrix[1, 2])
    check(s[1, 2, 3], matrix[1, 2, 3])
    check(s[1, 2][:, 4], matrix[1, 2, :, 4])
    check(s[0, 1, 2, 5], matrix[0, 1, 2, 5])
    check(s[:, 1:], matrix[:, 1:])
    check(s.index_select(1, fb.tensor([2, 0])), matrix[:, [2, 0]])
    check(fb.cat([s, s], 1), np.concatenate([matrix, matrix], 1))
    assert fb.cat([s, s], 1).layout is s.index_select(1, fb.tensor([2, 0])).layout is s.layout
    with pytest.raises(NotImplementedError, match="selecting sparse dimensions"):
        s.select(2, 0)
    with pytest.raises(IndexError, match="out of range"):
        s.select(0, 2)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("dense", DENSE[:2])
def test_arithmetic_of_compressed_tensors_matches_numpy(layout, batch, dense):
    x, y, d = elements(batch, dense), elements(batch, dense), RNG.normal(size=(*batch, 4, 6, *dense))
    a, b, t = compressed(x, layout, len(dense)), compressed(y, layout, len(dense)), fb.from_numpy(d)
    for result, expected in (
        (a.sin(), np.sin(x)),
        (a * 3, x * 3),
        (-a / 2, -x / 2),
        (a * t, x * d),
        (a.square(), x**2),
    ):
        check(result, expected)
        assert result.layout is a.layout and result._nnz() == a._nnz()
    check(a + a, x + x)
    check(t + a, d + x)
    check(a + t, d + x)
    ones = fb.sparse_compressed_tensor(*indices_of(a), fb.ones_like(a.values()), a.shape, layout=a.layout)
    check(t.sparse_mask(a), np.where(ones.to_dense().numpy() != 0, d, 0))
    np.testing.assert_allclose(a.sum().item(), x.sum())
    assert fb.equal(a, a.to_sparse_coo()) and fb.allclose(a, a * (1 + 1e-9)) and not fb.allclose(a, a * 2)
    if not batch:  # matrices in a sum or product of batches may have different numbers of elements
        check(a + b, x + y)
        check(a * b, x * y)


def test_matrix_products_of_compressed_tensors_match_numpy(layout):
    x, right, left = elements(), RNG.normal(size=(6, 5)), RNG.normal(size=(3, 4))
    s, m, n = compressed(x, layout), fb.from_numpy(right), fb.from_numpy(left)
    for dtype, tolerance in ((fb.float64, 1e-12), (fb.float32, 1e-5), (fb.complex128, 1e-12)):
        a, b, c = s.to(dtype), m.to(dtype), n.to(dtype)
        np.testing.assert_allclose((a @ b).numpy(), x @ right, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose((c @ a).numpy(), left @ x, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose((a @ b[:, 0]).numpy(), x @ right[:, 0], rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose((a.t() @ c.t()).numpy(), x.T @ left.T, rtol=tolerance, atol=tolerance)
    other = elements()
    check(s @ compressed(other, layout).t(), x @ other.T)


@pytest.mark.parametrize("beta", [0, 2])
def test_a_product_has_the_layout_of_its_addend(layout, beta):
    x, y, z = elements(), elements(), RNG.normal(size=(4, 4))
    expected = x @ y.T
    left, right = compressed(x, "csr"), compressed(y, "csr").t()
    dense = fb.addmm(fb.from_numpy(z), left, right, beta=beta)
    assert dense.layout is fb.strided
    check(dense, beta * z + expected)
    start = compressed(x @ x.T, layout, block=BLOCKS[layout] and (2, 2))
    result = fb.addmm(start, left, right, beta=beta)
    assert result.layout is start.layout
    check(result, beta * (x @ x.T) + expected)


def test_matrix_products_of_batches_of_compressed_tensors_match_numpy(layout):
    x, right, left = elements((3,)), RNG.normal(size=(3, 6, 5)), RNG.normal(size=(3, 2, 4))
    s = compressed(x, layout)
    np.testing.assert_allclose((s @ fb.from_numpy(right)).numpy(), x @ right)
    np.testing.assert_allclose(fb.bmm(fb.from_numpy(left), s).numpy(), left @ x)


def test_sampled_addmm_of_batches_matches_numpy():
    x, left, right = elements((3,)), RNG.normal(size=(3, 4, 2)), RNG.normal(size=(3, 2, 6))
    s, out = compressed(x, "csr"), compressed(elements((3,)), "csr")
    result = fb.sparse.sampled_addmm(s, fb.from_numpy(left), fb.from_numpy(right), beta=2.0)
    check(result, np.where(x != 0, 2 * x + left @ right, 0))
    assert fb.sparse.sampled_addmm(s, fb.from_numpy(left), fb.from_numpy(right), beta=2.0, out=out) is out
    check(out, result.to_dense().numpy())
    repeated = fb.sparse.sampled_addmm(s[0], fb.from_numpy(left), fb.from_numpy(right), beta=2.0)
    check(repeated, np.where(x[0] != 0, 2 * x[0] + left @ right, 0))


def test_results_keep_the_layout_and_the_dtype_of_indices(layout):
    x, y = elements(), elements()
    offsets, indices, values = parts_of(x, layout, BLOCKS[layout])
    offsets, indices = fb.tensor(offsets, dtype=fb.int32), fb.tensor(indices, dtype=fb.int32)
    s = fb.sparse_compressed_tensor(offsets, indices, values, x.shape, layout=getattr(fb, f"sparse_{layout}"))
    results = s + compressed(y, layout), s * compressed(y, layout), fb.cat([s, s]), s.narrow(0, 0, 2)
    for result in (*results, s.t().t(), fb.rand_like(s), fb.randn_like(s)):
        assert result.layout is s.layout and all(each.dtype is fb.int32 for each in indices_of(result))
        check_valid(result)
    square = s @ s.t().to_sparse(layout=s.layout, blocksize=BLOCKS[layout][::-1] or None)
    check(square, x @ x.T)
    assert square.layout is fb.sparse_csr
    assert all(each.dtype is fb.int32 for each in indices_of(square))


def test_like_functions_keep_the_indices_of_compressed_tensors(layout):
    s = compressed(elements((2,)), layout)
    made = fb.rand_like(s)
    assert made.values().std() > 0.1 and made.values().min() >= 0 and made.values().max() < 1
    check_parts(made * 0 + s, parts_of(s.to_dense().numpy(), layout, BLOCKS[layout], 1))
    ones, twos = fb.ones_like(s), fb.full_like(s, 2.0, dtype=fb.float32)
    assert (ones.values() == 1).all() and (twos.values() == 2).all() and twos.dtype is fb.float32
    assert ones.layout is twos.layout is fb.randn_like(s).layout is s.layout
    with pytest.raises(NotImplementedError, match=r"ones_like: .*sparse_coo"):
        fb.ones_like(s.to_sparse_coo())


def test_an_assigned_gradient_keeps_only_the_elements_of_its_tensor():
    pytest.importorskip("flambeau.autograd")
    x, y = elements(), elements()
    s = compressed(x, "bsr").requires_grad_()
    s.grad = compressed(y, "bsr")
    stored = (fb.ones_like(fb.from_numpy(x)).sparse_mask(s.detach())).to_dense().numpy()
    check(s.grad, y * stored)


INVALID = [
    ("an offset that is not 0", [1, 2, 4], [0, 1, 0, 2], (2, 3), r"`{0}\[..., 0\] == 0` is not satisfied"),
    ("a wrong end", [0, 2, 5], [0, 1, 0, 2], (2, 3), r"`{0}\[..., -1\] == nnz` is not satisfied"),
    ("falling offsets", [0, 5, 4], [0, 1, 0, 2], (2, 3), r"`0 <= {0}\[..., 1:\] - {0}\[..., :-1\] <= {2}` is not"),
    ("too many in a line", [0, 0, 4], [0, 1, 0, 2], (2, 3), r"`0 <= {0}\[..., 1:\] - {0}\[..., :-1\] <= {2}` is not"),
    ("a negative index", [0, 2, 4], [0, -1, 0, 2], (2, 3), "`0 <= {1} < {2}` is not satisfied"),
    ("a large index", [0, 2, 4], [0, 1, 0, 3], (2, 3), "`0 <= {1} < {2}` is not satisfied"),
    ("unsorted indices", [0, 2, 4], [1, 0, 0, 2], (2, 3), "`{1}.* are sorted and distinct along the last dimension"),
    ("too many offsets", [0, 2, 3, 4], [0, 1, 0, 2], (2, 3), r"{0}.shape\[-1\] must be equal to the number of {3}s"),
    ("too many indices", [0, 2, 4], [0, 1, 0, 1, 2], (2, 3), r"{1}.shape\[-1\] must be equal to nnz \(=4\) .* got 5"),
    ("too few dimensions", [0, 2, 4], [0, 1, 0, 2], (2,), r"\(=0 \+ 2 \+ 0\) but got 1"),
    ("offsets of a batch", [[0, 2, 4]], [0, 1, 0, 2], (2, 3), "{0} and {1} dimensionalities must be equal but got 2"),
    ("values without batch", [[0, 2, 4]], [[0, 1, 0, 2]], (1, 2, 3), r"values must have dimensionality > sum of batch"),
    ("a number", 0, [0, 1, 0, 2], (2, 3), "{0} must have dimensionality >= 1 but got 0"),
    ("other dtypes", fb.tensor([0, 2, 4], dtype=fb.int32), fb.tensor([0, 1, 0, 2]), (2, 3), "got Int and Long, respec"),
    (
        "short integers",
        fb.tensor([0, 2, 4]).short(),
        fb.tensor([0, 1, 0, 2]).short(),
        (2, 3),
        "Int or Long.* Short",
    ),
    ("strided offsets", fb.tensor([0, 0, 2, 0, 4, 0])[::2], [0, 1, 0, 2], (2, 3), "{0} to be a contiguous"),
    (
        "strided indices",
        [0, 2, 4],
        fb.tensor([0, 0, 1, 0, 0, 0, 2, 0])[::2],
        (2, 3),
        "{1} to be a contiguous",
    ),
]


@pytest.mark.parametrize(("what", "offsets", "indices", "size", "message"), INVALID, ids=[case[0] for case in INVALID])
def test_invariants_of_compressed_tensors_are_checked(layout, what, offsets, indices, size, message):
    by_row, blocks = layout in ("csr", "bsr"), bool(BLOCKS[layout])
    words = ("crow_indices", "col_indices", "ncols") if by_row else ("ccol_indices", "row_indices", "nrows")
    line = ("row" if by_row else "column") + (" block" if blocks else "")
    values = fb.arange(4.0).reshape(-1, 1, 1) if blocks else fb.arange(4.0)
    size = size if by_row else (*size[:-2], *size[-2:][::-1])
    kind = getattr(fb, f"sparse_{layout}")
    with pytest.raises(RuntimeError, match=message.format(*words, line)):
        fb.sparse_compressed_tensor(offsets, indices, values, size, layout=kind, check_invariants=True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fb.ones(4, 6).to_sparse_bsr((3, 2)), r"\(4, 6\) must be divisible by given blocksize \(3, 2\)"),
        (lambda: fb.ones(4, 6).to_sparse_bsc(), "requires a blocksize"),
        (lambda: fb.ones(4, 6).to_sparse(layout=fb.sparse_csr, blocksize=(2, 2)), "has no blocks"),
        (lambda: fb.ones(4).to_sparse_csr(), "at least two dimensions"),
        (lambda: fb.ones(4, 6).to_sparse_csr(1), "at least two dimensions"),
        (lambda: fb.ones(4, 6, 2).to_sparse_csr(1).to_sparse_csc(0), "dense_dim=0 is not supported"),
        (lambda: fb.tensor([[[1, 0]], [[1, 1]]]).to_sparse_csr(), "same number of specified elements per batch"),
        (
            lambda: fb.ones(0, 4, 6).to_sparse_csr(),
            "to_sparse_csr: Expected product of batch dimensions",
        ),
        (lambda: fb.ones(4, 6).to_sparse().to_sparse(layout=fb.strided), "expected sparse compressed tensor layout"),
        (lambda: fb.sparse_bsr_tensor([0, 1], [0], [[[1, 2]]], (1, 3)), r"shape\[1\] \(=3\) must be divisible with"),
        (
            lambda: fb.sparse_csr_tensor([[0, 1]], [[0]], [[1]], (2, 1, 1)),
            r"equal to tensor batch .* \(=\[2\]\)",
        ),
        (
            lambda: fb.sparse_csr_tensor([0, 1], [0], [[1, 2]], (1, 1, 3)),
            r"dense dimensions of values \(=\[2\]\).*\[1, 1, 3\]",
        ),
        (lambda: fb.sparse_compressed_tensor([0], [0], [0], layout=fb.sparse_coo), "sparse compressed tensor layout"),
        (lambda: fb.sparse_bsr_tensor([0], [], [], layout=fb.sparse_csr), "sparse_bsr_tensor"),
        (lambda: fb.empty_like(fb.ones(2, 2).to_sparse_csr(), layout=fb.sparse_csc), "different sparse layout"),
    ],
)
def test_compressed_tensors_reject_invalid_arguments(call, message):
    with pytest.raises(RuntimeError, match=message):
        call()


def test_methods_of_tensor_work_on_compressed_tensors():
    s = compressed(elements(), "bsr")
    assert fb.equal(fb.Tensor.values(s), s.values()) and fb.equal(fb.Tensor.crow_indices(s), s.crow_indices())
    with pytest.raises(RuntimeError, match=r"row_indices expected sparse column compressed .* but got SparseBsr"):
        fb.Tensor.row_indices(s)


def test_allclose_compares_different_compressed_layouts():
    matrix = elements((2,), (2,))
    tensors = [compressed(matrix, layout, 1) for layout in BLOCKS]
    for left, right in itertools.pairwise(tensors):
        assert fb.allclose(left, right)


def test_a_single_block_size_means_square_blocks():
    x = fb.arange(16.0).reshape(4, 4)
    assert x.to_sparse_bsr(2).values().shape == (4, 2, 2) and fb.equal(x.to_sparse_bsc(2).to_dense(), x)


@pytest.mark.parametrize("layout", ["csr", "csc", "bsr", "bsc"])
def test_resize_as_sparse_takes_the_indices_of_the_template_and_no_values(layout):
    convert = f"to_sparse_{layout}"
    block = ((2, 1),) if layout.startswith("b") else ()
    template = getattr(fb.tensor([[0.0, 1.0], [2.0, 3.0]]), convert)(*block)
    s = getattr(fb.ones(4, 6, dtype=fb.float64), convert)(*block)
    assert s.resize_as_sparse_(template) is s and s.shape == (2, 2) and s.dtype == fb.float64
    assert s._nnz() == template._nnz() and s.layout is template.layout and s.to_dense().tolist() == [[0, 0], [0, 0]]
    s.values().fill_(1)
    assert s.to_dense().sum() == s.values().numel()
    same = getattr(fb.tensor([[0.0, 5.0], [6.0, 7.0]]), convert)(*block)
    assert same.resize_as_sparse_(template).to_dense().tolist() == [[0, 5], [6, 7]]


def test_resize_as_sparse_needs_two_tensors_of_one_layout():
    csr = fb.eye(2).to_sparse_csr()
    for tensor, template, text in (
        (fb.eye(2), csr, "self  expected sparse compressed tensor layout but got flambeau.strided"),
        (csr, fb.eye(2), "src  expected sparse compressed tensor layout but got flambeau.strided"),
        (csr, fb.eye(2).to_sparse_csc(), "self and src must have the same layout"),
    ):
        with pytest.raises(RuntimeError, match=text):
            tensor.resize_as_sparse_(template)


def test_sums_of_matrices_of_different_sizes_are_rejected():
    with pytest.raises(RuntimeError, match=r"Expected input tensors to have the same shape.*\[2, 2\].*\[2, 1\]"):
        fb.ones(2, 2).to_sparse_csr() + fb.ones(2, 1).to_sparse_csr()


@pytest.mark.parametrize("layout", [fb.sparse_csr, fb.sparse_csc])
def test_empty_and_zeros_reject_compressed_layouts_with_one_dimension(layout):
    for make in (fb.empty, fb.zeros):
        with pytest.raises(RuntimeError, match=r"Only batched sparse compressed \(non-block\) .* got size \[5\]"):
            make((5,), layout=layout)
