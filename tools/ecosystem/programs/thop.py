"""Thop: counts of the multiplications and parameters of models."""

import thop
import torch

from tools.ecosystem.cases import normal


def counts():
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Upsample(scale_factor=2, mode="bilinear"),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(8, 4),
        torch.nn.Softmax(dim=1),
    )
    recurrent = torch.nn.LSTM(4, 8, 2, bidirectional=True)
    operations, parameters = thop.profile(model, inputs=(normal(2, 3, 8, 8),), verbose=False)
    return {
        "operations": operations,
        "parameters": parameters,
        "text": list(thop.clever_format([operations, parameters], "%.3f")),
        "recurrent": list(thop.profile(recurrent, inputs=(normal(5, 2, 4),), verbose=False)),
        "gru": list(thop.profile(torch.nn.GRU(4, 8), inputs=(normal(5, 2, 4),), verbose=False)),
    }
