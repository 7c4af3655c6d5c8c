"""Each reduction of reductions.def against its reference in NumPy, by dtype and layout. Note [Reduction table]."""

import warnings

import numpy as np
import pytest
from reduction_cases import CASES, draw

import flambeau as fb
from flambeau import _core

DOMAINS = {name: domain for name, domain in _core._reduction_rows() if not name.startswith("_")}
REFERENCES = {entry["name"]: entry["reference"] for entry in _core.signatures() if "reference" in entry}
INTEGERS = ["bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"]
FLOATS = ["float16", "bfloat16", "float32", "float64"]
COMPLEX = ["complex64", "complex128"]
# Rows of a few elements, one reduction tree or several blocks; few, many and blocked columns; several dimensions.
LAYOUTS = [((50, 9), 1), ((3, 700), 1), ((150_000,), None), ((40, 3), 0), ((30, 700), 0), ((70_000, 2), 0)]
LAYOUTS += [((5, 6, 7), (0, 2)), ((5, 6, 7), 1), ((5, 6, 7), (1, 2))]


def arguments(name, dim, keepdim):
    given = {"dim": dim, "keepdim": keepdim}
    if dim is None:
        del given["dim"]
    return {key: value for key, value in given.items() if key in getattr(fb, name).parameters}


def expected(name, a, dim, keepdim=False):
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return eval(REFERENCES[name], {"np": np, "input": a, "dim": dim, "keepdim": keepdim})


def widest(dtype):
    """Return NumPy's widest type for a dtype: bool, int64, float64 or complex128."""
    if dtype in INTEGERS:
        return "bool" if dtype == "bool" else "int64"
    return "complex128" if dtype in COMPLEX else "float64"


def arrays(shape, dtype):
    """Yield arrays of the widest type for a dtype, whose sums and products are exact in any order."""
    rng = np.random.default_rng(list(shape))
    others = rng.choice([0, 3] if dtype in INTEGERS else [-2, -1, -0.5, 0.5, 2], shape)
    rare = rng.random(shape) < 0.005
    yield np.where(rare, others, 1).astype(widest(dtype))
    yield np.where(rare, others, 0).astype(widest(dtype))
    if dtype in FLOATS:
        yield np.where(rng.random(shape) < 0.005, np.nan, np.where(rare, others, 1))


# The same elements in another order in memory, and with gaps.
ORDERS = [
    lambda t: t,
    lambda t: t.permute(*range(t.dim())[::-1]).contiguous().permute(*range(t.dim())[::-1]),
    lambda t: fb.stack([t, t], -1)[..., 1],
]


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS, *COMPLEX])
@pytest.mark.parametrize("name", DOMAINS)
def test_every_reduction_matches_numpy_in_every_dtype_and_layout(name, dtype):
    kind, operator = getattr(fb, dtype), getattr(fb, name)
    if dtype in COMPLEX and DOMAINS[name] == "Ordered":
        with pytest.raises(NotImplementedError, match=dtype):
            operator(fb.ones(2, dtype=kind))
        return
    for shape, dim in LAYOUTS:
        for a in arrays(shape, dtype):
            want = np.asarray(expected(name, a, dim))
            for ordered in ORDERS:
                got = operator(ordered(fb.tensor(a).to(kind)), **arguments(name, dim, False))
                assert got.shape == want.shape and got.is_contiguous()
                rounded = fb.tensor(want).to(got.dtype)
                assert np.array_equal(got.to(fb.complex128).numpy(), rounded.to(fb.complex128).numpy(), equal_nan=True)


@pytest.mark.parametrize("name", DOMAINS)
def test_every_reduction_matches_numpy_over_every_choice_of_dimensions(name):
    for shape, dim, keepdim in CASES:
        a, operator = draw(shape, "float64"), getattr(fb, name)
        given = arguments(name, dim, keepdim)
        try:
            want = expected(name, a, dim, given.get("keepdim", False))
        except ValueError:  # an extreme of an empty array is undefined
            with pytest.raises((IndexError, RuntimeError), match="Expected reduction dim"):
                operator(fb.tensor(a), **given)
            continue
        got = operator(fb.tensor(a), **given)
        assert got.shape == np.shape(want)
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-12, atol=1e-12)
