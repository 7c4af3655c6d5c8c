"""Shapes, dtypes and strategies for the tests of the array API, and the comparison of results with NumPy."""

import numpy as np
from hypothesis import settings, strategies as st
from hypothesis.extra import numpy as hnp

from flambeau import array_api as xp

REAL, COMPLEX = ["float32", "float64"], ["complex64", "complex128"]
INTEGERS = list(xp.__array_namespace_info__().dtypes(kind="integral"))
REAL_NUMBERS = INTEGERS + REAL
DTYPES = ["bool", *REAL_NUMBERS, *COMPLEX]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
FEW = settings(max_examples=25)
FULL = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)


def dtype(name):
    return getattr(xp, name)


def same(result, expected):
    expected = np.asarray(expected)
    assert result.dtype == dtype(expected.dtype.name)
    assert result.shape == expected.shape
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-5, atol=1e-5)


def elements(name):
    kind = np.dtype(name).kind
    if kind == "b":
        return st.booleans()
    if kind in "iu":
        return st.integers(0 if kind == "u" else -5, 5)
    whole = st.integers(-5, 5).map(float)
    return st.builds(complex, whole, whole) if kind == "c" else whole


@st.composite
def arrays(draw, names=tuple(DTYPES), shapes=SHAPES):
    name = draw(st.sampled_from(names))
    return draw(hnp.arrays(name, shapes, elements=elements(name)))


@st.composite
def with_axes(draw, names, shapes=FULL):
    x = draw(arrays(names, shapes))
    several = st.lists(st.integers(0, x.ndim - 1), unique=True, max_size=x.ndim).map(tuple)
    return x, draw(st.one_of(st.none(), st.integers(-x.ndim, x.ndim - 1), several)), draw(st.booleans())
