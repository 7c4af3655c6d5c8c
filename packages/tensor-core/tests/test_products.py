"""Matrix products in all their forms, against NumPy in double precision."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest

import flambeau as fb

VECTORS_AND_MATRICES = [
    ((3,), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3,)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 4)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((1, 2, 3), (5, 3, 4)),
    ((6, 1, 2, 3), (5, 3, 4)),
    ((6, 5, 2, 3), (3, 4)),
    ((2, 0), (0, 3)),
    ((0, 3), (3, 2)),
    ((2, 3), (3, 0)),
    ((4, 2, 0), (4, 0, 3)),
    ((0, 2, 3), (0, 3, 4)),
    ((0,), (0,)),
    ((2, 0), (0,)),
    ((64, 64), (64, 64)),
    ((1, 700), (700, 1)),
    ((130, 1), (1, 130)),
    ((37, 259), (259, 71)),
    ((300, 300), (300, 300)),
    ((301,), (301, 1103)),
    ((1, 20), (20, 17)),
]


def draw(shape, dtype, seed):
    rng = np.random.default_rng(seed)
    if "int" in dtype:
        return rng.integers(0 if dtype[0] == "u" else -5, 6, shape).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


def check(got, want, dtype, terms):
    assert got.shape == want.shape
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(got.numpy(), want, rtol=10 * eps, atol=2 * eps * (terms + 1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("a", "b"), VECTORS_AND_MATRICES)
def test_matmul_matches_numpy(a, b, dtype):
    x, y = draw(a, dtype, 1), draw(b, dtype, 2)
    want = x.astype(np.float64) @ y.astype(np.float64)
    check(fb.matmul(fb.tensor(x), fb.tensor(y)), want, dtype, a[-1])
    check(fb.tensor(x) @ fb.tensor(y), want, dtype, a[-1])


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
@pytest.mark.parametrize(
    ("m", "n", "k"), [(1, 1, 70_001), (3, 5, 9000), (64, 40, 5000), (200, 150, 4500), (1, 9, 65_793)]
)
def test_matmul_over_long_contractions_matches_numpy(m, n, k, dtype):
    real = {"complex64": "float32"}.get(dtype, dtype)
    a, b = draw((m, k), real, 1), draw((k, n), real, 2)
    if dtype == "complex64":
        a, b = a + 1j * draw((m, k), real, 3), b - 1j * draw((k, n), real, 4)
    x, y, want = fb.tensor(a), fb.tensor(b), a.astype(np.complex128) @ b.astype(np.complex128)
    want = want if dtype == "complex64" else want.real
    for got in (x @ y, x.t().contiguous().t() @ y, x @ y.t().contiguous().t(), fb.bmm(x[None], y[None])[0]):
        check(got, want, real, k)
    check(fb.linear(x, y.t(), fb.arange(n).to(x.dtype)), want + np.arange(n), real, k)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"])
@pytest.mark.parametrize(("a", "b"), VECTORS_AND_MATRICES[:19])
def test_matrix_products_of_integers_are_exact(a, b, dtype):
    x, y = draw(a, dtype, 1), draw(b, dtype, 2)
    got = fb.tensor(x) @ fb.tensor(y)
    assert got.dtype is getattr(fb, dtype)
    assert np.array_equal(got.numpy(), x @ y)


def test_a_vector_times_a_row_major_matrix_matches_numpy():
    x, y = draw((301, 1103), "float64", 1), draw((2 * 301,), "float64", 2)
    want = y[::2] @ x
    np.testing.assert_allclose((fb.tensor(y)[::2] @ fb.tensor(x)).numpy(), want, rtol=1e-12, atol=1e-12)
    rows = fb.tensor(np.repeat(x, 2, 0))[::2]
    np.testing.assert_allclose((fb.tensor(y)[::2] @ rows).numpy(), want, rtol=1e-12, atol=1e-12)
    x[3, 7] = np.nan
    assert np.flatnonzero((fb.tensor(y[:301]) @ fb.tensor(x)).isnan().numpy()).tolist() == [7]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layouts", list(itertools.product(["rows", "columns", "items inside"], repeat=2)))
@pytest.mark.parametrize(
    ("count", "m", "n", "k"), [(1, 5, 6, 7), (3, 16, 16, 16), (5, 1, 40, 9), (7, 9, 1, 40), (40, 65, 130, 70)]
)
def test_matmul_of_batches_in_any_layout_is_exact_for_integers(count, m, n, k, layouts, dtype):
    """Test with integers, so that every sum is exact. The last case is larger than the cache."""

    def lying(array, layout):
        order = {"rows": (0, 1, 2), "columns": (0, 2, 1), "items inside": (1, 0, 2)}[layout]
        return fb.tensor(array.transpose(order).copy()).permute(order)

    rng = np.random.default_rng(0)
    a, b = (rng.integers(-9, 10, (count, *shape)).astype(dtype) for shape in ((m, k), (k, n)))
    x, y = lying(a, layouts[0]), lying(b, layouts[1])
    assert np.array_equal(fb.bmm(x, y).numpy(), a @ b)
    assert np.array_equal((x[:1] @ y).numpy(), a[:1] @ b)


def test_matrix_products_of_large_integers_wrap():
    x = np.array([[2**62, 2**61], [-(2**63), 5]])
    with np.errstate(over="ignore"):
        assert np.array_equal((fb.tensor(x) @ fb.tensor(x)).numpy(), x @ x)
    rng = np.random.default_rng(0)
    for m, k, n in ((70, 300, 150), (5, 259, 33), (1, 600, 9), (66, 3, 1), (2, 5000, 12)):
        x, y = (rng.integers(-(2**63), 2**63 - 1, shape) for shape in ((m, k), (n, k)))
        a, b = fb.tensor(x), fb.tensor(y)
        assert np.array_equal((a @ b.t()).numpy(), x @ y.T)
        assert np.array_equal((a @ b.t().contiguous()).numpy(), x @ y.T)
        assert np.array_equal((b @ a.t()).numpy(), y @ x.T)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_matrix_products_of_half_precision_accumulate_in_float32(dtype):
    x, y = (
        fb.tensor(draw((20, 500), "float32", 1)).to(getattr(fb, dtype)),
        fb.tensor(draw((500, 30), "float32", 2)).to(getattr(fb, dtype)),
    )
    got = x @ y
    assert got.dtype is x.dtype
    want = x.float().numpy().astype(np.float64) @ y.float().numpy()
    np.testing.assert_allclose(got.float().numpy(), want, rtol=1e-2 if dtype == "bfloat16" else 1e-3, atol=1e-4)


@pytest.mark.parametrize("forms", list(itertools.product(["plain", "transposed", "strided", "expanded"], repeat=2)))
@pytest.mark.parametrize("size", [7, 70])
def test_matmul_of_operands_with_any_strides_matches_numpy(forms, size):
    def made(form, seed):
        a = draw((2 * size, 2 * size), "float64", seed)
        if form == "plain":
            return fb.tensor(a[:size, :size].copy()), a[:size, :size]
        if form == "transposed":
            return fb.tensor(a[:size, :size].copy()).t(), a[:size, :size].T
        if form == "strided":
            return fb.tensor(a)[::2, 1::2], a[::2, 1::2]
        return fb.tensor(a[0, :size].copy()).expand(size, size), np.broadcast_to(a[0, :size], (size, size))

    (x, a), (y, b) = made(forms[0], 1), made(forms[1], 2)
    check(x @ y, a @ b, "float64", size)
    check(x[0] @ y, a[0] @ b, "float64", size)
    check(x @ y[:, 1], a @ b[:, 1], "float64", size)
    check(
        fb.bmm(x.expand(3, size, size), y.expand(3, size, size)),
        np.broadcast_to(a @ b, (3, size, size)),
        "float64",
        size,
    )


SUMMED_PRODUCTS = {  # shapes of the added term and the factors, and the product
    "addmm": ((3, 5), (3, 4), (4, 5), np.matmul),
    "addmv": ((3,), (3, 4), (4,), np.matmul),
    "baddbmm": ((2, 3, 5), (2, 3, 4), (2, 4, 5), np.matmul),
    "addbmm": ((3, 5), (2, 3, 4), (2, 4, 5), lambda a, b: (a @ b).sum(0)),
}


@pytest.mark.parametrize("name", SUMMED_PRODUCTS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_addmm_of_half_precision_rounds_once(name, dtype):
    *shapes, product = SUMMED_PRODUCTS[name]
    operands = [fb.tensor(draw(shape, "float32", k)).to(getattr(fb, dtype)) for k, shape in enumerate(shapes)]
    i, a, b = (t.to(fb.float64).numpy() for t in operands)
    want = fb.tensor(0.3 * i + 1.7 * product(a, b)).to(getattr(fb, dtype))
    got = getattr(fb, name)(*operands, beta=0.3, alpha=1.7)
    assert got.dtype == want.dtype
    assert got.tolist() == want.tolist()


@pytest.mark.parametrize("name", SUMMED_PRODUCTS)
@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_addmm_of_integers_truncates_its_factors(name, dtype):
    *shapes, product = SUMMED_PRODUCTS[name]
    i, a, b = (np.abs(draw(shape, "int64", k)).astype(dtype) for k, shape in enumerate(shapes))
    got = getattr(fb, name)(*map(fb.from_numpy, (i, a, b)), beta=2.7, alpha=3.9)
    assert got.dtype == getattr(fb, dtype)
    np.testing.assert_array_equal(got.numpy(), (2 * i + 3 * product(a, b)).astype(dtype))


@pytest.mark.parametrize("layout", ["rows", "columns", "odd offsets"])
@pytest.mark.parametrize(
    ("m", "k", "n"),
    [
        (1, 16, 300),
        (2, 33, 77),
        (3, 100, 50),
        (4, 1000, 9),
        (5, 16, 64),
        (13, 385, 33),
        (31, 2100, 48),
        (100, 1001, 65),
        (600, 40, 70),
    ],
)
def test_products_of_bfloat16_are_accurate(m, k, n, layout):
    def matrix(rows, columns, seed):
        extra = layout == "odd offsets"
        x = fb.from_numpy(draw((columns, rows) if layout == "columns" else (rows, columns + extra), "float32", seed))
        x = x.to(fb.bfloat16)
        return x.t() if layout == "columns" else x[:, extra:]

    def close(got, want):
        assert got.dtype == fb.bfloat16
        np.testing.assert_allclose(got.double().numpy(), want.numpy(), rtol=2**-8, atol=2e-6 * k)

    a, b = matrix(m, k, 1), matrix(k, n, 2)
    bias = b[0]
    want = a.double() @ b.double()
    close(a @ b, want)
    close(fb.linear(a, b.t(), bias), want + bias.double())
    close(fb.addmm(bias, a, b, alpha=0.5), 0.5 * want + bias.double())
    close(fb.bmm(fb.stack([b.t(), b.t() * 2]), fb.stack([a.t(), a.t()]))[1], 2 * want.t())
    close(b.t() @ a[0], want[0])


@pytest.mark.parametrize("isa", ["avx512", "avx512bf16"])
def test_products_of_bfloat16_are_correct_with_the_kernels_of_other_processors(isa):
    only = f"{__file__}::{test_products_of_bfloat16_are_accurate.__name__}"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", only]
    done = subprocess.run(command, env={**os.environ, "FLAMBEAU_ISA": isa}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout


def test_products_of_bfloat16_do_not_depend_on_the_number_of_threads():
    x, w = (fb.from_numpy(draw((300, 1100), "float32", seed)).to(fb.bfloat16) for seed in (1, 2))
    products = {}
    for threads in (1, 3):
        fb.set_num_threads(threads)
        products[threads] = x @ w.t(), x[:40] @ w.t(), x.t() @ w, x[:, :300] @ w
    for one, three in zip(*products.values(), strict=True):
        assert fb.equal(one, three)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("n", [1, 5, 37, 16_384, 50_001])
def test_dot_and_vdot_of_complex_numbers_match_numpy(n, dtype):
    real, imaginary = draw((2, n), "float64", 1), draw((2, n), "float64", 2)
    a, b = (real + 1j * imaginary).astype(dtype)
    x, y = fb.tensor(a), fb.tensor(b)
    check(fb.dot(x, y), np.asarray(a @ b), dtype, n)
    check(fb.vdot(x, y), np.vdot(a, b), dtype, n)
    check(fb.dot(x[::2], y[::2]), np.asarray(a[::2] @ b[::2]), dtype, n)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
@pytest.mark.parametrize("n", [0, 1, 15, 70, 1_100_000])
def test_dot_of_integers_is_exact_modulo_their_size(n, dtype):
    limits = np.iinfo(dtype)
    a, b = np.random.default_rng(n).integers(limits.min, limits.max, (2, n), dtype, endpoint=True)
    x, y = fb.tensor(a), fb.tensor(b)
    assert fb.dot(x, y).item() == np.sum(a * b, dtype=dtype)
    assert fb.dot(x[::3], y.flip(0)[::3]).item() == np.sum(a[::3] * b[::-1][::3], dtype=dtype)


def test_mm_mv_bmm_and_dot_match_numpy():
    a, b, c = draw((3, 4), "float64", 1), draw((4, 5), "float64", 2), draw((3, 5), "float64", 3)
    v, w = draw((4,), "float64", 4), draw((3,), "float64", 5)
    x, y, z, p, q = map(fb.tensor, (a, b, c, v, w))
    check(fb.mm(x, y), a @ b, "float64", 4)
    check(fb.mv(x, p), a @ v, "float64", 4)
    check(fb.dot(p, p), np.asarray(v @ v), "float64", 4)
    check(fb.outer(q, p), np.outer(w, v), "float64", 1)
    check(fb.addmm(z, x, y), c + a @ b, "float64", 4)
    check(fb.addmm(z[0], x, y, beta=2, alpha=-0.5), 2 * c[0] - 0.5 * (a @ b), "float64", 4)
    check(fb.addmm(z * np.nan, x, y, beta=0), a @ b, "float64", 4)
    check(fb.addmv(q, x, p), w + a @ v, "float64", 4)
    check(z.clone().addmm_(x, y), c + a @ b, "float64", 4)
    batch = np.stack([a, a + 1]), np.stack([b, b - 1])
    check(fb.baddbmm(z, *map(fb.tensor, batch)), c + batch[0] @ batch[1], "float64", 4)
    check(fb.addbmm(z, *map(fb.tensor, batch), beta=2), 2 * c + (batch[0] @ batch[1]).sum(0), "float64", 8)
    out = fb.empty(3, 5, dtype=fb.float64)
    assert fb.mm(x, y, out=out) is out
    check(out, a @ b, "float64", 4)


@pytest.mark.parametrize(
    ("shape", "out", "bias"),
    [
        ((4,), 3, True),
        ((2, 4), 3, True),
        ((2, 5, 4), 3, False),
        ((2, 0), 3, True),
        ((2, 0), 3, False),
        ((0, 4), 3, True),
        ((2, 4), 0, True),
    ],
)
def test_linear_matches_numpy(shape, out, bias):
    x, w, b = draw(shape, "float32", 1), draw((out, shape[-1]), "float32", 2), draw((out,), "float32", 3)
    want = x.astype(np.float64) @ w.T + (b if bias else 0)
    check(fb.linear(fb.tensor(x), fb.tensor(w), fb.tensor(b) if bias else None), want, "float32", shape[-1])


@pytest.mark.parametrize(
    "equation",
    [
        "ij,jk->ik",
        "ij,jk",
        "ij->ji",
        "ij->",
        "ii->i",
        "ii",
        "bij,bjk->bik",
        "i,j->ij",
        "ij,ij->ij",
        "...ij,...jk->...ik",
        "ijk,k->ij",
        "ij,kj,k->i",
        "b...->...b",
    ],
)
def test_einsum_matches_numpy(equation):
    sizes = {"i": 3, "j": 4, "k": 5, "b": 2}
    if equation.startswith("ii"):
        sizes["j"] = 3
    operands = []
    for seed, part in enumerate(equation.partition("->")[0].split(",")):
        shape = []
        for label in part.replace("...", "."):
            shape += [2, 6] if label == "." else [sizes[label]]
        operands.append(draw(shape, "float64", seed))
    check(fb.einsum(equation, *map(fb.tensor, operands)), np.einsum(equation, *operands), "float64", 60)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fb.zeros(2, 3) @ fb.zeros(2, 3), "2x3 and 2x3"),
        (lambda: fb.zeros(4, 2, 3) @ fb.zeros(4, 2, 3), r"\[4, 2, 3\]"),
        (lambda: fb.zeros(2, 2, 3) @ fb.zeros(3, 3, 2), r"\[2\] and \[3\]"),
        (lambda: fb.zeros(3) @ fb.zeros(4), r"\[3\] and src \[4\]"),
        (lambda: fb.tensor(1.0) @ fb.zeros(4), "1D"),
        (lambda: fb.zeros(2, 3) @ fb.zeros(3, 2, dtype=fb.float64), "float32 != float64"),
        (lambda: fb.mm(fb.zeros(2), fb.zeros(2, 2)), r"\[2\]"),
        (lambda: fb.bmm(fb.zeros(2, 3), fb.zeros(2, 3)), "3D"),
        (lambda: fb.bmm(fb.zeros(2, 3, 4), fb.zeros(2, 3, 4)), r"\[2, 4, \*\]"),
        (lambda: fb.dot(fb.zeros(2), fb.zeros(3)), r"\[2\].*\[3\]"),
        (lambda: fb.mv(fb.zeros(2), fb.zeros(3)), "1"),
        (lambda: fb.linear(fb.zeros(2, 3), fb.zeros(4, 5)), "2x3 and 5x4"),
        (lambda: fb.linear(fb.zeros(2, 3), fb.zeros(4, 3), fb.zeros(5)), r"\[5\].*4"),
        (lambda: fb.addmm(fb.zeros(7), fb.zeros(2, 3), fb.zeros(3, 2)), r"\[7\]"),
        (lambda: fb.addmm(fb.zeros(2).double(), fb.zeros(2, 3), fb.zeros(3, 2)), "float64 != float32"),
        (lambda: fb.addmm(fb.zeros(2), fb.zeros(2, 3), fb.zeros(3, 2), beta=1j), "addmm: beta and alpha"),
        (lambda: fb.addbmm(fb.zeros(2, 2), fb.zeros(2, 2), fb.zeros(2, 2)), "3D"),
        (lambda: fb.addbmm(fb.zeros(2, 2), fb.zeros(2, 2, 3), fb.zeros(1, 3, 2)), "2 and 1"),
        (lambda: fb.addbmm(fb.zeros(2, 2), fb.zeros(2, 2, 3), fb.zeros(2, 2, 2)), "2x3 and 2x2"),
        (lambda: fb.einsum("ij,jk", fb.zeros(2, 3)), "fewer operands"),
        (lambda: fb.einsum("ij,jk", fb.zeros(2, 3), fb.zeros(4, 5)), "subscript j has size 4"),
    ],
)
def test_matrix_products_reject_invalid_arguments(call, message):
    with pytest.raises(RuntimeError, match=message):
        call()


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [("sr,rai->sai", [(1, 1), (1, 2, 2)]), ("bij,bjk->bik", [(3, 2, 1), (3, 1, 2)]), ("i,i->", [(1,), (1,)])],
)
def test_einsum_promotes_the_operands_of_sums_over_one_term(equation, shapes):
    a, b = draw(shapes[0], "float32", 1), draw(shapes[1], "float64", 2)
    got = fb.einsum(equation, fb.from_numpy(a), fb.from_numpy(b))
    assert got.dtype == fb.float64
    np.testing.assert_allclose(got.numpy(), np.einsum(equation, a, b), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_einsum_sums_one_operand_of_integers_in_int64(dtype):
    x = fb.full((300,), 7, dtype=getattr(fb, dtype))
    assert fb.einsum("i->", x).dtype is fb.int64 and fb.einsum("i->", x).item() == 2100
    assert fb.einsum("i,i->", x, x).dtype is x.dtype


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("m", "k", "n"), [(40, 16, 50), (130, 192, 33), (7, 300, 90), (1, 64, 100), (64, 5, 1), (3, 0, 4)]
)
def test_products_that_are_written_to_a_tensor_equal_new_products(m, k, n, dtype):
    fb.manual_seed(0)
    dtype = getattr(fb, dtype)
    a, b, c = fb.randn(m, k, dtype=dtype), fb.randn(k, n, dtype=dtype), fb.randn(m, n, dtype=dtype)
    x, y = fb.randn(3, m, k, dtype=dtype), fb.randn(3, k, n, dtype=dtype)
    for out in (fb.full_like(c, fb.nan), fb.full((m, n + 3), fb.nan, dtype=dtype)[:, 1 : n + 1]):
        for function in (fb.mm, fb.matmul, fb.linalg.matmul):
            assert function(a, b, out=out) is out and fb.equal(out, a @ b)
    batch = fb.full((3, m, n), fb.nan, dtype=dtype)
    for function in (fb.bmm, fb.matmul):
        assert function(x, y, out=batch) is batch and fb.equal(batch, x @ y)
    for factors in ({}, {"alpha": -0.3}, {"beta": 0.5}, {"beta": 0, "alpha": 2}):
        rows, version = fb.cat([c, c], 1)[:, :n], c._version
        expected = fb.addmm(c, a, b, **factors)
        assert fb.equal(rows.addmm_(a, b, **factors), expected)
        assert fb.equal(c.clone().addmm_(a, b, **factors), expected) and c._version == version


def test_products_that_overlap_their_operands_are_computed_before_they_are_written():
    a = fb.arange(1024.0).reshape(32, 32)
    expected = a @ a.mT
    assert fb.equal(fb.mm(a.clone(), a.mT, out=a), expected)
    a = fb.arange(1024.0).reshape(32, 32)
    assert fb.equal(a.addmm_(a, a.mT), fb.arange(1024.0).reshape(32, 32) + expected)


def test_addmm_in_place_has_gradients():
    pytest.importorskip("flambeau.autograd")
    a, b = fb.randn(20, 30, requires_grad=True), fb.randn(30, 40)
    c = fb.zeros(20, 40)
    c.addmm_(a, b)
    c.sum().backward()
    assert fb.equal(a.grad, fb.ones(20, 40) @ b.T)
    with pytest.raises(RuntimeError, match="requires grad"):
        fb.mm(a, b, out=fb.zeros(20, 40))
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        fb.zeros(20, 40, requires_grad=True).addmm_(a.detach(), b)


@pytest.mark.parametrize(
    ("input", "bias"),
    [
        ((5, 4), (1, 3)),
        ((5, 4), (5, 3)),
        ((5, 4), (1,)),
        ((5, 4), ()),
        ((2, 5, 4), (5, 3)),
        ((2, 5, 4), (2, 5, 3)),
        ((4,), (1, 3)),
        ((4,), ()),
    ],
)
def test_linear_broadcasts_a_bias(input, bias):
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(shape) for shape in (input, (3, 4), bias))
    expected = x @ w.T + (b[0] if len(bias) > len(input) else b)
    result = fb.linear(*map(fb.from_numpy, (x, w, b)))
    assert result.shape == expected.shape
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize(("input", "bias"), [((5, 4), (2, 5, 3)), ((5, 4), (4,)), ((4,), (5, 3)), ((5, 4), (5, 2))])
def test_linear_rejects_a_bias_that_does_not_fit(input, bias):
    with pytest.raises(RuntimeError, match=r"the bias of shape .* cannot be broadcast to the result's shape"):
        fb.linear(fb.ones(input), fb.ones(3, 4), fb.ones(bias))
