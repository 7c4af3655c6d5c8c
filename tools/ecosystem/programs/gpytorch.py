"""GPyTorch and its linear operators: Gaussian processes."""

import gpytorch
import linear_operator
import torch
from gpytorch import kernels

from tools.ecosystem.cases import gradients, normal, uniform


def _data(count=30, dimensions=1):
    x = uniform(count, dimensions, seed=1)
    return x, torch.sin(6 * x.sum(-1)) + 0.1 * normal(count, seed=2)


class _Exact(gpytorch.models.ExactGP):
    def __init__(self, x, y, likelihood, kernel):
        super().__init__(x, y, likelihood)
        self.mean_module, self.covar_module = gpytorch.means.ConstantMean(), kernel

    def forward(self, x):
        return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))


def _trained(model, likelihood, x, y, steps=5):
    model.train(), likelihood.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    likelihood_of = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = -likelihood_of(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def exact():
    x, y = _data()
    likelihood = gpytorch.likelihoods.GaussianLikelihood()
    model = _Exact(x, y, likelihood, kernels.ScaleKernel(kernels.RBFKernel()))
    losses = _trained(model, likelihood, x, y)
    model.eval(), likelihood.eval()
    results = {"losses": losses, "state": dict(model.state_dict())}
    with torch.no_grad(), gpytorch.settings.fast_pred_var():
        predicted = likelihood(model(torch.linspace(0, 1, 11)[:, None]))
        results |= {"mean": predicted.mean, "variance": predicted.variance}
        results["region"] = list(predicted.confidence_region())
    return results


def exact_by_conjugate_gradients():
    x, y = _data(40)
    likelihood = gpytorch.likelihoods.GaussianLikelihood()
    model = _Exact(x, y, likelihood, kernels.ScaleKernel(kernels.MaternKernel(nu=2.5)))
    model.eval(), likelihood.eval()
    with gpytorch.settings.max_cholesky_size(0), gpytorch.settings.cg_tolerance(1e-4), torch.no_grad():
        return model(torch.linspace(0, 1, 7)[:, None]).mean


def covariances():
    x, other = normal(12, 3, seed=3), normal(7, 3, seed=4)
    chosen = {
        "rbf": kernels.RBFKernel(ard_num_dims=3),
        "matern": kernels.MaternKernel(nu=1.5),
        "rough": kernels.MaternKernel(nu=0.5),
        "periodic": kernels.PeriodicKernel(),
        "rational": kernels.RQKernel(),
        "linear": kernels.LinearKernel(),
        "cosine": kernels.CosineKernel(),
        "polynomial": kernels.PolynomialKernel(power=2),
        "piecewise": kernels.PiecewisePolynomialKernel(q=2),
        "sum": kernels.ScaleKernel(kernels.RBFKernel() + kernels.LinearKernel() * kernels.PeriodicKernel()),
        "spectral": kernels.SpectralMixtureKernel(num_mixtures=2, ard_num_dims=3),
        "arc": kernels.ArcKernel(kernels.RBFKernel(), ard_num_dims=3),
        "gradients": kernels.RBFKernelGrad(),
    }
    results = {}
    for name, kernel in chosen.items():
        matrix = kernel(x, other).to_dense()
        (matrix * normal(*matrix.shape, seed=5)).sum().backward()
        results[name] = {"matrix": matrix, "diagonal": kernel(x, diag=True), "gradients": gradients(kernel)}
    return results


class _Sparse(gpytorch.models.ApproximateGP):
    def __init__(self, inducing):
        distribution = gpytorch.variational.CholeskyVariationalDistribution(inducing.size(0))
        strategy = gpytorch.variational.VariationalStrategy(self, inducing, distribution)
        super().__init__(strategy)
        self.mean_module = gpytorch.means.LinearMean(1, bias=True)
        self.covar_module = kernels.ScaleKernel(kernels.RBFKernel())
        torch.nn.init.ones_(self.mean_module.weights)
        torch.nn.init.zeros_(self.mean_module.bias)

    def forward(self, x):
        return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))


def _variational(likelihood, x, y):
    model = _Sparse(torch.linspace(0, 1, 8)[:, None].clone()).to(x.dtype)
    # Skip the random initialisation of the variational parameters at the first call.
    model.variational_strategy.variational_params_initialized.fill_(1)
    bound = gpytorch.mlls.VariationalELBO(likelihood, model, num_data=len(x))
    optimizer = torch.optim.Adam([*model.parameters(), *likelihood.parameters()], lr=0.05)
    losses = []
    for _ in range(4):
        for part in range(0, len(x), 15):
            optimizer.zero_grad()
            loss = -bound(model(x[part : part + 15]), y[part : part + 15])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    model.eval()
    predicted = model(torch.linspace(0, 1, 9, dtype=x.dtype)[:, None])
    return {"losses": losses, "mean": predicted.mean, "variance": predicted.variance}


def variational():
    return _variational(gpytorch.likelihoods.GaussianLikelihood(), *_data())


