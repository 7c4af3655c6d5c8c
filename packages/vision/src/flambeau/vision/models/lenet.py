"""LeNet-5."""

from __future__ import annotations

import flambeau as fb
from flambeau import nn

_SMALLEST = 4


class LeNet(nn.Module):
    """LeNet-5, with ReLU and max pooling: two convolutions (6 and 16 channels), then 120, 84 and ``num_classes`` units.

    Small images are padded, so that the input of the second convolution is large enough:

    ============== ================= ================= ===================================
    image_size     first convolution second            e.g. sides after each pooling
    ============== ================= ================= ===================================
    32 and more    5x5               5x5               32: 14, 5 (the paper)
    28 to 31       5x5, padding 2    5x5               28: 14, 5 (MNIST)
    4 to 27        5x5, padding 2    5x5, padding 2    8: 4, 2 (Digits)
    ============== ================= ================= ===================================

    Args:
        num_classes: number of classes.
        in_channels: number of channels of the image.
        image_size: height and width of the image.
    Raises: ValueError if ``image_size`` is below 4.

    Shapes: ``(N, in_channels, image_size, image_size)``; the result is ``(N, num_classes)``, logits.
    Source: LeCun, Bottou, Bengio, Haffner 1998, Gradient-based learning applied to document recognition.

    >>> import flambeau
    >>> tuple(LeNet(image_size=8)(flambeau.zeros(2, 1, 8, 8)).shape)
    (2, 10)
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1, image_size: int = 28) -> None:
        super().__init__()
        if image_size < _SMALLEST:
            raise ValueError(
                f"LeNet needs images of at least {_SMALLEST}x{_SMALLEST} pixels, got image_size={image_size}"
            )
        first_padding, second_padding = 2 * (image_size < 32), 2 * (image_size < 28)
        size = image_size
        for padding in (first_padding, second_padding):
            size = (size + 2 * padding - 4) // 2
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 6, kernel_size=5, padding=first_padding),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, kernel_size=5, padding=second_padding),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(16 * size * size, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, num_classes),
        )

    def forward(self, input: fb.Tensor) -> fb.Tensor:
        scores: fb.Tensor = self.classifier(self.features(input))
        return scores
