"""Test parts of detectors one by one: backbones, the transform of images, heads, coding of boxes and pasted masks."""

from __future__ import annotations

from typing import Any

import pytest

import flambeau as fb
from flambeau.vision import models, ops
from flambeau.vision.models._intermediate_layers import IntermediateLayerGetter
from flambeau.vision.models.detection._matching import BoxCoder
from flambeau.vision.models.detection.backbone_utils import mobilenet_backbone, resnet_fpn_backbone
from flambeau.vision.models.detection.roi_heads import fastrcnn_loss, paste_masks_in_image
from flambeau.vision.models.detection.rpn import RPNHead
from flambeau.vision.models.detection.transform import GeneralizedRCNNTransform


def test_decoding_without_proposals_gives_no_boxes() -> None:
    coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
    assert tuple(coder.decode_single(fb.zeros(0, 8), fb.zeros(0, 4)).shape) == (0, 8)
    assert tuple(coder.decode(fb.zeros(0, 8), [fb.zeros(0, 4), fb.zeros(0, 4)]).shape) == (0, 2, 4)


def test_the_loss_of_no_proposals_is_nan() -> None:
    losses = fastrcnn_loss(fb.zeros(0, 3), fb.zeros(0, 12), [fb.zeros(0, dtype=fb.int64)], [fb.zeros(0, 4)])
    assert all(loss.shape == () and loss.isnan() for loss in losses)


def test_trainable_layers_selects_the_trainable_backbone_layers() -> None:
    network = resnet_fpn_backbone(backbone_name="resnet18", weights=None, trainable_layers=2)
    learning = {name.split(".")[0] for name, value in network.body.named_parameters() if value.requires_grad}
    assert learning == {"layer3", "layer4"} and isinstance(network.body.bn1, ops.FrozenBatchNorm2d)
    maps = network(fb.rand(1, 3, 64, 64))
    assert [(name, tuple(map.shape[1:])) for name, map in maps.items()] == [
        *((str(index), (256, size, size)) for index, size in enumerate((16, 8, 4, 2))),
        ("pool", (256, 1, 1)),
    ]
    network = mobilenet_backbone(backbone_name="mobilenet_v3_large", weights=None, fpn=True, trainable_layers=1)
    learning = {name.split(".")[0] for name, value in network.body.named_parameters() if value.requires_grad}
    assert learning == {"16"} and list(network(fb.rand(1, 3, 64, 64))) == ["0", "1", "pool"]
    one = mobilenet_backbone(backbone_name="mobilenet_v2", weights=None, fpn=False)
    assert one.out_channels == 256 and tuple(one(fb.rand(1, 3, 64, 64)).shape) == (1, 256, 2, 2)


def test_detectors_load_state_dicts_with_older_names_of_heads() -> None:
    head = RPNHead(4, 2)
    renamed = {key.replace("conv.0.0", "conv"): value for key, value in head.state_dict().items()}
    other = RPNHead(4, 2)
    other.load_state_dict(renamed)
    assert all((a == b).all() for a, b in zip(head.parameters(), other.parameters(), strict=True))


def test_intermediate_layer_getter_returns_selected_outputs() -> None:
    model = models.resnet18(num_classes=5)
    inner = IntermediateLayerGetter(model, {"layer1": "feat1", "layer3": "feat2"})
    assert list(inner)[-1] == "layer3" and inner["conv1"] is model.conv1
    out = inner(fb.rand(1, 3, 64, 64))
    assert [(name, tuple(map.shape)) for name, map in out.items()] == [
        ("feat1", (1, 64, 16, 16)),
        ("feat2", (1, 256, 4, 4)),
    ]
    with pytest.raises(ValueError, match="return_layers are not present in model: layer9"):
        IntermediateLayerGetter(model, {"layer9": "0"})


def test_detection_transform_resizes_and_batches_images() -> None:
    transform = GeneralizedRCNNTransform(40, 60, [0.5], [0.5], size_divisible=16)
    images = [fb.full((1, 20, 40), 1.0), fb.zeros(1, 30, 20)]
    mask = fb.zeros(1, 20, 40, dtype=fb.uint8)
    mask[:, 10:, 20:] = 1
    targets: list[dict[str, Any]] = [
        {"boxes": fb.tensor([[20.0, 10.0, 40.0, 20.0]]), "masks": mask},
        {"boxes": fb.zeros(0, 4)},
    ]
    batch, resized = transform(images, targets)
    assert batch.image_sizes == [(30, 60), (60, 40)] and tuple(batch.tensors.shape) == (2, 1, 64, 64)
    assert (batch.tensors[0, :, :30, :60] == 1).all() and not batch.tensors[0, :, 30:].any()
    assert (batch.tensors[1, :, :60, :40] == -1).all() and not batch.tensors[1, :, :, 40:].any()
    assert resized[0]["boxes"].tolist() == [[30.0, 15.0, 60.0, 30.0]]
    assert resized[0]["masks"].sum() == 15 * 30 and resized[0]["masks"][0, 15:, 30:].all()
    assert targets[0]["boxes"].tolist() == [[20.0, 10.0, 40.0, 20.0]]  # the input is unchanged
    several = GeneralizedRCNNTransform((20, 40), 99, [0.5], [0.5])
    assert {several(images[:1])[0].image_sizes[0] for _ in range(40)} == {(20, 40), (40, 80)}
    assert several.eval()(images[:1])[0].image_sizes == [(40, 80)]
    fixed = GeneralizedRCNNTransform(1, 1, [0.5], [0.5], fixed_size=(50, 30))
    assert fixed(images)[0].image_sizes == [(30, 50)] * 2


def test_masks_are_pasted_at_the_position_of_their_boxes() -> None:
    boxes = fb.tensor([[4.0, 6.0, 14.0, 12.0], [-3.0, -3.0, 3.0, 30.0]])
    pasted = paste_masks_in_image(fb.ones(2, 1, 28, 28), boxes, (20, 24))
    assert tuple(pasted.shape) == (2, 1, 20, 24)
    assert (pasted[0, 0, 7:12, 5:14] > 0.9).all() and not pasted[0, 0, 14:].any() and not pasted[0, 0, :, 16:].any()
    assert (pasted[1, 0, :, :3] > 0.9).all() and not pasted[1, 0, :, 5:].any()
    assert tuple(paste_masks_in_image(fb.ones(0, 1, 28, 28), fb.zeros(0, 4), (5, 6)).shape) == (0, 1, 5, 6)
