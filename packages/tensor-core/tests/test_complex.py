"""Tests of complex numbers against NumPy: dtypes, construction, files, real and imaginary parts."""

import copy
import math
import pickle

import numpy as np
import pytest
from complex_numbers import close, draw

import flambeau as fb

# --- dtypes and promotion ---


def test_complex_dtypes_have_the_expected_properties():
    assert fb.cfloat is fb.complex64
    assert fb.cdouble is fb.complex128
    assert fb.complex64.is_complex
    assert not fb.complex64.is_floating_point
    assert fb.complex64.is_signed
    assert fb.complex64.itemsize == 8
    assert fb.complex128.itemsize == 16
    assert fb.complex128.to_real() is fb.float64
    assert fb.float32.to_complex() is fb.complex64
    assert fb.float64.to_complex() is fb.complex128
    assert fb.int64.to_complex() is fb.complex64
    assert fb.finfo(fb.complex64).eps == fb.finfo(fb.float32).eps
    with pytest.raises(TypeError, match="iinfo"):
        fb.iinfo(fb.complex64)
    assert not hasattr(fb, "complex32")


PROMOTION = [
    (fb.complex64, fb.float64, fb.complex128),
    (fb.complex64, fb.float32, fb.complex64),
    (fb.complex64, fb.float16, fb.complex64),
    (fb.complex64, fb.int64, fb.complex64),
    (fb.complex64, fb.bool, fb.complex64),
    (fb.complex64, fb.complex128, fb.complex128),
    (fb.complex128, fb.bfloat16, fb.complex128),
]


@pytest.mark.parametrize(("a", "b", "expected"), PROMOTION)
def test_complex_dtypes_promote_symmetrically(a, b, expected):
    assert fb.promote_types(a, b) is expected
    assert fb.promote_types(b, a) is expected
    assert (fb.ones(2, dtype=a) + fb.ones(2, dtype=b)).dtype is expected


def test_numbers_and_scalar_tensors_promote_by_category_only():
    assert (fb.ones(2) * 1j).dtype is fb.complex64
    assert (fb.ones(2, dtype=fb.float64) * 1j).dtype is fb.complex128
    assert (fb.ones(2, dtype=fb.int32) * 1j).dtype is fb.complex64
    assert (fb.ones(2, dtype=fb.complex64) * 2.5).dtype is fb.complex64
    assert (fb.ones(2) * fb.tensor(1j, dtype=fb.complex128)).dtype is fb.complex64
    assert (fb.ones(2, dtype=fb.complex64) * fb.tensor(1.0, dtype=fb.float64)).dtype is fb.complex64
    fb.set_default_dtype(fb.float64)
    assert fb.tensor(1j).dtype is fb.complex128
    assert (fb.ones(2, dtype=fb.int64) * 1j).dtype is fb.complex128


def test_complex_results_are_not_stored_in_real_tensors():
    assert not fb.can_cast(fb.complex64, fb.float64)
    real = fb.ones(2)
    with pytest.raises(RuntimeError, match="can't be cast"):
        real.add_(1j)
    with pytest.raises(RuntimeError, match="can't be cast"):
        fb.add(real, 1j, out=fb.empty(2))
    with pytest.raises(RuntimeError, match="without overflow"):
        real.fill_(1j)
    assert real.tolist() == [1, 1]


# --- construction and conversion ---


def test_complex_numbers_create_complex_tensors():
    assert fb.tensor(1 + 2j).dtype is fb.complex64
    assert fb.tensor([1, 2.5, 3j]).tolist() == [1, 2.5, 3j]
    assert fb.tensor([[1j, 2], [3, 4 - 1j]], dtype=fb.complex128).tolist() == [[1j, 2], [3, 4 - 1j]]
    assert fb.tensor(np.complex64(1 + 2j)).item() == 1 + 2j
    assert fb.full((2,), 1j).dtype is fb.complex64
    assert fb.zeros(2, dtype=fb.complex64).tolist() == [0, 0]
    assert fb.eye(2, dtype=fb.complex128).tolist() == [[1, 0], [0, 1]]
    assert fb.ones(2, dtype=complex).dtype is fb.complex128
    assert fb.tensor([1.5, 2]).to(fb.complex64).tolist() == [1.5, 2]
    assert fb.tensor([1.5]).cdouble().dtype is fb.complex128
    assert fb.tensor([1.5]).cfloat().dtype is fb.complex64
    with pytest.raises(TypeError, match="must be real number, not complex"):
        fb.tensor([1j], dtype=fb.float32)
    with pytest.raises(NotImplementedError):
        fb.arange(3, dtype=fb.complex64)


