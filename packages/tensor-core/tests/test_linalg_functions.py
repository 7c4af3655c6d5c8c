"""flambeau.linalg: norms, functions and products of matrices, and tensor equations, against NumPy and SciPy."""

import numpy as np
import pytest
import scipy.linalg
from matrices import DTYPES, close, draw, well_conditioned

import flambeau as fb
from flambeau import linalg


@pytest.mark.parametrize("p", [0, 0.5, 1, 2, 3.5, -1, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_vector_norm_matches_numpy(p, dtype):
    a = draw((3, 4, 5), dtype)
    for dim in (None, 1, (0, 2), -1):
        axes = tuple(range(3)) if dim is None else (dim,) if isinstance(dim, int) else dim
        flat = np.moveaxis(a, axes, range(-len(axes), 0)).reshape(
            *[n for i, n in enumerate(a.shape) if i not in [x % 3 for x in axes]], -1
        )
        want = np.linalg.norm(flat, p, axis=-1)
        for keepdim in (False, True):
            got = linalg.vector_norm(fb.from_numpy(a), p, dim, keepdim)
            close(got.reshape(want.shape), want, dtype, 10)
            assert not got.is_complex()
    close(linalg.norm(fb.from_numpy(a[0, 0])), np.linalg.norm(a[0, 0]), dtype)
    close(fb.norm(fb.from_numpy(a), p), np.linalg.norm(a.ravel(), p), dtype, 100)


@pytest.mark.parametrize("ord", ["fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_matrix_norm_and_cond_match_numpy(ord, dtype):
    a = draw((2, 3, 4), dtype)
    close(linalg.matrix_norm(fb.from_numpy(a), ord), np.linalg.norm(a, ord, axis=(-2, -1)), dtype, 10)
    want = np.linalg.norm(a, ord, axis=(2, 0), keepdims=True)
    close(linalg.matrix_norm(fb.from_numpy(a), ord, (2, 0), True), want, dtype, 10)
    close(linalg.norm(fb.from_numpy(a[0]), ord), np.linalg.norm(a[0], ord), dtype, 10)
    square = well_conditioned((3, 3), dtype)
    close(linalg.cond(fb.from_numpy(square), ord), np.linalg.cond(square, ord), dtype, 100)
    assert linalg.cond(fb.zeros(2, 2), ord).item() == np.inf or ord == "nuc"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [0, 1e-3, 0.1, 0.5, 1.5, 4, 30])
def test_matrix_exp_matches_scipy(scale, dtype):
    a = (draw((3, 6, 6), dtype) * np.array([1, 0.1, 0])[:, None, None] * scale).astype(dtype)
    want = np.stack([scipy.linalg.expm(x.astype(np.result_type(dtype, np.float64))) for x in a])
    got = fb.matrix_exp(fb.from_numpy(a)).numpy()
    for one, other in zip(got, want, strict=True):
        size = np.abs(other).max()
        close(one / size, other / size, dtype, 10 * (1 + scale))


def test_matrix_exp_of_infinite_elements_is_nan_only_in_their_matrix():
    got = fb.matrix_exp(fb.tensor([[[np.inf, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]]))
    assert got[0].isnan().all() and np.array_equal(got[1].numpy(), np.eye(2))


@pytest.mark.parametrize("n", [-3, -1, 0, 1, 2, 3, 7, 10])
def test_matrix_power_matches_numpy_and_copies(n):
    a = well_conditioned((2, 3, 3)) / 5
    close(linalg.matrix_power(fb.from_numpy(a), n), np.linalg.matrix_power(a, n), "float64", 100)
    assert fb.matrix_power(fb.from_numpy(a), 1).data_ptr() != a.ctypes.data


def test_multi_dot_and_chain_matmul_match_numpy():
    arrays = [draw(s, seed=i) for i, s in enumerate([(3, 20), (20, 2), (2, 30), (30, 4)])]
    close(linalg.multi_dot([fb.from_numpy(a) for a in arrays]), np.linalg.multi_dot(arrays), "float64", 10)
    close(fb.chain_matmul(*[fb.from_numpy(a) for a in arrays]), np.linalg.multi_dot(arrays), "float64", 10)
    ends = [arrays[0][0], *arrays[1:-1], arrays[-1][:, 0]]
    close(
        linalg.multi_dot([fb.from_numpy(np.ascontiguousarray(a)) for a in ends]), np.linalg.multi_dot(ends), "float64"
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_vecdot_cross_and_other_vector_products_match_numpy(dtype):
    x, y = draw((2, 3), dtype), draw((4, 1, 3), dtype, 1)
    close(linalg.vecdot(fb.from_numpy(x), fb.from_numpy(y)), (x.conj() * y).sum(-1), dtype)
    close(linalg.cross(fb.from_numpy(x[None]), fb.from_numpy(y)), np.cross(x[None], y), dtype)
    close(fb.vdot(fb.from_numpy(x[0]), fb.from_numpy(x[1])), np.vdot(x[0], x[1]), dtype)
    close(fb.ger(fb.from_numpy(x[0]), fb.from_numpy(x[1])), np.outer(x[0], x[1]), dtype)
    close(linalg.vander(fb.from_numpy(x), N=4), np.stack([np.vander(r, 4, increasing=True) for r in x]), dtype)


def test_tensorinv_and_tensorsolve_match_numpy():
    a = draw((2, 3, 6)) + 3 * np.eye(6).reshape(2, 3, 6)
    close(linalg.tensorinv(fb.from_numpy(a), 2), np.linalg.tensorinv(a, 2), "float64", 10)
    b = draw((2, 3), seed=1)
    close(linalg.tensorsolve(fb.from_numpy(a), fb.from_numpy(b)), np.linalg.tensorsolve(a, b), "float64", 10)
    moved = np.moveaxis(a, 2, 0).copy()
    close(linalg.tensorsolve(fb.from_numpy(moved), fb.from_numpy(b), (0,)), np.linalg.tensorsolve(a, b), "float64", 10)


def test_best_order_minimises_the_work_of_a_contraction():
    from flambeau._contraction import best_order

    sizes = {"a": 1000, "b": 2, "c": 1000, "d": 3}
    assert best_order([("a", "b"), ("b", "c"), ("c", "d")], ("a", "d"), sizes)[0] == (1, 2)
    many = [(chr(97 + i), chr(98 + i)) for i in range(12)]
    assert len(best_order(many, ("a", "m"), {chr(97 + i): 2 for i in range(13)})) == 11
    chain = [fb.from_numpy(draw((2, 2), seed=i)) for i in range(12)]
    equation = ",".join(a + b for a, b in many) + "->am"
    want = np.linalg.multi_dot([t.numpy() for t in chain])
    close(fb.einsum(equation, *chain), want, "float64", 100)
