"""A model for images is exported to ONNX, checked, and run by ONNX Runtime on batches of other sizes."""

import os
import tempfile

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.onnx


class SuperResolutionNet(nn.Module):
    def __init__(self, upscale_factor, inplace=False):
        super().__init__()
        self.relu = nn.ReLU(inplace=inplace)
        self.conv1 = nn.Conv2d(1, 16, (5, 5), (1, 1), (2, 2))
        self.conv2 = nn.Conv2d(16, 16, (3, 3), (1, 1), (1, 1))
        self.conv3 = nn.Conv2d(16, upscale_factor**2, (3, 3), (1, 1), (1, 1))
        self.pixel_shuffle = nn.PixelShuffle(upscale_factor)

    def forward(self, x):
        x = self.relu(self.conv1(x))
        x = self.relu(self.conv2(x))
        return self.pixel_shuffle(self.conv3(x))


class SentimentNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(50, 16)
        self.lstm = nn.LSTM(16, 24, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(48, 2)

    def forward(self, tokens):
        output, (hidden, cell) = self.lstm(self.embedding(tokens))
        state = torch.cat([hidden[-2], hidden[-1]], dim=1)
        return F.log_softmax(self.fc(state), dim=-1)


def to_numpy(tensor):
    return tensor.detach().cpu().numpy() if tensor.requires_grad else tensor.cpu().numpy()


def run(path, tensor):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: to_numpy(tensor)})[0]


def main():
    torch.manual_seed(0)
    folder = tempfile.mkdtemp()

    model = SuperResolutionNet(upscale_factor=3, inplace=True).eval()
    path = os.path.join(folder, "super_resolution.onnx")
    torch.onnx.export(
        model,
        torch.randn(1, 1, 24, 24, requires_grad=True),
        path,
        export_params=True,
        opset_version=20,
        do_constant_folding=True,
        input_names=["input"],
        output_names=["output"],
        dynamic_axes={"input": {0: "batch_size"}, "output": {0: "batch_size"}},
    )
    onnx.checker.check_model(onnx.load(path))
    images = torch.randn(5, 1, 24, 24)
    np.testing.assert_allclose(to_numpy(model(images)), run(path, images), rtol=1e-3, atol=1e-5)
    assert run(path, images).shape == (5, 1, 72, 72)

    model = SentimentNet().eval()
    path = os.path.join(folder, "sentiment.onnx")
    torch.onnx.export(
        model, (torch.randint(50, (2, 7)),), path, input_names=["tokens"], output_names=["scores"],
        dynamic_axes={"tokens": {0: "batch", 1: "length"}},
    )  # fmt: skip
    for shape in ((1, 3), (4, 12)):
        tokens = torch.randint(50, shape)
        np.testing.assert_allclose(to_numpy(model(tokens)), run(path, tokens), rtol=1e-3, atol=1e-5)
    assert run(path, tokens).shape == (4, 2)


if __name__ == "__main__":
    main()
