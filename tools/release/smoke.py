"""Program that uses every package of flambeau once. It runs in a new environment that contains only the wheels."""

import sys
import tempfile
from pathlib import Path

import numpy as np

import flambeau as fb
import flambeau.nn.functional as F
import flambeau.torch
from flambeau import distributed, nn, optim, vision
from flambeau.data import DataLoader, TensorDataset


def main() -> None:
    """Train a small network, save it, and run it again in several ways."""
    fb.manual_seed(0)
    inputs = fb.randn(256, 8)
    targets = (inputs[:, 0] > inputs[:, 1]).long()
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2))
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(8):
        for x, y in DataLoader(TensorDataset(inputs, targets), batch_size=32, shuffle=True):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    result = model(inputs)
    accuracy = (result.argmax(1) == targets).float().mean().item()
    assert accuracy > 0.9, accuracy
    layers = [parameter.detach().numpy() for parameter in model.parameters()]
    expected = np.maximum(inputs.numpy() @ layers[0].T + layers[1], 0) @ layers[2].T + layers[3]
    np.testing.assert_allclose(result.detach().numpy(), expected, rtol=1e-4, atol=1e-5)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        fb.save(model.state_dict(), path)
        model.load_state_dict(fb.load(path))
        traced = fb.jit.trace(model, inputs)
        traced.save(Path(folder, "model.program"))
        assert fb.allclose(fb.jit.load(Path(folder, "model.program"))(inputs), result)
    assert fb.allclose(fb.compile(model)(inputs), result, atol=1e-5)
    images = DataLoader(TensorDataset(fb.ones(8, 3, 64, 64)), batch_size=4, num_workers=2)
    assert [batch.sum().item() for (batch,) in images] == [4 * 3 * 64 * 64] * 2
    assert vision.models.resnet18(num_classes=3).eval()(fb.rand(1, 3, 64, 64)).shape == (1, 3)
    normal = fb.distributions.Normal(fb.zeros(3), fb.ones(3))
    assert normal.log_prob(normal.sample()).shape == (3,)
    assert distributed.is_available() == (sys.platform != "win32") and not distributed.is_initialized()

    flambeau.torch.install()
    import torch

    assert torch.ones(3, dtype=torch.float32).sum().item() == 3.0
    print(f"flambeau {fb.__version__} works: accuracy {accuracy:.2f}")


if __name__ == "__main__":
    main()