def test_casts_to_real_keep_the_real_part():
    z = fb.tensor([1.7 + 2j, 3j, 0])
    with pytest.warns(UserWarning, match="discards the imaginary part"):
        assert z.to(fb.int64).tolist() == [1, 0, 0]
    assert z.to(fb.bool).tolist() == [True, True, False]


def test_complex_tensors_convert_to_python_numbers():
    z = fb.tensor(3 - 4j)
    assert complex(z) == 3 - 4j
    assert z.item() == 3 - 4j
    assert abs(z).item() == 5
    assert bool(z)
    assert not fb.tensor(0j)
    assert float(fb.tensor(2 + 0j)) == 2
    for convert in (float, int):
        with pytest.raises(RuntimeError, match="without overflow"):
            convert(z)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_memory_is_shared_with_numpy_and_dlpack(dtype):
    array = draw(3, 4).astype(dtype)
    tensor = fb.from_numpy(array)
    assert tensor.dtype is getattr(fb, dtype)
    tensor[1, 2] = 5j
    assert array[1, 2] == 5j
    assert tensor.T.numpy().dtype == array.dtype
    assert fb.from_dlpack(array).data_ptr() == array.ctypes.data
    assert np.from_dlpack(tensor)[1, 2] == 5j
    for again in (pickle.loads(pickle.dumps(tensor)), copy.deepcopy(tensor), fb.asarray(array)):
        assert np.array_equal(again.numpy(), array)


def test_complex_tensors_can_be_saved(tmp_path):
    state = {"single": fb.tensor(draw(2, 3), dtype=fb.complex64), "double": fb.tensor(draw(3)), "number": 1 - 2j}
    fb.save(state, tmp_path / "state")
    loaded = fb.load(tmp_path / "state")
    assert loaded["number"] == 1 - 2j
    for name in ("single", "double"):
        assert loaded[name].dtype is state[name].dtype
        assert fb.equal(loaded[name], state[name])


def test_complex_tensors_are_printed_like_pytorch():
    assert repr(fb.tensor([1 + 2j, -0.5 - 3j])) == "tensor([ 1.0000+2.j, -0.5000-3.j])"
    assert repr(fb.tensor(1j, dtype=fb.complex128)) == "tensor(0.+1.j, dtype=flambeau.complex128)"
    assert repr(fb.tensor([complex(math.nan, math.inf)])) == "tensor([nan+infj])"
    assert repr(fb.zeros(0, dtype=fb.complex64)) == "tensor([], dtype=flambeau.complex64)"


def test_random_complex_numbers_have_the_right_mean_and_variance():
    z = fb.randn(200_000, dtype=fb.complex64).numpy()
    for part in (z.real, z.imag):
        assert abs(part.mean()) < 0.01
        assert abs(part.var() - 0.5) < 0.01
    u = fb.rand(1000, dtype=fb.complex128).numpy()
    assert u.real.min() >= 0
    assert u.imag.max() < 1
    assert not np.array_equal(u.real, u.imag)


# --- parts ---


def test_real_and_imag_are_views():
    z = fb.tensor(draw(3, 4))
    array = z.numpy()
    assert np.array_equal(z.real.numpy(), array.real)
    assert np.array_equal(z.imag.numpy(), array.imag)
    z.real[1] = 7
    z.T.imag.zero_()
    fb.view_as_real(z)[0, 0, 1] = 9
    assert (array.real[1] == 7).all()
    assert array[0, 0].imag == 9
    z.imag = fb.ones(4, dtype=fb.float64)
    z.real = 2
    assert (array == 2 + 1j).all()
    assert fb.view_as_complex(fb.view_as_real(z)).data_ptr() == z.data_ptr()
    x = fb.ones(2)
    assert x.real is x
    assert fb.real(x) is x


