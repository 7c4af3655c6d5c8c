"""Mask R-CNN: boxes, classes and masks of objects."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from flambeau import nn

from ...ops import Conv2dNormActivation, MultiScaleRoIAlign
from ...ops.feature_pyramid_network import rename_keys
from .._backbones import Backbone, register_on_backbone
from .._published import published_in
from .backbone_utils import resnet_extractor
from .faster_rcnn import FasterRCNN, check_backbone, check_kind, improved_heads, init_convolutions

__all__ = ["MaskRCNN", "MaskRCNNHeads", "MaskRCNNPredictor", "maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_v2"]

__getattr__ = published_in(__name__)

_LAYERS = (256, 256, 256, 256)


class MaskRCNN(FasterRCNN):
    """:class:`~flambeau.vision.models.detection.FasterRCNN` that also predicts masks of objects.

    Args:
        backbone, num_classes, positional, options: as in ``FasterRCNN``.
        mask_roi_pool, mask_head, mask_predictor: arguments of
            :class:`~flambeau.vision.models.detection.roi_heads.RoIHeads`.

    Shapes: as in ``FasterRCNN``. Targets also have ``masks`` ``(L, H, W)`` of 0 and 1. Detections also have ``masks``
    ``(L, 1, H, W)`` of probabilities.
    Raises: ValueError and TypeError for incompatible arguments.
    Source: He et al. 2017, arXiv:1703.06870.

    >>> from flambeau.vision.models.detection.rpn import AnchorGenerator
    >>> backbone, anchors = nn.Conv2d(3, 8, 3, stride=8), AnchorGenerator(((16,),), ((1.0,),))
    >>> model = MaskRCNN(backbone, num_classes=3, min_size=32, rpn_anchor_generator=anchors).eval()
    >>> sorted(model([fb.rand(3, 32, 48)])[0])
    ['boxes', 'labels', 'masks', 'scores']
    """

    def __init__(
        self,
        backbone: Any,
        num_classes: int | None = None,
        *positional: Any,
        mask_roi_pool: MultiScaleRoIAlign | None = None,
        mask_head: nn.Module | None = None,
        mask_predictor: nn.Module | None = None,
        **options: Any,
    ) -> None:
        check_kind("mask_roi_pool", mask_roi_pool, MultiScaleRoIAlign)
        if num_classes is not None and mask_predictor is not None:
            raise ValueError("num_classes should be None when mask_predictor is specified")
        if mask_predictor is None and num_classes is None:
            raise ValueError("num_classes should not be None when mask_predictor is not specified")
        # These layers are created first, so that the initial values are drawn in the same order as in torchvision.
        check_backbone(backbone)
        pool = mask_roi_pool or MultiScaleRoIAlign(["0", "1", "2", "3"], output_size=14, sampling_ratio=2)
        head = mask_head or MaskRCNNHeads(backbone.out_channels, _LAYERS, 1)
        predictor = mask_predictor or MaskRCNNPredictor(_LAYERS[-1], 256, num_classes or 0)
        super().__init__(backbone, num_classes, *positional, **options)
        self.roi_heads.mask_roi_pool, self.roi_heads.mask_head, self.roi_heads.mask_predictor = pool, head, predictor


class MaskRCNNHeads(nn.Sequential):
    """Dilated 3x3 convolutions with ReLU. ``layers`` contains their numbers of channels.

    >>> MaskRCNNHeads(8, layers=[4, 4], dilation=1)(fb.zeros(5, 8, 14, 14)).shape
    flambeau.Size([5, 4, 14, 14])
    """

    _version = 2  # since version 2, each convolution is in a Sequential with its normalisation

    def __init__(
        self,
        in_channels: int,
        layers: Sequence[int],
        dilation: int,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        inputs = (in_channels, *layers[:-1])
        super().__init__(
            *(
                Conv2dNormActivation(
                    *channels, kernel_size=3, stride=1, padding=dilation, dilation=dilation, norm_layer=norm_layer
                )
                for channels in zip(inputs, layers, strict=True)
            )
        )
        init_convolutions(self)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *others: Any
    ) -> None:
        if local_metadata.get("version", 1) < 2:
            renamed = {
                f"{prefix}mask_fcn{index + 1}.{kind}": f"{prefix}{index}.0.{kind}"
                for index in range(len(self))
                for kind in ("weight", "bias")
            }
            rename_keys(state_dict, renamed)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *others)


class MaskRCNNPredictor(nn.Sequential):
    """Layers that compute mask logits of each class with twice the size of the input.

    Shapes: ``(L, C, M, M)``; the result is ``(L, num_classes, 2 * M, 2 * M)``.

    >>> MaskRCNNPredictor(8, dim_reduced=4, num_classes=3)(fb.zeros(5, 8, 14, 14)).shape
    flambeau.Size([5, 3, 28, 28])
    """

    def __init__(self, in_channels: int, dim_reduced: int, num_classes: int) -> None:
        layers = (
            ("conv5_mask", nn.ConvTranspose2d(in_channels, dim_reduced, 2, 2, 0)),
            ("relu", nn.ReLU(inplace=True)),
            ("mask_fcn_logits", nn.Conv2d(dim_reduced, num_classes, 1, 1, 0)),
        )
        super().__init__(OrderedDict(layers))
        for name, parameter in self.named_parameters():
            if name.endswith("weight"):
                nn.init.kaiming_normal_(parameter, mode="fan_out", nonlinearity="relu")


@register_on_backbone(Backbone("resnet50", freezes_norm=True), "IMAGENET1K_V1", stages=5)
def maskrcnn_resnet50_fpn(backbone: nn.Module, num_classes: int, trainable_layers: int, **options: Any) -> MaskRCNN:
    """Build :class:`MaskRCNN` with a ResNet-50 backbone (44,401,393 parameters with 91 classes).

    >>> with fb.device("meta"):  # allocates no memory
    ...     model = maskrcnn_resnet50_fpn(weights_backbone=None, num_classes=5)
    >>> model.roi_heads.mask_predictor.mask_fcn_logits
    Conv2d(256, 5, kernel_size=(1, 1), stride=(1, 1))
    """
    return MaskRCNN(resnet_extractor(backbone, trainable_layers), num_classes, **options)


@register_on_backbone(Backbone("resnet50"), None, stages=5)
def maskrcnn_resnet50_fpn_v2(backbone: nn.Module, num_classes: int, trainable_layers: int, **options: Any) -> MaskRCNN:
    """Build :class:`MaskRCNN` with deeper heads (46,359,409 parameters with 91 classes).

    >>> with fb.device("meta"):  # allocates no memory
    ...     model = maskrcnn_resnet50_fpn_v2(weights_backbone=None, num_classes=5)
    >>> model.roi_heads.mask_predictor.mask_fcn_logits
    Conv2d(256, 5, kernel_size=(1, 1), stride=(1, 1))
    """
    network = resnet_extractor(backbone, trainable_layers, norm_layer=nn.BatchNorm2d)
    channels = network.out_channels
    heads = {**improved_heads(channels), "mask_head": MaskRCNNHeads(channels, _LAYERS, 1, norm_layer=nn.BatchNorm2d)}
    return MaskRCNN(network, num_classes, **{**heads, **options})
