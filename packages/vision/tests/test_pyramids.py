from __future__ import annotations

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision import ops
from flambeau.vision.models.detection._matching import BalancedPositiveNegativeSampler, BoxCoder, Matcher, box_loss
from flambeau.vision.models.detection.anchor_utils import AnchorGenerator
from flambeau.vision.models.detection.image_list import ImageList
from flambeau.vision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool, LastLevelP6P7

RNG = np.random.default_rng(0)


def test_each_pyramid_level_adds_the_upsampled_level_above() -> None:
    pyramid = FeaturePyramidNetwork([1, 1], 1, LastLevelMaxPool())
    for block in (*pyramid.inner_blocks, *pyramid.layer_blocks):
        block[0].weight.data.zero_()
        block[0].weight.data[..., block[0].kernel_size[0] // 2, block[0].kernel_size[1] // 2] = 1.0
    large, small = fb.from_numpy(RNG.random((1, 1, 4, 6))), fb.from_numpy(RNG.random((1, 1, 2, 3)))
    out = pyramid.double()({"a": large, "b": small})
    assert list(out) == ["a", "b", "pool"]
    np.testing.assert_allclose(out["b"].detach().numpy(), small.numpy())
    repeated = small.numpy().repeat(2, 2).repeat(2, 3)
    np.testing.assert_allclose(out["a"].detach().numpy(), large.numpy() + repeated)
    np.testing.assert_allclose(out["pool"].detach().numpy(), small.numpy()[:, :, ::2, ::2])


def test_extra_blocks_add_levels_to_a_feature_pyramid() -> None:
    own, other = LastLevelP6P7(4, 4), LastLevelP6P7(8, 4)
    p5, c5 = fb.rand(1, 4, 8, 8), fb.rand(1, 8, 8, 8)
    for block, source in ((own, p5), (other, c5)):
        results, names = block([p5], [c5], ["0"])
        assert names == ["0", "p6", "p7"] and tuple(results[2].shape) == (1, 4, 2, 2)
        assert (results[1] == block.p6(source)).all()
    with pytest.raises(TypeError, match="extra_blocks should be of type ExtraFPNBlock"):
        FeaturePyramidNetwork([4], 4, fb.nn.ReLU())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="in_channels=0 is currently not supported"):
        FeaturePyramidNetwork([4, 0], 4)


def test_state_dicts_with_older_names_are_loaded() -> None:
    pyramid, other = FeaturePyramidNetwork([3, 4], 2), FeaturePyramidNetwork([3, 4], 2)
    renamed = {}
    for key, value in pyramid.state_dict().items():
        blocks, index, _, kind = key.split(".")
        renamed[f"{blocks}.{index}.{kind}"] = value
    other.load_state_dict(renamed)
    assert all((a == b).all() for a, b in zip(pyramid.parameters(), other.parameters(), strict=True))


def test_multi_scale_roi_align_selects_the_level_by_box_size() -> None:
    maps = {"0": fb.full((2, 1, 64, 64), 1.0), "1": fb.full((2, 1, 32, 32), 2.0), "no": fb.full((2, 1, 8, 8), 3.0)}
    pool = ops.MultiScaleRoIAlign(["0", "1"], (2, 3), 2, canonical_scale=64, canonical_level=3)
    boxes = [
        fb.tensor([[0.0, 0.0, 90.0, 90.0], [0.0, 0.0, 20.0, 20.0]]),
        fb.tensor([[10.0, 10.0, 30.0, 30.0], [0.0, 0.0, 200.0, 200.0], [5.0, 5.0, 9.0, 9.0]]),
    ]
    out = pool(maps, boxes, [(256, 250), (200, 256)])
    assert tuple(out.shape) == (5, 1, 2, 3)
    assert out[:, 0, 0, 0].tolist() == [2.0, 1.0, 1.0, 2.0, 1.0] and pool.scales == [0.25, 0.125]
    assert repr(pool) == "MultiScaleRoIAlign(featmap_names=['0', '1'], output_size=(2, 3), sampling_ratio=2)"
    with pytest.raises(ValueError, match="images list should not be empty"):
        ops.MultiScaleRoIAlign(["0"], 2, 2)(maps, boxes, [])


