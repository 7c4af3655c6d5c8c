"""Test models for video classification."""

from __future__ import annotations

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.vision import models
from flambeau.vision.models import video
from flambeau.vision.models.video.resnet import BasicStem, Bottleneck, Conv2Plus1D, Conv3DNoTemporal
from flambeau.vision.transforms._presets import VideoClassification

# Number of parameters, and shapes of some tensors, as torchvision publishes them.
PUBLISHED = {
    "r3d_18": (33_371_472, {"stem.0.weight": (64, 3, 3, 7, 7), "layer2.0.downsample.0.weight": (128, 64, 1, 1, 1)}),
    "mc3_18": (11_695_440, {"layer2.0.conv1.0.weight": (128, 64, 1, 3, 3), "fc.weight": (400, 512)}),
    "r2plus1d_18": (31_505_325, {"layer3.0.conv1.0.0.weight": (460, 128, 1, 3, 3), "stem.3.weight": (64, 45, 3, 1, 1)}),
    "swin3d_t": (
        28_158_070,
        {
            "patch_embed.proj.weight": (96, 3, 2, 4, 4),
            "features.0.0.attn.relative_position_bias_table": (2535, 3),
            "features.0.0.attn.relative_position_index": (392, 392),
        },
    ),
    "swin3d_s": (49_816_678, {"features.4.17.mlp.0.weight": (1536, 384)}),
    "swin3d_b": (88_048_984, {"head.weight": (400, 1024)}),
    "s3d": (8_320_048, {"features.5.branch1.1.0.0.weight": (128, 96, 1, 3, 3), "classifier.1.bias": (400,)}),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_video_models_have_the_published_numbers_of_parameters(name: str) -> None:
    count, shapes = PUBLISHED[name]
    with fb.device("meta"):  # allocates no memory
        model = models.get_model(name)
        assert tuple(model(fb.zeros(1, 3, 16, 224, 224)).shape) == (1, 400)
    state = model.state_dict()
    assert sum(parameter.numel() for parameter in model.parameters()) == count
    assert {key: tuple(state[key].shape) for key in shapes} == shapes
    assert f"{count:,} parameters" in (getattr(video, name).__doc__ or "")
    assert models.get_model_weights(name).DEFAULT.meta["num_params"] == count


def test_list_models_lists_video_models() -> None:
    assert models.list_models(models.video) == sorted(PUBLISHED)
    assert "R3D_18_Weights" in dir(models.video)
    assert len(models.video.R3D_18_Weights.DEFAULT.meta["categories"]) == 400


def test_an_empty_batch_of_clips_gives_empty_scores() -> None:
    model = models.get_model("swin3d_t", num_classes=3).eval()
    with fb.no_grad():
        assert tuple(model(fb.zeros(0, 3, 4, 32, 32)).shape) == (0, 3)


def filled(model: nn.Module) -> nn.Module:
    for number, parameter in enumerate(model.parameters()):
        places = np.arange(parameter.numel(), dtype=np.float64).reshape(tuple(parameter.shape))
        scale = 1.5 / np.sqrt(np.prod(places.shape[1:])) if places.ndim > 1 else 0.2
        with fb.no_grad():
            parameter.copy_(fb.from_numpy(scale * np.cos(places * 1.7 + number)))
    return model.double().eval()


# Results of torchvision 0.28 for the same weights and waves.
EXPECTED = {
    "mc3_18": [0.9283150604, -0.3950174534, 0.1882335989],
    "r2plus1d_18": [1.186253873, -0.5348279038, 0.1481601351],
}


@pytest.mark.parametrize("name", EXPECTED)
def test_video_models_reproduce_recorded_scores(name: str) -> None:
    model = filled(models.get_model(name, num_classes=3))
    t, y, x = np.mgrid[:4, :24, :20]
    clip = np.stack([0.5 + 0.5 * np.sin(x / (5 + c) + t) * np.cos(y / (4 + c)) for c in range(3)])
    with fb.no_grad():
        scores = model(fb.from_numpy(clip)[None])
    np.testing.assert_allclose(scores[0].numpy(), EXPECTED[name], rtol=1e-7)


# Videos that need padding, and one that is smaller than a window.
WINDOWS = {
    (6, 20, 28): [0.4997757309, -0.5267817748, 0.09187637293],
    (2, 8, 12): [0.4993031651, -0.5278486988, 0.09336532889],
}


@pytest.mark.parametrize("size", WINDOWS)
def test_shifted_window_attention_3d_reproduces_recorded_values(size: tuple[int, int, int]) -> None:
    model = filled(video.SwinTransformer3d([2, 4, 4], 8, [2, 2], [2, 4], [2, 3, 4], num_classes=3))
    t, y, x = np.mgrid[: size[0], : size[1], : size[2]]
    clip = np.stack([0.5 + 0.5 * np.sin(x / (5 + c) + t) * np.cos(y / (4 + c)) for c in range(3)])
    scores = model(fb.from_numpy(clip)[None])
    np.testing.assert_allclose(scores[0].detach().numpy(), WINDOWS[size], rtol=1e-7)
    scores.sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters() if parameter.ndim > 1)
    with pytest.raises(ValueError, match="must be of length 3"):
        video.swin_transformer.ShiftedWindowAttention3d(8, [2, 2], [1, 1], 2)


def test_zero_init_residual_sets_the_last_norm_of_video_bottlenecks_to_zero() -> None:
    model = video.VideoResNet(Bottleneck, [Conv2Plus1D, *[Conv3DNoTemporal] * 3], [1, 1, 1, 1], BasicStem, 2, True)
    assert (model.layer1[0].conv3[1].weight == 0).all() and model.fc.in_features == 2048
    assert tuple(model(fb.rand(2, 3, 4, 16, 16)).shape) == (2, 2)


def test_the_video_preset_resizes_crops_and_normalises() -> None:
    preset = VideoClassification(crop_size=(16, 12), resize_size=(20,), mean=(0.5,) * 3, std=(0.25,) * 3)
    clips = fb.full((2, 5, 3, 40, 60), 255, dtype=fb.uint8)
    assert tuple(preset(clips).shape) == (2, 3, 5, 16, 12) and tuple(preset(clips[0]).shape) == (3, 5, 16, 12)
    assert (preset(clips) == 2).all() and "crop_size=[16, 12]" in repr(preset)
    clip = fb.stack([fb.full((3, 20, 30), frame / 8) for frame in range(4)])
    np.testing.assert_allclose(preset(clip)[0, :, 0, 0].numpy(), [-2, -1.5, -1, -0.5], atol=1e-6)
