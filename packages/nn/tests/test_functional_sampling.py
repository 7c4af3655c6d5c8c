"""Sampling of images at arbitrary points, compared with SciPy and with formulas."""

import itertools

import numpy as np
import pytest
import scipy.ndimage

import flambeau as fb
from flambeau.autograd import gradcheck, gradgradcheck
from flambeau.nn import functional as F

RNG = np.random.default_rng(0)
EXTENSIONS = {"zeros": "constant", "border": "nearest"}


def pixels(grid, sizes, align_corners):
    """Convert grid coordinates (x first) to pixel coordinates (depth first)."""
    n = np.array(sizes[::-1])
    places = (grid + 1) / 2 * (n - 1) if align_corners else ((grid + 1) * n - 1) / 2
    return np.moveaxis(places[..., ::-1], -1, 0)


@pytest.mark.parametrize("sizes", [(5, 6), (4, 5, 3)])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align_corners", [False, True])
def test_grid_sample_matches_scipy_in_modes_bilinear_and_nearest(sizes, padding, align_corners):
    dims = len(sizes)
    x = RNG.standard_normal((2, 3, *sizes))
    grid = RNG.uniform(-1.6, 1.6, (2, *[7] * dims, dims))
    extension = EXTENSIONS.get(padding, "mirror" if align_corners else "reflect")
    if padding == "zeros":  # between the last pixel and the zeros outside, values are interpolated
        wide = np.pad(x, [(0, 0), (0, 0), *[(3, 3)] * dims])
        shift = 3
    else:
        wide, shift = x, 0
    for order, mode in ((1, "bilinear"), (0, "nearest")):
        got = F.grid_sample(fb.tensor(x), fb.tensor(grid), mode, padding, align_corners).numpy()
        for n, c in itertools.product(range(2), range(3)):
            places = pixels(grid[n], sizes, align_corners) + shift
            want = scipy.ndimage.map_coordinates(wide[n, c], places, order=order, mode=extension)
            np.testing.assert_allclose(got[n, c], want, atol=1e-12)


@pytest.mark.parametrize("align_corners", [False, True])
def test_grid_sample_matches_the_formula_in_mode_bicubic(align_corners):
    x = RNG.standard_normal((1, 2, 5, 6))
    grid = RNG.uniform(-0.9, 0.9, (1, 4, 4, 2))
    got = F.grid_sample(fb.tensor(x), fb.tensor(grid), "bicubic", "border", align_corners).numpy()
    row, column = pixels(grid[0], (5, 6), align_corners)

    def kernel(d, a=-0.75):
        d = np.abs(d)
        near = (a + 2) * d**3 - (a + 3) * d**2 + 1
        return np.where(d <= 1, near, np.where(d < 2, a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a, 0))

    want = np.zeros((2, 4, 4))
    for i, j in itertools.product(range(-2, 8), range(-2, 9)):
        weight = kernel(row - i) * kernel(column - j)
        want += x[0, :, min(max(i, 0), 4), min(max(j, 0), 5), None, None] * weight
    np.testing.assert_allclose(got[0], want, atol=1e-12)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align_corners", [False, True])
def test_grid_sample_passes_gradcheck(mode, padding, align_corners):
    x = fb.tensor(RNG.standard_normal((1, 2, 3, 4))).requires_grad_()
    grid = fb.tensor(RNG.uniform(-1.2, 1.2, (1, 2, 2, 2))).requires_grad_()

    def call(x, grid):
        return F.grid_sample(x, grid, mode, padding, align_corners)

    assert gradcheck(call, (x, grid))
    assert gradgradcheck(call, (x, grid))


def test_grid_sample_of_volumes_passes_gradcheck():
    x = fb.tensor(RNG.standard_normal((1, 1, 3, 3, 2))).requires_grad_()
    grid = fb.tensor(RNG.uniform(-0.9, 0.9, (1, 2, 2, 1, 3))).requires_grad_()
    assert gradcheck(lambda x, g: F.grid_sample(x, g, align_corners=False), (x, grid))
    assert gradgradcheck(lambda x, g: F.grid_sample(x, g, align_corners=False), (x, grid))