@pytest.mark.parametrize("ratio", [2, 0])
def test_both_algorithms_of_roi_align_agree(ratio: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from flambeau.vision.ops import _roi_align

    maps = fb.from_numpy(RNG.standard_normal((2, 3, 20, 25)))
    corners = RNG.random((12, 2)) * 15
    rois = np.concatenate([RNG.integers(0, 2, (12, 1)), corners, corners + RNG.random((12, 2)) * 12], 1)
    results, gradients = [], []
    for products in (1e-9, 1e9):  # forces one of the two methods, then the other
        monkeypatch.setattr(_roi_align, "_PRODUCTS_PER_READ", products)
        maps.requires_grad_().grad = None
        result = ops.roi_align(maps, fb.from_numpy(rois), (3, 4), 0.9, ratio, True)
        (result**2).sum().backward()
        results.append(result.detach().numpy())
        assert maps.grad is not None
        gradients.append(maps.grad.numpy())
    np.testing.assert_allclose(results[0], results[1], atol=1e-12)
    np.testing.assert_allclose(gradients[0], gradients[1], atol=1e-11)


def test_roi_align_is_twice_differentiable() -> None:
    maps = fb.from_numpy(RNG.standard_normal((1, 2, 30, 30))).requires_grad_()
    rois = fb.tensor([[0.0, 3.0, 4.0, 20.0, 25.0], [0.0, 1.0, 1.0, 9.0, 9.0]]).double()
    (grad,) = fb.autograd.grad((ops.roi_align(maps, rois, 2, 1.0, 2) ** 3).sum(), maps, create_graph=True)
    (second,) = fb.autograd.grad((grad**2).sum(), maps)
    direction, step = fb.from_numpy(RNG.standard_normal(maps.shape)), 1e-5

    def first(point: fb.Tensor) -> float:
        point = point.detach().requires_grad_()
        (slope,) = fb.autograd.grad((ops.roi_align(point, rois, 2, 1.0, 2) ** 3).sum(), point)
        return (slope**2).sum().item()

    expected = (first(maps + step * direction) - first(maps - step * direction)) / (2 * step)
    assert (second * direction).sum().item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("ratio", [0, -1])
def test_roi_align_of_empty_regions_is_zero(ratio: int) -> None:
    maps = fb.ones(1, 4, 9, 9, requires_grad=True)
    rois = fb.tensor([[0.0, 2.0, 3.0, 2.0, 6.0], [0.0, 1.0, 1.0, 5.0, 5.0], [0.0, 2.0, 3.0, 6.0, 3.0]])
    found = ops.roi_align(maps, rois, 2, sampling_ratio=ratio, aligned=True)
    assert found[:, 0, 0, 0].tolist() == [0, 1, 0] and found.sum() == 16
    ops.roi_align(maps, rois[:1], 2, sampling_ratio=ratio, aligned=True).sum().backward()
    assert maps.grad is not None and not maps.grad.any()
    assert (ops.roi_align(maps, rois, 2, sampling_ratio=ratio) == 1).all()  # at least one pixel if not aligned


def test_roi_align_samples_a_reversed_region_backwards() -> None:
    from flambeau.vision.ops import _roi_align

    maps = fb.arange(9.0).expand(1, 1, 9, 9)
    rois = fb.tensor([[0.0, 5.0, 1.0, 3.0, 4.0]])
    # The aligned region is 4.5 to 2.5, so the centres of its two bins are 4 and 3.
    for function in (_roi_align._roi_align, _roi_align._by_operators):
        assert function(maps, rois, 1.0, 1, 2, 1, True).tolist() == [[[[4, 3]]]]


def test_roi_align_without_regions_has_zero_gradients() -> None:
    maps = fb.rand(2, 3, 4, 4).requires_grad_()
    empty = ops.roi_align(maps, fb.zeros(0, 5), 2)
    assert tuple(empty.shape) == (0, 3, 2, 2)
    empty.sum().backward()
    assert maps.grad is not None and not maps.grad.any()


def test_box_coder_encodes_and_decodes_boxes() -> None:
    corners = RNG.random((2, 9, 2)) * 50
    first, second = (np.concatenate([c, c + 2 + RNG.random((9, 2)) * 30], 1) for c in corners)
    coder = BoxCoder((10.0, 10.0, 5.0, 5.0))
    codes = coder.encode_single(fb.from_numpy(first), fb.from_numpy(second)).numpy()
    width, true = second[:, 2] - second[:, 0], first[:, 2] - first[:, 0]
    np.testing.assert_allclose(codes[:, 0], 10 * ((first[:, 0] + true / 2) - (second[:, 0] + width / 2)) / width)
    np.testing.assert_allclose(codes[:, 2], 5 * np.log(true / width))
    twice = fb.from_numpy(np.concatenate([codes, codes], 1))
    back = coder.decode(twice, [fb.from_numpy(second[:4]), fb.from_numpy(second[4:])])
    np.testing.assert_allclose(back.numpy(), np.stack([first, first], 1))
    clipped = coder.decode_single(fb.full((1, 4), 1e3), fb.tensor([[0.0, 0.0, 16.0, 16.0]]))
    assert (clipped[0, 2] - clipped[0, 0]).item() == pytest.approx(1000)


@pytest.mark.parametrize("kind", ["l1", "smooth_l1", "giou", "diou", "ciou"])
def test_box_losses_of_exact_boxes_are_zero(kind: str) -> None:
    anchors, truth = fb.tensor([[0.0, 0.0, 10.0, 10.0]]), fb.tensor([[2.0, 1.0, 9.0, 12.0]])
    coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
    codes = coder.encode_single(truth, anchors)
    assert abs(box_loss(kind, coder, anchors, truth, codes).item()) < 1e-5
    assert box_loss(kind, coder, anchors, truth, codes + 0.2).item() > 0.05
    with pytest.raises(AssertionError, match="Unsupported loss: l3"):
        box_loss("l3", coder, anchors, truth, codes)


def test_matcher_assigns_predictions_to_objects() -> None:
    quality = fb.tensor([[0.1, 0.5, 0.8, 0.2, 0.0], [0.2, 0.25, 0.1, 0.3, 0.0]])
    assert Matcher(0.7, 0.45)(quality).tolist() == [-1, -2, 0, -1, -1]
    # The fourth prediction is the most similar one to the second ground truth.
    assert Matcher(0.7, 0.45, allow_low_quality_matches=True)(quality).tolist() == [-1, -2, 0, 1, -1]
    with pytest.raises(ValueError, match="No ground-truth boxes available"):
        Matcher(0.5, 0.5)(fb.zeros(0, 3))
    with pytest.raises(ValueError, match="No proposal boxes available"):
        Matcher(0.5, 0.5)(fb.zeros(3, 0))


def test_balanced_sampler_selects_positives_and_negatives() -> None:
    labels = fb.tensor([1.0] * 10 + [0.0] * 30 + [-1.0] * 20)
    seen = set()
    for _ in range(20):
        (positive,), (negative,) = BalancedPositiveNegativeSampler(16, 0.25)([labels])
        assert positive.sum() == 4 and negative.sum() == 12
        assert positive[:10].sum() == 4 and negative[10:40].sum() == 12
        seen.add(tuple(positive.tolist()))
    assert len(seen) > 10
    (positive,), (negative,) = BalancedPositiveNegativeSampler(100, 0.5)([labels])
    assert positive.sum() == 10 and negative.sum() == 30


def test_anchors_are_centred_on_all_pixels() -> None:
    generator = AnchorGenerator(((32,), (64, 100)), ((0.5, 2.0),) * 2)
    assert generator.num_anchors_per_location() == [2, 4]
    assert generator.cell_anchors[0].tolist() == [[-23, -11, 23, 11], [-11, -23, 11, 23]]
    maps = [fb.zeros(2, 1, 4, 6), fb.zeros(2, 1, 2, 3)]
    first, second = generator(ImageList(fb.zeros(2, 3, 32, 60), [(32, 60), (30, 50)]), maps)
    assert tuple(first.shape) == (4 * 6 * 2 + 2 * 3 * 4, 4) and (first == second).all()
    # The second anchor of the pixel in row 1 and column 2. Strides are 8 vertically and 10 horizontally.
    assert first[(1 * 6 + 2) * 2 + 1].tolist() == [20 - 11, 8 - 23, 20 + 11, 8 + 23]
    with pytest.raises(AssertionError, match="Got 1 maps and 2 sizes"):
        generator(ImageList(fb.zeros(2, 3, 32, 60), []), maps[:1])


def test_nms_of_many_boxes_equals_sequential_suppression() -> None:
    corners = RNG.random((700, 2)) * 60
    boxes = np.concatenate([corners, corners + 5 + RNG.random((700, 2)) * 20], 1)
    scores, classes = RNG.random(700), RNG.integers(0, 3, 700)

    def slow(threshold: float) -> list[int]:
        taken: list[int] = []
        for index in np.argsort(-scores):
            x1, y1, x2, y2 = boxes[index]
            for other in taken:
                left, top, right, bottom = boxes[other]
                shared = max(min(x2, right) - max(x1, left), 0) * max(min(y2, bottom) - max(y1, top), 0)
                union = (x2 - x1) * (y2 - y1) + (right - left) * (bottom - top) - shared
                if classes[index] == classes[other] and shared / union > threshold:
                    break
            else:
                taken.append(int(index))
        return taken

    given = (fb.from_numpy(boxes), fb.from_numpy(scores), fb.from_numpy(classes))
    for threshold in (0.1, 0.5):
        expected = slow(threshold)
        assert ops.batched_nms(*given, threshold).tolist() == expected
    classes[:] = 0
    assert ops.nms(*given[:2], 0.5).tolist() == slow(0.5) and len(slow(0.5)) > 128
