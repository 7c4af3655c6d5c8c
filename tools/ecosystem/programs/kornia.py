"""Kornia: differentiable operations on images."""

import kornia
import torch
from kornia.geometry.liegroup import So3

from tools.ecosystem.cases import integers, normal, uniform


def filters():
    images = uniform(2, 3, 16, 16).requires_grad_()
    found = {
        "blurred": kornia.filters.gaussian_blur2d(images, (3, 3), (1.0, 1.5)),
        "edges": kornia.filters.sobel(images),
        "laplacian": kornia.filters.laplacian(images, 3),
        "median": kornia.filters.median_blur(images, (3, 3)),
        "bilateral": kornia.filters.bilateral_blur(images, (3, 3), 0.1, (1.5, 1.5)),
        "sharp": kornia.filters.unsharp_mask(images, (3, 3), (1.0, 1.0)),
        "gradient": kornia.filters.spatial_gradient(images),
    }
    sum(value.square().sum() for value in found.values()).backward()
    return {**found, "images": images.grad, "canny": kornia.filters.canny(images.detach())}


def colours():
    images = uniform(2, 3, 8, 8)
    names = ("grayscale", "hsv", "hls", "lab", "luv", "xyz", "ycbcr", "yuv", "linear_rgb", "bgr")
    there = {name: getattr(kornia.color, f"rgb_to_{name}")(images) for name in names}
    return {**there, "back": kornia.color.lab_to_rgb(there["lab"])}


def enhancement():
    images = uniform(2, 3, 16, 16)
    names = {"brightness": 0.1, "contrast": 0.7, "saturation": 1.3, "gamma": 0.8, "hue": 0.2}
    found = {name: getattr(kornia.enhance, f"adjust_{name}")(images, factor) for name, factor in names.items()}
    return {
        **found,
        "equalized": kornia.enhance.equalize(images),
        "clahe": kornia.enhance.equalize_clahe(images, grid_size=(2, 2)),
        "normal": kornia.enhance.normalize(images, torch.zeros(3), torch.full((3,), 2.0)),
        "posterized": kornia.enhance.posterize(images, 3),
        "dilated": kornia.morphology.dilation(images, torch.ones(3, 3)),
        "opened": kornia.morphology.opening(images, torch.ones(3, 3)),
    }


def geometry():
    vectors = normal(4, 3)
    turned = So3.exp(vectors)
    return {
        "matrix": kornia.geometry.axis_angle_to_rotation_matrix(vectors),
        "quaternion": kornia.geometry.quaternion_to_rotation_matrix(normal(3, 4)),
        "turned": turned.matrix(),
        "log": turned.log(),
        "points": kornia.geometry.convert_points_to_homogeneous(vectors),
        "homography": kornia.geometry.find_homography_dlt(uniform(1, 8, 2), uniform(1, 8, 2, seed=1)),
        "resized": kornia.geometry.resize(uniform(1, 3, 16, 16), (7, 9), antialias=True),
        "pyramid": kornia.geometry.build_pyramid(uniform(1, 3, 16, 16), 2),
    }


def features():
    images = uniform(2, 1, 32, 32)
    near, positions = kornia.feature.match_snn(normal(6, 8), normal(7, 8, seed=1), 0.95)
    return {
        "harris": kornia.feature.harris_response(images),
        "hessian": kornia.feature.hessian_response(images),
        "distances": near,
        "positions": positions,
    }


def losses():
    scores, targets = normal(2, 3, 8, 8).requires_grad_(), integers(3, 2, 8, 8)
    first, second = uniform(2, 3, 16, 16), uniform(2, 3, 16, 16, seed=1)
    found = {
        "dice": kornia.losses.dice_loss(scores, targets),
        "focal": kornia.losses.focal_loss(scores, targets, alpha=0.5, reduction="mean"),
        "tversky": kornia.losses.tversky_loss(scores, targets, alpha=0.4, beta=0.6),
    }
    sum(found.values()).backward()
    return {
        **found,
        "gradient": scores.grad,
        "ssim": kornia.losses.ssim_loss(first, second, 5),
        "psnr": kornia.metrics.psnr(first, second, 1.0),
        "variation": kornia.losses.total_variation(first),
        "iou": kornia.metrics.mean_iou(targets, integers(3, 2, 8, 8, seed=1), 3),
    }