def variational_classes():
    x, y = _data()
    # In float32, the covariances are so ill-conditioned that rounding errors change the variances by 1e-4.
    return _variational(gpytorch.likelihoods.BernoulliLikelihood(), x.double(), (y > 0).double())


class _Tasks(gpytorch.models.ExactGP):
    def __init__(self, x, y, likelihood):
        super().__init__(x, y, likelihood)
        self.mean_module = gpytorch.means.MultitaskMean(gpytorch.means.ConstantMean(), num_tasks=2)
        self.covar_module = kernels.MultitaskKernel(kernels.RBFKernel(), num_tasks=2, rank=1)
        with torch.no_grad():
            self.covar_module.task_covar_module.covar_factor.copy_(normal(2, 1, seed=8))
            self.covar_module.task_covar_module.raw_var.copy_(normal(2, seed=9))

    def forward(self, x):
        return gpytorch.distributions.MultitaskMultivariateNormal(self.mean_module(x), self.covar_module(x))


def several_tasks():
    x, y = _data(20)
    y = torch.stack([y, y.cos()], -1)
    likelihood = gpytorch.likelihoods.MultitaskGaussianLikelihood(num_tasks=2)
    model = _Tasks(x, y, likelihood)
    losses = _trained(model, likelihood, x, y, steps=3)
    model.eval(), likelihood.eval()
    with torch.no_grad(), gpytorch.settings.fast_pred_var():
        predicted = likelihood(model(torch.linspace(0, 1, 5)[:, None]))
    return {"losses": losses, "mean": predicted.mean, "covariance": predicted.covariance_matrix}


def structured_kernels():
    x, y = _data(30)
    results = {}
    for name, kernel in {
        "interpolated": kernels.GridInterpolationKernel(kernels.RBFKernel(), grid_size=16, num_dims=1),
        "inducing": kernels.InducingPointKernel(
            kernels.RBFKernel(), x[:6].clone(), gpytorch.likelihoods.GaussianLikelihood()
        ),
    }.items():
        likelihood = gpytorch.likelihoods.GaussianLikelihood()
        model = _Exact(x, y, likelihood, kernel)
        losses = _trained(model, likelihood, x, y, steps=2)
        model.eval()
        with torch.no_grad():
            results[name] = {"losses": losses, "mean": model(torch.linspace(0.1, 0.9, 5)[:, None]).mean}
    return results


def deep_kernel_saved():
    x, y = _data(25, 3)
    features = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    with torch.no_grad():
        for i, parameter in enumerate(features.parameters()):
            parameter.copy_(0.5 * normal(*parameter.shape, seed=i))

    class Deep(_Exact):
        def forward(self, x):
            return super().forward(features(x))

    likelihood = gpytorch.likelihoods.GaussianLikelihood(noise_constraint=gpytorch.constraints.Interval(1e-3, 1.0))
    kernel = kernels.ScaleKernel(kernels.RBFKernel(lengthscale_prior=gpytorch.priors.GammaPrior(3.0, 6.0)))
    model = Deep(x, y, likelihood, kernel)
    model.features = features
    losses = _trained(model, likelihood, x, y, steps=3)
    again = Deep(x, y, gpytorch.likelihoods.GaussianLikelihood(), kernels.ScaleKernel(kernels.RBFKernel()))
    again.features = features
    again.load_state_dict(model.state_dict(), strict=False)
    again.eval()
    with torch.no_grad():
        return {"losses": losses, "mean": again(x[:5] + 0.1).mean}


def operators():
    factor, scale = normal(6, 6, seed=1), uniform(6, seed=2) + 1.0
    dense = linear_operator.to_linear_operator(factor @ factor.mT)
    diagonal = linear_operator.operators.DiagLinearOperator(scale)
    toeplitz = linear_operator.operators.ToeplitzLinearOperator(torch.tensor([4.0, 1.0, 0.5, 0.2]))
    low = linear_operator.operators.RootLinearOperator(normal(6, 2, seed=3))
    kronecker = linear_operator.operators.KroneckerProductLinearOperator(dense, dense + diagonal)
    total = (dense + diagonal).add_jitter(1e-3)
    right = normal(6, 2, seed=4)
    return {
        "solve": linear_operator.solve(total, right),
        "determinant": linear_operator.inv_quad_logdet(total, right, logdet=True)[1],
        "quadratic": linear_operator.inv_quad(total, right),
        "toeplitz": toeplitz @ normal(4, 2, seed=5),
        "woodbury": linear_operator.solve(low + diagonal, right),
        "kronecker": kronecker @ normal(36, 1, seed=6),
        "root": total.cholesky().to_dense(),
        "eigenvalues": total.eigvalsh(),
        "sliced": total[1:4, ::2].to_dense(),
        "block": linear_operator.operators.BlockDiagLinearOperator(total.unsqueeze(0).repeat(2, 1, 1)).to_dense(),
    }
