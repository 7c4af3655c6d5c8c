"""Tests of the export of models on the GPU to ONNX files."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.onnx import export


class Net(nn.Module):
    """Model that creates tensors on the input's device and changes tensors in place."""

    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(7, 4), nn.Linear(4, 3)

    def forward(self, tokens):
        x = self.embedding(tokens) + fb.arange(tokens.shape[1], device=tokens.device).unsqueeze(1)
        x = nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)
        x[:, 0] = 1.0
        x.view(-1, 2)[:, 1].mul_(2)
        return self.head(x), nn.functional.one_hot(tokens, 7)


@pytest.mark.filterwarnings("error")
def test_a_model_on_the_gpu_is_exported_to_onnx():
    model, tokens = Net().cuda().eval(), fb.randint(7, (2, 3))
    program = export(model, tokens.cuda(), dynamic_axes={"tokens": {0: "batch"}})
    tokens = fb.randint(7, (5, 3))
    with fb.no_grad():
        for mine, other in zip(model(tokens.cuda()), program(tokens), strict=True):
            np.testing.assert_allclose(other.numpy(), mine.cpu().numpy(), rtol=1e-4, atol=1e-5)
    assert next(model.parameters()).is_cuda
