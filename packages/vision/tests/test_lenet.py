from __future__ import annotations

import numpy as np
import pytest

import flambeau as fb
from flambeau.data import DataLoader, Subset
from flambeau.vision import datasets, models, transforms


@pytest.mark.parametrize("size", [4, 5, 8, 16, 27, 28, 29, 31, 32, 33, 64])
def test_lenet_accepts_images_of_every_size(size: int) -> None:
    model = models.LeNet(num_classes=7, in_channels=3, image_size=size)
    assert tuple(model(fb.zeros(2, 3, size, size)).shape) == (2, 7)


def test_lenet_rejects_images_that_are_too_small() -> None:
    with pytest.raises(ValueError, match="at least 4x4 pixels, got image_size=3"):
        models.LeNet(image_size=3)


def test_lenet_has_the_parameters_of_the_paper() -> None:
    parameters = {name: tuple(parameter.shape) for name, parameter in models.LeNet().named_parameters()}
    assert parameters == {
        "features.0.weight": (6, 1, 5, 5),
        "features.0.bias": (6,),
        "features.3.weight": (16, 6, 5, 5),
        "features.3.bias": (16,),
        "classifier.1.weight": (120, 400),
        "classifier.1.bias": (120,),
        "classifier.3.weight": (84, 120),
        "classifier.3.bias": (84,),
        "classifier.5.weight": (10, 84),
        "classifier.5.bias": (10,),
    }


def convolve(image: np.ndarray, weight: np.ndarray, bias: np.ndarray, padding: int) -> np.ndarray:
    padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], axis=(1, 2))
    return np.einsum("chwij,ocij->ohw", windows, weight) + bias[:, None, None]


def pool(image: np.ndarray) -> np.ndarray:
    channels, height, width = image.shape
    return image[:, : height // 2 * 2, : width // 2 * 2].reshape(channels, height // 2, 2, width // 2, 2).max((2, 4))


@pytest.mark.parametrize(("size", "paddings"), [(8, (2, 2)), (28, (2, 0)), (32, (0, 0))])
def test_scores_of_lenet_equal_numpy(size: int, paddings: tuple[int, int]) -> None:
    model = models.LeNet(image_size=size)
    weights = [parameter.detach().numpy().astype(np.float64) for parameter in model.parameters()]
    image = np.random.default_rng(0).standard_normal((1, size, size))
    hidden = pool(np.maximum(convolve(image, *weights[0:2], paddings[0]), 0))
    hidden = pool(np.maximum(convolve(hidden, *weights[2:4], paddings[1]), 0)).ravel()
    for weight, bias in ((weights[4], weights[5]), (weights[6], weights[7])):
        hidden = np.maximum(weight @ hidden + bias, 0)
    expected = weights[8] @ hidden + weights[9]
    scores = model(fb.from_numpy(image.astype(np.float32))[None])[0].detach().numpy()
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


def test_lenet_learns() -> None:
    """Check that plain gradient descent reduces the loss on a few real digits to a tenth."""
    fb.manual_seed(0)
    to_input = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.305], [0.376])])
    digits = Subset(datasets.Digits(transform=to_input), range(32))
    ((images, labels),) = DataLoader(digits, batch_size=32)
    model = models.LeNet(image_size=8)
    losses = []
    for _ in range(150):
        loss = fb.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        with fb.no_grad():
            for parameter in model.parameters():
                parameter -= 0.2 * parameter.grad
                parameter.grad = None
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 10
