from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.vision import models
from flambeau.vision.models.googlenet import halfway_normalized


@pytest.fixture
def uninitialized(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable the initialisation of weights, so that the largest models are created quickly and touch no memory."""
    for name in dir(nn.init):
        if name.endswith("_") and not name.startswith("_"):
            monkeypatch.setattr(nn.init, name, lambda tensor, *args, **kwargs: tensor)


# Number of parameters, and shapes of some tensors, as torchvision publishes them.
PUBLISHED = {
    "alexnet": (61_100_840, {"features.0.weight": (64, 3, 11, 11), "classifier.6.bias": (1000,)}),
    "convnext_tiny": (28_589_128, {"features.1.0.layer_scale": (96, 1, 1), "classifier.2.weight": (1000, 768)}),
    "convnext_small": (50_223_688, {"features.5.26.block.3.weight": (1536, 384)}),
    "convnext_base": (88_591_464, {"features.0.0.weight": (128, 3, 4, 4)}),
    "convnext_large": (197_767_336, {"features.6.1.weight": (1536, 768, 2, 2)}),
    "densenet121": (7_978_856, {"features.denseblock4.denselayer16.conv2.weight": (32, 128, 3, 3)}),
    "densenet161": (28_681_000, {"features.transition1.conv.weight": (192, 384, 1, 1)}),
    "densenet169": (14_149_480, {"features.norm5.running_mean": (1664,)}),
    "densenet201": (20_013_928, {"classifier.weight": (1000, 1920)}),
    "efficientnet_b0": (5_288_548, {"features.2.0.block.2.fc1.weight": (4, 96, 1, 1), "classifier.1.bias": (1000,)}),
    "efficientnet_b1": (7_794_184, {"features.8.0.weight": (1280, 320, 1, 1)}),
    "efficientnet_b2": (9_109_994, {"features.8.0.weight": (1408, 352, 1, 1)}),
    "efficientnet_b3": (12_233_232, {"features.0.0.weight": (40, 3, 3, 3)}),
    "efficientnet_b4": (19_341_616, {"features.7.1.block.3.1.running_mean": (448,)}),
    "efficientnet_b5": (30_389_784, {"classifier.1.weight": (1000, 2048)}),
    "efficientnet_b6": (43_040_704, {"classifier.1.weight": (1000, 2304)}),
    "efficientnet_b7": (66_347_960, {"features.6.12.block.0.0.weight": (2304, 384, 1, 1)}),
    "efficientnet_v2_s": (21_458_488, {"features.1.1.block.0.0.weight": (24, 24, 3, 3)}),
    "efficientnet_v2_m": (54_139_356, {"features.2.0.block.1.0.weight": (48, 96, 1, 1)}),
    "efficientnet_v2_l": (118_515_272, {"features.8.0.weight": (1280, 640, 1, 1)}),
    "googlenet": (13_004_888, {"inception4a.branch3.1.conv.weight": (48, 16, 3, 3), "aux1.fc1.weight": (1024, 2048)}),
    "inception_v3": (
        27_161_264,
        {"Mixed_6e.branch7x7dbl_5.conv.weight": (192, 192, 1, 7), "AuxLogits.fc.weight": (1000, 768)},
    ),
    "maxvit_t": (
        30_919_624,
        {
            "blocks.2.layers.4.layers.MBconv.layers.conv_b.0.weight": (1024, 1, 3, 3),
            "blocks.3.layers.1.layers.grid_attention.attn_layer.1.relative_position_bias_table": (169, 16),
            "classifier.5.weight": (1000, 512),
        },
    ),
    "mnasnet0_5": (2_218_512, {"layers.0.weight": (16, 3, 3, 3), "layers.8.0.layers.3.weight": (24, 1, 3, 3)}),
    "mnasnet0_75": (3_170_208, {"layers.0.weight": (24, 3, 3, 3)}),
    "mnasnet1_0": (4_383_312, {"layers.12.3.layers.6.weight": (192, 1152, 1, 1), "classifier.1.weight": (1000, 1280)}),
    "mnasnet1_3": (6_282_256, {"layers.14.weight": (1280, 416, 1, 1)}),
    "mobilenet_v2": (3_504_872, {"features.1.conv.0.0.weight": (32, 1, 3, 3), "features.18.1.weight": (1280,)}),
    "mobilenet_v3_large": (5_483_032, {"features.4.block.2.fc1.weight": (24, 72, 1, 1), "classifier.3.bias": (1000,)}),
    "mobilenet_v3_small": (2_542_856, {"features.1.block.1.fc2.bias": (16,), "classifier.0.weight": (1024, 576)}),
    "regnet_x_400mf": (5_495_976, {"trunk_output.block4.block4-0.proj.0.weight": (400, 160, 1, 1)}),
    "regnet_x_800mf": (7_259_656, {"fc.weight": (1000, 672)}),
    "regnet_x_1_6gf": (9_190_136, {"fc.weight": (1000, 912)}),
    "regnet_x_3_2gf": (15_296_552, {"trunk_output.block3.block3-14.f.b.0.weight": (432, 48, 3, 3)}),
    "regnet_x_8gf": (39_572_648, {"trunk_output.block1.block1-0.f.b.0.weight": (80, 80, 3, 3)}),
    "regnet_x_16gf": (54_278_536, {"fc.weight": (1000, 2048)}),
    "regnet_x_32gf": (107_811_560, {"fc.weight": (1000, 2520)}),
    "regnet_y_400mf": (4_344_144, {"trunk_output.block1.block1-0.f.se.fc1.weight": (8, 48, 1, 1), "fc.bias": (1000,)}),
    "regnet_y_800mf": (6_432_512, {"stem.0.weight": (32, 3, 3, 3), "fc.weight": (1000, 784)}),
    "regnet_y_1_6gf": (11_202_430, {"fc.weight": (1000, 888)}),
    "regnet_y_3_2gf": (19_436_338, {"fc.weight": (1000, 1512)}),
    "regnet_y_8gf": (39_381_472, {"fc.weight": (1000, 2016)}),
    "regnet_y_16gf": (83_590_140, {"fc.weight": (1000, 3024)}),
    "regnet_y_32gf": (145_046_770, {"fc.weight": (1000, 3712)}),
    "regnet_y_128gf": (644_812_894, {"trunk_output.block4.block4-0.f.se.fc2.weight": (7392, 726, 1, 1)}),
    "resnet18": (11_689_512, {"layer2.0.downsample.0.weight": (128, 64, 1, 1), "fc.weight": (1000, 512)}),
    "resnet34": (21_797_672, {"layer3.5.bn2.num_batches_tracked": ()}),
    "resnet50": (25_557_032, {"layer1.0.conv3.weight": (256, 64, 1, 1), "fc.weight": (1000, 2048)}),
    "resnet101": (44_549_160, {"layer3.22.bn3.running_var": (1024,)}),
    "resnet152": (60_192_808, {"layer3.35.conv1.weight": (256, 1024, 1, 1)}),
    "resnext50_32x4d": (25_028_904, {"layer1.0.conv2.weight": (128, 4, 3, 3)}),
    "resnext101_32x8d": (88_791_336, {"layer1.0.conv2.weight": (256, 8, 3, 3)}),
    "resnext101_64x4d": (83_455_272, {"layer4.2.conv2.weight": (2048, 32, 3, 3)}),
    "shufflenet_v2_x0_5": (1_366_792, {"stage2.0.branch1.0.weight": (24, 1, 3, 3), "fc.weight": (1000, 1024)}),
    "shufflenet_v2_x1_0": (2_278_604, {"stage3.7.branch2.5.weight": (116, 116, 1, 1)}),
    "shufflenet_v2_x1_5": (3_503_624, {"conv5.0.weight": (1024, 704, 1, 1)}),
    "shufflenet_v2_x2_0": (7_393_996, {"conv1.0.weight": (24, 3, 3, 3)}),
    "squeezenet1_0": (1_248_424, {"features.3.squeeze.weight": (16, 96, 1, 1), "classifier.1.bias": (1000,)}),
    "squeezenet1_1": (1_235_496, {"features.12.expand3x3.weight": (256, 64, 3, 3)}),
    "swin_t": (28_288_354, {"features.1.1.attn.relative_position_bias_table": (169, 3), "head.weight": (1000, 768)}),
    "swin_s": (49_606_258, {"features.5.17.attn.relative_position_index": (2401,)}),
    "swin_b": (87_768_224, {"features.6.reduction.weight": (1024, 2048), "features.6.norm.weight": (2048,)}),
    "swin_v2_t": (28_351_570, {"features.1.0.attn.relative_coords_table": (1, 15, 15, 2)}),
    "swin_v2_s": (49_737_442, {"features.5.17.attn.logit_scale": (12, 1, 1), "features.6.norm.weight": (768,)}),
    "swin_v2_b": (87_930_848, {"features.7.1.attn.cpb_mlp.2.weight": (32, 512)}),
    "vgg11": (132_863_336, {"features.18.weight": (512, 512, 3, 3), "classifier.0.weight": (4096, 25088)}),
    "vgg11_bn": (132_868_840, {"features.26.running_mean": (512,)}),
    "vgg13": (133_047_848, {"features.22.bias": (512,)}),
    "vgg13_bn": (133_053_736, {"features.32.weight": (512,)}),
    "vgg16": (138_357_544, {"features.28.weight": (512, 512, 3, 3)}),
    "vgg16_bn": (138_365_992, {"features.41.running_var": (512,)}),
    "vgg19": (143_667_240, {"features.34.weight": (512, 512, 3, 3)}),
    "vgg19_bn": (143_678_248, {"features.50.weight": (512,)}),
    "vit_b_16": (86_567_656, {"class_token": (1, 1, 768), "encoder.pos_embedding": (1, 197, 768)}),
    "vit_b_32": (88_224_232, {"encoder.layers.encoder_layer_11.self_attention.in_proj_weight": (2304, 768)}),
    "vit_l_16": (304_326_632, {"encoder.layers.encoder_layer_23.mlp.3.weight": (1024, 4096)}),
    "vit_l_32": (306_535_400, {"conv_proj.weight": (1024, 3, 32, 32)}),
    "vit_h_14": (632_045_800, {"heads.head.weight": (1000, 1280)}),
    "wide_resnet50_2": (68_883_240, {"layer1.0.conv2.weight": (128, 128, 3, 3)}),
    "wide_resnet101_2": (126_886_696, {"layer3.22.conv2.weight": (512, 512, 3, 3)}),
}


@pytest.mark.parametrize("name", models.list_models(models))
@pytest.mark.usefixtures("uninitialized")
def test_models_have_the_published_numbers_of_parameters(name: str) -> None:
    count, shapes = PUBLISHED[name]
    model = models.get_model(name)
    assert sum(parameter.numel() for parameter in model.parameters()) == count
    state = model.state_dict()
    assert {key: tuple(state[key].shape) for key in shapes} == shapes
    assert f"{count:,} parameters" in (getattr(models, name).__doc__ or "")


SMALL: dict[str, Callable[[], nn.Module]] = {
    "resnet18": lambda: models.resnet18(num_classes=7),
    "resnet50": lambda: models.ResNet(
        models.resnet.Bottleneck, [1, 1, 1, 1], num_classes=7, groups=2, width_per_group=32
    ),
    "dilated": lambda: models.ResNet(
        models.resnet.Bottleneck, [1, 1, 2, 1], num_classes=7, replace_stride_with_dilation=(False, True, True)
    ),
    "mobilenet_v2": lambda: models.mobilenet_v2(num_classes=7, width_mult=0.35),
    "maxvit": lambda: models.MaxVit((64, 64), 8, 4, [8, 16], [1, 2], 8, 0.1, num_classes=7),
    "mnasnet": lambda: models.MNASNet(0.35, num_classes=7),
    "mobilenet_v3_small": lambda: models.mobilenet_v3_small(num_classes=7, width_mult=0.5),
    "squeezenet1_0": lambda: models.squeezenet1_0(num_classes=7),
    "squeezenet1_1": lambda: models.squeezenet1_1(num_classes=7),
    "densenet": lambda: models.DenseNet(8, (2, 2, 2), 16, num_classes=7, drop_rate=0.1),
    "vit": lambda: models.VisionTransformer(64, 16, 2, 4, 32, 64, num_classes=7, representation_size=16),
    "vit_stem": lambda: models.VisionTransformer(
        64, 16, 1, 4, 32, 64, num_classes=7, conv_stem_configs=[models.vision_transformer.ConvStemConfig(8, 3, 2)] * 4
    ),
    "alexnet": lambda: models.alexnet(num_classes=7),
    "convnext": lambda: models.ConvNeXt([8, 16], [1, 2], 0.1, layer_scale=1.0, num_classes=7),
    "efficientnet": lambda: models.EfficientNet(
        [
            models.efficientnet.StageConfig(4, 3, 2, 8, 8, 2, fused=True),
            models.efficientnet.StageConfig(1, 3, 1, 8, 8, 1, fused=True),
            models.efficientnet.StageConfig(6, 5, 2, 8, 16, 2),
        ],
        0.2,
        num_classes=7,
    ),
    "googlenet": lambda: models.GoogLeNet(num_classes=7, aux_logits=False, transform_input=True, init_weights=False),
    "regnet": lambda: models.RegNet(
        models.regnet.BlockParams([1, 2], [8, 16], [4, 8], [1.0, 0.5], [2, 2], se_ratio=0.25),
        num_classes=7,
        stem_width=4,
        activation=nn.SiLU,
    ),
    "swin": lambda: models.SwinTransformer([4, 4], 8, [2, 2], [2, 4], [5, 5], num_classes=7),
    "swin_v2": lambda: models.SwinTransformer(
        *([4, 4], 8, [2, 2], [2, 4], [5, 5]),
        dropout=0.1,
        attention_dropout=0.1,
        num_classes=7,
        block=models.swin_transformer.SwinTransformerBlockV2,
        downsample_layer=models.swin_transformer.PatchMergingV2,
    ),
    "shufflenet": lambda: models.shufflenet_v2_x0_5(num_classes=7),
}


@pytest.mark.parametrize("name", SMALL)
def test_models_compute_scores_and_gradients_of_every_weight(name: str) -> None:
    fb.manual_seed(0)
    model = SMALL[name]()
    if name == "vit":
        nn.init.normal_(model.heads.head.weight)  # its initial value is zero
    scores = model(fb.randn(2, 3, 64, 64))
    assert tuple(scores.shape) == (2, 7) and scores.isfinite().all()
    scores.square().sum().backward()
    without = [
        key for key, weight in model.named_parameters() if weight.grad is None or not weight.grad.isfinite().all()
    ]
    assert without == []
    model.eval()
    with fb.no_grad():
        image = fb.randn(1, 3, 64, 64)
        np.testing.assert_allclose(
            model(fb.cat([image, image.flip(-1)])).numpy()[0], model(image).numpy()[0], rtol=1e-3, atol=1e-4
        )


@pytest.mark.parametrize("name", SMALL)
def test_an_empty_batch_gives_empty_scores(name: str) -> None:
    with fb.no_grad():
        assert tuple(SMALL[name]().eval()(fb.zeros(0, 3, 64, 64)).shape) == (0, 7)


def test_replacing_stride_with_dilation_keeps_the_image_size() -> None:
    model = SMALL["dilated"]()
    features = model.layer4(model.layer3(model.layer2(model.layer1(fb.zeros(1, 64, 16, 16)))))
    assert tuple(features.shape) == (1, 2048, 8, 8)
    assert [model.layer3[1].conv2.dilation, model.layer4[0].conv2.dilation] == [(2, 2), (2, 2)]


def test_models_initialise_their_weights_as_torchvision() -> None:
    fb.manual_seed(0)
    model = models.resnet18(zero_init_residual=True)
    assert not any(block.bn2.weight.any() for block in model.layer3) and (model.layer3[0].bn1.weight == 1).all()
    weight = model.layer4[1].conv2.weight
    assert abs(weight.std().item() / (2 / (512 * 9)) ** 0.5 - 1) < 0.01  # He's fan-out rule
    model = models.mobilenet_v3_small()
    assert abs(model.classifier[3].weight.std().item() / 0.01 - 1) < 0.05 and not model.classifier[3].bias.any()
    model = models.inception_v3(num_classes=7)
    stds = [weight.std().item() for weight in (model.Mixed_7c.branch1x1.conv.weight, model.AuxLogits.fc.weight)]
    np.testing.assert_allclose(stds, [0.1, 0.001], rtol=0.05)
    model = models.mnasnet0_5()
    bound = (3 / 1000) ** 0.5  # He's uniform fan-out rule
    assert 0.99 * bound < model.classifier[1].weight.abs().max().item() <= bound and not model.classifier[1].bias.any()
    model = SMALL["swin_v2"]()
    linear = model.features[3][1].mlp[0]
    assert abs(linear.weight.std().item() / 0.02 - 1) < 0.1 and not linear.bias.any()
    model = SMALL["vit"]()
    assert not model.heads.head.weight.any() and abs(model.encoder.pos_embedding.std().item() / 0.02 - 1) < 0.1


def test_vgg_make_layers_builds_the_described_layers() -> None:
    layers = models.vgg.make_layers([8, "M", 16, 16, "M"], batch_norm=True)
    assert tuple(layers(fb.zeros(1, 3, 8, 12)).shape) == (1, 16, 2, 3)
    assert [len(models.vgg.make_layers([8, "M", 16], batch_norm=norm)) for norm in (False, True)] == [5, 7]


@pytest.mark.parametrize(("name", "heads", "size"), [("googlenet", 2, 64), ("inception_v3", 1, 299)])
def test_auxiliary_heads_return_scores_in_training(name: str, heads: int, size: int) -> None:
    model = models.get_model(name, num_classes=7, init_weights=False)
    outputs = model(fb.zeros(2, 3, size, size))
    assert [tuple(scores.shape) for scores in outputs] == [(2, 7)] * (1 + heads) and outputs.logits is outputs[0]
    assert tuple(model.eval()(fb.zeros(1, 3, size, size)).shape) == (1, 7)


def test_inception_normalises_its_input_to_a_mean_and_std_of_one_half() -> None:
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    image = np.random.default_rng(0).random((2, 4, 3))
    normalized = fb.tensor(((image - mean) / std).transpose(2, 0, 1)).unsqueeze(0)
    expected = ((image - 0.5) / 0.5).transpose(2, 0, 1)
    np.testing.assert_allclose(halfway_normalized(normalized).numpy()[0], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("version", ["ShiftedWindowAttention", "ShiftedWindowAttentionV2"])
@pytest.mark.parametrize(
    ("shift", "pixel", "seen"),
    [
        (0, (1, 6), (slice(0, 4), slice(4, 8))),
        (2, (3, 4), (slice(2, 6), slice(2, 6))),
        (
            2,
            (1, 1),
            (slice(0, 2), slice(0, 2)),
        ),  # not the other corners, which the cyclic shift moves next to this pixel
        (2, (7, 4), (slice(6, 8), slice(2, 6))),
    ],
)
def test_swin_attention_is_limited_to_windows(version: str, shift: int, pixel: tuple, seen: tuple) -> None:
    fb.manual_seed(0)
    attention = getattr(models.swin_transformer, version)(8, [4, 4], [shift, shift], 2)
    image = fb.randn(1, 8, 8, 8)
    other = image.clone()
    other[0, pixel[0], pixel[1]] += 1.0
    with fb.no_grad():
        changed = (attention(image) - attention(other)).abs().amax(-1)[0].numpy() > 1e-6
    expected = np.zeros((8, 8), bool)
    expected[seen] = True
    np.testing.assert_array_equal(changed, expected)


def test_shifted_window_attention_uses_relative_positions() -> None:
    attention = models.swin_transformer.ShiftedWindowAttention(1, [1, 3], [0, 0], 1)
    nn.init.zeros_(attention.relative_position_bias_table)
    attention.relative_position_bias_table.data[3] = 50.0  # each pixel attends to its left neighbour
    for layer, weights in ((attention.qkv, [0.0, 0.0, 1.0]), (attention.proj, [1.0])):
        layer.weight.data[:, 0] = fb.tensor(weights)
        nn.init.zeros_(layer.bias)
    with fb.no_grad():
        scores = attention(fb.tensor([3.0, 6.0, 9.0]).view(1, 1, 3, 1)).flatten().numpy()
    np.testing.assert_allclose(scores, [6.0, 3.0, 6.0])
    with pytest.raises(ValueError, match="must be of length 2"):
        models.swin_transformer.ShiftedWindowAttention(8, [4], [0, 0], 2)


@pytest.mark.parametrize(
    ("kind", "seen"), [("window", (slice(0, 2), slice(4, 6))), ("grid", (slice(1, 4, 2), slice(1, 6, 3)))]
)
def test_maxvit_attention_is_limited_to_partitions(kind: str, seen: tuple) -> None:
    fb.manual_seed(0)
    layer = models.maxvit.PartitionAttentionLayer(8, 4, 2, kind, (4, 6), 1, nn.GELU, nn.LayerNorm, 0.0, 0.0, 0.0)
    image = fb.randn(1, 8, 4, 6)
    other = image.clone()
    other[0, 0, 1, 4] += 1.0
    with fb.no_grad():
        changed = (layer(image) - layer(other)).abs().amax(1)[0].numpy() > 1e-6
    expected = np.zeros((4, 6), bool)
    expected[seen] = True
    np.testing.assert_array_equal(changed, expected)


@pytest.mark.parametrize("image_size", [8, 32, 64])
def test_dcgan_generates_images_and_probabilities_of_the_right_shape(image_size: int) -> None:
    fb.manual_seed(0)
    generator = models.DCGANGenerator(latent_size=5, features=4, channels=1, image_size=image_size)
    discriminator = models.DCGANDiscriminator(features=4, channels=1, image_size=image_size)
    images = generator(fb.randn(3, 5, 1, 1))
    assert tuple(images.shape) == (3, 1, image_size, image_size) and images.abs().max() <= 1
    probabilities = discriminator(images)
    assert tuple(probabilities.shape) == (3,) and ((probabilities > 0) & (probabilities < 1)).all()


@pytest.mark.usefixtures("uninitialized")
def test_dcgan_has_the_weights_of_pytorch_s_example() -> None:
    generator, discriminator = models.DCGANGenerator().state_dict(), models.DCGANDiscriminator().state_dict()
    assert {key: tuple(generator[key].shape) for key in generator if key.endswith("weight")} == {
        "main.0.weight": (100, 512, 4, 4),
        "main.1.weight": (512,),
        "main.3.weight": (512, 256, 4, 4),
        "main.4.weight": (256,),
        "main.6.weight": (256, 128, 4, 4),
        "main.7.weight": (128,),
        "main.9.weight": (128, 64, 4, 4),
        "main.10.weight": (64,),
        "main.12.weight": (64, 3, 4, 4),
    }
    assert {key: tuple(discriminator[key].shape) for key in discriminator if key.endswith("weight")} == {
        "main.0.weight": (64, 3, 4, 4),
        "main.2.weight": (128, 64, 4, 4),
        "main.3.weight": (128,),
        "main.5.weight": (256, 128, 4, 4),
        "main.6.weight": (256,),
        "main.8.weight": (512, 256, 4, 4),
        "main.9.weight": (512,),
        "main.11.weight": (1, 512, 4, 4),
    }
    with pytest.raises(ValueError, match="a power of two and at least 8, got 28"):
        models.DCGANGenerator(image_size=28)


def test_get_model_builds_models_by_name() -> None:
    names = models.list_models()
    assert names == sorted(names) and {"resnet18", "vgg16", "alexnet", "mobilenet_v2", "vit_b_16"} <= set(names)
    assert models.list_models(include="vgg*", exclude=["*_bn", "*19*"]) == ["vgg11", "vgg13", "vgg16"]
    finders = models.list_models(models.detection)
    assert "maskrcnn_resnet50_fpn" in finders and not set(finders) & set(models.list_models(models))
    assert models.get_model_builder("ResNet18") is models.resnet18
    with pytest.raises(ValueError, match=r"Unknown model resnet19. Available models: alexnet, "):
        models.get_model("resnet19")


def test_models_load_weights_from_a_cached_file(tmp_path: Path) -> None:
    model = models.squeezenet1_1(num_classes=3)
    path = tmp_path / "squeezenet1_1.safetensors"
    fb.save(model.state_dict(), path)
    loaded = models.squeezenet1_1(num_classes=3, weights=str(path))
    assert all((a == b).all() for a, b in zip(loaded.parameters(), model.parameters(), strict=True))
    assert models.squeezenet1_1(num_classes=3, weights=path).classifier[1].out_channels == 3
    with pytest.raises(FileNotFoundError, match=r"the file of weights 'other.pth' does not exist"):
        models.squeezenet1_1(weights="other.pth")


def test_state_dicts_with_older_names_are_loaded() -> None:
    """Check the old parameter names in published files of DenseNet and ViT, and the lack of ``num_batches_tracked``."""
    dense, vit = SMALL["densenet"](), SMALL["vit"]()
    renamed = {
        key.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): value
        for key, value in dense.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in renamed
    loaded = SMALL["densenet"]()
    loaded.load_state_dict(renamed)
    assert all((a == b).all() for a, b in zip(loaded.parameters(), dense.parameters(), strict=True))
    renamed = {
        key.replace("mlp.0", "mlp.linear_1").replace("mlp.3", "mlp.linear_2"): value
        for key, value in vit.state_dict().items()
    }
    loaded = SMALL["vit"]()
    loaded.load_state_dict(renamed)
    assert all((a == b).all() for a, b in zip(loaded.parameters(), vit.parameters(), strict=True))


def test_models_reject_unsuitable_images_and_arguments() -> None:
    with pytest.raises(AssertionError, match="Wrong image height! Expected 64 but got 32!"):
        SMALL["vit"]()(fb.zeros(1, 3, 32, 64))
    with pytest.raises(ValueError, match="30 is not a multiple of 16"):
        models.VisionTransformer(30, 16, 1, 1, 8, 8)
    with pytest.raises(ValueError, match="BasicBlock only supports groups=1"):
        models.resnet18(groups=2)
    with pytest.raises(ValueError, match="None or a 3-element tuple"):
        models.resnet50(replace_stride_with_dilation=[True])
    with pytest.raises(ValueError, match="should be 7 instead of 1"):
        models.Inception3(inception_blocks=[nn.Conv2d])
    with pytest.raises(ValueError, match=r"Invalid RegNet settings: w_a=1\.0, w_0=12, w_m=2"):
        models.regnet.BlockParams.from_init_params(depth=4, w_0=12, w_a=1.0, w_m=2, group_width=8)
    with pytest.raises(ValueError, match=r"alpha should be greater than 0\.0 instead of -1"):
        models.MNASNet(-1)
    with pytest.raises(ValueError, match=r"grid size \(15, 16\) is not divisible by partition size 4"):
        models.MaxVit((60, 64), 8, 4, [8], [1], 8, 0.1)
    with pytest.raises(ValueError, match="feat_dim: 8 must be divisible by head_dim: 3"):
        models.MaxVit((64, 64), 8, 4, [8], [1], 3, 0.1)
    with pytest.raises(ValueError, match="Unsupported SqueezeNet version 2"):
        models.SqueezeNet("2")


@pytest.mark.parametrize(
    ("owner", "name", "meant"),
    [
        (models, "resnet5", "resnet50"),
        (models.detection, "fcos_resnet50_fnp", "fcos_resnet50_fpn"),
        (fb.vision, "model", "models"),
        (fb.vision.ops, "nsm", "nms"),
        (fb.vision.transforms, "RandomCorp", "RandomCrop"),
        (fb.vision.transforms.functional, "resise", "resize"),
        (fb.vision.datasets, "MINST", "MNIST"),
    ],
)
def test_unknown_names_suggest_the_closest_match(owner: object, name: str, meant: str) -> None:
    with pytest.raises(AttributeError, match=f"no attribute '{name}'; did you mean '{meant}'\\?$"):
        getattr(owner, name)
