"""Tests of sparse tensors: construction, checks, conversion, formatting, copies and files."""

import copy
import io
import pickle
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse

import flambeau as fb
import flambeau.sparse

RNG = np.random.default_rng(0)
INDICES, VALUES = [[0, 1, 1, 0], [2, 0, 2, 2]], [3.0, 4.0, 5.0, 1.0]
DENSE = np.array([[0, 0, 4], [4, 0, 5]], np.float32)


def coo(**options):
    return fb.sparse_coo_tensor(INDICES, VALUES, (2, 3), **options)


def test_sparse_module_is_loaded_on_first_use():
    program = "import flambeau, sys; flambeau.ones(2).is_sparse; print('flambeau.sparse' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


def test_coo_tensors_have_the_expected_attributes():
    s = coo()
    assert isinstance(s, fb.Tensor) and s.layout is fb.sparse_coo and s.is_sparse and not s.is_sparse_csr
    assert s.shape == (2, 3) and s.size(1) == 3 and s.ndim == s.dim() == 2 and s.numel() == 6 and len(s) == 2
    assert (s.sparse_dim(), s.dense_dim(), s._nnz(), s.is_coalesced()) == (2, 0, 4, False)
    assert s._indices().tolist() == INDICES and s._values().tolist() == VALUES
    with pytest.raises(RuntimeError, match="Cannot get indices on an uncoalesced tensor"):
        s.indices()
    with pytest.raises(RuntimeError, match="Cannot get values on an uncoalesced tensor"):
        s.values()
    c = s.coalesce()
    assert c.indices().tolist() == [[0, 1, 1], [2, 0, 2]] and c.values().tolist() == [4, 4, 5] and c.coalesce() is c
    np.testing.assert_array_equal(s.to_dense().numpy(), DENSE)
    assert s.dtype is fb.float32 and s.device == fb.device("cpu") and not s.requires_grad and s.is_floating_point()


def test_sparse_layouts_of_matrices_equal_scipy():
    matrix = scipy.sparse.random(50, 40, 0.1, random_state=0, format="coo")
    s = fb.sparse_coo_tensor(np.vstack((matrix.row, matrix.col)), matrix.data, matrix.shape)
    assert s.dtype is fb.float64
    np.testing.assert_array_equal(s.to_dense().numpy(), matrix.toarray())
    for name in ("csr", "csc"):
        ours, theirs = getattr(s, f"to_sparse_{name}")(), getattr(matrix, f"to{name}")()
        offsets, others = ("crow", "col") if name == "csr" else ("ccol", "row")
        assert getattr(ours, f"{offsets}_indices")().tolist() == theirs.indptr.tolist()
        assert getattr(ours, f"{others}_indices")().tolist() == theirs.indices.tolist()
        np.testing.assert_array_equal(ours.values().numpy(), theirs.data)
        np.testing.assert_array_equal(ours.to_dense().numpy(), matrix.toarray())
        back = ours.to_sparse()
        assert back.is_coalesced() and fb.equal(back, s)
        made = getattr(fb, f"sparse_{name}_tensor")(theirs.indptr, theirs.indices, theirs.data, matrix.shape)
        assert fb.equal(made, ours) and made.layout is getattr(fb, f"sparse_{name}")


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "int32", "bool", "complex64"])
@pytest.mark.parametrize(
    ("size", "sparse_dim", "nnz"),
    [((3, 4), 2, 7), ((3, 4, 2), 2, 9), ((5,), 1, 8), ((2, 3, 4), 3, 6), ((3, 0), 2, 0), ((0, 2, 2), 1, 0)],
)
def test_coalesce_and_to_dense_sum_repeated_elements(size, sparse_dim, nnz, dtype):
    indices = np.stack([RNG.integers(0, max(1, length), nnz) for length in size[:sparse_dim]])
    values = RNG.integers(0, 4, (nnz, *size[sparse_dim:])).astype(dtype)
    expected = np.zeros(size, dtype)
    np.add.at(expected, tuple(indices), values)
    s = fb.sparse_coo_tensor(indices, values, size)
    for each in (s, s.coalesce(), s.clone(), s.coalesce().to_sparse(), copy.deepcopy(s), pickle.loads(pickle.dumps(s))):
        np.testing.assert_array_equal(each.to_dense().numpy(), expected)
        assert each.shape == size and each.sparse_dim() == sparse_dim and str(each.dtype) == f"flambeau.{dtype}"
    merged = s.coalesce()
    unique = np.unique(indices, axis=1) if nnz else indices
    assert merged.is_coalesced() and merged.indices().tolist() == unique.tolist()
    again = fb.from_numpy(expected).to_sparse(sparse_dim)
    np.testing.assert_array_equal(again.to_dense().numpy(), expected)
    there = expected.any(tuple(range(sparse_dim, len(size)))) if len(size) > sparse_dim else expected != 0
    assert again._nnz() == there.sum() and again.is_coalesced()


