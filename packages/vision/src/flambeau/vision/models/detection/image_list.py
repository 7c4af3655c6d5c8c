"""Batch of images of different sizes."""

from __future__ import annotations

from typing import Any

import flambeau as fb


class ImageList:
    """Batch ``(N, C, H, W)`` of images padded with zeros, and their sizes ``(height, width)`` before padding."""

    def __init__(self, tensors: fb.Tensor, image_sizes: list[tuple[int, int]]) -> None:
        self.tensors = tensors
        self.image_sizes = image_sizes

    def to(self, device: Any) -> ImageList:
        """Return a copy with the images on a device."""
        return ImageList(self.tensors.to(device), self.image_sizes)
