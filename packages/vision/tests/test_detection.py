"""Test detectors against results of torchvision, and their weights, targets and arguments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.vision import models, ops
from flambeau.vision.models import detection
from flambeau.vision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from flambeau.vision.models.detection.backbone_utils import resnet_fpn_backbone
from flambeau.vision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from flambeau.vision.models.detection.fcos import FCOSHead
from flambeau.vision.models.detection.image_list import ImageList
from flambeau.vision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor
from flambeau.vision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor

IMAGES = {"min_size": 60, "max_size": 90, "image_mean": [0.5] * 3, "image_std": [0.25] * 3}
# All anchors and proposals contribute to the losses, so that no random sampling is needed.
STAGES = {
    "rpn_post_nms_top_n_train": 20,
    "rpn_post_nms_top_n_test": 20,
    "rpn_batch_size_per_image": 10**4,
    "box_batch_size_per_image": 10**4,
    "box_score_thresh": 0.0,
}


def backbone() -> nn.Module:
    layers = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.Tanh(), nn.Conv2d(8, 8, 2, 2))
    layers.out_channels = 8
    return layers


def anchors() -> AnchorGenerator:
    return AnchorGenerator(sizes=((16, 24),), aspect_ratios=((0.5, 1.0),))


def pool(size: int) -> ops.MultiScaleRoIAlign:
    return ops.MultiScaleRoIAlign(["0"], size, 2)


def two_stages(kind: Any, **more: Any) -> nn.Module:
    heads = {
        "rpn_anchor_generator": anchors(),
        "box_roi_pool": pool(3),
        "box_head": TwoMLPHead(72, 16),
        "box_predictor": FastRCNNPredictor(16, 3),
    }
    return kind(backbone(), None, **heads, **IMAGES, **STAGES, **more)  # type: ignore[no-any-return]


def masks() -> dict[str, Any]:
    return {
        "mask_roi_pool": pool(4),
        "mask_head": MaskRCNNHeads(8, (8,), 1),
        "mask_predictor": MaskRCNNPredictor(8, 4, 3),
    }


def keypoints() -> dict[str, Any]:
    return {
        "keypoint_roi_pool": pool(4),
        "keypoint_head": KeypointRCNNHeads(8, (8,)),
        "keypoint_predictor": KeypointRCNNPredictor(8, 2),
    }


def retina() -> nn.Module:
    return detection.RetinaNet(
        backbone(), 3, anchor_generator=anchors(), score_thresh=0.0, detections_per_img=20, **IMAGES
    )


def ssd() -> nn.Module:
    boxes = DefaultBoxGenerator([[2]], scales=[0.3, 0.5])
    network = backbone()
    network.out_channels = [8]
    kept = {"score_thresh": 0.0, "detections_per_img": 20, "topk_candidates": 40}
    return detection.SSD(network, boxes, (72, 64), 3, [0.5] * 3, [0.25] * 3, **kept)


def fcos() -> nn.Module:
    squares = AnchorGenerator(sizes=((8,),), aspect_ratios=((1.0,),))
    head = FCOSHead(
        8, 1, 3, num_convs=0
    )  # no convolutions, because their group normalisation requires multiples of 32 channels
    kept = {"score_thresh": 0.0, "detections_per_img": 20}
    return detection.FCOS(backbone(), 3, anchor_generator=squares, head=head, **kept, **IMAGES)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "faster": lambda: two_stages(detection.FasterRCNN),
    "mask": lambda: two_stages(detection.MaskRCNN, **masks()),
    "keypoint": lambda: two_stages(detection.KeypointRCNN, **keypoints()),
    "retina": retina,
    "ssd": ssd,
    "fcos": fcos,
}


def filled(model: nn.Module) -> nn.Module:
    for number, parameter in enumerate(model.parameters()):
        places = np.arange(parameter.numel(), dtype=np.float64).reshape(tuple(parameter.shape))
        scale = 1.5 / np.sqrt(np.prod(places.shape[1:])) * (1 if places.ndim > 1 else 0.2)
        with fb.no_grad():
            parameter.copy_(fb.from_numpy(scale * np.cos(places * 1.7 + number)))
    return model.double()


def samples() -> tuple[list[fb.Tensor], list[dict[str, fb.Tensor]]]:
    """Return two images of waves, with two boxes and one box.

    Masks are discs at the centres of the boxes, and keypoints lie near their corners.
    """
    y, x = np.mgrid[:50, :70]
    images, targets = [], []
    for shift, boxes in ((0.0, [[10, 12, 34, 30], [40, 5, 60, 44]]), (1.0, [[8, 20, 30, 44]])):
        picture = np.stack([0.5 + 0.5 * np.sin(x / (5 + c) + shift) * np.cos(y / (4 + c)) for c in range(3)])
        corners = np.array(boxes, dtype=np.float64)
        discs = [(x - (a + c) / 2) ** 2 + (y - (b + d) / 2) ** 2 < 90 for a, b, c, d in boxes]
        points = np.stack([corners[:, :2] + [4, 6], corners[:, 2:] - [3, 5]], 1)
        visible = np.concatenate([points, np.ones((len(boxes), 2, 1))], 2)
        images.append(fb.from_numpy(picture))
        targets.append(
            {
                "boxes": fb.from_numpy(corners),
                "labels": fb.arange(1, len(boxes) + 1),
                "masks": fb.from_numpy(np.stack(discs).astype(np.uint8)),
                "keypoints": fb.from_numpy(visible.astype(np.float32)),
            }
        )
    return images, targets


# Number of parameters, and shapes of some tensors, as torchvision publishes them.
PUBLISHED = {
    "fasterrcnn_resnet50_fpn": (41_755_286, {"rpn.head.conv.0.0.weight": (256, 256, 3, 3)}),
    "fasterrcnn_resnet50_fpn_v2": (43_712_278, {"roi_heads.box_head.5.weight": (1024, 12544)}),
    "fasterrcnn_mobilenet_v3_large_fpn": (19_386_354, {"rpn.head.cls_logits.weight": (15, 256, 1, 1)}),
    "fasterrcnn_mobilenet_v3_large_320_fpn": (19_386_354, {"backbone.fpn.inner_blocks.0.0.weight": (256, 160, 1, 1)}),
    "keypointrcnn_resnet50_fpn": (59_137_258, {"roi_heads.keypoint_predictor.kps_score_lowres.bias": (17,)}),
    "maskrcnn_resnet50_fpn": (44_401_393, {"roi_heads.mask_predictor.mask_fcn_logits.weight": (91, 256, 1, 1)}),
    "maskrcnn_resnet50_fpn_v2": (46_359_409, {"roi_heads.mask_head.3.1.running_mean": (256,)}),
    "retinanet_resnet50_fpn": (34_014_999, {"backbone.fpn.extra_blocks.p6.weight": (256, 256, 3, 3)}),
    "retinanet_resnet50_fpn_v2": (38_198_935, {"head.classification_head.conv.3.1.weight": (256,)}),
    "fcos_resnet50_fpn": (32_269_600, {"head.regression_head.bbox_ctrness.weight": (1, 256, 3, 3)}),
    "ssd300_vgg16": (35_641_826, {"backbone.extra.0.7.1.weight": (1024, 512, 3, 3)}),
    "ssdlite320_mobilenet_v3_large": (3_440_060, {"backbone.features.1.0.2.fc1.weight": (168, 672, 1, 1)}),
}

# Results of torchvision 0.28 for the same weights, images and targets: losses, the sum of the absolute values of all
# gradients and, for each image, the number of detections, the best box, its class and the sum of the probabilities.
TWO_STAGES = {
    "loss_classifier": 1.267373045,
    "loss_box_reg": 0.093793291,
    "loss_objectness": 0.671808183,
    "loss_rpn_box_reg": 0.00586034,
}
FOUND = [
    (36, [36.8401, 0.0, 56.5302, 1.263], 2, 12.469242),
    (32, [30.0316, 0.0, 50.0087, 1.3958], 2, 11.049328),
]
EXPECTED: dict[str, tuple[dict[str, float], float, list[tuple[int, list[float], int, float]]]] = {
    "faster": (TWO_STAGES, 27.83009, FOUND),
    "mask": ({**TWO_STAGES, "loss_mask": 0.682652255}, 28.21476, FOUND),
    "keypoint": ({**TWO_STAGES, "loss_keypoint": 5.549301709}, 36.61194, FOUND),
    "retina": (
        {"classification": 53.73470162, "bbox_regression": 1.223526223},
        2792.32774,
        [
            (20, [47.3899, 19.6889, 57.2177, 31.1883], 1, 13.403316),
            (20, [60.2051, 6.6686, 70.0, 17.5347], 1, 13.578939),
        ],
    ),
    "ssd": (
        {"bbox_regression": 3.160962403, "classification": 5.831413649},
        336.48028,
        [
            (20, [52.6711, 4.8811, 70.0, 26.5927], 1, 10.430289),
            (20, [44.7541, 0.0, 70.0, 19.843], 1, 10.688684),
        ],
    ),
    "fcos": (
        {"classification": 3.148340996, "bbox_regression": 0.997818909, "bbox_ctrness": 0.676573287},
        99.50851,
        [
            (20, [52.088, 13.3333, 53.3333, 16.2376], 1, 10.871453),
            (20, [53.3333, 11.5123, 53.3333, 19.0066], 1, 11.009131),
        ],
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_detectors_have_the_published_numbers_of_parameters(name: str) -> None:
    count, shapes = PUBLISHED[name]
    with fb.device("meta"):  # allocates no memory
        model = models.get_model(name, weights_backbone=None)
    state = model.state_dict()
    found = sum(parameter.numel() for parameter in model.parameters())
    if name.endswith("fpn"):  # the published backbone has frozen normalisation, which has no parameters
        norms = [module for module in model.backbone.body.modules() if isinstance(module, nn.BatchNorm2d)]
        found -= sum(parameter.numel() for norm in norms for parameter in norm.parameters())
    assert found == count
    assert {key: tuple(state[key].shape) for key in shapes} == shapes
    assert f"{count:,} parameters" in (getattr(detection, name).__doc__ or "") or name.endswith("320_fpn")


@pytest.mark.parametrize("name", MODELS)
def test_detectors_reproduce_recorded_losses_gradients_and_detections(name: str) -> None:
    losses, gradients, detections = EXPECTED[name]
    model, (images, targets) = filled(MODELS[name]()), samples()
    found = model(images, targets)
    assert {key: value.item() for key, value in found.items()} == pytest.approx(losses, rel=1e-7, abs=1e-9)
    sum(found.values()).backward()
    assert sum(p.grad.abs().sum().item() for p in model.parameters()) == pytest.approx(gradients, rel=1e-6)
    assert targets[0]["boxes"].tolist() == [[10, 12, 34, 30], [40, 5, 60, 44]]
    model.eval()
    with fb.no_grad():
        results = model(images)
    for result, (count, box, label, total) in zip(results, detections, strict=True):
        assert result["boxes"].shape == (count, 4)
        np.testing.assert_allclose(result["boxes"][0].numpy(), box, atol=1e-4)
        assert result["labels"][0] == label and result["scores"].sum().item() == pytest.approx(total)
        if name == "mask":
            assert result["masks"].shape == (count, 1, 50, 70)
        if name == "keypoint":
            assert result["keypoints"].shape == (count, 2, 3) and result["keypoints_scores"].shape == (count, 2)
    if name == "mask":
        sums = [result["masks"].sum().item() for result in results]
        assert sums == pytest.approx([3720.2077, 3048.6676])
    if name == "keypoint":
        expected = [52.018, 0.947, 1.0, 56.12, 0.947, 1.0]
        np.testing.assert_allclose(results[0]["keypoints"][0].flatten().numpy(), expected, atol=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_detectors_train_on_images_without_objects(name: str) -> None:
    model, (images, targets) = filled(MODELS[name]()), samples()
    targets[1] = {key: value[:0] for key, value in targets[1].items()}
    losses = model(images, targets)
    assert all(value.isfinite() for value in losses.values())
    sum(losses.values()).backward()
    assert not model.backbone[0].weight.grad.isnan().any()


@pytest.mark.parametrize("name", MODELS)
def test_detectors_return_empty_results_for_images_without_detections(name: str) -> None:
    model, (images, _) = filled(MODELS[name]()).eval(), samples()
    (model.roi_heads if hasattr(model, "roi_heads") else model).score_thresh = 2.0
    with fb.no_grad():
        for found in model(images):
            assert tuple(found["boxes"].shape) == (0, 4) and len(found["scores"]) == len(found["labels"]) == 0


@pytest.mark.parametrize("name", MODELS)
def test_invalid_targets_raise(name: str) -> None:
    model, (images, targets) = filled(MODELS[name]()), samples()
    with pytest.raises(AssertionError, match="targets should not be none when in training mode"):
        model(images)
    with pytest.raises(AssertionError, match=r"tensor of shape \[N, 4\], got \[4\]"):
        model(images, [{**target, "boxes": target["boxes"][0]} for target in targets])
    flat = {**targets[1], "boxes": fb.tensor([[5.0, 5.0, 9.0, 5.0]])}
    with pytest.raises(AssertionError, match=r"Found invalid box .* for target at index 1"):
        model(images, [targets[0], flat])
    with pytest.raises(TypeError, match=r"floating type .* but found type .*uint8"):
        model([image.to(fb.uint8) for image in images], targets)
    with pytest.raises(ValueError, match=r"3d tensors of shape \[C, H, W\], got \[50, 70\]"):
        model([image[0] for image in images], targets)


def test_invalid_targets_of_two_stage_detectors_raise() -> None:
    model, (images, targets) = filled(MODELS["mask"]()), samples()
    with pytest.raises(ValueError, match="should have a masks key"):
        model(images, [{key: target[key] for key in ("boxes", "labels")} for target in targets])
    with pytest.raises(TypeError, match="target labels must of int64 type"):
        model(images, [{**target, "labels": target["labels"].float()} for target in targets])


def test_contradictory_detector_arguments_are_rejected() -> None:
    with pytest.raises(ValueError, match="backbone should contain an attribute out_channels"):
        detection.FasterRCNN(nn.ReLU(), 2)
    with pytest.raises(ValueError, match="num_classes should not be None when box_predictor is not specified"):
        detection.FasterRCNN(backbone())
    with pytest.raises(TypeError, match="rpn_anchor_generator should be of type AnchorGenerator or None"):
        detection.FasterRCNN(backbone(), 2, rpn_anchor_generator=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="num_classes should be None when mask_predictor is specified"):
        detection.MaskRCNN(backbone(), 2, mask_predictor=nn.Identity())
    with pytest.raises(ValueError, match=r"range \[0,5\], got 6"):
        resnet_fpn_backbone(backbone_name="resnet18", weights=None, trainable_layers=6)
    with pytest.raises(ValueError, match=r"range \[1,4\]. Got \[0, 1\]"):
        resnet_fpn_backbone(backbone_name="resnet18", weights=None, returned_layers=[0, 1])


def test_detectors_load_weights_of_the_model_or_of_its_backbone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    build = detection.fasterrcnn_resnet50_fpn
    fb.save(models.resnet50().state_dict(), folder / "resnet50-0676ba61.pth")
    model = build(num_classes=2)
    norms = [module for module in model.modules() if isinstance(module, ops.FrozenBatchNorm2d)]
    assert len(norms) == 53 and {norm.eps for norm in norms} == {1e-5}
    assert not model.backbone.body.layer1[0].conv1.weight.requires_grad
    assert model.backbone.body.layer2[0].conv1.weight.requires_grad
    state = build(weights_backbone=None).state_dict()
    # The published file uses old names of parameters.
    old = {
        key.replace("conv.0.0", "conv").replace("_blocks.0.0", "_blocks.0"): value
        for key, value in state.items()
        if not key.endswith("num_batches_tracked")
    }
    assert "rpn.head.conv.weight" in old
    fb.save(old, folder / "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth")
    loaded = build(weights="DEFAULT")
    norms = [module for module in loaded.modules() if isinstance(module, ops.FrozenBatchNorm2d)]
    assert {norm.eps for norm in norms} == {0.0}
    assert (loaded.rpn.head.conv[0][0].weight == old["rpn.head.conv.weight"]).all()
    with pytest.raises(ValueError, match="'num_classes' expected value 91 but got 2"):
        build(weights="DEFAULT", num_classes=2)
    with pytest.warns(UserWarning, match="Changing trainable_backbone_layers has no effect"):
        build(weights_backbone=None, trainable_backbone_layers=1)


def test_ssd_has_the_expected_feature_maps_and_default_boxes() -> None:
    with fb.device("meta"):
        model = models.get_model("ssd300_vgg16", weights_backbone=None)
        maps = model.backbone(fb.zeros(1, 3, 300, 300))
    assert [tuple(map.shape[1:]) for map in maps.values()] == [
        *((512, 38, 38), (1024, 19, 19), (512, 10, 10), (256, 5, 5), (256, 3, 3), (256, 1, 1))
    ]
    boxes = model.anchor_generator(ImageList(fb.zeros(1, 3, 300, 300), [(300, 300)]), [fb.zeros(1, 1, 38, 38)])
    # The stride is 8 pixels, so the centre of the first box is (4, 4). Its side is 0.07 of the image's.
    np.testing.assert_allclose(boxes[0][0].numpy(), [-6.5, -6.5, 14.5, 14.5], atol=1e-5)


def test_ssdlite_backbones_without_weights_have_a_reduced_tail() -> None:
    with fb.device("meta"):
        model = models.get_model("ssdlite320_mobilenet_v3_large", weights_backbone=None)
    assert model.backbone.features[1][-1].out_channels == 480 and model.transform.fixed_size == (320, 320)
    network = backbone()
    network.out_channels = [8]
    with pytest.raises(ValueError, match=r"backbone \(1\) do not match the length .* aspect ratios \(2\)"):
        detection.SSD(network, DefaultBoxGenerator([[2], [2]]), (64, 64), 3)
    with pytest.raises(ValueError, match="aspect_ratios and steps should have the same length, got 1 and 2"):
        DefaultBoxGenerator([[2]], steps=[8, 16])
    with pytest.raises(ValueError, match="should be 1 instead of 4"):
        detection.FCOS(backbone(), 3, anchor_generator=AnchorGenerator(((8, 16),), ((0.5, 1.0),)))


def test_heads_draw_their_initial_values_before_the_other_layers():
    """Test the order of torchvision, with which the same seed gives the same weights."""
    backbone = fb.nn.Conv2d(3, 8, 3)
    backbone.out_channels = 8
    fb.manual_seed(0)
    model = models.detection.MaskRCNN(backbone, 3)
    fb.manual_seed(0)
    head = models.detection.mask_rcnn.MaskRCNNHeads(8, (256,) * 4, 1)
    assert fb.equal(model.roi_heads.mask_head[0][0].weight, head[0][0].weight)
