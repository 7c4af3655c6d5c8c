"""Random complex numbers and comparisons that several tests share."""

import numpy as np

import flambeau as fb

DTYPES = [fb.complex64, fb.complex128]


def draw(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def names_of(dtypes):
    return [str(d).rpartition(".")[2] for d in dtypes]


def close(actual, expected, dtype):
    single = dtype in (fb.complex64, fb.float32)
    np.testing.assert_allclose(actual.numpy(), expected, rtol=3e-6 if single else 1e-13, atol=3e-6 if single else 1e-13)
