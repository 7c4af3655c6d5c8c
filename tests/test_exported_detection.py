"""Tests of detectors as ONNX files and as traced programs, which find the same objects as the models, in any number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau._tracing._structure import leaves
from flambeau.vision import ops
from flambeau.vision.models import swin_transformer
from flambeau.vision.models.detection import FasterRCNN, KeypointRCNN, MaskRCNN, RetinaNet
from flambeau.vision.models.detection._matching import best_first
from flambeau.vision.models.detection.anchor_utils import AnchorGenerator
from flambeau.vision.models.detection.faster_rcnn import FastRCNNPredictor
from flambeau.vision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor
from flambeau.vision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor


class Pyramid(nn.Module):
    """Backbone with two feature maps of different sizes."""

    out_channels = 8

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 5, stride=8, padding=2)
        self.second = nn.Conv2d(8, 8, 3, stride=2, padding=1)

    def forward(self, x: fb.Tensor) -> dict[str, fb.Tensor]:
        fine = self.first(x).relu()
        return {"0": fine, "1": self.second(fine)}


def anchors() -> AnchorGenerator:
    return AnchorGenerator(((12,), (24,)), ((0.5, 1.0),) * 2)


def pool(size: int) -> ops.MultiScaleRoIAlign:
    return ops.MultiScaleRoIAlign(["0", "1"], size, 2)


def two_stages(kind: type[FasterRCNN] = FasterRCNN, classes: int | None = 4, **parts: Any) -> nn.Module:
    sizes = {"min_size": 64, "max_size": 96, "box_score_thresh": 0.3, "rpn_post_nms_top_n_test": 60}
    return kind(Pyramid(), classes, rpn_anchor_generator=anchors(), box_roi_pool=pool(3), **parts, **sizes)


def with_masks() -> nn.Module:
    return two_stages(
        MaskRCNN,
        None,
        box_predictor=FastRCNNPredictor(1024, 4),
        mask_roi_pool=pool(4),
        mask_head=MaskRCNNHeads(8, (8,), 1),
        mask_predictor=MaskRCNNPredictor(8, 8, 4),
    )


def with_points() -> nn.Module:
    return two_stages(
        KeypointRCNN,
        keypoint_roi_pool=pool(4),
        keypoint_head=KeypointRCNNHeads(8, (8,)),
        keypoint_predictor=KeypointRCNNPredictor(8, 3),
    )


def one_stage() -> nn.Module:
    return RetinaNet(Pyramid(), 4, anchor_generator=anchors(), min_size=64, max_size=96, topk_candidates=40)


class OfOneImage(nn.Module):
    """Detector for a single image, whose input is a tensor instead of a list."""

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, image: fb.Tensor) -> Any:
        return self.detector([image])


@pytest.fixture(params=[two_stages, with_masks, with_points, one_stage])
def model(request: Any) -> nn.Module:
    """Return a detector for a single image."""
    return OfOneImage(filled(request.param)).eval()


def filled(make: Callable[[], nn.Module]) -> nn.Module:
    """Return a detector whose scores differ so much that rounding does not change their order."""
    fb.manual_seed(1)
    made = make().eval()
    with fb.no_grad():
        for name, parameter in made.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.15 if "conv" in name else 0.3)
    return made


def check(model: nn.Module, program: Any) -> None:
    counts = set()
    for scale in (1.0, 0.5, 0.0, 3.0):
        image = fb.rand(3, 64, 96) * scale
        with fb.no_grad():
            expected, found = (leaves(each(image), fb.Tensor) for each in (model, program))
        for mine, other in zip(expected, found, strict=True):
            assert other.shape == mine.shape
            np.testing.assert_allclose(other.numpy(), mine.numpy(), rtol=1e-3, atol=1e-3)
        counts.add(len(expected[0]))
    assert len(counts) > 1, "the images have different numbers of objects"


def test_detectors_are_exported_to_onnx(model: nn.Module) -> None:
    program = fb.onnx.export(model, fb.rand(3, 64, 96), input_names=["image"])
    kinds = {node.op_type for node in program.model_proto.graph.node}
    detector = model.detector
    assert "NonMaxSuppression" in kinds and ("RoiAlign" in kinds) == isinstance(detector, FasterRCNN)
    assert ("Loop" in kinds) == isinstance(detector, KeypointRCNN)
    check(model, program)


def of_any_width(model: nn.Module, image: fb.Tensor) -> nn.Module:
    program = fb.export.export(model, (image,), dynamic_shapes={"image": {2: fb.export.Dim.AUTO}})
    return program.module()


@pytest.mark.parametrize("trace", [fb.jit.trace, of_any_width])
def test_detectors_can_be_traced_to_programs_without_python(model: nn.Module, trace: Any) -> None:
    with fb.no_grad():
        program = trace(model, fb.rand(3, 64, 96))
    assert "::" not in program.code, "an operator that Python computes"
    check(model, program)
    image = fb.rand(3, 64, 80) * 3
    with fb.no_grad():
        for mine, other in zip(leaves(model(image), fb.Tensor), leaves(program(image), fb.Tensor), strict=True):
            fb.testing.assert_close(other, mine, rtol=1e-3, atol=1e-3)


def test_images_of_a_batch_may_have_different_numbers_of_objects() -> None:
    model = filled(with_masks)

    def both(first: fb.Tensor, second: fb.Tensor) -> Any:
        return model([first, second])

    program = fb.onnx.export(both, (fb.rand(3, 64, 96), fb.rand(3, 64, 80)))
    images = fb.rand(3, 64, 96) * 3, fb.rand(3, 64, 80)
    expected = leaves(both(*images), fb.Tensor)
    for mine, other in zip(expected, program(*images), strict=True):
        fb.testing.assert_close(other, mine, rtol=1e-3, atol=1e-3)
    assert 0 < len(expected[0]) != len(expected[4]) > 0, "the images have different numbers of objects"


def test_a_traced_top_k_accepts_any_number_of_candidates() -> None:
    def best(scores: fb.Tensor) -> fb.Tensor:
        return best_first(scores[scores > 0.5], 10)[0]

    def with_candidates(count: int) -> fb.Tensor:
        return (fb.arange(40) < count) * (fb.rand(40) * 0.4 + 0.6)

    few, many = with_candidates(4), with_candidates(30)
    for example, other in ((few, many), (many, few)):
        expected = np.sort(other[other > 0.5].numpy())[::-1][:10]
        np.testing.assert_array_equal(fb.jit.trace(best, example)(other).numpy(), expected)
        np.testing.assert_array_equal(fb.onnx.export(best, example)(other)[0].numpy(), expected)


@pytest.mark.parametrize(("scale", "ratio", "aligned"), [(1.0, 2, False), (0.5, 3, True), (1.0, -1, True)])
def test_region_operators_are_exported_to_onnx(scale: float, ratio: int, aligned: bool) -> None:
    def function(maps: fb.Tensor, boxes: fb.Tensor) -> fb.Tensor:
        return ops.roi_align(maps, [boxes, boxes + 1], (3, 2), scale, ratio, aligned)

    def inputs() -> tuple[fb.Tensor, fb.Tensor]:
        corners = fb.rand(5, 2) * 8
        return fb.randn(2, 3, 12, 15), fb.cat([corners, corners + fb.rand(5, 2) * 9 + 0.5], 1)

    program = fb.onnx.export(function, inputs(), verify=True, dynamic_axes={"boxes": {0: "n"}})
    for _ in range(3):
        given = inputs()
        fb.testing.assert_close(program(*given)[0], function(*given), rtol=1e-4, atol=1e-5)


def test_region_operators_can_be_traced_to_programs_without_python() -> None:
    def function(maps: fb.Tensor, rois: fb.Tensor) -> fb.Tensor:
        return ops.roi_align(maps, rois, (3, 2), 0.5, 2, True)

    rois = fb.tensor([[0, 1, 2, 17, 29], [1, 0, 0, 24, 21], [1, -3, 5, 14, 60.0]])
    program = fb.jit.trace(function, (fb.randn(2, 3, 12, 15), rois))
    assert "torchvision" not in program.code
    for maps, regions in (
        (fb.randn(2, 4, 9, 20), rois[:2]),
        (fb.randn(3, 1, 30, 30), rois.flip(0)),
        (fb.randn(2, 3, 8, 8), rois[:0]),
    ):
        fb.testing.assert_close(program(maps, regions), function(maps, regions))


def test_an_error_names_the_line_of_the_model() -> None:
    class Spectra(nn.Module):
        def forward(self, x: fb.Tensor) -> fb.Tensor:
            return fb.fft.fft(x).real

    with pytest.raises(NotImplementedError, match="fft, called by layer 0 ") as caught:
        fb.onnx.export(nn.Sequential(Spectra()), fb.ones(3))
    assert f"test_exported_detection.py:{Spectra.forward.__code__.co_firstlineno + 1}" in str(caught.value)
    # A model of flambeau's own is a program as well.
    model = swin_transformer.SwinTransformer([4, 4], 8, [2], [1], [4, 4], num_classes=2).eval()
    with pytest.raises(RuntimeError, match="calls other operators for other sizes") as other:
        fb.onnx.export(model, fb.rand(1, 3, 16, 16), dynamic_axes={"x": {2: "height"}})
    assert "_window_attention.py:" in str(other.value) and "test_exported_detection" not in str(other.value)


def test_exported_window_attention_models_accept_larger_images() -> None:
    fb.manual_seed(0)
    model = swin_transformer.SwinTransformer([4, 4], 8, [2, 2], [1, 2], [4, 4], num_classes=2).eval()
    dynamic = {"x": {0: "n", 2: "height", 3: "width"}}
    with pytest.warns(UserWarning, match="calls other operators if the dynamic dimensions have the sizes"):
        program = fb.onnx.export(model, fb.rand(1, 3, 48, 48), dynamic_axes=dynamic, input_names=["x"])
    for shape in ((1, 3, 48, 48), (2, 3, 50, 61), (1, 3, 61, 50), (1, 3, 77, 49)):
        x = fb.rand(*shape)
        with fb.no_grad():
            fb.testing.assert_close(program(x)[0], model(x), rtol=1e-4, atol=1e-5)


def test_a_loop_over_detections_is_rejected_with_its_line() -> None:
    model = two_stages().eval()

    def boxes_one_by_one(image: fb.Tensor) -> list[fb.Tensor]:
        return [box * 2 for box in model([image])[0]["boxes"]]

    with pytest.raises(RuntimeError, match="for some sizes of dynamic dimensions or counts of elements") as caught:
        fb.onnx.export(boxes_one_by_one, fb.rand(3, 64, 96))
    assert f"test_exported_detection.py:{boxes_one_by_one.__code__.co_firstlineno + 1}" in str(caught.value)
