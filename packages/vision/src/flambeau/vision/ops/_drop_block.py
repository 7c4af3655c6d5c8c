"""Dropout of whole blocks of pixels."""

from __future__ import annotations

import flambeau as fb
from flambeau import nn
from flambeau.nn._leaf_functions import wrap


def _drop_blocks(
    input: fb.Tensor, p: float, block_size: int, inplace: bool, eps: float, training: bool, dimensions: int
) -> fb.Tensor:
    """Set random blocks of each channel to 0 and scale the rest. ``p`` is the expected fraction of zeros."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"drop probability has to be between 0 and 1, but got {p}.")
    if input.ndim != dimensions + 2:
        raise ValueError(f"input should be {dimensions + 2} dimensional. Got {input.ndim} dimensions.")
    if not training or p == 0.0:
        return input
    sizes = input.shape[2:]
    block = min(block_size, *sizes)
    if block % 2 == 0:
        raise ValueError(f"block size should be odd. Got {block} which is even.")
    middles = [size - block + 1 for size in sizes]  # number of possible centres of a block along each dimension
    pixels, positions = 1, 1
    for size, count in zip(sizes, middles, strict=True):
        pixels, positions = pixels * size, positions * count
    noise = input.new_empty((*input.shape[:2], *middles)).bernoulli_(p * pixels / (block**dimensions * positions))
    noise = nn.functional.pad(noise, [block // 2] * (2 * dimensions), value=0)
    pool = nn.functional.max_pool2d if dimensions == 2 else nn.functional.max_pool3d
    mask = 1 - pool(noise, kernel_size=block, stride=1, padding=block // 2)
    scale = mask.numel() / (eps + mask.sum())
    return input.mul_(mask).mul_(scale) if inplace else input * mask * scale


@wrap
def drop_block2d(
    input: fb.Tensor, p: float, block_size: int, inplace: bool = False, eps: float = 1e-6, training: bool = True
) -> fb.Tensor:
    """Set square blocks of ``(N, C, H, W)`` to zero, and scale the rest to compensate.

    Args:
        input: the tensor.
        p: approximate fraction of elements that are dropped.
        block_size: side of the blocks, an odd number that is at most the size of the feature map.
        inplace: if True, change the input.
        eps: added to the number of remaining elements.
        training: if False, return the input.
    Raises: ValueError for an invalid probability, number of dimensions or block size.
    Source: Ghiasi et al. 2018, arXiv:1810.12890.

    >>> drop_block2d(fb.ones(1, 1, 3, 3), 1.0, 3).sum().item()
    0.0
    """
    return _drop_blocks(input, p, block_size, inplace, eps, training, 2)


@wrap
def drop_block3d(
    input: fb.Tensor, p: float, block_size: int, inplace: bool = False, eps: float = 1e-6, training: bool = True
) -> fb.Tensor:
    """Set cubic blocks of ``(N, C, D, H, W)`` to zero. The arguments are described in :func:`drop_block2d`.

    >>> drop_block3d(fb.ones(1, 1, 3, 3, 3), 1.0, 3).sum().item()
    0.0
    """
    return _drop_blocks(input, p, block_size, inplace, eps, training, 3)


class DropBlock2d(nn.Module):
    """Layer that applies :func:`drop_block2d` in training.

    >>> _ = fb.manual_seed(0)
    >>> layer = DropBlock2d(p=0.2, block_size=3)
    >>> layer(fb.ones(1, 1, 4, 6)) > 0
    tensor([[[[ True, False, False, False,  True,  True],
              [ True, False, False, False, False, False],
              [ True, False, False, False, False, False],
              [ True,  True,  True, False, False, False]]]])
    >>> layer.eval()(fb.ones(1, 1, 4, 6)).sum()
    tensor(24.)
    """

    def __init__(self, p: float, block_size: int, inplace: bool = False, eps: float = 1e-6) -> None:
        super().__init__()
        self.p = p
        self.block_size = block_size
        self.inplace = inplace
        self.eps = eps

    def forward(self, input: fb.Tensor) -> fb.Tensor:
        return drop_block2d(input, self.p, self.block_size, self.inplace, self.eps, self.training)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p}, block_size={self.block_size}, inplace={self.inplace})"


class DropBlock3d(DropBlock2d):
    """Layer that applies :func:`drop_block3d` in training.

    >>> layer = DropBlock3d(p=0.2, block_size=3)
    >>> layer(fb.ones(1, 4, 8, 8, 8)).shape
    flambeau.Size([1, 4, 8, 8, 8])
    """

    def forward(self, input: fb.Tensor) -> fb.Tensor:
        return drop_block3d(input, self.p, self.block_size, self.inplace, self.eps, self.training)
