"""Faster R-CNN: boxes of objects and their classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from ...ops import Conv2dNormActivation, MultiScaleRoIAlign
from .._backbones import Backbone, register_on_backbone
from .._published import published_in
from ._matching import Weights
from .anchor_utils import AnchorGenerator
from .backbone_utils import mobilenet_extractor, resnet_extractor
from .generalized_rcnn import GeneralizedRCNN
from .roi_heads import RoIHeads
from .rpn import RegionProposalNetwork, RPNHead
from .transform import GeneralizedRCNNTransform

__all__ = [
    "AnchorGenerator",
    "FastRCNNConvFCHead",
    "FastRCNNPredictor",
    "FasterRCNN",
    "TwoMLPHead",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
]

__getattr__ = published_in(__name__)

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)
_REPRESENTATION = 1024


def default_anchors() -> AnchorGenerator:
    """Return a generator of anchors for five feature maps, with one size (32 to 512) and three ratios for each map."""
    return AnchorGenerator(((32,), (64,), (128,), (256,), (512,)), ((0.5, 1.0, 2.0),) * 5)


class FasterRCNN(GeneralizedRCNN):
    """Faster R-CNN: detector that predicts boxes and classes of objects.

    Args:
        backbone: module that returns a feature map or a dictionary of feature maps. All maps have
            ``backbone.out_channels`` channels.
        num_classes: number of classes, including the background, class 0; None if ``box_predictor`` is given.
        min_size, max_size, image_mean, image_std, kwargs: arguments of
            :class:`~flambeau.vision.models.detection.transform.GeneralizedRCNNTransform`.
        rpn_anchor_generator, rpn_head: arguments of
            :class:`~flambeau.vision.models.detection.rpn.RegionProposalNetwork`, like all arguments that begin with
            ``rpn_``. Arguments that end with ``_train`` apply in training, arguments with ``_test`` in evaluation.
        box_roi_pool, box_head, box_predictor: arguments of
            :class:`~flambeau.vision.models.detection.roi_heads.RoIHeads`, like all arguments that begin with ``box_``.
        bbox_reg_weights: weights of the box codes of the second stage.

    Shapes: a list of images ``(C, H, W)`` in 0..1 and, in training, a list of targets: dictionaries of ``boxes``
    ``(L, 4)`` with x1, y1, x2, y2 and ``labels`` ``(L,)`` int64. In training, the result is a dictionary of losses,
    otherwise a dictionary of ``boxes``, ``labels`` and ``scores`` for each image.
    Raises: ValueError and TypeError for incompatible arguments.
    Source: Ren et al. 2015, arXiv:1506.01497.

    >>> backbone, anchors = nn.Conv2d(3, 8, 3, stride=8), AnchorGenerator(((16,),), ((1.0,),))
    >>> model = FasterRCNN(backbone, num_classes=3, min_size=32, rpn_anchor_generator=anchors)
    >>> targets = [{"boxes": fb.tensor([[4.0, 4.0, 20.0, 20.0]]), "labels": fb.tensor([1])}]
    >>> sorted(model([fb.rand(3, 32, 48)], targets))
    ['loss_box_reg', 'loss_classifier', 'loss_objectness', 'loss_rpn_box_reg']
    """

    def __init__(
        self,
        backbone: Any,
        num_classes: int | None = None,
        min_size: int | Sequence[int] = 800,
        max_size: int = 1333,
        image_mean: Sequence[float] | None = None,
        image_std: Sequence[float] | None = None,
        rpn_anchor_generator: AnchorGenerator | None = None,
        rpn_head: nn.Module | None = None,
        rpn_pre_nms_top_n_train: int = 2000,
        rpn_pre_nms_top_n_test: int = 1000,
        rpn_post_nms_top_n_train: int = 2000,
        rpn_post_nms_top_n_test: int = 1000,
        rpn_nms_thresh: float = 0.7,
        rpn_fg_iou_thresh: float = 0.7,
        rpn_bg_iou_thresh: float = 0.3,
        rpn_batch_size_per_image: int = 256,
        rpn_positive_fraction: float = 0.5,
        rpn_score_thresh: float = 0.0,
        box_roi_pool: MultiScaleRoIAlign | None = None,
        box_head: nn.Module | None = None,
        box_predictor: nn.Module | None = None,
        box_score_thresh: float = 0.05,
        box_nms_thresh: float = 0.5,
        box_detections_per_img: int = 100,
        box_fg_iou_thresh: float = 0.5,
        box_bg_iou_thresh: float = 0.5,
        box_batch_size_per_image: int = 512,
        box_positive_fraction: float = 0.25,
        bbox_reg_weights: Weights | None = None,
        **kwargs: Any,
    ) -> None:
        check_backbone(backbone)
        check_kind("rpn_anchor_generator", rpn_anchor_generator, AnchorGenerator)
        check_kind("box_roi_pool", box_roi_pool, MultiScaleRoIAlign)
        if (num_classes is None) == (box_predictor is None):
            raise ValueError(
                "num_classes should not be None when box_predictor is not specified"
                if num_classes is None
                else "num_classes should be None when box_predictor is specified"
            )
        channels = backbone.out_channels
        anchors = rpn_anchor_generator or default_anchors()
        rpn = RegionProposalNetwork(
            anchors,
            rpn_head or RPNHead(channels, anchors.num_anchors_per_location()[0]),
            rpn_fg_iou_thresh,
            rpn_bg_iou_thresh,
            rpn_batch_size_per_image,
            rpn_positive_fraction,
            {"training": rpn_pre_nms_top_n_train, "testing": rpn_pre_nms_top_n_test},
            {"training": rpn_post_nms_top_n_train, "testing": rpn_post_nms_top_n_test},
            rpn_nms_thresh,
            rpn_score_thresh,
        )
        pool = box_roi_pool or MultiScaleRoIAlign(["0", "1", "2", "3"], output_size=7, sampling_ratio=2)
        roi_heads = RoIHeads(
            pool,
            box_head or TwoMLPHead(channels * pool.output_size[0] ** 2, _REPRESENTATION),
            box_predictor or FastRCNNPredictor(_REPRESENTATION, num_classes or 0),
            box_fg_iou_thresh,
            box_bg_iou_thresh,
            box_batch_size_per_image,
            box_positive_fraction,
            bbox_reg_weights,
            box_score_thresh,
            box_nms_thresh,
            box_detections_per_img,
        )
        transform = GeneralizedRCNNTransform(
            min_size, max_size, image_mean or IMAGE_MEAN, image_std or IMAGE_STD, **kwargs
        )
        super().__init__(backbone, rpn, roi_heads, transform)


def check_backbone(backbone: Any) -> None:
    """Raise ValueError for a backbone without the attribute ``out_channels``."""
    if not hasattr(backbone, "out_channels"):
        raise ValueError(
            "backbone should contain an attribute out_channels specifying the number of output channels (assumed to be "
            "the same for all the levels)"
        )


def check_kind(name: str, value: Any, kind: type) -> None:
    """Raise TypeError if the argument ``name`` is neither None nor an instance of ``kind``."""
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{name} should be of type {kind.__name__} or None instead of {type(value)}")


class TwoMLPHead(nn.Module):
    """Two linear layers with ReLU that convert ``(L, ...)`` to ``(L, representation_size)``.

    >>> TwoMLPHead(8 * 7 * 7, 16)(fb.zeros(5, 8, 7, 7)).shape
    flambeau.Size([5, 16])
    """

    def __init__(self, in_channels: int, representation_size: int) -> None:
        super().__init__()
        self.fc6 = nn.Linear(in_channels, representation_size)
        self.fc7 = nn.Linear(representation_size, representation_size)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return nn.functional.relu(self.fc7(nn.functional.relu(self.fc6(x.flatten(start_dim=1)))))


class FastRCNNConvFCHead(nn.Sequential):
    """Box head of Faster R-CNN version 2: 3x3 convolutions, followed by linear layers.

    Args:
        input_size: channels, height and width of the input.
        conv_layers: number of channels of each convolution.
        fc_layers: number of features of each linear layer.
        norm_layer: normalisation after each convolution; None for no normalisation.

    >>> FastRCNNConvFCHead((8, 7, 7), conv_layers=[4], fc_layers=[16])(fb.zeros(5, 8, 7, 7)).shape
    flambeau.Size([5, 16])
    """

    def __init__(
        self,
        input_size: tuple[int, int, int],
        conv_layers: Sequence[int],
        fc_layers: Sequence[int],
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        features, height, width = input_size
        blocks: list[nn.Module] = []
        for channels in conv_layers:
            blocks.append(Conv2dNormActivation(features, channels, norm_layer=norm_layer))
            features = channels
        blocks.append(nn.Flatten())
        features *= height * width
        for outputs in fc_layers:
            blocks += [nn.Linear(features, outputs), nn.ReLU(inplace=True)]
            features = outputs
        super().__init__(*blocks)
        init_convolutions(self)


def init_convolutions(head: nn.Module) -> None:
    """Initialise all convolutions with He's fan-out rule and zero biases."""
    for layer in head.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class FastRCNNPredictor(nn.Module):
    """Two linear layers that predict class logits and box codes.

    Shapes: ``(L, in_channels)`` or ``(L, in_channels, 1, 1)``. The results are ``(L, num_classes)`` and
    ``(L, 4 * num_classes)``.

    >>> scores, codes = FastRCNNPredictor(16, num_classes=3)(fb.zeros(5, 16))
    >>> scores.shape, codes.shape
    (flambeau.Size([5, 3]), flambeau.Size([5, 12]))
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.cls_score = nn.Linear(in_channels, num_classes)
        self.bbox_pred = nn.Linear(in_channels, num_classes * 4)

    def forward(self, x: fb.Tensor) -> tuple[fb.Tensor, fb.Tensor]:
        if x.ndim == 4 and tuple(x.shape[2:]) != (1, 1):
            raise AssertionError(
                f"x has the wrong shape, expecting the last two dimensions to be [1,1] instead of {list(x.shape[2:])}"
            )
        x = x.flatten(start_dim=1)
        return self.cls_score(x), self.bbox_pred(x)


def improved_heads(channels: int) -> dict[str, Any]:
    """Return arguments of :class:`FasterRCNN` for the deeper heads of version 2, with batch normalisation.

    Source: Li et al. 2021, arXiv:2111.11429.
    """
    anchors = default_anchors()
    return {
        "rpn_anchor_generator": anchors,
        "rpn_head": RPNHead(channels, anchors.num_anchors_per_location()[0], conv_depth=2),
        "box_head": FastRCNNConvFCHead((channels, 7, 7), [256] * 4, [_REPRESENTATION], norm_layer=nn.BatchNorm2d),
    }


@register_on_backbone(Backbone("resnet50", freezes_norm=True), "IMAGENET1K_V1", stages=5)
def fasterrcnn_resnet50_fpn(backbone: nn.Module, num_classes: int, trainable_layers: int, **options: Any) -> FasterRCNN:
    """Build :class:`FasterRCNN` with a ResNet-50 backbone (41,755,286 parameters with 91 classes).

    >>> with fb.device("meta"):  # allocates no memory
    ...     model = fasterrcnn_resnet50_fpn(weights_backbone=None, num_classes=5)
    >>> model.roi_heads.box_predictor.cls_score, model.transform.min_size
    (Linear(in_features=1024, out_features=5, bias=True), (800,))
    """
    return FasterRCNN(resnet_extractor(backbone, trainable_layers), num_classes, **options)


@register_on_backbone(Backbone("resnet50"), None, stages=5)
def fasterrcnn_resnet50_fpn_v2(
    backbone: nn.Module, num_classes: int, trainable_layers: int, **options: Any
) -> FasterRCNN:
    """Build :class:`FasterRCNN` with deeper heads (43,712,278 parameters with 91 classes).

    >>> with fb.device("meta"):  # allocates no memory
    ...     model = fasterrcnn_resnet50_fpn_v2(weights_backbone=None, num_classes=5)
    >>> model.roi_heads.box_predictor.cls_score, model.transform.min_size
    (Linear(in_features=1024, out_features=5, bias=True), (800,))
    """
    network = resnet_extractor(backbone, trainable_layers, norm_layer=nn.BatchNorm2d)
    return FasterRCNN(network, num_classes, **{**improved_heads(network.out_channels), **options})


def _on_mobilenet(backbone: nn.Module, num_classes: int, trainable_layers: int, options: dict[str, Any]) -> FasterRCNN:
    anchors = AnchorGenerator(((32, 64, 128, 256, 512),) * 3, ((0.5, 1.0, 2.0),) * 3)
    network = mobilenet_extractor(backbone, True, trainable_layers)
    return FasterRCNN(network, num_classes, **{"rpn_anchor_generator": anchors, "rpn_score_thresh": 0.05, **options})


@register_on_backbone(Backbone("mobilenet_v3_large", freezes_norm=True), "IMAGENET1K_V1", stages=6)
def fasterrcnn_mobilenet_v3_large_fpn(
    backbone: nn.Module, num_classes: int, trainable_layers: int, **options: Any
) -> FasterRCNN:
    """Build :class:`FasterRCNN` with a MobileNetV3 backbone (19,386,354 parameters with 91 classes).

    >>> with fb.device("meta"):  # allocates no memory
    ...     model = fasterrcnn_mobilenet_v3_large_fpn(weights_backbone=None, num_classes=5)
    >>> model.roi_heads.box_predictor.cls_score, model.transform.min_size
    (Linear(in_features=1024, out_features=5, bias=True), (800,))
    """
    return _on_mobilenet(backbone, num_classes, trainable_layers, options)


@register_on_backbone(Backbone("mobilenet_v3_large", freezes_norm=True), "IMAGENET1K_V1", stages=6)
def fasterrcnn_mobilenet_v3_large_320_fpn(
    backbone: nn.Module, num_classes: int, trainable_layers: int, **options: Any
) -> FasterRCNN:
    """Build :func:`fasterrcnn_mobilenet_v3_large_fpn` for images of 320 to 640 pixels, with fewer proposals.

    >>> with fb.device("meta"):  # allocates no memory
    ...     model = fasterrcnn_mobilenet_v3_large_320_fpn(weights_backbone=None, num_classes=5)
    >>> model.transform.min_size, model.transform.max_size
    ((320,), 640)
    """
    small = {
        "min_size": 320,
        "max_size": 640,
        "rpn_pre_nms_top_n_test": 150,
        "rpn_post_nms_top_n_test": 150,
    }
    return _on_mobilenet(backbone, num_classes, trainable_layers, {**small, **options})