def test_sparse_tensors_may_be_too_large_for_a_dense_tensor():
    size = (2**28, 2**27)
    s = fb.sparse_coo_tensor([[2**27, 5, 2**27], [7, 2**26, 7]], [1.0, 2.0, 3.0], size).coalesce()
    assert s.indices().tolist() == [[5, 2**27], [2**26, 7]] and s.values().tolist() == [2, 4]
    with pytest.raises(RuntimeError, match="overflow"):
        fb.sparse_coo_tensor([[0], [0]], [1.0], (2**40, 2**40))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fb.sparse_coo_tensor([[0, 7]], [1.0, 2.0], (3,)), "for dim 0, size is 3 but found index 7"),
        (lambda: fb.sparse_coo_tensor([[0, -1]], [1.0, 2.0], (3,)), "found negative index -1 for dim 0"),
        (lambda: fb.sparse_coo_tensor([[0, -1]], [1.0, 2.0]), "found negative index -1 for dim 0"),
        (lambda: fb.sparse_coo_tensor([[0]], [1.0], (-3,)), "negative dimension"),
        (lambda: fb.sparse_coo_tensor([[0, 1]], [1.0, 2.0, 3.0], (3,)), "must have same nnz.*2.*3"),
        (lambda: fb.sparse_coo_tensor([[0, 1]], [1.0, 2.0], (3, 3)), r"len\(size\) = 2, sparse_dim = 1"),
        (lambda: fb.sparse_coo_tensor([0, 1], [1.0, 2.0], (3,)), r"len\(size\) = 1, sparse_dim = 2"),
        (lambda: fb.sparse_coo_tensor(INDICES, np.ones((4, 2)), (2, 3, 4)), r"expected \[4, 4\], got \[4, 2\]"),
        (lambda: coo(is_coalesced=True, check_invariants=True), "cannot set is_coalesced"),
        (lambda: fb.sparse_csr_tensor([0, 1, 3], [0, 1, 7], [1.0, 2, 3], (2, 3)), "`0 <= col_indices < ncols`"),
        (lambda: fb.sparse_csr_tensor([1, 1, 3], [0, 1, 2], [1.0, 2, 3], (2, 3)), r"crow_indices\[..., 0\] == 0`"),
        (lambda: fb.sparse_csr_tensor([0, 1, 2], [0, 1, 2], [1.0, 2, 3], (2, 3)), r"crow_indices\[..., -1\] == nnz"),
        (lambda: fb.sparse_csr_tensor([0, 4, 3], [0, 1, 2], [1.0, 2, 3], (2, 3)), "0 <= crow_indices"),
        (lambda: fb.sparse_csr_tensor([0, 1, 1, 3], [0, 1, 2], [1.0, 2, 3], (2, 3)), r"number of rows \+ 1"),
        (lambda: fb.sparse_csr_tensor([0, 1, 3], [0, 1], [1.0, 2, 3], (2, 3)), r"nnz \(=3\).*got 2"),
        (lambda: fb.ones(2).indices(), "indices expected sparse coordinate tensor layout but got Strided"),
        (lambda: fb.ones(2).crow_indices(), "sparse row compressed tensor layout but got Strided"),
        (lambda: fb.ones(2)._nnz(), "sparse tensor layout but got Strided"),
        (lambda: coo().crow_indices(), "but got Sparse$"),
        (lambda: coo().to_sparse_csr().indices(), "but got SparseCsr"),
        (lambda: coo().to_sparse_csr().row_indices(), "sparse column compressed tensor layout but got SparseCsr"),
        (lambda: coo().sparse_resize_((1, 3), 2, 0), "shrinking the size of sparse dimensions"),
        (lambda: coo().sparse_resize_((2, 3), 1, 1), "changing the number of sparse dimensions"),
        (lambda: coo().resize_as_(coo().to_sparse_csr()), "two tensors of the layout sparse_coo"),
        (lambda: fb.zeros_like(coo(), memory_format=fb.contiguous_format), "only supported by strided tensors"),
        (lambda: fb.empty_like(fb.ones(2), layout=fb.sparse_coo), "'aten::empty_strided'"),
        (lambda: fb.zeros(2, dtype=fb.float64, out=coo()), "does not match dtype of out parameter"),
        (lambda: coo().long().requires_grad_(), "only Tensors of floating point dtype can require gradients"),
        (lambda: fb.ones(2, 3).to_sparse(dense_dim=3), r"dense_dim argument must be in \[0,2\] range"),
        (lambda: fb.ones(2, 3).to_sparse(dense_dim=2), "dense_dim argument must be !=self.dim"),
        (lambda: coo().to_sparse(dense_dim=0), "with dense_dim argument given"),
        (lambda: setattr(fb.ones(2, 3), "data", coo()), "incompatible tensor type"),
        (lambda: fb.ones(2, 3).to_sparse(blocksize=(1, 1)), "has no blocks"),
        (lambda: fb.ones(2, 3).to_sparse(3), "sparse_dim argument must be in"),
        (lambda: coo().to_sparse(1), "sparse_dim argument"),
    ],
)
def test_inconsistent_constructor_arguments_raise(call, message):
    with pytest.raises(RuntimeError, match=message):
        call()


