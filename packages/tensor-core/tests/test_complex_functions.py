"""Complex functions, reductions and products against NumPy's."""

import math
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from complex_numbers import DTYPES, close, draw, names_of

import flambeau as fb

ROWS = [row for row in fb._core.pointwise_rows() if row["complex"] and row["name"][0] != "_"]


# Replacements for functions of NumPy and SciPy that support only real numbers.
SPECIAL = SimpleNamespace(expit=lambda x: 1 / (1 + np.exp(-x)))


REFERENCES = {
    "logaddexp": "np.where(x.real > y.real, x + np.log1p(np.exp(y - x)), y + np.log1p(np.exp(x - y)))",
}


def reference(row, operands):
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(
            eval(
                REFERENCES.get(row["name"], row["reference"]),
                {"np": np, "special": SPECIAL},
                dict(zip("xyz", operands, strict=False)),
            )
        )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
@pytest.mark.parametrize("dtype", DTYPES, ids=names_of(DTYPES))
def test_pointwise_functions_of_complex_numbers_equal_numpy(row, dtype):
    operands = [draw(5, 7, seed=k) * 2 for k in range(row["arity"])]
    if row["domain"] == "Select":
        operands[0] = operands[0].real > 0
    tensors = [fb.tensor(a, dtype=dtype if a.dtype.kind == "c" else None) for a in operands]
    operands = [t.numpy().astype("complex128") if t.is_complex() else t.numpy() for t in tensors]
    result = getattr(fb, row["name"])(*tensors)
    want = reference(row, operands)
    kinds = {"b": fb.bool, "f": dtype.to_real(), "c": dtype}
    assert result.dtype is kinds[want.dtype.kind]
    if result.dtype is fb.bool:
        assert np.array_equal(result.numpy(), want)
    else:
        single = dtype is fb.complex64
        np.testing.assert_allclose(result.numpy(), want, rtol=4e-6 if single else 1e-13)
    mixed = [*tensors[:-1], tensors[-1].T.contiguous().T]
    assert np.array_equal(getattr(fb, row["name"])(*mixed).numpy(), result.numpy())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
@pytest.mark.parametrize("dtype", DTYPES, ids=names_of(DTYPES))
def test_complex_results_do_not_depend_on_the_position_of_the_element(row, dtype):
    operands = [fb.tensor(draw(77, seed=k), dtype=dtype) for k in range(row["arity"])]
    if row["domain"] == "Select":
        operands[0] = operands[0].real > 0
    operator = getattr(fb, row["name"])
    whole = operator(*operands).numpy()
    for start, stop in ((0, 1), (3, 8), (5, 77)):
        assert np.array_equal(operator(*(t[start:stop] for t in operands)).numpy(), whole[start:stop])


QUOTIENTS = [
    (1, 0, complex(math.inf, math.nan)),
    (1j, 0, complex(math.nan, math.inf)),
    (1 + 1j, math.inf, 0),
    (1e30 + 1e30j, 1e30 - 1e30j, 1j),
    (1e-38, 1e-38 + 1e-38j, 0.5 - 0.5j),
]


