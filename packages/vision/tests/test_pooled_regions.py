"""Test pooling operators over regions against loops that follow their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.vision import ops

BOXES = np.array(
    [
        [0, 1.2, 0.6, 9.4, 6.5],
        [1, 2.5, 3.5, 2.6, 3.4],
        [1, -3.0, -2.0, 30.0, 4.0],
        [0, 11.5, 8.5, 40.0, 30.0],
        [0, 5.0, 5.0, 3.0, 2.0],
    ],
    np.float32,
)


def away(value: float) -> int:
    """Round to an integer, halves away from zero."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def bins(start: int, length: int, count: int, size: int) -> list[tuple[int, int]]:
    step = length / count
    edges = [(math.floor(i * step) + start, math.ceil((i + 1) * step) + start) for i in range(count)]
    return [(min(max(low, 0), size), min(max(high, 0), size)) for low, high in edges]


def random(*shape: int, seed: int = 0) -> fb.Tensor:
    return fb.from_numpy(np.random.default_rng(seed).normal(size=shape))


def boxes() -> fb.Tensor:
    return fb.from_numpy(BOXES).double()


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_roi_pool_matches_numpy(scale: float) -> None:
    input = random(2, 3, 10, 13)
    expected = np.zeros((len(BOXES), 3, 2, 3))
    for k, (number, *corners) in enumerate(BOXES):
        x1, y1, x2, y2 = (away(corner * scale) for corner in corners)
        rows, columns = bins(y1, max(y2 - y1 + 1, 1), 2, 10), bins(x1, max(x2 - x1 + 1, 1), 3, 13)
        for i, (top, bottom) in enumerate(rows):
            for j, (left, right) in enumerate(columns):
                if bottom > top and right > left:
                    expected[k, :, i, j] = input.numpy()[int(number), :, top:bottom, left:right].max((1, 2))
    found = ops.roi_pool(input, boxes(), (2, 3), scale)
    np.testing.assert_allclose(found.numpy(), expected)
    assert (expected[3] == 0).any()  # a bin outside the map


def test_roi_pool_gradient_goes_to_the_first_of_equal_pixels() -> None:
    input = fb.zeros(1, 1, 4, 4, requires_grad=True)
    ops.roi_pool(input, [fb.tensor([[0.0, 0.0, 3.0, 3.0]])], 2).sum().backward()
    assert fb.nonzero(input.grad[0, 0]).tolist() == [[0, 0], [0, 2], [2, 0], [2, 2]]
    input = random(2, 2, 6, 7).requires_grad_()
    regions = fb.tensor([[0.0, 1.0, 0.0, 5.0, 4.0], [1.0, 0.0, 2.0, 3.0, 9.0]]).double()
    assert fb.autograd.gradcheck(lambda maps: ops.roi_pool(maps, regions, (2, 3)), (input,))


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_ps_roi_pool_matches_numpy(scale: float) -> None:
    input = random(2, 2 * 6, 10, 13)
    expected = np.zeros((len(BOXES), 2, 2, 3))
    for k, (number, *corners) in enumerate(BOXES):
        x1, y1, x2, y2 = (away(corner * scale) for corner in corners)
        rows, columns = bins(y1, max(y2 - y1, 1), 2, 9), bins(x1, max(x2 - x1, 1), 3, 12)
        for c in range(2):
            for i, (top, bottom) in enumerate(rows):
                for j, (left, right) in enumerate(columns):
                    if bottom > top and right > left:
                        map = input.numpy()[int(number), c * 6 + i * 3 + j]
                        expected[k, c, i, j] = map[top:bottom, left:right].mean()
    np.testing.assert_allclose(ops.ps_roi_pool(input, boxes(), (2, 3), scale).numpy(), expected, atol=1e-12)
    with pytest.raises(ValueError, match="got 12 for a grid of 5 by 5"):
        ops.ps_roi_pool(input, boxes(), 5)


