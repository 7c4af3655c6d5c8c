"""Geoopt: manifolds, parameters on manifolds, and optimizers that keep parameters on them."""

import geoopt
import torch

from tools.ecosystem.cases import normal

TOLERANCE = 1e-3


def manifolds():
    results = {}
    for name, manifold, shape in (
        ("sphere", geoopt.Sphere(), (4, 5)),
        ("ball", geoopt.PoincareBall(c=1.0), (4, 5)),
        ("stiefel", geoopt.EuclideanStiefel(), (4, 5, 3)),
        ("lorentz", geoopt.Lorentz(), (4, 5)),
        ("definite", geoopt.SymmetricPositiveDefinite(), (4, 3, 3)),
    ):
        x = manifold.projx(0.3 * normal(*shape))
        y = manifold.projx(0.3 * normal(*shape, seed=1))
        u = manifold.proju(x, 0.1 * normal(*shape, seed=2))
        results[name] = {
            "point": x,
            "tangent": u,
            "inner": manifold.inner(x, u),
            "retracted": manifold.retr(x, u),
            "transported": manifold.transp(x, manifold.retr(x, u), u),
        }
        if name != "stiefel":
            results[name] |= {
                "distance": manifold.dist(x, y),
                "exp": manifold.expmap(x, u),
                "log": manifold.logmap(x, y),
            }
    return results


def hyperbolic():
    ball = geoopt.Stereographic(k=-0.5, learnable=True)
    x, y = ball.expmap0(0.3 * normal(4, 3)).detach().requires_grad_(), ball.expmap0(0.3 * normal(4, 3, seed=1)).detach()
    distance = ball.dist(x, y).sum()
    distance.backward()
    return {
        "distance": distance,
        "gradient": x.grad,
        "curvature": ball.isp_c.grad if hasattr(ball, "isp_c") else ball.k.grad,
        "sum": ball.mobius_add(x, y),
        "matrix": ball.mobius_matvec(normal(3, 3), x),
        "geodesic": ball.geodesic(torch.tensor(0.3), x, y),
    }


def optimizers():
    results = {}
    for kind in (geoopt.optim.RiemannianSGD, geoopt.optim.RiemannianAdam, geoopt.optim.SparseRiemannianAdam):
        if kind.__name__.startswith("Sparse"):
            continue
        sphere, stiefel = geoopt.Sphere(), geoopt.Stiefel()
        x = geoopt.ManifoldParameter(sphere.projx(normal(5)), manifold=sphere)
        matrix = geoopt.ManifoldParameter(stiefel.projx(normal(4, 3)), manifold=stiefel)
        optimizer = kind([x, matrix], lr=0.1, stabilize=2)
        for _ in range(6):
            optimizer.zero_grad()
            loss = (x - normal(5, seed=1)).square().sum() + (matrix - normal(4, 3, seed=1)).square().sum()
            loss.backward()
            optimizer.step()
        results[kind.__name__] = {"x": x, "matrix": matrix, "loss": loss, "printed": repr(x).splitlines()[0]}
    return results
