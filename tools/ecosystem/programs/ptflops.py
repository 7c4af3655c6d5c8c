"""Ptflops: operation counts of models."""

import torch
from ptflops import get_model_complexity_info

from tools.ecosystem.cases import fill


class _Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(8)
        self.head = torch.nn.Linear(8, 4)

    def forward(self, x):
        x = torch.nn.functional.relu(self.norm(self.convolution(x)))
        x = torch.nn.functional.max_pool2d(x, 2).flatten(2).transpose(1, 2)
        x = torch.matmul(x, torch.ones(8, 8)).add(torch.mul(x, 2))
        return torch.nn.functional.softmax(self.head(x.mean(1)), dim=-1)


def counts():
    options = {"as_strings": False, "print_per_layer_stat": False, "verbose": False, "backend": "pytorch"}
    return {
        "plain": list(get_model_complexity_info(fill(_Model()), (3, 8, 8), **options)),
        "text": list(get_model_complexity_info(_Model(), (3, 8, 8), **{**options, "as_strings": True})),
    }
