"""Complex parameters: an optimizer steps their real and imaginary parts as it would step real numbers."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import optim

pytest.importorskip("flambeau.autograd")

OPTIMIZERS = [
    lambda params: optim.SGD(params, lr=0.1, momentum=0.9, weight_decay=0.01),
    lambda params: optim.Adam(params, lr=0.1),
    lambda params: optim.AdamW(params, lr=0.1, amsgrad=True),
    lambda params: optim.Adagrad(params, lr=0.1, initial_accumulator_value=0.5),
    lambda params: optim.Adadelta(params, lr=0.5),
    lambda params: optim.RMSprop(params, lr=0.1, momentum=0.5, centered=True),
    lambda params: optim.Rprop(params, lr=0.1),
    lambda params: optim.ASGD(params, lr=0.1),
]


@pytest.mark.parametrize("make", OPTIMIZERS)
@pytest.mark.parametrize("dtype", [fb.complex64, fb.complex128])
def test_steps_are_those_of_the_parts(make, dtype):
    start = np.random.default_rng(0).standard_normal((3, 4)).astype("float64").view("complex128")
    z = fb.tensor(start, dtype=dtype, requires_grad=True)
    parts = fb.view_as_real(z.detach()).clone().requires_grad_()
    complex_optimizer, real_optimizer = make([z]), make([parts])
    for _ in range(3):
        complex_optimizer.zero_grad()
        real_optimizer.zero_grad()
        (z - (1 + 2j)).abs().square().sum().backward()
        (parts - fb.tensor([1.0, 2.0], dtype=parts.dtype)).square().sum().backward()
        complex_optimizer.step()
        real_optimizer.step()
    np.testing.assert_allclose(fb.view_as_real(z.detach()).numpy(), parts.detach().numpy(), rtol=1e-5)
