"""torchcde: controlled differential equations along paths through data."""

import torch
import torchcde

from tools.ecosystem.cases import fill, gradients, normal


def interpolations():
    x = normal(3, 8, 2, seed=1)
    x[0, 3] = float("nan")
    times = torch.linspace(0, 1, 8)
    coefficients = {
        "hermite": torchcde.hermite_cubic_coefficients_with_backward_differences(x, times),
        "natural": torchcde.natural_cubic_coeffs(x, times),
        "linear": torchcde.linear_interpolation_coeffs(x, times),
        "rectilinear": torchcde.linear_interpolation_coeffs(
            torch.cat([times[None, :, None].expand(3, 8, 1), x], -1), rectilinear=0
        ),
    }
    cubic = torchcde.CubicSpline(coefficients["natural"], times)
    linear = torchcde.LinearInterpolation(coefficients["linear"], times)
    at = torch.tensor([0.1, 0.33, 0.9])
    return {
        **coefficients,
        "points": [[path.evaluate(t), path.derivative(t)] for path in (cubic, linear) for t in at],
    }


class _Field(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(4, 16), torch.nn.Linear(16, 4 * 2)

    def forward(self, t, z):
        return self.second(self.first(z).relu()).tanh().view(*z.shape[:-1], 4, 2)


def _solved(backend, adjoint, path, dtype=torch.float32, **options):
    field, start = fill(_Field()).to(dtype), normal(3, 4, seed=2).to(dtype)
    z = torchcde.cdeint(X=path, func=field, z0=start, t=path.interval, adjoint=adjoint, backend=backend, **options)
    z.square().sum().backward()
    return {"z": z, "gradients": gradients(field)}


def equations():
    x = normal(3, 8, 2, seed=1)
    # In float32, rounding errors would decide which steps an adaptive solver takes.
    precise = torchcde.CubicSpline(torchcde.hermite_cubic_coefficients_with_backward_differences(x.double()))
    cubic = torchcde.CubicSpline(torchcde.hermite_cubic_coefficients_with_backward_differences(x))
    linear = torchcde.LinearInterpolation(torchcde.linear_interpolation_coeffs(x))
    return {
        "adaptive": _solved("torchdiffeq", False, precise, dtype=torch.float64, method="dopri5", rtol=1e-4, atol=1e-5),
        "adjoint": _solved("torchdiffeq", True, cubic, method="rk4", options={"step_size": 0.5}),
        "jumps": _solved("torchdiffeq", False, linear, method="rk4", options={"step_size": 0.5}),
    }