def test_unsupported_operators_raise():
    with pytest.raises(NotImplementedError, match="sparse_"):
        coo().exp()
    with pytest.raises(NotImplementedError, match=r"cumsum: .*sparse_csr; use \.to_dense\(\)"):
        fb.cumsum(coo().to_sparse_csr(), 0)
    with pytest.raises(TypeError, match="to_dense"):
        coo().numpy()


def test_compressed_indices_must_be_sorted_if_invariants_are_checked():
    unsorted = ([0, 2], [1, 0], [1.0, 2.0], (1, 2))
    assert fb.sparse_csr_tensor(*unsorted).to_dense().tolist() == [[2, 1]]
    checks = fb.sparse.check_sparse_tensor_invariants
    with checks(), pytest.raises(RuntimeError, match="sorted and distinct"):
        fb.sparse_csr_tensor(*unsorted)
    assert not checks.is_enabled()
    checks.enable()
    assert checks.is_enabled()
    checks.disable()


def test_sparse_tensors_are_printed_like_pytorch():
    assert repr(coo()) == (
        "tensor(indices=tensor([[0, 1, 1, 0],\n"
        "                       [2, 0, 2, 2]]),\n"
        "       values=tensor([3., 4., 5., 1.]),\n"
        "       size=(2, 3), nnz=4, layout=flambeau.sparse_coo)"
    )
    assert repr(fb.zeros(2, 3, dtype=fb.float64).to_sparse_csr()) == (
        "tensor(crow_indices=tensor([0, 0, 0]),\n"
        "       col_indices=tensor([], size=(0,)),\n"
        "       values=tensor([], size=(0,)), size=(2, 3), nnz=0,\n"
        "       dtype=flambeau.float64, layout=flambeau.sparse_csr)"
    )


@pytest.mark.parametrize("suffix", [".pt", ""])
def test_sparse_tensors_can_be_saved(tmp_path, suffix):
    kept = {"s": coo(), "c": coo().coalesce(), "r": coo().to_sparse_csr(), "k": coo().to_sparse_csc(), "x": fb.ones(2)}
    fb.save(kept, tmp_path / f"sparse{suffix}")
    loaded = fb.load(tmp_path / f"sparse{suffix}")
    for name, tensor in kept.items():
        assert loaded[name].layout is tensor.layout
        assert fb.equal(loaded[name].to_dense(), tensor.to_dense())
    assert loaded["c"].is_coalesced() and not loaded["s"].is_coalesced()


def test_safetensors_reject_sparse_tensors(tmp_path):
    with pytest.raises(TypeError, match="sparse_coo"):
        fb.save({"s": coo()}, tmp_path / "sparse.safetensors")


