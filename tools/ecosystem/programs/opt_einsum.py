"""opt_einsum: einsum with an optimised order of contractions."""

import opt_einsum

from tools.ecosystem.cases import normal


def contractions():
    a, b, c = (normal(4, 5, seed=1), normal(5, 6, seed=2), normal(6, 4, seed=3))
    a.requires_grad_()
    value = opt_einsum.contract("ij,jk,ki->", a, b, c, backend="torch")
    value.backward()
    expression = opt_einsum.contract_expression("ij,jk,kl->il", (4, 5), (5, 6), (6, 4))
    return {
        "value": value,
        "gradient": a.grad,
        "expression": expression(a.detach(), b, c, backend="torch"),
        "path": str(opt_einsum.contract_path("ij,jk,kl->il", a, b, c, optimize="optimal")[0]),
    }


def shared_intermediates():
    a, b, c = normal(3, 3, seed=1), normal(3, 3, seed=2), normal(3, 3, seed=3)
    with opt_einsum.shared_intermediates():
        return [opt_einsum.contract(equation, a, b, c, backend="torch") for equation in ("ab,bc,cd->ad", "ab,bc,cd->a")]
