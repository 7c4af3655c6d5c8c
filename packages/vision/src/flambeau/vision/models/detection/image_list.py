"""Images of several sizes in one tensor."""

from __future__ import annotations

from typing import Any

import flambeau as fb


class ImageList:
    """A batch ``(N, C, H, W)`` of images that were filled up with zeros, and their ``(height, width)`` before that."""

    def __init__(self, tensors: fb.Tensor, image_sizes: list[tuple[int, int]]) -> None:
        self.tensors = tensors
        self.image_sizes = image_sizes

    def to(self, device: Any) -> ImageList:
        """Return a copy with the images on a device."""
        return ImageList(self.tensors.to(device), self.image_sizes)