def test_parts_of_real_tensors_are_rejected():
    with pytest.raises(RuntimeError, match="imag is not implemented"):
        fb.imag(fb.ones(2))
    with pytest.raises(RuntimeError, match="view_as_real"):
        fb.view_as_real(fb.ones(2))
    for bad in (fb.ones(3), fb.tensor(1.0), fb.ones(2, 2).T, fb.ones(4, 3)[:, :2], fb.ones(2, dtype=fb.int64)):
        with pytest.raises(RuntimeError):
            fb.view_as_complex(bad)
    with pytest.raises(RuntimeError, match="scalar type"):
        fb.complex(fb.ones(2), fb.ones(2, dtype=fb.float64))
    with pytest.raises(RuntimeError, match="Half, Float or Double"):
        fb.complex(fb.ones(2, dtype=fb.int64), fb.ones(2, dtype=fb.int64))


def test_conjugates_of_complex_tensors_match_numpy():
    z = fb.tensor(draw(2, 3, 4))
    array = z.numpy()
    assert np.array_equal(z.conj().numpy(), array.conj())
    assert np.array_equal(z.mH.numpy(), array.conj().swapaxes(-1, -2))
    assert np.array_equal(z[0].H.numpy(), array[0].conj().T)
    assert np.array_equal(fb.adjoint(z).numpy(), z.mH.numpy())
    assert z.resolve_conj() is z
    assert fb.resolve_neg(z) is fb.resolve_conj(input=z) is z
    with pytest.raises(TypeError, match="argument 'input'"):
        fb.resolve_conj([1 + 2j])
    assert not z.conj().is_conj()
    x = fb.ones(2)
    assert x.conj() is x
    z.conj_physical_()
    assert (z.imag + fb.tensor(draw(2, 3, 4)).imag == 0).all()


def test_complex_and_polar_match_numpy():
    a, b = np.random.default_rng(0).standard_normal((2, 3)).astype("float32")
    assert np.array_equal(fb.complex(fb.tensor(a), fb.tensor(b)).numpy(), a + 1j * b)
    close(fb.polar(fb.tensor(a), fb.tensor(b)), a * np.exp(1j * b), fb.complex64)
    assert fb.isreal(fb.tensor([1 + 0j, 1j])).tolist() == [True, False]
    assert fb.isreal(fb.ones(2)).tolist() == [True, True]
    assert fb.is_complex(fb.tensor(1j))
    assert not fb.is_complex(fb.tensor(1.0))


# --- copying operators ---


def test_copies_and_indexing_of_complex_tensors_match_numpy():
    array = draw(4, 5)
    for dtype in ("complex64", "complex128"):
        a = array.astype(dtype)
        t = fb.tensor(a)
        index = fb.tensor([[0, 3], [1, 1], [2, 0], [3, 2]])
        assert np.array_equal(t.gather(1, index).numpy(), np.take_along_axis(a, index.numpy(), 1))
        assert np.array_equal(t[index[:, 0]].numpy(), a[index[:, 0].numpy()])
        assert np.array_equal(t[:, [1, 3]].numpy(), a[:, [1, 3]])
        assert np.array_equal(t[t.real > 0].numpy(), a[a.real > 0])
        assert np.array_equal(fb.cat([t, t.T.contiguous().T]).numpy(), np.concatenate([a, a]))
        assert np.array_equal(fb.stack([t, t]).numpy(), np.stack([a, a]))
        assert np.array_equal(fb.tril(t).numpy(), np.tril(a))
        assert np.array_equal(t.masked_fill(t.imag > 0, 2j).numpy(), np.where(a.imag > 0, np.array(2j, dtype), a))
        assert np.array_equal(t.T.reshape(-1).numpy(), a.T.reshape(-1))
        added = fb.zeros(4, 5, dtype=t.dtype).index_add(0, fb.tensor([1, 1]), t[:2]).numpy()
        np.testing.assert_allclose(added[1], a[0] + a[1], rtol=1e-6)
        scattered = fb.zeros(4, 5, dtype=t.dtype).scatter_add(1, index, t).numpy()
        expected = np.zeros((4, 5), dtype)
        np.add.at(expected, (np.arange(4)[:, None], index.numpy()), a[:, :2])
        np.testing.assert_allclose(scattered, expected, rtol=1e-6)
        t[0] = 1j
        t[1:3, 0] += 1
        a[0] = 1j
        a[1:3, 0] += 1
        assert np.array_equal(t.numpy(), a)
