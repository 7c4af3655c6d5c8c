"""Encoding of boxes, matching of predictions with ground truth, and sampling for the losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import ClassVar

import flambeau as fb
from flambeau import nn

from ...ops import box_iou, complete_box_iou_loss, distance_box_iou_loss, generalized_box_iou_loss
from .transform import Target

Weights = tuple[float, float, float, float]


class BoxCoder:
    """Encoder of boxes relative to reference boxes (anchors).

    The code of a box has four elements: the shift of the centre in x and y, in units of the anchor's width and height,
    and the logarithms of the ratios of the widths and heights.

    Args:
        weights: factors of the four elements.
        bbox_xform_clip: upper bound of the logarithms when codes are decoded.
    Source: Girshick et al. 2013, arXiv:1311.2524, appendix C.

    >>> coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
    >>> anchors = fb.tensor([[0.0, 0.0, 2.0, 2.0]])
    >>> codes = coder.encode_single(fb.tensor([[1.0, 0.0, 5.0, 2.0]]), anchors)
    >>> codes, coder.decode_single(codes, anchors)
    (tensor([[1.0000, 0.0000, 0.6931, 0.0000]]), tensor([[1., 0., 5., 2.]]))
    """

    def __init__(self, weights: Weights, bbox_xform_clip: float = math.log(1000.0 / 16)) -> None:
        self.weights = weights
        self.bbox_xform_clip = bbox_xform_clip

    def encode(self, reference_boxes: Sequence[fb.Tensor], proposals: Sequence[fb.Tensor]) -> Sequence[fb.Tensor]:
        """Encode the boxes of each image relative to the proposals of the image. Return ``(L, 4)`` for each image."""
        codes = self.encode_single(fb.cat(list(reference_boxes)), fb.cat(list(proposals)))
        return codes.split([len(boxes) for boxes in reference_boxes], 0)

    def encode_single(self, reference_boxes: fb.Tensor, proposals: fb.Tensor) -> fb.Tensor:
        """Encode boxes ``(L, 4)`` relative to proposals ``(L, 4)``."""
        sizes, middles = _sizes_and_middles(proposals)
        true_sizes, true_middles = _sizes_and_middles(reference_boxes)
        codes = fb.cat([(true_middles - middles) / sizes, fb.log(true_sizes / sizes)], 1)
        return codes * fb.tensor(self.weights, dtype=codes.dtype, device=codes.device)

    def decode(self, rel_codes: fb.Tensor, boxes: Sequence[fb.Tensor]) -> fb.Tensor:
        """Decode ``(L, 4 * classes)`` relative to the boxes of all images, and return boxes ``(L, classes, 4)``.

        L is the number of boxes of all images.
        """
        together = fb.cat(list(boxes))
        if len(together):
            rel_codes = rel_codes.reshape(len(together), -1)
        decoded = self.decode_single(rel_codes, together)
        return decoded.unflatten(1, (decoded.shape[1] // 4, 4))

    def decode_single(self, rel_codes: fb.Tensor, boxes: fb.Tensor) -> fb.Tensor:
        """Decode ``(L, 4 * classes)`` relative to boxes ``(L, 4)``, and return boxes of the same shape as the codes."""
        sizes, middles = (value[:, None] for value in _sizes_and_middles(boxes.to(rel_codes.dtype)))
        weights = fb.tensor(self.weights, dtype=rel_codes.dtype, device=rel_codes.device)
        codes = rel_codes.unflatten(1, (rel_codes.shape[1] // 4, 4)) / weights
        middles = codes[..., :2] * sizes + middles
        halves = codes[..., 2:].clamp(max=self.bbox_xform_clip).exp() * sizes * 0.5
        return fb.cat([middles - halves, middles + halves], -1).flatten(1)


def _sizes_and_middles(boxes: fb.Tensor) -> tuple[fb.Tensor, fb.Tensor]:
    sizes = boxes[:, 2:] - boxes[:, :2]
    return sizes, boxes[:, :2] + 0.5 * sizes


class Matcher:
    """Matcher that assigns the most similar true object to each prediction. A negative index means no match.

    Args:
        high_threshold: minimum similarity of a match.
        low_threshold: a prediction whose largest similarity is below this threshold is background (-1). Between the
            two thresholds, a prediction is neither matched nor background (-2).
        allow_low_quality_matches: if True, also match each true object with its most similar predictions, at any
            similarity.
    Raises: AssertionError if ``low_threshold`` is greater than ``high_threshold``, ValueError if a matrix is empty.

    >>> Matcher(0.7, 0.3)(fb.tensor([[0.1, 0.5, 0.8, 0.2], [0.2, 0.4, 0.1, 0.9]]))
    tensor([-1, -2,  0,  1])
    """

    BELOW_LOW_THRESHOLD: ClassVar[int] = -1
    BETWEEN_THRESHOLDS: ClassVar[int] = -2

    def __init__(self, high_threshold: float, low_threshold: float, allow_low_quality_matches: bool = False) -> None:
        if low_threshold > high_threshold:
            raise AssertionError(f"low_threshold should be <= high_threshold, got {low_threshold} and {high_threshold}")
        self.high_threshold = high_threshold
        self.low_threshold = low_threshold
        self.allow_low_quality_matches = allow_low_quality_matches

    def __call__(self, match_quality_matrix: fb.Tensor) -> fb.Tensor:
        """Return, for each of N predictions, the index of the matched object or a negative number.

        ``match_quality_matrix`` ``(M, N)`` contains the similarities of M true objects to the predictions.
        """
        if match_quality_matrix.numel() == 0:
            lacking = "ground-truth" if match_quality_matrix.shape[0] == 0 else "proposal"
            raise ValueError(f"No {lacking} boxes available for one of the images during training")
        best, nearest = match_quality_matrix.max(dim=0)
        matches = nearest.clone()
        matches[best < self.high_threshold] = self.BETWEEN_THRESHOLDS
        matches[best < self.low_threshold] = self.BELOW_LOW_THRESHOLD
        if self.allow_low_quality_matches:
            of_each = match_quality_matrix.max(dim=1, keepdim=True)[0]
            matches = fb.where((match_quality_matrix == of_each).any(0), nearest, matches)
        return matches


class SSDMatcher(Matcher):
    """:class:`Matcher` with one threshold that also matches each true object with its most similar prediction.

    >>> SSDMatcher(0.5)(fb.tensor([[0.1, 0.6, 0.8], [0.3, 0.2, 0.1]]))
    tensor([1, 0, 0])
    """

    def __init__(self, threshold: float) -> None:
        super().__init__(threshold, threshold, allow_low_quality_matches=False)

    def __call__(self, match_quality_matrix: fb.Tensor) -> fb.Tensor:
        matches = super().__call__(match_quality_matrix)
        best = match_quality_matrix.max(dim=1)[1]
        matches[best] = fb.arange(len(best), device=best.device)
        return matches


def match_anchors(matcher: Matcher, targets: Sequence[Target], anchors: Sequence[fb.Tensor]) -> list[fb.Tensor]:
    """Return the index of the matched box for each anchor of each image, or -1 in images without boxes."""
    matched = []
    for boxes, target in zip(anchors, targets, strict=True):
        if len(target["boxes"]) == 0:
            matched.append(fb.full((len(boxes),), Matcher.BELOW_LOW_THRESHOLD, dtype=fb.int64, device=boxes.device))
        else:
            matched.append(matcher(box_iou(target["boxes"], boxes)))
    return matched


class BoxLinearCoder:
    """Encoder of boxes as the distances of their sides from the centres of reference boxes.

    Args:
        normalize_by_size: if True, distances are divided by the sizes of the reference boxes.

    >>> coder, anchors = BoxLinearCoder(), fb.tensor([[0.0, 0.0, 4.0, 2.0]])
    >>> codes = coder.encode(anchors, fb.tensor([[0.0, 0.0, 8.0, 4.0]]))
    >>> codes, coder.decode(codes, anchors)
    (tensor([[0.5000, 0.5000, 1.5000, 1.5000]]), tensor([[0., 0., 8., 4.]]))
    """

    def __init__(self, normalize_by_size: bool = True) -> None:
        self.normalize_by_size = normalize_by_size

    def encode(self, reference_boxes: fb.Tensor, proposals: fb.Tensor) -> fb.Tensor:
        """Encode boxes (``proposals``) relative to the same number of reference boxes; all tensors are ``(..., 4)``."""
        middles, sizes = self._frame(reference_boxes)
        return fb.cat([middles - proposals[..., :2], proposals[..., 2:] - middles], -1) / sizes

    def decode(self, rel_codes: fb.Tensor, boxes: fb.Tensor) -> fb.Tensor:
        """Decode boxes relative to the same number of reference boxes; all tensors are ``(..., 4)``."""
        middles, sizes = self._frame(boxes.to(rel_codes.dtype))
        distances = rel_codes * sizes
        return fb.cat([middles - distances[..., :2], middles + distances[..., 2:]], -1)

    def _frame(self, boxes: fb.Tensor) -> tuple[fb.Tensor, fb.Tensor]:
        """Return the centres ``(..., 2)``, and the sizes repeated twice ``(..., 4)``."""
        sizes = (boxes[..., 2:] - boxes[..., :2]).repeat(*[1] * (boxes.ndim - 1), 2)
        if not self.normalize_by_size:
            sizes = fb.ones_like(sizes)
        return 0.5 * (boxes[..., :2] + boxes[..., 2:]), sizes


def retrieve_out_channels(model: nn.Module, size: tuple[int, int]) -> list[int]:
    """Return the number of channels of each map of a backbone, for images of a given width and height."""
    training = model.training
    with fb.no_grad():
        maps = model.eval()(next(model.parameters()).new_zeros((1, 3, size[1], size[0])))
    model.train(training)
    return [map.shape[1] for map in ([maps] if isinstance(maps, fb.Tensor) else maps.values())]


class BalancedPositiveNegativeSampler:
    """Random sampler of positive and negative predictions of each image.

    Args:
        batch_size_per_image: maximum number of samples of an image.
        positive_fraction: maximum fraction of positive samples.
    """

    def __init__(self, batch_size_per_image: int, positive_fraction: float) -> None:
        self.batch_size_per_image = batch_size_per_image
        self.positive_fraction = positive_fraction

    def __call__(self, matched_idxs: Sequence[fb.Tensor]) -> tuple[list[fb.Tensor], list[fb.Tensor]]:
        """Return masks ``(N,)``, uint8, of the positive and of the negative samples of each image.

        Labels of at least 1 are positive, 0 is negative, and -1 is neither.
        """
        positives, negatives = [], []
        for labels in matched_idxs:
            positive, negative = fb.where(labels >= 1)[0], fb.where(labels == 0)[0]
            count = min(len(positive), int(self.batch_size_per_image * self.positive_fraction))
            positives.append(_sample_mask(labels, positive, count))
            negatives.append(_sample_mask(labels, negative, min(len(negative), self.batch_size_per_image - count)))
        return positives, negatives


def _sample_mask(labels: fb.Tensor, indices: fb.Tensor, count: int) -> fb.Tensor:
    mask = fb.zeros_like(labels, dtype=fb.uint8)
    mask[indices[fb.randperm(len(indices), device=indices.device)[:count]]] = 1
    return mask


def best_first(scores: fb.Tensor, count: int) -> tuple[fb.Tensor, fb.Tensor]:
    """Return the ``count`` highest elements of the last dimension (or all, if it is smaller), and their indices."""
    # Use the size of a slice instead of min(), whose result would be a constant in a traced program.
    return scores.topk(scores[..., :count].shape[-1], dim=-1)


def box_loss(kind: str, coder: BoxCoder, anchors: fb.Tensor, truth: fb.Tensor, codes: fb.Tensor) -> fb.Tensor:
    """Compute the sum of a loss over boxes that are predicted as codes relative to anchors.

    Args:
        kind: name of the loss: ``"l1"`` or ``"smooth_l1"`` of the codes, or ``"giou"``, ``"diou"`` or ``"ciou"`` of the
            boxes.
        coder: encoder of boxes.
        anchors, truth: boxes ``(L, 4)``.
        codes: predictions ``(L, 4)``.
    Raises: AssertionError for an unsupported loss.
    """
    if kind in _CODE_LOSSES:
        return _CODE_LOSSES[kind](codes, coder.encode_single(truth, anchors), reduction="sum")
    if kind in _BOX_LOSSES:
        return _BOX_LOSSES[kind](coder.decode_single(codes, anchors), truth, reduction="sum")
    raise AssertionError(f"Unsupported loss: {kind}")


_Loss = Callable[..., fb.Tensor]
_CODE_LOSSES: dict[str, _Loss] = {"l1": nn.functional.l1_loss, "smooth_l1": nn.functional.smooth_l1_loss}
_BOX_LOSSES: dict[str, _Loss] = {
    "giou": generalized_box_iou_loss,
    "diou": distance_box_iou_loss,
    "ciou": complete_box_iou_loss,
}
