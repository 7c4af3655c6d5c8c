"""PIQ: quality measures of images compared with references, and of sets of images."""

import piq
import torch

from tools.ecosystem.cases import normal, uniform

TOLERANCE = 5e-4


def _images():
    reference = uniform(2, 3, 64, 64)
    return (reference + 0.05 * normal(2, 3, 64, 64)).clamp(0, 1), reference


def with_references():
    distorted, reference = _images()
    names = ["ssim", "psnr", "gmsd", "multi_scale_gmsd", "vif_p", "fsim", "vsi", "mdsi", "haarpsi", "srsim", "dss"]
    large = torch.nn.functional.interpolate(distorted, 192), torch.nn.functional.interpolate(reference, 192)
    return {
        **{name: getattr(piq, name)(distorted, reference, data_range=1.0) for name in names},
        "ms_ssim": piq.multi_scale_ssim(*large, data_range=1.0),
        "iw_ssim": piq.information_weighted_ssim(*large, data_range=1.0),
        "variation": piq.total_variation(distorted),
    }


def losses():
    distorted, reference = _images()
    gradients = {}
    for name in (
        "SSIMLoss",
        "GMSDLoss",
        "VIFLoss",
        "FSIMLoss",
        "VSILoss",
        "HaarPSILoss",
        "SRSIMLoss",
        "DSSLoss",
    ):
        images = distorted.clone().requires_grad_()
        loss = getattr(piq, name)(data_range=1.0)(images, reference)
        loss.backward()
        gradients[name] = {"loss": loss, "gradient": images.grad}
    return gradients


def of_sets():
    first, second = normal(40, 8), normal(40, 8, seed=1)
    return {
        "fid": piq.FID()(first, second),
        "kid": piq.KID()(first, second),
        "inception": list(piq.inception_score(uniform(40, 8), num_splits=4)),
        "precision": list(piq.PR(nearest_k=3)(first, second)),
    }
