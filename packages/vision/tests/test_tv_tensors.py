from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from PIL import Image

import flambeau as fb
from flambeau.data import DataLoader
from flambeau.vision import tv_tensors
from flambeau.vision.tv_tensors import BoundingBoxes, BoundingBoxFormat, Mask, Video


def boxes() -> BoundingBoxes:
    return BoundingBoxes(fb.tensor([[1.0, 2.0, 5.0, 6.0]]), format="XYXY", canvas_size=(8, 10))


def test_tv_tensors_can_be_created_from_images_and_tensors(noise: Image.Image) -> None:
    image = tv_tensors.Image(noise)
    assert tuple(image.shape) == (3, noise.height, noise.width) and image.dtype is fb.uint8
    np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), np.asarray(noise))
    assert tv_tensors.Image([[1, 2]], dtype=fb.float64).dtype is fb.float64
    data = fb.zeros(4, 5)
    assert Mask(data).data_ptr() == data.data_ptr() and type(Mask(noise.convert("L"))) is Mask
    assert tv_tensors.Image(data, requires_grad=True).requires_grad
    assert tuple(BoundingBoxes([1, 2, 3, 4], format=BoundingBoxFormat.XYWH, canvas_size=(8, 10)).shape) == (1, 4)
    with pytest.raises(ValueError, match="Expected a 1D or 2D tensor, got 3D"):
        BoundingBoxes(fb.zeros(1, 1, 4), format="XYXY", canvas_size=(8, 10))
    with pytest.raises(KeyError, match="XXYY"):
        BoundingBoxes(fb.zeros(1, 4), format="xxyy", canvas_size=(8, 10))
    with pytest.raises(NotImplementedError, match="rotated boxes"):
        BoundingBoxes(fb.zeros(1, 5), format="XYWHR", canvas_size=(8, 10))
    with pytest.raises(ValueError, match="clamping_mode must be None, hard or soft, got loud"):
        BoundingBoxes(fb.zeros(1, 4), format="XYXY", canvas_size=(8, 10), clamping_mode="loud")
    with pytest.raises(ValueError, match=r"got shape \[3\]"):
        tv_tensors.Image([1, 2, 3])
    with pytest.raises(ValueError, match="Expected a video"):
        Video(fb.zeros(3, 4, 4))


def test_operators_of_tv_tensors_return_plain_tensors() -> None:
    for kind in (boxes(), Mask(fb.ones(2, 3, 3)), tv_tensors.Image(fb.rand(3, 4, 4)), Video(fb.rand(2, 3, 4, 4))):
        for result in (kind + 1, 1 + kind, kind * kind, kind[0], kind.sum(), fb.stack([kind, kind]), *kind.unbind(0)):
            assert type(result) is fb.Tensor
        for same in (kind.clone(), kind.to(fb.float64), kind.detach(), copy.deepcopy(kind), copy.copy(kind)):
            assert type(same) is type(kind)
        assert type(fb.zeros(2).to(kind)) is fb.Tensor
        assert type(kind.add_(1)) is fb.Tensor
        again = pickle.loads(pickle.dumps(kind))
        assert type(again) is type(kind) and (again == kind).all()
    for same in (boxes().clone(), boxes().to(fb.float64), copy.deepcopy(boxes()), pickle.loads(pickle.dumps(boxes()))):
        assert same.format is BoundingBoxFormat.XYXY and same.canvas_size == (8, 10) and same.clamping_mode == "soft"


def test_gradients_flow_through_tv_tensors() -> None:
    leaf = fb.rand(3, 4, 4).requires_grad_()
    (tv_tensors.Image(leaf) ** 2).sum().backward()
    assert leaf.grad is not None
    np.testing.assert_allclose(leaf.grad.numpy(), 2 * leaf.detach().numpy())


def test_set_return_type_selects_the_type_of_operator_results() -> None:
    with tv_tensors.set_return_type("TVTensor"):
        moved = boxes() + 1
        assert type(moved) is BoundingBoxes and moved.canvas_size == (8, 10)
        assert [type(part) for part in Mask(fb.ones(2, 3, 3)).unbind(0)] == [Mask, Mask]
    assert type(boxes() + 1) is fb.Tensor
    tv_tensors.set_return_type("tvtensor")
    try:
        assert type(Mask(fb.ones(2, 2)) * 2) is Mask
    finally:
        tv_tensors.set_return_type("Tensor")
    with pytest.raises(ValueError, match="'TVTensor' or 'Tensor', got array"):
        tv_tensors.set_return_type("array")


def test_wrap_copies_the_metadata() -> None:
    same = tv_tensors.wrap(boxes() * 2, like=boxes())
    assert type(same) is BoundingBoxes and same.canvas_size == (8, 10) and same[0, 3] == 12
    other = tv_tensors.wrap(boxes() * 2, like=boxes(), format="XYWH", canvas_size=(16, 20))
    assert other.format is BoundingBoxFormat.XYWH and other.canvas_size == (16, 20)
    assert type(tv_tensors.wrap(fb.zeros(2, 2), like=Mask(fb.ones(2, 2)))) is Mask


def test_workers_can_send_tv_tensors() -> None:
    samples = [{"image": tv_tensors.Image(fb.full((1, 2, 2), float(n))), "boxes": boxes()} for n in range(4)]
    loader = DataLoader(samples, batch_size=None, num_workers=1)
    received = list(loader)
    assert [type(sample["boxes"]) for sample in received] == [BoundingBoxes] * 4
    assert received[3]["boxes"].canvas_size == (8, 10) and (received[3]["image"] == 3).all()
    batch = next(iter(DataLoader([sample["image"] for sample in samples], batch_size=4)))
    assert type(batch) is fb.Tensor and tuple(batch.shape) == (4, 1, 2, 2)


def test_repr_aligns_the_rows_of_boxes() -> None:
    two = BoundingBoxes([[1, 2, 3, 4], [5, 6, 7, 8]], format="XYXY", canvas_size=(8, 10))
    rows = [line.index("[") for line in repr(two).replace("([[", "( [").splitlines()]
    assert len(rows) == 2 and rows[0] == rows[1]
