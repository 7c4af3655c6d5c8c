"""Random images, for testing programs without downloading data."""

from __future__ import annotations

from typing import Any

import flambeau as fb

from .vision import Transform, VisionDataset, as_image


class FakeData(VisionDataset):
    """Random images with random labels. They depend only on the index and ``random_offset``.

    Args:
        size: number of images.
        image_size: channels (1 or 3), height and width of the images.
        num_classes: number of different labels.
        transform, target_transform: functions applied to each image and to each label.
        random_offset: the seed of an image is its index plus this number.
    Raises: ValueError if the number of channels is not 1 or 3; IndexError for an index beyond the size.

    >>> image, label = FakeData(size=3, image_size=(3, 4, 5))[2]
    >>> image.mode, image.size, 0 <= label < 10
    ('RGB', (5, 4), True)
    """

    def __init__(
        self,
        size: int = 1000,
        image_size: tuple[int, int, int] = (3, 224, 224),
        num_classes: int = 10,
        transform: Transform = None,
        target_transform: Transform = None,
        random_offset: int = 0,
    ) -> None:
        super().__init__(transform=transform, target_transform=target_transform)
        if image_size[0] not in (1, 3):
            raise ValueError(f"image_size should be (channels, height, width) with 1 or 3 channels, got {image_size}")
        self.size = size
        self.num_classes = num_classes
        self.image_size = image_size
        self.random_offset = random_offset

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if not -self.size <= index < self.size:
            raise IndexError(f"FakeData index {index} is out of range: there are {self.size} images")
        generator = fb.Generator().manual_seed(index % self.size + self.random_offset)
        pixels = fb.randn(self.image_size, generator=generator).mul(255).byte()  # computed as in torchvision
        target = fb.randint(0, self.num_classes, (1,), generator=generator).item()
        array = pixels.permute(1, 2, 0).numpy()
        return self._transformed(as_image(array[..., 0] if len(pixels) == 1 else array), target)

    def __len__(self) -> int:
        return self.size
