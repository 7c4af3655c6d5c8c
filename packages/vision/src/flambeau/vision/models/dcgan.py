"""The two networks of DCGAN, with the ``state_dict`` keys of PyTorch's example."""

from __future__ import annotations

import flambeau as fb
from flambeau import nn


def _stages(image_size: int) -> int:
    stages = image_size.bit_length() - 3
    if image_size < 8 or image_size != 4 << stages:
        raise ValueError(f"image_size should be a power of two and at least 8, got {image_size}")
    return stages


def _initialize(model: nn.Module) -> None:
    """Initialise weights from N(0, 0.02), and weights of normalisation layers from N(1, 0.02), as in the paper."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)  # type: ignore[arg-type]
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]


class DCGANGenerator(nn.Module):
    """Generator of DCGAN, which maps noise to images with transposed convolutions that double the size.

    Args:
        latent_size: number of channels of the noise (``nz`` in PyTorch's example).
        features: number of channels before the last layer (``ngf``). Each stage has half as many channels as the stage
            before it.
        channels: number of channels of the image (``nc``).
        image_size: height and width of the image, a power of two.
    Raises: ValueError for an unsupported image size.

    Shapes: ``(N, latent_size, 1, 1)``; the result is ``(N, channels, image_size, image_size)`` in -1..1.
    Source: Radford, Metz, Chintala 2015, arXiv:1511.06434.

    >>> tuple(DCGANGenerator(features=8, image_size=16)(fb.randn(2, 100, 1, 1)).shape)
    (2, 3, 16, 16)
    """

    def __init__(self, latent_size: int = 100, features: int = 64, channels: int = 3, image_size: int = 64) -> None:
        super().__init__()
        width = features << (_stages(image_size) - 1)
        first = nn.ConvTranspose2d(latent_size, width, 4, 1, 0, bias=False)
        layers: list[nn.Module] = [first, nn.BatchNorm2d(width), nn.ReLU(True)]
        while width > features:
            doubling = nn.ConvTranspose2d(width, width // 2, 4, 2, 1, bias=False)
            layers += [doubling, nn.BatchNorm2d(width // 2), nn.ReLU(True)]
            width //= 2
        self.main = nn.Sequential(*layers, nn.ConvTranspose2d(features, channels, 4, 2, 1, bias=False), nn.Tanh())
        _initialize(self)

    def forward(self, input: fb.Tensor) -> fb.Tensor:
        images: fb.Tensor = self.main(input)
        return images


class DCGANDiscriminator(nn.Module):
    """Discriminator of DCGAN, which computes the probability that an image is real.

    Its convolutions halve the size of the image.

    Args:
        features: number of channels after the first convolution (``ndf``). Each stage has twice as many channels as the
            stage before it.
        channels: number of channels of the image (``nc``).
        image_size: height and width of the image, a power of two.
    Raises: ValueError for an unsupported image size.

    Shapes: ``(N, channels, image_size, image_size)``; the result is ``(N,)`` in 0..1.
    Source: Radford, Metz, Chintala 2015, arXiv:1511.06434.

    >>> tuple(DCGANDiscriminator(features=8, image_size=16)(fb.zeros(2, 3, 16, 16)).shape)
    (2,)
    """

    def __init__(self, features: int = 64, channels: int = 3, image_size: int = 64) -> None:
        super().__init__()
        width = features
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
        for _ in range(_stages(image_size) - 1):
            halving = nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False)
            layers += [halving, nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.2, inplace=True)]
            width *= 2
        self.main = nn.Sequential(*layers, nn.Conv2d(width, 1, 4, 1, 0, bias=False), nn.Sigmoid())
        _initialize(self)

    def forward(self, input: fb.Tensor) -> fb.Tensor:
        probabilities: fb.Tensor = self.main(input)
        return probabilities.view(-1)
