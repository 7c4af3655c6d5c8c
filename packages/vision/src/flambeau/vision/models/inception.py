"""Inception V3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flambeau as fb
from flambeau import nn

from ._published import published_in
from ._registry import register_model
from .googlenet import BasicConv2d, halfway_normalized

__getattr__ = published_in(__name__)

Block = Callable[..., Any]


class InceptionOutputs(NamedTuple):
    """Outputs in training mode: logits of the main classifier and of the auxiliary classifier.

    >>> InceptionOutputs._fields
    ('logits', 'aux_logits')
    """

    logits: fb.Tensor
    aux_logits: fb.Tensor | None


def _averages(x: fb.Tensor) -> fb.Tensor:
    return nn.functional.avg_pool2d(x, kernel_size=3, stride=1, padding=1)


class InceptionA(nn.Module):
    """Parallel branches: a 1x1 convolution, a 5x5 convolution, two 3x3 convolutions, and pooling (figure 5)."""

    def __init__(self, in_channels: int, pool_features: int, conv_block: Block | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch1x1 = conv(in_channels, 64, kernel_size=1)
        self.branch5x5_1 = conv(in_channels, 48, kernel_size=1)
        self.branch5x5_2 = conv(48, 64, kernel_size=5, padding=2)
        self.branch3x3dbl_1 = conv(in_channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = conv(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = conv(96, 96, kernel_size=3, padding=1)
        self.branch_pool = conv(in_channels, pool_features, kernel_size=1)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        one, five = self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x))
        three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return fb.cat([one, five, three, self.branch_pool(_averages(x))], 1)


class InceptionB(nn.Module):
    """Reduction to half the size by parallel branches: one 3x3 convolution, two 3x3 convolutions, and pooling."""

    def __init__(self, in_channels: int, conv_block: Block | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch3x3 = conv(in_channels, 384, kernel_size=3, stride=2)
        self.branch3x3dbl_1 = conv(in_channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = conv(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = conv(96, 96, kernel_size=3, stride=2)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        three = self.branch3x3(x)
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return fb.cat([three, double, nn.functional.max_pool2d(x, kernel_size=3, stride=2)], 1)


class InceptionC(nn.Module):
    """Parallel branches with 7x7 convolutions that are factorised into 1x7 and 7x1 convolutions (figure 6)."""

    def __init__(self, in_channels: int, channels_7x7: int, conv_block: Block | None = None) -> None:
        super().__init__()
        conv, few = conv_block or BasicConv2d, channels_7x7
        row, column = {"kernel_size": (1, 7), "padding": (0, 3)}, {"kernel_size": (7, 1), "padding": (3, 0)}
        self.branch1x1 = conv(in_channels, 192, kernel_size=1)
        self.branch7x7_1 = conv(in_channels, few, kernel_size=1)
        self.branch7x7_2 = conv(few, few, **row)
        self.branch7x7_3 = conv(few, 192, **column)
        self.branch7x7dbl_1 = conv(in_channels, few, kernel_size=1)
        self.branch7x7dbl_2 = conv(few, few, **column)
        self.branch7x7dbl_3 = conv(few, few, **row)
        self.branch7x7dbl_4 = conv(few, few, **column)
        self.branch7x7dbl_5 = conv(few, 192, **row)
        self.branch_pool = conv(in_channels, 192, kernel_size=1)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        one, seven = self.branch1x1(x), self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return fb.cat([one, seven, double, self.branch_pool(_averages(x))], 1)


class InceptionD(nn.Module):
    """Reduction to half the size by parallel branches: 3x3, factorised 7x7 followed by 3x3, and pooling."""

    def __init__(self, in_channels: int, conv_block: Block | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch3x3_1 = conv(in_channels, 192, kernel_size=1)
        self.branch3x3_2 = conv(192, 320, kernel_size=3, stride=2)
        self.branch7x7x3_1 = conv(in_channels, 192, kernel_size=1)
        self.branch7x7x3_2 = conv(192, 192, kernel_size=(1, 7), padding=(0, 3))
        self.branch7x7x3_3 = conv(192, 192, kernel_size=(7, 1), padding=(3, 0))
        self.branch7x7x3_4 = conv(192, 192, kernel_size=3, stride=2)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        three = self.branch3x3_2(self.branch3x3_1(x))
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return fb.cat([three, seven, nn.functional.max_pool2d(x, kernel_size=3, stride=2)], 1)


class InceptionE(nn.Module):
    """Parallel branches, some of which end in parallel 1x3 and 3x1 convolutions (figure 7)."""

    def __init__(self, in_channels: int, conv_block: Block | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        row, column = {"kernel_size": (1, 3), "padding": (0, 1)}, {"kernel_size": (3, 1), "padding": (1, 0)}
        self.branch1x1 = conv(in_channels, 320, kernel_size=1)
        self.branch3x3_1 = conv(in_channels, 384, kernel_size=1)
        self.branch3x3_2a = conv(384, 384, **row)
        self.branch3x3_2b = conv(384, 384, **column)
        self.branch3x3dbl_1 = conv(in_channels, 448, kernel_size=1)
        self.branch3x3dbl_2 = conv(448, 384, kernel_size=3, padding=1)
        self.branch3x3dbl_3a = conv(384, 384, **row)
        self.branch3x3dbl_3b = conv(384, 384, **column)
        self.branch_pool = conv(in_channels, 192, kernel_size=1)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        one, three = self.branch1x1(x), self.branch3x3_1(x)
        three = fb.cat([self.branch3x3_2a(three), self.branch3x3_2b(three)], 1)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        double = fb.cat([self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)], 1)
        return fb.cat([one, three, double, self.branch_pool(_averages(x))], 1)


class InceptionAux(nn.Module):
    """Auxiliary classifier in the middle of the network, for stronger gradients in training."""

    def __init__(self, in_channels: int, num_classes: int, conv_block: Block | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.conv0 = conv(in_channels, 128, kernel_size=1)
        self.conv1 = conv(128, 768, kernel_size=5)
        self.fc = nn.Linear(768, num_classes)
        self.fc.stddev = 0.001

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        x = self.conv1(self.conv0(nn.functional.avg_pool2d(x, kernel_size=5, stride=3)))
        scores: fb.Tensor = self.fc(fb.flatten(nn.functional.adaptive_avg_pool2d(x, (1, 1)), 1))
        return scores


_BLOCKS = (BasicConv2d, InceptionA, InceptionB, InceptionC, InceptionD, InceptionE, InceptionAux)


class Inception3(nn.Module):
    """Inception V3: eleven modules of parallel, partly factorised convolutions, and an auxiliary classifier.

    Args:
        num_classes: number of classes.
        aux_logits: if True, the model has the auxiliary classifier and returns :class:`InceptionOutputs` in training
            mode.
        transform_input: if True, convert images from the normalisation of torchvision's other models.
        inception_blocks: seven classes that replace the convolution, the modules A to E and the auxiliary classifier.
        init_weights: if True or None, initialise with truncated normal weights as torchvision does; if False, as the
            layers do by default.
        dropout: probability of the dropout before the last layer.
    Raises: ValueError unless ``inception_blocks`` has seven elements.

    Shapes: ``(N, 3, H, W)``, with H and W at least 75 (299 in the paper); the result is ``(N, num_classes)``.
    Source: Szegedy et al. 2015, arXiv:1512.00567.

    >>> with fb.device("meta"):  # allocates no memory
    ...     model = Inception3(num_classes=10, aux_logits=False, init_weights=False)
    >>> model(fb.zeros(1, 3, 299, 299, device="meta")).shape
    flambeau.Size([1, 10])
    """

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        inception_blocks: Sequence[Block] | None = None,
        init_weights: bool | None = None,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        blocks = _BLOCKS if inception_blocks is None else inception_blocks
        if len(blocks) != 7:
            raise ValueError(f"length of inception_blocks should be 7 instead of {len(blocks)}")
        conv, inception_a, inception_b, inception_c, inception_d, inception_e, head = blocks
        self.aux_logits = aux_logits
        self.transform_input = transform_input
        self.Conv2d_1a_3x3 = conv(3, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = conv(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = conv(32, 64, kernel_size=3, padding=1)
        self.maxpool1 = nn.MaxPool2d(kernel_size=3, stride=2)
        self.Conv2d_3b_1x1 = conv(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = conv(80, 192, kernel_size=3)
        self.maxpool2 = nn.MaxPool2d(kernel_size=3, stride=2)
        self.Mixed_5b = inception_a(192, pool_features=32)
        self.Mixed_5c = inception_a(256, pool_features=64)
        self.Mixed_5d = inception_a(288, pool_features=64)
        self.Mixed_6a = inception_b(288)
        self.Mixed_6b = inception_c(768, channels_7x7=128)
        self.Mixed_6c = inception_c(768, channels_7x7=160)
        self.Mixed_6d = inception_c(768, channels_7x7=160)
        self.Mixed_6e = inception_c(768, channels_7x7=192)
        self.AuxLogits = head(768, num_classes) if aux_logits else None
        self.Mixed_7a = inception_d(768)
        self.Mixed_7b = inception_e(1280)
        self.Mixed_7c = inception_e(2048)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(2048, num_classes)
        if init_weights or init_weights is None:
            for module in self.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    std = getattr(module, "stddev", 0.1)
                    nn.init.trunc_normal_(module.weight, mean=0.0, std=std, a=-2, b=2)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        if not self.aux_logits:  # published files contain the auxiliary classifier, which this model does not have
            for name in [name for name in state_dict if name.removeprefix(prefix).startswith(("AuxLogits.",))]:
                del state_dict[name]
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def forward(self, x: fb.Tensor) -> InceptionOutputs | fb.Tensor:
        if self.transform_input:
            x = halfway_normalized(x)
        x = self.maxpool1(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))))
        x = self.maxpool2(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)))
        x = self.Mixed_6a(self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))
        with_head = self.training and self.aux_logits
        on_the_way = self.AuxLogits(x) if with_head and self.AuxLogits is not None else None
        x = self.avgpool(self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x))))
        scores: fb.Tensor = self.fc(fb.flatten(self.dropout(x), 1))
        return InceptionOutputs(scores, on_the_way) if with_head else scores


@register_model
def inception_v3(**options: Any) -> Inception3:
    """Build :class:`Inception3` (27,161,264 parameters, including the auxiliary classifier).

    Published weights require ``transform_input=True``.
    """
    return Inception3(**options)
