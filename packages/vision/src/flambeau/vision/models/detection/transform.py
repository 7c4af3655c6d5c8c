"""Preprocessing of images and targets for detectors, and postprocessing of detections."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from ._masks import paste_masks_in_image
from .image_list import ImageList

Target = dict[str, fb.Tensor]
Size = tuple[int, int]


class GeneralizedRCNNTransform(nn.Module):
    """Preprocessing for detectors, which normalises and resizes images, pads them to one batch, and adapts the targets.

    ``postprocess`` converts detections to coordinates of the original images.

    Args:
        min_size: length of the shorter side. If it is a list, training uses a random number of the list, and evaluation
            uses the last number.
        max_size: maximum length of the longer side, which has precedence over ``min_size``.
        image_mean, image_std: mean and standard deviation of each channel.
        size_divisible: the height and width of the batch are multiples of this number.
        fixed_size: ``(width, height)`` of all resized images, in place of ``min_size`` and ``max_size``.
        _skip_resize: if True, do not resize images in training.

    Raises: ValueError for images that are not ``(C, H, W)``, TypeError for images of an integer dtype.
    """

    def __init__(
        self,
        min_size: int | Sequence[int],
        max_size: int,
        image_mean: Sequence[float],
        image_std: Sequence[float],
        size_divisible: int = 32,
        fixed_size: Size | None = None,
        *,
        _skip_resize: bool = False,
    ) -> None:
        super().__init__()
        self.min_size = tuple(min_size) if isinstance(min_size, list | tuple) else (min_size,)
        self.max_size = max_size
        self.image_mean = image_mean
        self.image_std = image_std
        self.size_divisible = size_divisible
        self.fixed_size = fixed_size
        self._skip_resize = _skip_resize

    def forward(
        self, images: Sequence[fb.Tensor], targets: Sequence[Target] | None = None
    ) -> tuple[ImageList, list[Target] | None]:
        resized, changed = [], []
        for index, image in enumerate(images):
            if image.ndim != 3:
                raise ValueError(
                    f"images is expected to be a list of 3d tensors of shape [C, H, W], got {list(image.shape)}"
                )
            target = None if targets is None else dict(targets[index])
            image, target = self.resize(self.normalize(image), target)
            resized.append(image)
            changed.append(target)
        sizes = [(image.shape[-2], image.shape[-1]) for image in resized]
        images_together = ImageList(self.batch_images(resized, self.size_divisible), sizes)
        return images_together, None if targets is None else changed  # type: ignore[return-value]

    def normalize(self, image: fb.Tensor) -> fb.Tensor:
        """Return ``(image - mean) / std``, per channel."""
        if not image.is_floating_point():
            raise TypeError(
                f"Expected input images to be of floating type (in range [0, 1]), but found type {image.dtype} instead"
            )
        mean, std = (
            fb.as_tensor(values, dtype=image.dtype, device=image.device)[:, None, None]
            for values in (self.image_mean, self.image_std)
        )
        return (image - mean) / std

    def torch_choice(self, k: Sequence[int]) -> int:
        """Return a random element of ``k``."""
        return k[int(fb.randint(0, len(k), (1,)))]

    def resize(self, image: fb.Tensor, target: Target | None = None) -> tuple[fb.Tensor, Target | None]:
        """Resize an image and its target."""
        if self.training and self._skip_resize:
            return image, target
        before: Size = (image.shape[-2], image.shape[-1])
        size = self.torch_choice(self.min_size) if self.training else self.min_size[-1]
        scale = min(size / min(before), self.max_size / max(before))
        options: dict[str, Any] = {"scale_factor": scale, "recompute_scale_factor": True}
        if self.fixed_size is not None:
            options = {"size": [self.fixed_size[1], self.fixed_size[0]]}
        image = nn.functional.interpolate(image[None], mode="bilinear", align_corners=False, **options)[0]
        if target is None:
            return image, target
        after: Size = (image.shape[-2], image.shape[-1])
        if "masks" in target:
            masks = target["masks"][:, None].to(fb.float32)
            target["masks"] = nn.functional.interpolate(masks, **options)[:, 0].to(fb.uint8)
        target["boxes"] = resize_boxes(target["boxes"], before, after)
        if "keypoints" in target:
            target["keypoints"] = resize_keypoints(target["keypoints"], before, after)
        return image, target

    def batch_images(self, images: Sequence[fb.Tensor], size_divisible: int = 32) -> fb.Tensor:
        """Pad images with zeros on the right and at the bottom, and return a batch ``(N, C, H, W)``."""
        channels, height, width = (max(sizes) for sizes in zip(*(image.shape for image in images), strict=True))
        height, width = (math.ceil(side / size_divisible) * size_divisible for side in (height, width))
        batch = images[0].new_zeros((len(images), channels, height, width))
        for destination, image in zip(batch, images, strict=True):
            destination[: image.shape[0], : image.shape[1], : image.shape[2]].copy_(image)
        return batch

    def postprocess(
        self, result: list[Target], image_shapes: Sequence[Size], original_image_sizes: Sequence[Size]
    ) -> list[Target]:
        """Convert detections to coordinates of the original images. In training, return them unchanged."""
        if self.training:
            return result
        for detection, before, after in zip(result, image_shapes, original_image_sizes, strict=True):
            detection["boxes"] = resize_boxes(detection["boxes"], before, after)
            if "masks" in detection:
                detection["masks"] = paste_masks_in_image(detection["masks"], detection["boxes"], after)
            if "keypoints" in detection:
                detection["keypoints"] = resize_keypoints(detection["keypoints"], before, after)
        return result

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(\n    Normalize(mean={self.image_mean}, std={self.image_std})\n    "
            f"Resize(min_size={self.min_size}, max_size={self.max_size}, mode='bilinear')\n)"
        )


def resize_boxes(boxes: fb.Tensor, original_size: Sequence[int], new_size: Sequence[int]) -> fb.Tensor:
    """Scale boxes ``(L, 4)`` from one image size to another size."""
    down, across = _ratios(boxes, original_size, new_size)
    return boxes * fb.stack([across, down, across, down])


def resize_keypoints(keypoints: fb.Tensor, original_size: Sequence[int], new_size: Sequence[int]) -> fb.Tensor:
    """Scale keypoints ``(L, points, 3)`` with x, y and visibility from one image size to another size."""
    down, across = _ratios(keypoints, original_size, new_size)
    return keypoints * fb.stack([across, down, fb.ones_like(down)])


def _ratios(values: fb.Tensor, before: Sequence[int], after: Sequence[int]) -> fb.Tensor:
    return fb.tensor(list(after), device=values.device).to(fb.float32) / fb.tensor(list(before), device=values.device)
