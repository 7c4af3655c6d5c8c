"""Tests of the samples of all operator records: against NumPy and SciPy, with other strides, on the meta device."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import _core
from flambeau._samples import samples

SAMPLES = list(samples())
# Records without samples, and why. Other tests call these operators.
UNTESTED = {
    **dict.fromkeys(("_rrelu", "_sample_dirichlet", "_standard_gamma", "_standard_log_gamma"), "draws random numbers"),
    **dict.fromkeys(("bernoulli", "binomial", "dropout", "multinomial", "poisson"), "draws random numbers"),
    **dict.fromkeys(("bernoulli_", "cauchy_", "exponential_", "geometric_"), "draws random numbers"),
    **dict.fromkeys(("log_normal_", "normal_", "uniform_"), "draws random numbers"),
    **dict.fromkeys(("normal", "rand", "rand_like", "randint", "randint_like"), "draws random numbers"),
    **dict.fromkeys(("randn", "randn_like", "random_", "randperm"), "draws random numbers"),
    **dict.fromkeys(("empty", "empty_like", "empty_permuted", "empty_strided"), "the elements are not set"),
    **dict.fromkeys(("new_empty", "new_empty_strided"), "the elements are not set"),
    **dict.fromkeys(("is_contiguous", "is_set_to", "storage_offset"), "asks for the order of the elements in memory"),
    **dict.fromkeys(("promote_types", "result_type"), "returns a dtype"),
    **dict.fromkeys(("is_conj", "is_neg"), "is always False"),
    **dict.fromkeys(("_fractional_max_pool2d", "_fractional_max_pool3d"), "draws random numbers"),
    **dict.fromkeys(("_ctc_loss", "_embedding_bag", "_fold_windows", "_unfold_windows"), "NumPy needs many lines"),
    **dict.fromkeys(("_multilabel_margin_loss", "_nms", "group_norm", "ormqr"), "NumPy needs many lines"),
    **dict.fromkeys(("_multi_margin_loss", "_recurrent_layer", "mode", "unique_consecutive"), "NumPy needs many lines"),
    **dict.fromkeys(("_adaptive_max_pool1d", "_adaptive_max_pool2d", "_adaptive_max_pool3d"), "NumPy needs many lines"),
    **dict.fromkeys(("grid_sampler", "grid_sampler_2d", "grid_sampler_3d"), "NumPy needs many lines"),
    **dict.fromkeys(("native_batch_norm", "native_group_norm", "native_layer_norm"), "NumPy needs many lines"),
    **dict.fromkeys(("nn_max_unpool1d", "nn_max_unpool2d", "nn_max_unpool3d"), "NumPy needs many lines"),
    **dict.fromkeys(("geqrf", "linalg_householder_product", "linalg_ldl_factor"), "SciPy returns another form"),
    **dict.fromkeys(("linalg_ldl_factor_ex", "linalg_ldl_solve", "triangular_solve"), "SciPy returns another form"),
    "orgqr": "SciPy returns another form",
    **dict.fromkeys(("cat", "concat", "concatenate", "stack", "linalg_multi_dot"), "takes a list of tensors"),
    **dict.fromkeys(("column_stack", "dstack", "hstack", "row_stack", "vstack"), "takes a list of tensors"),
    **dict.fromkeys(("block_diag", "broadcast_tensors", "cartesian_prod", "meshgrid"), "takes a list of tensors"),
    "index_put": "takes a list of tensors",
    **dict.fromkeys(("lu_unpack",), "takes what another operator returns"),
    **dict.fromkeys(("_lu_determinant", "_lu_factor", "_lu_log_determinant", "lu"), "the pivots are free to choose"),
    **dict.fromkeys(("_scale_gradients", "resize_", "resize_as_", "zero_"), "changes its argument"),
    **dict.fromkeys(("embedding_renorm_", "fill_diagonal_"), "changes its argument"),
    **dict.fromkeys(("detach", "detach_copy", "alias_copy"), "the result is the argument"),
    "hash_tensor": "the hash is PyTorch's own",
    "nonzero_static": "the padding is PyTorch's own",
    "slice_copy": "the end of the range is open by default",
}
# Operators whose result shape, or whose fast implementation, depends on the elements of their inputs.
NEED_ELEMENTS = {
    *("allclose", "argwhere", "bincount", "equal", "histc", "histogram", "isin", "masked_scatter"),
    *("masked_select", "nonzero", "one_hot", "repeat_interleave", "unique", "where"),
    *("cdist", "cholesky", "cholesky_inverse", "cholesky_solve", "inverse", "kron", "lu_solve", "matrix_power"),
    *("pdist", "qr"),
}
# Operators whose results depend on strides.
READ_STRIDES = {"as_strided", "as_strided_copy", "view", "view_as_complex", "view_copy"}


def each(result):
    return result if isinstance(result, tuple | list) else (result,)


def same(result, expected):
    for got, wanted in zip(each(result), each(expected), strict=True):
        if isinstance(got, fb.Tensor):
            assert got.shape == np.shape(wanted)
        np.testing.assert_allclose(np.asarray(got), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_every_operator_sample_equals_its_reference(sample):
    same(sample.call(**sample.tensors()), sample.expected())


@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.operator.__name__ not in READ_STRIDES], ids=str)
def test_operator_results_do_not_depend_on_strides(sample):
    tensors = {name: t.mT.contiguous().mT if t.dim() > 1 else t for name, t in sample.tensors().items()}
    tensors = {name: fb.stack([t, t], -1)[..., 1] for name, t in tensors.items()}
    same(sample.call(**tensors), sample.expected())


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_meta_tensors_give_the_shape_and_dtype_of_every_sample(sample):
    device = {"device": "meta"} if "device" in sample.arguments else {}
    try:
        made = sample.call(**sample.tensors(device="meta"), **device)
    except NotImplementedError:
        assert sample.operator.__name__ in NEED_ELEMENTS or sample.operator.__module__ == "flambeau.linalg"
        return
    result = sample.call(**sample.tensors())
    for got, wanted in zip(each(made), each(result), strict=True):
        if isinstance(wanted, fb.Tensor):
            assert got.device.type == "meta" and got.shape == wanted.shape and got.dtype == wanted.dtype
        else:
            assert got == wanted


def test_every_operator_has_samples_and_a_reference():
    records = [entry for entry in _core.signatures() if "samples" in entry]
    tested = {entry["attribute"] for entry in records if entry["samples"] and entry["reference"]}
    lacking = {entry["attribute"] for entry in records} - tested
    assert lacking == set(UNTESTED)