@pytest.mark.parametrize("archive", [True, False])
def test_loading_sparse_indices_out_of_range_is_rejected(archive):
    s = coo(check_invariants=True)
    s._ind[1, 0] = 900
    for tensor in (s, fb.sparse_coo_tensor(INDICES, VALUES, (2, 3), is_coalesced=True)):
        file = io.BytesIO()
        fb.save(tensor, file, format="pt", _use_new_zipfile_serialization=archive)
        with pytest.raises(RuntimeError, match=r"do not match: .*(900|cannot set is_coalesced)"):
            fb.load(io.BytesIO(file.getvalue()))


def test_sparse_tensors_convert_to_other_dtypes_and_legacy_types():
    s = coo()
    assert s.double().dtype is s.to(fb.float64).dtype is fb.float64 and s.long().dtype is fb.int64
    assert s.to("cpu") is s and s.cpu() is s and s.float() is s
    assert s.type() == "flambeau.sparse.FloatTensor" and isinstance(s, fb.sparse.FloatTensor)
    assert not isinstance(s, fb.sparse.LongTensor)
    empty = fb.zeros_like(s)
    assert empty._nnz() == 0 and empty.is_coalesced() and empty.shape == s.shape
    with pytest.raises(RuntimeError, match="between dense and sparse"):
        s.copy_(fb.ones(2, 3))
    assert fb.equal(empty.copy_(s), s) and empty._nnz() == 4
    grown = s.clone().sparse_resize_((4, 5), 2, 0)
    assert grown.shape == (4, 5) and fb.equal(grown.to_dense()[:2, :3], s.to_dense()) and s.shape == (2, 3)
    s.zero_()
    assert s._nnz() == 0 and fb.is_tensor(s)
    legacy = fb.sparse.DoubleTensor(fb.tensor(INDICES), fb.tensor(VALUES).double(), fb.Size([2, 3]))
    assert fb.equal(legacy, coo().double()) and fb.sparse.FloatTensor(2, 3)._nnz() == 0


def test_factories_accept_sparse_layouts():
    dense = fb.ones(2, 3, dtype=fb.float64)
    for made in (
        fb.zeros(2, 3, layout=fb.sparse_coo, dtype=fb.float64),
        fb.empty((2, 3), layout=fb.sparse_coo, dtype=fb.float64),
        fb.zeros_like(dense, layout=fb.sparse_coo),
        dense.new_zeros((2, 3), layout=fb.sparse_coo),
        dense.new_empty(2, 3, layout=fb.sparse_coo),
        fb.zeros(2, 3, layout=fb.sparse_csr, dtype=fb.float64).to_sparse_coo(),
    ):
        assert made.layout is fb.sparse_coo and made.shape == (2, 3) and made.dtype is fb.float64
        assert (made.sparse_dim(), made._nnz(), made.is_coalesced()) == (2, 0, True)
    assert fb.zeros((), layout=fb.sparse_coo).to_dense().item() == 0
    assert fb.empty(2, layout=fb.sparse_coo, device="meta").is_meta
    assert fb.zeros_like(coo(), layout=fb.strided, memory_format=fb.contiguous_format).tolist() == [[0] * 3] * 2
    out = fb.sparse_coo_tensor([[1]], [[2, 3]], (3, 2))
    assert fb.zeros(2, 4, 5, out=out) is out
    assert (out.shape, out.sparse_dim(), out._nnz(), out.dtype) == ((2, 4, 5), 3, 0, fb.int64)
    with pytest.raises(NotImplementedError, match=r"ones\(\): not implemented for the layout"):
        fb.ones(2, layout=fb.sparse_coo)


def test_to_sparse_accepts_a_number_of_dense_dimensions():
    dense = np.array([[[0, 0], [1, 0]], [[0, 0], [0, 2]]])
    s = fb.tensor(dense).to_sparse(dense_dim=1)
    assert s.indices().tolist() == [[0, 1], [1, 1]] and s.values().tolist() == [[1, 0], [0, 2]]
    with pytest.raises(TypeError, match="not both"):
        fb.tensor(dense).to_sparse(2, dense_dim=1)


def test_methods_of_tensor_work_on_sparse_tensors():
    s = coo()
    assert fb.Tensor.is_coalesced(s) is False and fb.Tensor.coalesce(s).values().tolist() == [4, 4, 5]
    assert fb.Tensor.crow_indices(s.to_sparse_csr()).tolist() == [0, 1, 3]
    assert (fb.Tensor.sparse_dim(s), fb.Tensor.dense_dim(s)) == (2, 0)
    assert (fb.ones(2, 3).sparse_dim(), fb.ones(2, 3).dense_dim()) == (0, 2)


