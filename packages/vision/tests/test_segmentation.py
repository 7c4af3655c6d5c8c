"""Test models for semantic segmentation."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.vision import models
from flambeau.vision.models import segmentation

# Number of parameters with 21 classes and the auxiliary classifier, as torchvision publishes them.
PARAMETERS = {
    "fcn_resnet50": 35_322_218,
    "fcn_resnet101": 54_314_346,
    "deeplabv3_resnet50": 42_004_074,
    "deeplabv3_resnet101": 60_996_202,
    "deeplabv3_mobilenet_v3_large": 11_029_328,
    "lraspp_mobilenet_v3_large": 3_221_538,
}


def auxiliary(name):
    return {} if name.startswith("lraspp") else {"aux_loss": True}


@pytest.mark.parametrize("name", PARAMETERS)
def test_segmentation_models_have_the_published_numbers_of_parameters(name):
    with fb.device("meta"):
        model = getattr(segmentation, name)(weights=None, weights_backbone=None, **auxiliary(name))
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name]
    assert name in models.list_models()


@pytest.mark.parametrize("name", ["deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large"])
def test_segmentation_models_return_scores_of_image_size_and_learn(name):
    fb.manual_seed(0)
    model = getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=3, **auxiliary(name))
    images, labels = fb.rand(2, 3, 64, 96), fb.randint(0, 3, (2, 64, 96))
    made = model(images)
    assert list(made) == ["out", *(["aux"] if auxiliary(name) else [])]
    assert all(scores.shape == (2, 3, 64, 96) for scores in made.values())
    sum(nn.functional.cross_entropy(scores, labels) for scores in made.values()).backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())


def test_segmentation_backbones_dilate_their_last_stages():
    with fb.device("meta"):
        maps = segmentation.fcn_resnet50(weights=None, weights_backbone=None).backbone(fb.rand(1, 3, 64, 64))
        assert maps["out"].shape == (1, 2048, 8, 8)
        small = segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None).backbone(
            fb.rand(1, 3, 64, 64)
        )
    assert small["low"].shape == (1, 40, 8, 8) and small["high"].shape == (1, 960, 4, 4)


def test_aspp_pooling_broadcasts_the_global_mean():
    fb.manual_seed(0)
    pooled = segmentation.deeplabv3.ASPPPooling(4, 5).eval()
    x = fb.rand(2, 4, 6, 7)
    weight = pooled[1].weight.flatten(1)
    expected = (x.mean((2, 3)) @ weight.T / (1 + 1e-5) ** 0.5).relu()
    made = pooled(x)
    assert made.shape == (2, 5, 6, 7)
    np.testing.assert_allclose(
        made.detach().numpy(), np.broadcast_to(expected.detach().numpy()[..., None, None], made.shape), rtol=1e-5
    )


def test_unsupported_options_are_rejected():
    with pytest.raises(NotImplementedError, match="does not use auxiliary loss"):
        segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, aux_loss=True)
