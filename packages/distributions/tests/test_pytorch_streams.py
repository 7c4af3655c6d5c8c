"""Test draws with PyTorch's random numbers against PyTorch 2.13.0 (CPU) after ``torch.manual_seed(3)``."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import distributions as D


def double(*values):
    return fb.tensor(values, dtype=fb.float64)


CASES = {
    "Geometric": (lambda: D.Geometric(double(0.2, 0.5, 0.05)), (), [15.0, 1.0, 5.0]),
    "Laplace": (
        lambda: D.Laplace(double(0, 1, 2), double(1, 2, 3)),
        (),
        [-2.6850704013526547, -0.11206285183674125, 4.367850369600625],
    ),
    "RelaxedOneHotCategorical": (
        lambda: D.RelaxedOneHotCategorical(double(0.5)[0], probs=double(0.2, 0.3, 0.5)),
        (),
        [0.0009153663290520282, 0.015062727223960954, 0.9840219064469872],
    ),
    "VonMises": (
        lambda: D.VonMises(double(0, 1, -2), double(1, 0.1, 5)),
        (2,),
        [
            [2.8141307442306687, 0.6371728940720867, -2.7206703007161375],
            [-1.0247995738220572, 0.8599323375627179, -1.8030623264565109],
        ],
    ),
}


@pytest.fixture(autouse=True)
def pytorch_streams():
    fb.random.use_pytorch_streams()
    fb.manual_seed(3)
    yield
    fb.random.use_pytorch_streams(False)


@pytest.mark.parametrize("name", CASES)
def test_samples_from_a_seed_equal_those_of_pytorch(name):
    distribution, shape, expected = CASES[name]
    np.testing.assert_allclose(distribution().sample(shape).numpy(), expected, rtol=1e-12)
