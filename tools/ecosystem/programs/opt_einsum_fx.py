"""Opt_einsum_fx: optimised orders of contraction for the einsums of a traced graph."""

import opt_einsum_fx
import torch

from tools.ecosystem.cases import normal


def _product(x, y, z):
    first = torch.einsum("ij,jk->ik", x, y)
    return 3 * torch.einsum("ik,kl->il", 0.5 * first, z).sum(dim=0)


def optimized():
    matrices = normal(4, 5), normal(5, 6, seed=1), normal(6, 3, seed=2)
    traced = torch.fx.symbolic_trace(_product)
    whole = opt_einsum_fx.optimize_einsums_full(_product, matrices)
    fused = opt_einsum_fx.fuse_einsums(opt_einsum_fx.fuse_scalars(traced.graph))
    module = torch.fx.GraphModule(torch.nn.Module(), fused)
    return {
        "expected": _product(*matrices),
        "whole": whole(*matrices),
        "fused": module(*matrices),
        "jitable": opt_einsum_fx.jitable(whole)(*matrices),
        "einsums": sum(node.target is torch.functional.einsum for node in fused.nodes),
    }