def test_ps_roi_align_reads_each_bin_from_separate_channels() -> None:
    input, regions = random(2, 2 * 6, 10, 13).requires_grad_(), boxes()[:3]
    found = ops.ps_roi_align(input, regions, (2, 3), 0.5, 2)
    for c in range(2):
        for i in range(2):
            for j in range(3):
                channel = c * 6 + i * 3 + j
                whole = ops.roi_align(input[:, channel : channel + 1], regions, (2, 3), 0.5, 2, aligned=True)
                np.testing.assert_allclose(found[:, c, i, j].detach().numpy(), whole[:, 0, i, j].detach().numpy())
    small, region = random(1, 4, 4, 5).requires_grad_(), fb.tensor([[0.0, 1.0, 0.5, 7.0, 6.0]]).double()
    assert fb.autograd.gradcheck(lambda maps: ops.ps_roi_align(maps, region, 2, 0.5, 2), (small,))


def test_roi_layers_equal_their_functions() -> None:
    input, regions = random(2, 12, 10, 13), boxes()
    for layer, expected in (
        (ops.RoIPool(2, 0.5), ops.roi_pool(input, regions, 2, 0.5)),
        (ops.PSRoIPool(2, 0.5), ops.ps_roi_pool(input, regions, 2, 0.5)),
        (ops.PSRoIAlign(2, 0.5, 2), ops.ps_roi_align(input, regions, 2, 0.5, 2)),
    ):
        assert (layer(input, regions) == expected).all()
        assert repr(layer).startswith(f"{type(layer).__name__}(output_size=2, spatial_scale=0.5")
    for pool in (ops.roi_pool, ops.ps_roi_pool, ops.ps_roi_align):
        assert tuple(pool(input, fb.zeros(0, 5).double(), 2).shape)[2:] == (2, 2)


def read(map: np.ndarray, y: float, x: float) -> np.ndarray:
    """Interpolate a feature map (C, H, W) bilinearly, with zeros outside."""
    value = np.zeros(len(map))
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < map.shape[1] and 0 <= column < map.shape[2]:
                value += map[:, row, column] * (1 - abs(y - row)) * (1 - abs(x - column))
    return value


@pytest.mark.parametrize("masked", [False, True])
def test_deform_conv2d_matches_numpy(masked: bool) -> None:
    input, weight, bias = random(2, 4, 6, 7), random(6, 2, 3, 2, seed=1), random(6, seed=2)
    offset = random(2, 2 * 2 * 6, 4, 3, seed=3) * 1.5
    mask = random(2, 2 * 6, 4, 3, seed=4) if masked else None
    options = {"stride": (1, 2), "padding": (1, 0), "dilation": (2, 1)}
    found = ops.deform_conv2d(input, offset, weight, bias, **options, mask=mask)
    expected = np.zeros((2, 6, 4, 3)) + bias.numpy()[:, None, None]
    maps, shifts, weights = input.numpy(), offset.numpy(), weight.numpy()
    for n, out_y, out_x, group, tap in np.ndindex(2, 4, 3, 2, 6):
        i, j = divmod(tap, 2)
        dy, dx = shifts[n, (group * 6 + tap) * 2 : (group * 6 + tap) * 2 + 2, out_y, out_x]
        value = read(maps[n, group * 2 : group * 2 + 2], out_y - 1 + i * 2 + dy, out_x * 2 + j + dx)
        value = value * (mask.numpy()[n, group * 6 + tap, out_y, out_x] if masked else 1)
        expected[n, group * 3 : group * 3 + 3, out_y, out_x] += weights[group * 3 : group * 3 + 3, :, i, j] @ value
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize(("batch", "channels"), [(0, 3), (2, 0)])
def test_deform_conv2d_accepts_zero_images_and_zero_channels(batch: int, channels: int) -> None:
    offset, mask = fb.zeros(batch, 18, 6, 6), fb.zeros(batch, 9, 6, 6)
    out = ops.deform_conv2d(fb.zeros(batch, channels, 8, 8), offset, fb.zeros(4, channels, 3, 3), mask=mask)
    assert tuple(out.shape) == (batch, 4, 6, 6) and (out == 0).all()


