"""torchsde: stochastic differential equations.

The noise is small or fixed, because drawn noise differs between frameworks.
"""

import torch
import torchsde

from tools.ecosystem.cases import fill, gradients, normal

TIMES = torch.linspace(0.0, 1.0, 5)


class _Path:
    """Path of noise that is the same on both frameworks."""

    def __init__(self, size):
        self.shape = size
        self.rates = normal(*size, seed=7)

    def __call__(self, start, end, return_U=False, return_A=False):
        return self.rates * (torch.sin(3 * end) - torch.sin(3 * start))

    dtype, device = torch.float32, torch.device("cpu")
    levy_area_approximation = "none"


class _Equation(torch.nn.Module):
    def __init__(self, kind, noise):
        super().__init__()
        self.sde_type, self.noise_type = kind, noise
        self.drift, self.diffusion = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)

    def f(self, t, y):
        return self.drift(y).tanh()

    def g(self, t, y):
        if self.noise_type == "additive":
            return 0.1 * torch.ones(*y.shape, 3) + 0 * t
        return 0.1 * self.diffusion(y).sigmoid()


class _Brownian(torchsde.BaseBrownian):
    def __init__(self, size):
        super().__init__()
        self._path = _Path(size)

    def __call__(self, ta, tb=None, return_U=False, return_A=False):
        return self._path(ta, tb)

    def __repr__(self):
        return "given"

    dtype, device = torch.float32, torch.device("cpu")
    levy_area_approximation = "none"

    @property
    def shape(self):
        return self._path.shape

    size = shape


def _solved(solve, kind, noise, method):
    equation, start = fill(_Equation(kind, noise)), normal(4, 3, seed=1)
    path = solve(equation, start, TIMES, bm=_Brownian((4, 3)), method=method, dt=0.05)
    path.square().sum().backward()
    return {"path": path, "gradients": gradients(equation)}


def ito():
    return {method: _solved(torchsde.sdeint, "ito", "diagonal", method) for method in ("euler", "milstein")}


def stratonovich():
    methods = ("euler_heun", "heun", "midpoint", "milstein")
    return {method: _solved(torchsde.sdeint, "stratonovich", "diagonal", method) for method in methods}


def additive():
    return _solved(torchsde.sdeint, "ito", "additive", "euler")


def adjoint():
    return _solved(torchsde.sdeint_adjoint, "stratonovich", "diagonal", "midpoint")


def drawn_paths():
    motion = torchsde.BrownianInterval(t0=0.0, t1=1.0, size=(4000, 1), entropy=3)
    whole, first, second = motion(0.0, 1.0), motion(0.0, 0.5), motion(0.5, 1.0)
    return {
        "consistent": bool(torch.allclose(whole, first + second, atol=1e-5)),
        "unit": bool((whole.std() - 1).abs() < 0.1),
    }
