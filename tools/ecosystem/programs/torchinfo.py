"""Torchinfo: tables of a model's layers."""

import torch
from torch import nn
from torchinfo import summary


def _model():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 5)
    )


def _numbers(result):
    names = ("total_mult_adds", "total_output_bytes", "total_params", "total_param_bytes")
    return {name: int(getattr(result, name)) for name in (*names, "trainable_params")}


def convolutions():
    columns = ("input_size", "output_size", "num_params", "kernel_size", "mult_adds", "trainable")
    result = summary(_model(), (2, 3, 8, 8), col_names=columns, row_settings=("depth", "var_names"), verbose=0)
    return {"text": str(result), **_numbers(result)}


def nested():
    model = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2, enable_nested_tensor=False
    )
    result = summary(model, input_data=torch.zeros(2, 5, 16), depth=3, verbose=0, mode="train")
    return {"text": str(result), **_numbers(result)}


def recurrent():
    model = nn.LSTM(8, 16, num_layers=2, batch_first=True)
    return str(summary(model, (3, 7, 8), col_names=("output_size", "num_params", "params_percent"), verbose=0))


def of_parameters_alone():
    model = _model()
    model[0].requires_grad_(False)
    return str(summary(model, verbose=0))
