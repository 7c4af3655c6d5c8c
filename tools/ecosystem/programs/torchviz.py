"""Torchviz: drawings of autograd graphs."""

import re

import torch
from torchviz import make_dot

from tools.ecosystem.cases import fill, normal


def drawing():
    model = fill(torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1)))
    graph = make_dot(model(normal(2, 4)).mean(), params=dict(model.named_parameters()), show_attrs=True)
    labels = re.findall(r'label="?([^"\]]*)', graph.source)
    named = [" ".join(label.split()) for label in labels]
    return {
        "leaves": sorted({label for label in named if "weight" in label or "bias" in label}),
        "edges": graph.source.count("->") > 5,
    }