def test_grid_sample_accepts_nonfinite_points():
    x = fb.ones(1, 1, 3, 3)
    grid = fb.tensor([[[[float("nan"), 0.0], [float("inf"), 0.0], [0.0, -1e30]]]])
    for mode in ("bilinear", "nearest", "bicubic"):
        assert F.grid_sample(x, grid, mode, align_corners=False).shape == (1, 1, 1, 3)
        for padding in ("border", "reflection"):
            F.grid_sample(x, grid, mode, padding, align_corners=False)
    assert F.grid_sample(x, grid, "nearest", align_corners=False).tolist() == [[[[0, 0, 0]]]]


def test_grid_sample_ignores_nonfinite_pixels_of_zero_weight():
    x = fb.full((1, 1, 2, 2), float("inf"))
    grid = fb.tensor([[[[5.0, 5.0]]]])
    assert F.grid_sample(x, grid, align_corners=False).item() == 0


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [(2, 3, 4, 5), (2, 1, 3, 4, 2)])
def test_affine_grid_matches_numpy(size, align_corners):
    dims = len(size) - 2
    theta = RNG.standard_normal((2, dims, dims + 1))
    lines = [np.linspace(-1, 1, n) if align_corners else (np.arange(n) * 2 + 1) / n - 1 for n in size[2:]]
    places = np.stack([*np.meshgrid(*lines, indexing="ij")][::-1] + [np.ones(size[2:])], -1)
    want = np.einsum("...i,nji->n...j", places, theta)
    got = F.affine_grid(fb.tensor(theta), size, align_corners)
    np.testing.assert_allclose(got.numpy(), want, atol=1e-12)


def test_grid_sample_with_the_identity_grid_returns_the_image():
    x = fb.tensor(RNG.standard_normal((1, 2, 4, 5)))
    theta = fb.tensor([[[1.0, 0, 0], [0, 1, 0]]], dtype=fb.float64)
    for align_corners in (False, True):
        grid = F.affine_grid(theta, x.shape, align_corners)
        np.testing.assert_allclose(F.grid_sample(x, grid, align_corners=align_corners).numpy(), x.numpy(), atol=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x, g: F.grid_sample(x, g, "linear"), ValueError, "linear"),
        (lambda x, g: F.grid_sample(x, g, padding_mode="wrap"), ValueError, "wrap"),
        (lambda x, g: F.grid_sample(x, g[..., :1], align_corners=False), RuntimeError, "size 2 in last dimension"),
        (lambda x, g: F.grid_sample(x[0], g, align_corners=False), RuntimeError, "4D or 5D"),
        (lambda x, g: F.grid_sample(x, g.double(), align_corners=False), RuntimeError, "same dtype"),
        (lambda x, g: F.grid_sample(x, g.expand(2, -1, -1, -1), align_corners=False), RuntimeError, "batch size"),
        (lambda x, g: F.grid_sample(x[:, :, :0], g, align_corners=False), RuntimeError, "non-empty"),
        (lambda x, g: F.affine_grid(fb.zeros(1, 2, 2), (1, 1, 2, 2), False), ValueError, "Nx2x3"),
        (lambda x, g: F.affine_grid(fb.zeros(1, 2, 3), (1, 1, 2), False), NotImplementedError, "4D and 5D"),
        (lambda x, g: F.affine_grid(fb.zeros(1, 2, 3), (1, 1, 0, 2), False), ValueError, "positive"),
    ],
)
def test_grid_sample_rejects_invalid_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call(fb.zeros(1, 1, 3, 3), fb.zeros(1, 2, 2, 2))


def test_grid_sample_without_align_corners_warns():
    with pytest.warns(UserWarning, match="align_corners"):
        F.grid_sample(fb.zeros(1, 1, 3, 3), fb.zeros(1, 2, 2, 2))


@pytest.mark.parametrize(("dims", "function"), [(2, fb.grid_sampler_2d), (3, fb.grid_sampler_3d)])
def test_grid_sampler_2d_and_3d_equal_grid_sampler(dims, function):
    generator = np.random.default_rng(dims)
    x, grid = (fb.tensor(generator.uniform(-1, 1, s)) for s in ((2, 3, *[4] * dims), (2, *[3] * dims, dims)))
    assert function(x, grid, 0, 1, True).equal(fb.grid_sampler(x, grid, 0, 1, True))
    with pytest.raises(RuntimeError, match=rf"expected {dims + 2}D"):
        function(x[0], grid[0], 0, 1, True)
    other = fb.zeros(1, *[3] * (5 - dims), 5 - dims)
    with pytest.raises(RuntimeError, match="expected grid and input to have same batch size"):
        function(x, other, 0, 1, True)