def test_a_sparse_tensor_keeps_its_shape_when_its_parts_are_resized():
    indices, values = fb.tensor([[0], [1]]), fb.tensor([[3.0, 4.0, 5.0]])
    s = fb.sparse_coo_tensor(indices, values, (1, 2, 3))
    values[0, 0] = 7
    indices.resize_(2, 3)
    values.resize_(4, 5)
    assert s._indices().shape == (2, 1) and s._values().tolist() == [[7, 4, 5]]


def test_resize_as_and_sparse_resize_change_the_size():
    s = fb.sparse_coo_tensor([[1]], [[1.0, 2.0, 3.0]], (2, 3))
    s.resize_as_(fb.sparse_coo_tensor((4, 5)).sparse_resize_((4, 5), 1, 1))
    assert s.shape == (4, 5) and s._values().tolist() == [[1, 2, 3, 0, 0]]
    assert coo().new().resize_as_(coo()).shape == (2, 3)


def test_a_copy_is_coalesced_if_the_original_is():
    single = fb.sparse_coo_tensor([[0]], [1.0], (2,))
    assert single.clone().is_coalesced() and not single._coalesced_(False).clone().is_coalesced()


def test_elements_of_sparse_tensors_cannot_be_assigned():
    with pytest.raises(TypeError, match="Cannot assign to a sparse tensor"):
        coo()[0] = 100


def test_the_legacy_method_new_of_sparse_tensors_takes_only_sizes():
    s = coo()
    assert s.new(fb.Size([2, 3])).shape == (2, 3) and s.new(6).shape == (6,) and s.new().shape == (0,)
    with pytest.raises(TypeError, match="only accepts sizes"):
        s.new([6])
    with pytest.raises(TypeError, match="expected indices and values"):
        s.new(fb.ones(3))


def test_changed_indices_are_checked_again():
    s = coo()
    s.coalesce()
    s @ fb.ones(3, 1)
    s._indices()[0] = 0
    assert s.coalesce().indices().tolist() == [[0, 0], [0, 2]]
    assert (s @ fb.ones(3, 1)).tolist() == [[13], [0]]


@pytest.mark.parametrize("kind", ["meta", "mkldnn", "mps", "nested", "quantized", "xla"])
def test_is_meta_and_similar_attributes_of_sparse_tensors_are_false(kind):
    assert getattr(fb.eye(2).to_sparse(), f"is_{kind}") is False


def test_permute_of_a_sparse_tensor_accepts_dims_by_keyword():
    dense = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(fb.tensor(dense).to_sparse().permute(dims=(1, 0)).to_dense().numpy(), dense.T)


def test_size_and_dtype_functions_accept_sparse_tensors():
    s = coo()
    assert (fb.numel(s), s.nelement(), fb.is_complex(s), fb.is_floating_point(s)) == (6, 6, False, True)
    assert (s.get_device(), s.is_pinned(), s.is_contiguous(), s.is_conj()) == (-1, False, False, False)
    assert fb.result_type(s, fb.ones(1, dtype=fb.float64)) is fb.float64 and fb.result_type(s.long(), 2.5) is fb.float32
    assert s.is_same_size(fb.ones(2, 3)) and not fb.ones(3, 2).is_same_size(s)
    assert fb.ones(3).expand_as(s).shape == fb.ones(6).resize_as_(s).shape == (2, 3)


def test_sparse_factories_create_leaves():
    pytest.importorskip("flambeau.autograd")
    assert fb.zeros(2, layout=fb.sparse_coo, requires_grad=True).requires_grad
    assert fb.tensor(coo(), requires_grad=True).is_leaf


def test_tensor_and_asarray_copy_sparse_tensors():
    s = coo()
    assert fb.as_tensor(s) is s and fb.as_tensor(s, dtype=fb.float64).dtype is fb.float64 and fb.asarray(s) is s
    for copied in (fb.tensor(s), fb.asarray(s, copy=True), fb.ones(1).new_tensor(s), s.new_tensor(s)):
        assert fb.equal(copied, s) and copied._values().data_ptr() != s._values().data_ptr()
    assert s.new_tensor([1, 2]).tolist() == [1, 2]
    with pytest.raises(ValueError, match="can't alias"):
        fb.asarray(s, dtype=fb.float64, copy=False)