def test_deform_conv2d_without_offsets_is_a_convolution() -> None:
    layer = ops.DeformConv2d(4, 6, 3, stride=2, padding=1, groups=2)
    input, offset = fb.rand(2, 4, 7, 8), fb.zeros(2, 18, 4, 4)
    plain = nn.functional.conv2d(input, layer.weight, layer.bias, 2, 1, groups=2)
    np.testing.assert_allclose(layer(input, offset).detach().numpy(), plain.detach().numpy(), rtol=1e-5, atol=1e-6)
    assert repr(layer) == "DeformConv2d(4, 6, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), groups=2)"
    with pytest.raises(RuntimeError, match=r"Got offset.shape\[1\]=10, while 2 \* weight"):
        layer(input, offset[:, :10])
    with pytest.raises(RuntimeError, match=r"mask should have shape \[2, 9, 4, 4\], got \[2, 9, 3, 3\]"):
        layer(input, offset, fb.zeros(2, 9, 3, 3))
    with pytest.raises(ValueError, match="out_channels must be divisible by groups, got 5 and 2"):
        ops.DeformConv2d(4, 5, 3, groups=2)


def test_derivatives_of_deform_conv2d_match_finite_differences() -> None:
    tensors = [random(1, 2, 4, 5), random(1, 8, 3, 4, seed=1) * 0.7, random(3, 2, 2, 2, seed=2), random(3, seed=3)]
    tensors.append(random(1, 4, 3, 4, seed=4))
    for tensor in tensors:
        tensor.requires_grad_()
    assert fb.autograd.gradcheck(lambda a, b, c, d, e: ops.deform_conv2d(a, b, c, d, mask=e), tensors)
    # At integer positions (zero offsets), the derivative is the slope towards the next pixel.
    offset = fb.zeros(1, 2, 1, 3, requires_grad=True)
    ops.deform_conv2d(fb.tensor([[[[1.0, 3.0, 7.0]]]]), offset, fb.ones(1, 1, 1, 1)).sum().backward()
    assert offset.grad[0, 1, 0].tolist() == [2, 4, -7]


def test_drop_block_drops_square_blocks() -> None:
    fb.manual_seed(0)
    input = fb.ones(8, 4, 12, 12)
    found = ops.drop_block2d(input, 0.2, 3)
    dropped = (found == 0).double()
    assert 0.1 < dropped.mean() < 0.25 and found.mean().item() == pytest.approx(1, rel=1e-5)
    # Each dropped pixel lies in a 3x3 block of dropped ones, so morphological opening with this block changes nothing.
    eroded = 1 - nn.functional.max_pool2d(1 - dropped, 3, stride=1)
    assert (nn.functional.max_pool2d(nn.functional.pad(eroded, [2] * 4), 3, stride=1) == dropped).all()
    assert (ops.drop_block3d(fb.ones(1, 1, 5, 5, 5), 1.0, 5) == 0).all()
    layer = ops.DropBlock2d(0.2, 3).eval()
    assert layer(input) is input and repr(ops.DropBlock3d(0.1, 3)) == "DropBlock3d(p=0.1, block_size=3, inplace=False)"
    with pytest.raises(ValueError, match=r"should be odd\. Got 4"):
        ops.drop_block2d(input, 0.1, 4)
    with pytest.raises(ValueError, match=r"should be 5 dimensional\. Got 4"):
        ops.DropBlock3d(0.1, 3)(input)


def test_conv3d_norm_activation_keeps_the_size_of_videos() -> None:
    layer = ops.Conv3dNormActivation(2, 4, (1, 3, 5), dilation=(1, 2, 1))
    assert tuple(layer(fb.rand(1, 2, 3, 8, 9)).shape) == (1, 4, 3, 8, 9)
    assert layer[0].padding == (0, 2, 2) and layer[0].bias is None and layer.out_channels == 4