@pytest.mark.parametrize(("a", "b", "expected"), QUOTIENTS)
@pytest.mark.parametrize("dtype", DTYPES, ids=names_of(DTYPES))
def test_complex_division_neither_overflows_nor_loses_infinities(a, b, expected, dtype):
    quotient = (fb.tensor([a] * 9, dtype=dtype) / fb.tensor([b] * 9, dtype=dtype)).numpy()
    np.testing.assert_allclose(quotient.real, expected.real, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(quotient.imag, expected.imag, rtol=1e-6, atol=1e-6)


def test_abs_of_complex_numbers_does_not_overflow():
    largest = np.finfo("float64").max
    z = fb.tensor(
        [largest / 2 * (1 + 1j), 5e-324, complex(math.inf, math.nan), complex(math.nan, 1), 3 - 4j], dtype=fb.complex128
    )
    np.testing.assert_allclose(z.abs().numpy(), [largest / math.sqrt(2), 5e-324, np.inf, np.nan, 5])


UNORDERED = [
    lambda z: z < z,
    lambda z: z.floor(),
    lambda z: z // z,
    lambda z: z % z,
    lambda z: z.max(),
    lambda z: z.amin(0),
    lambda z: z.argmax(),
    lambda z: z.clamp(0, 1),
    lambda z: fb.maximum(z, z),
    lambda z: z.sign(),
    lambda z: fb.relu(z),
    lambda z: z.erf(),
    lambda z: fb.atan2(z, z),
    lambda z: z.abs_(),
]


@pytest.mark.parametrize("call", UNORDERED)
@pytest.mark.parametrize("dtype", DTYPES, ids=names_of(DTYPES))
def test_operators_that_need_an_order_reject_complex_numbers(call, dtype):
    z = fb.tensor(draw(3, 3), dtype=dtype)
    before = z.tolist()
    with pytest.raises(RuntimeError):
        call(z)
    assert z.tolist() == before


@pytest.mark.parametrize("bounds", [(0, 1), (0, None), (None, 1)])
@pytest.mark.parametrize("dtype", DTYPES, ids=names_of(DTYPES))
def test_the_error_of_a_complex_clamp_names_the_operator(dtype, bounds):
    z = fb.zeros(3, dtype=dtype)
    for call in (fb.clamp, fb.Tensor.clamp_, lambda *args: fb.clamp(*args, out=fb.empty(3, dtype=dtype))):
        with pytest.raises(NotImplementedError, match=r"^clamp is not supported for complex types$"):
            call(z, *bounds)
    real = fb.zeros(3)
    for limits in ((z, z), (0, 1j)):
        with pytest.raises(NotImplementedError, match=r"^clamp is not supported"):
            real.clamp(*limits)


@pytest.mark.parametrize("dtype", DTYPES, ids=names_of(DTYPES))
def test_bitwise_not_of_complex_numbers_raises(dtype):
    with pytest.raises(TypeError, match="only implemented on integer"):
        _ = ~fb.tensor(draw(3, 3), dtype=dtype)


REDUCTIONS = {
    "sum": (lambda t: t.sum(), np.sum),
    "sum of rows": (lambda t: t.sum(1), lambda a: a.sum(1)),
    "sum of columns": (lambda t: t.sum(0), lambda a: a.sum(0)),
    "mean": (lambda t: t.mean(0), lambda a: a.mean(0)),
    "prod": (lambda t: t.prod(1), lambda a: a.prod(1)),
    "cumsum": (lambda t: t.cumsum(1), lambda a: a.cumsum(1)),
    "cumsum of columns": (lambda t: t.cumsum(0), lambda a: a.cumsum(0)),
    "var": (lambda t: t.var(0), lambda a: a.var(0, ddof=1)),
    "std": (lambda t: t.std(), lambda a: a.std(ddof=1)),
    "norm": (lambda t: t.norm(), np.linalg.norm),
}


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("dtype", DTYPES, ids=names_of(DTYPES))
def test_reductions_of_complex_numbers_match_numpy(name, dtype):
    call, expected = REDUCTIONS[name]
    tensor = fb.tensor(draw(30, 70), dtype=dtype)
    wide = tensor.numpy().astype("complex128")
    np.testing.assert_allclose(call(tensor).numpy(), expected(wide), rtol=2e-5 if dtype is fb.complex64 else 1e-12)


def test_sum_of_many_complex_numbers_is_accurate():
    array = draw(300_000)
    assert abs(fb.tensor(array).sum().item() - math.fsum(array.real) - 1j * math.fsum(array.imag)) < 1e-9


def test_any_all_and_nonzero_treat_imaginary_numbers_as_true():
    z = fb.tensor([0, 1j, 0])
    assert z.any()
    assert not z.all()
    assert z.nonzero().tolist() == [[1]]


SHAPES = [
    ((3, 4), (4, 5)),
    ((40, 30), (30, 50)),
    ((2, 3, 4), (4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((4,), (4,)),
    ((3, 4), (4,)),
]


@pytest.mark.parametrize(("a", "b"), SHAPES)
@pytest.mark.parametrize("dtype", DTYPES, ids=names_of(DTYPES))
def test_matrix_products_of_complex_numbers_match_numpy(a, b, dtype):
    x, y = fb.tensor(draw(*a), dtype=dtype), fb.tensor(draw(*b, seed=1), dtype=dtype)
    close(
        x @ y, x.numpy().astype("complex128") @ y.numpy(), dtype
    ) if dtype is fb.complex128 else np.testing.assert_allclose(
        (x @ y).numpy(), x.numpy() @ y.numpy(), rtol=1e-4, atol=1e-5
    )


def test_matrix_products_of_conjugate_transposes_and_real_parts_match_numpy():
    a, b = draw(6, 5), draw(6, 7, seed=1)
    np.testing.assert_allclose((fb.tensor(a).mT @ fb.tensor(b)).numpy(), a.T @ b, rtol=1e-12)
    np.testing.assert_allclose((fb.tensor(a).mH @ fb.tensor(b)).numpy(), a.conj().T @ b, rtol=1e-12)
    np.testing.assert_allclose((fb.tensor(a).real.mT @ fb.tensor(b).imag).numpy(), a.real.T @ b.imag, rtol=1e-12)
    i = draw(5, 7, seed=2)
    np.testing.assert_allclose(
        fb.addmm(fb.tensor(i), fb.tensor(a).mT, fb.tensor(b), beta=2j, alpha=1 - 1j).numpy(),
        2j * i + (1 - 1j) * (a.T @ b),
        rtol=1e-12,
    )
