"""Pytorch-tabnet: attention over the columns of tables."""

import torch
from pytorch_tabnet import sparsemax
from pytorch_tabnet.tab_network import TabNet, TabNetNoEmbeddings

from tools.ecosystem.cases import fill, normal


def networks():
    group = torch.eye(6)
    model = fill(TabNetNoEmbeddings(6, 3, n_steps=2, group_attention_matrix=group, mask_type="entmax"))
    output, mask_loss = model(normal(16, 6))
    (output.square().mean() - 1e-3 * mask_loss).backward()
    gradient = model.final_mapping.weight.grad
    explained, masks = model.eval().forward_masks(normal(4, 6))
    embedded = fill(TabNet(6, 2, cat_idxs=[1], cat_dims=[4], cat_emb_dim=[2], group_attention_matrix=group)).eval()
    rows = normal(5, 6)
    rows[:, 1] = torch.arange(5) % 4
    return {
        "output": output,
        "loss": mask_loss,
        "gradient": gradient,
        "explained": explained,
        "masks": masks[0],
        "embedded": embedded(rows)[0],
    }


def sparse():
    inputs = normal(3, 6).requires_grad_()
    values = sparsemax.sparsemax(inputs, -1)
    (values * normal(3, 6, seed=1)).sum().backward()
    return {"values": values, "gradient": inputs.grad, "entmax": sparsemax.entmax15(normal(3, 6), -1)}
